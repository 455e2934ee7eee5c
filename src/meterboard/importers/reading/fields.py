"""
The fields that an import reads from lines, and the SQL that converts them to a common form.

Every field is text, empty where a line has no value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import LINE_ID_PREFIX, MAX_CREDITS, MAX_RECORDS
from meterboard.errors import InvalidParameter

FIELDS = (
    "time",
    "ip",
    "user",
    "agent",
    "request",
    "http",
    "path",
    "status",
    "application",
    "function",
    "module",
    "method",
    "version",
    "records",
    "credits",
    "id",
)
"""
`agent` is a user agent, whose product is the application; `request` is a request line; `http` and `path` are its
parts.
"""
SHARED = (
    "ip",
    "user",
    "agent",
    "request",
    "status",
    "application",
    "function",
    "module",
    "method",
    "version",
    "records",
    "credits",
)
"""The fields that many calls may share, besides own dimensions."""
OWN = "dimensions."
"""The prefix of the fields of own dimensions, which separates them from other columns: `dimensions.environment`."""
PARTS = "\t"
"""The separator of an HTTP method and a path that are separate fields, where a request line has a space."""

MAX_ID_LENGTH = 128
"""Characters; the same limit as over HTTP."""
CLF = "%d/%b/%Y:%H:%M:%S %z"
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, in microseconds
_LONG_ID = "'/[0-9]{6,32}([/ ]|$)', '/000000\\1', 'g'"
_MAPPING = re.compile(r"(\w+)=(.+)", re.DOTALL)


def read_mapping(options: Sequence[str], dimensions: Dimensions) -> dict[str, str]:
    """
    Returns where to find each field, from options such as `ip=client`. Raises: InvalidParameter: an unknown field or
    no source.
    """
    mapping: dict[str, str] = {}
    known = (*FIELDS, *dimensions.own_names)
    for option in options:
        found = _MAPPING.fullmatch(option)
        if not found or found[1] not in known:
            raise InvalidParameter(
                "field",
                f"The field {option!r} is invalid. Write NAME=SOURCE, where NAME is one of {', '.join(known)}, "
                "and SOURCE the name of a variable, a column or a JSON member.",
            )
        mapping[found[1] if found[1] in FIELDS else f"{OWN}{found[1]}"] = found[2]
    return mapping


def own_fields(fields: Iterable[str]) -> list[str]:
    """Returns the fields of own dimensions among some fields."""
    return sorted(field for field in fields if field.startswith(OWN))


def quoted(text: str) -> str:
    """Returns text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def clf(column: str) -> str:
    """
    Returns the SQL for microseconds since 1970 of `10/Oct/2000:13:55:36 -0700`. A leap second is the second before it.
    """
    return f"epoch_us(try_strptime(replace({column}, ':60 ', ':59 '), '{CLF}'))"


def moment(column: str) -> str:
    """
    Returns the SQL for microseconds since 1970 of a time in any notation: RFC 3339 (UTC without an offset), that of
    access logs, seconds since 1970, or milliseconds from 100,000,000,000 on, which as seconds would be the year 5138.
    """
    number = f"try_cast({column} as decimal(24, 6))"
    seconds = f"try_cast(if({number} < 100000000000, {number} * 1000000, {number} * 1000) as bigint)"
    return f"coalesce(epoch_us(try_cast({column} as timestamptz)), {clf(column)}, {seconds})"


class ParseOptions(NamedTuple):
    """
    What to parse: which of SHARED and of own dimensions, and the prefix of the digests of ids.

    `fold`: the digits of long ids in paths are irrelevant, as the values of a query string always are, so requests
    that differ only in these become one. `parameters`: the names in a query string are relevant. `changes` are the
    times at which prices change, in microseconds since 1970 UTC: only calls between two of them share anything.
    """

    shared: Sequence[str] = ()
    organization: int = 0
    fold: bool = False
    parameters: bool = True
    changes: Sequence[int] = ()
    source: str = ""
    """The key of the source of the lines; see `meterboard.importers.log_identity`."""


def parsed(texts: str, given: Mapping[str, str], time: str, options: ParseOptions) -> str:
    """
    Returns the query that parses the texts of another query. Its columns are `n`, `time` (null: unreadable), the `id`
    of the line, the `digest` of the id that it gets otherwise, the `period` between two price changes, `rest`,
    `is_open`, and the shared fields.

    `given` are the SQL expressions of the format's fields. The texts have `line`; `rest`, its end on which its id
    doesn't depend; and `is_open`, whether text that its id depends on may follow.
    """
    value = {name: given.get(name, "''") for name in (*FIELDS, *given)} | {
        "request": _brief("asked", options)
    }
    chosen = ", ".join(f'{value[name]} as "{name}"' for name in options.shared)
    counts = " and ".join(
        f"({value[name]} = '' or coalesce(try_cast({value[name]} as bigint) between 0 and {most}, false))"
        for name, most in (("records", MAX_RECORDS), ("credits", MAX_CREDITS))
        if name in given
    )
    readable = f"moment between {_FIRST} and {_LAST}{' and ' + counts if counts else ''}"
    if "id" in given:
        readable += f" and length({value['id']}) <= {MAX_ID_LENGTH}"
    own = "if(rest = '', line, left(line, length(line) - length(rest)))"
    digest = f"md5_number({quoted(f'{options.organization}:{LINE_ID_PREFIX}{options.source}-')} || md5({own}) || '-0')"
    period = " + ".join(f"(moment >= {change})::integer" for change in options.changes) or "0"
    return (
        f"select n, if({readable}, moment, null) as time, {value['id']} as id, {digest} as digest, {period} as period, rest, is_open, "
        f"{chosen} from (select *, {time} as moment, {_asked(given)} as asked from ({texts}))"
    )


def _asked(given: Mapping[str, str]) -> str:
    """Returns the SQL for the request line, or for the HTTP method and the path as separate fields."""
    line, http, path = (given.get(name, "''") for name in ("request", "http", "path"))
    apart = f"upper({http}) || {quoted(PARTS)} || {path}"
    if "http" not in given and "path" not in given:
        return line
    return f"if({line} = '', {apart}, {line})" if "request" in given else apart


def _brief(request: str, options: ParseOptions) -> str:
    """
    Returns the SQL for a request without the parts that no price depends on. An escape in a query string may hide a
    parameter, so the query string stays then.
    """
    query = f"substr({request}, strpos({request}, '?') + 1)"
    values = f"if(contains({query}, '\\'), {query}, regexp_replace({query}, '=[^& ]*', '=', 'g'))"
    path, whole = f"split_part({request}, '?', 1)", request
    if options.fold:
        path, whole = (f"regexp_replace({text}, {_LONG_ID})" for text in (path, whole))
    if not options.parameters:
        return path
    return f"case when contains({request}, '?') then {path} || '?' || {values} else {whole} end"
