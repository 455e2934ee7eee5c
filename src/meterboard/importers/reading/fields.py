"""
The fields that an import looks for in a line, and the SQL that makes of their texts what all lines share.

Every field is text, empty where a line does not say.
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
"""`agent` is a user agent, whose product is the application; `request` a request line; `http` and `path` its parts."""
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
"""What many calls may have in common, beside own dimensions."""
OWN = "dimensions."
"""How the fields of own dimensions begin, so that none is taken for another column: `dimensions.environment`."""
PARTS = "\t"
"""Stands between an HTTP method and a path that are fields of their own, where a request line has a space."""

MOST_OF_ID = 128
"""Characters, as over HTTP."""
CLF = "%d/%b/%Y:%H:%M:%S %z"
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, in microseconds
_LONG_ID = "'/[0-9]{6,32}([/ ]|$)', '/000000\\1', 'g'"
_MAPPING = re.compile(r"(\w+)=(.+)", re.DOTALL)


def read_mapping(options: Sequence[str], dimensions: Dimensions) -> dict[str, str]:
    """`ip=client` -> where to look for a field. Raises: InvalidParameter: no field, or nothing behind it."""
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
    """Those of some fields that are of own dimensions."""
    return sorted(field for field in fields if field.startswith(OWN))


def quoted(text: str) -> str:
    """Text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def clf(column: str) -> str:
    """Microseconds since 1970 of `10/Oct/2000:13:55:36 -0700`. A leap second is the second before it."""
    return f"epoch_us(try_strptime(replace({column}, ':60 ', ':59 '), '{CLF}'))"


def moment(column: str) -> str:
    """
    Microseconds since 1970 of a time in any spelling: RFC 3339 (UTC if it says no offset), that of access logs, seconds
    since 1970, or milliseconds from 100,000,000,000 on, which as seconds would be the year 5138.
    """
    number = f"try_cast({column} as decimal(24, 6))"
    seconds = f"try_cast(if({number} < 100000000000, {number} * 1000000, {number} * 1000) as bigint)"
    return f"coalesce(epoch_us(try_cast({column} as timestamptz)), {clf(column)}, {seconds})"


class Wanted(NamedTuple):
    """
    What is made of lines: which of SHARED and of own dimensions, and what the digests of their ids begin with.

    `fold`: the digits of long ids in paths do not matter, as the values of a query string never do, so requests that
    differ in these alone become one; `parameters`: the names in a query string do matter. `changes` are when prices
    change, in microseconds since 1970 UTC: only calls between two of them have anything in common.
    """

    shared: Sequence[str] = ()
    organization: int = 0
    fold: bool = False
    parameters: bool = True
    changes: Sequence[int] = ()
    source: str = ""
    """Whose lines they are; see `meterboard.importers.identity`."""


def parsed(texts: str, given: Mapping[str, str], time: str, wanted: Wanted) -> str:
    """
    A query of what is parsed of the texts that a query gives: `n`, `time` (null: unreadable), the `id` that a line has,
    the `digest` of the id that it else gets, the `period` between two changes of prices, `rest`, `is_open`, and what they
    share.

    `given` is the expression of each field that the format has; the texts have `line`, its end that its id does not depend
    on as `rest`, and as `is_open` whether more may follow that its id depends on.
    """
    value = {name: given.get(name, "''") for name in (*FIELDS, *given)} | {"request": _brief("asked", wanted)}
    chosen = ", ".join(f'{value[name]} as "{name}"' for name in wanted.shared)
    counts = " and ".join(
        f"({value[name]} = '' or coalesce(try_cast({value[name]} as bigint) between 0 and {most}, false))"
        for name, most in (("records", MAX_RECORDS), ("credits", MAX_CREDITS))
        if name in given
    )
    readable = f"moment between {_FIRST} and {_LAST}{' and ' + counts if counts else ''}"
    if "id" in given:
        readable += f" and length({value['id']}) <= {MOST_OF_ID}"
    own = "if(rest = '', line, left(line, length(line) - length(rest)))"
    digest = f"md5_number({quoted(f'{wanted.organization}:{LINE_ID_PREFIX}{wanted.source}-')} || md5({own}) || '-0')"
    period = " + ".join(f"(moment >= {change})::integer" for change in wanted.changes) or "0"
    return (
        f"select n, if({readable}, moment, null) as time, {value['id']} as id, {digest} as digest, {period} as period, rest, is_open, "
        f"{chosen} from (select *, {time} as moment, {_asked(given)} as asked from ({texts}))"
    )


def _asked(given: Mapping[str, str]) -> str:
    """The request line, or else the HTTP method and the path that have fields of their own."""
    line, http, path = (given.get(name, "''") for name in ("request", "http", "path"))
    apart = f"upper({http}) || {quoted(PARTS)} || {path}"
    if "http" not in given and "path" not in given:
        return line
    return f"if({line} = '', {apart}, {line})" if "request" in given else apart


def _brief(request: str, wanted: Wanted) -> str:
    """A request without what no price depends on. An escape in a query string may hide a parameter, so it stays."""
    query = f"substr({request}, strpos({request}, '?') + 1)"
    values = f"if(contains({query}, '\\'), {query}, regexp_replace({query}, '=[^& ]*', '=', 'g'))"
    path, whole = f"split_part({request}, '?', 1)", request
    if wanted.fold:
        path, whole = (f"regexp_replace({text}, {_LONG_ID})" for text in (path, whole))
    if not wanted.parameters:
        return path
    return f"case when contains({request}, '?') then {path} || '?' || {values} else {whole} end"
