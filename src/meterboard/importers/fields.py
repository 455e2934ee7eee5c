"""
The fields that an import looks for in a line, and the SQL that makes of their texts what all lines share.

Every field is text, empty where a line does not say.
"""

import re
from collections.abc import Mapping, Sequence

from meterboard.domain.event import MAX_CREDITS, MAX_RECORDS
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
    "http",
    "path",
    "query",
    "status",
    "application",
    "function",
    "module",
    "method",
    "version",
    "records",
    "credits",
)
"""What makes a kind of call."""

MOST_OF_ID = 128
"""Characters, as over HTTP."""
CLF = "%d/%b/%Y:%H:%M:%S %z"
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, in microseconds
_REQUEST = r"^([A-Z][A-Z_-]{0,31}) ([^ ?]+)(\?[^ ]*)?(?: HTTP/[0-9.]+)?$"
_MAPPING = re.compile(r"(\w+)=(.+)", re.DOTALL)


def read_mapping(options: Sequence[str]) -> dict[str, str]:
    """`ip=client` -> where to look for a field. Raises: InvalidParameter: no field, or nothing behind it."""
    mapping: dict[str, str] = {}
    for option in options:
        found = _MAPPING.fullmatch(option)
        if not found or found[1] not in FIELDS:
            raise InvalidParameter(
                "field",
                f"The field {option!r} is not understood. Write NAME=SOURCE, where NAME is one of {', '.join(FIELDS)}, "
                "and SOURCE the name of a variable, a column or a JSON member.",
            )
        mapping[found[1]] = found[2]
    return mapping


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


def parsed(texts: str, given: Mapping[str, str], time: str, *, fold: bool) -> str:
    """
    A query of what is parsed of the texts that a query gives: `n`, `time` (null: unreadable), `id`, `rest`, and SHARED.

    `given` is the expression of each field that the format has. `fold`: the digits of long ids in paths do not matter,
    nor ever do the values of a query string, so requests that differ in these alone become one kind.
    """
    value = {name: given.get(name, "''") for name in FIELDS}
    columns = {
        "http": f"if(r.http = '', upper({value['http']}), r.http)",
        "path": "regexp_replace(bare, '/[0-9]{6,32}(/|$)', '/000000\\1', 'g')" if fold else "bare",
        # An escape in a query string may hide a parameter.
        "query": "if(asked = '' or contains(asked, '\\'), asked, regexp_replace(asked, '=[^&]*', '=', 'g'))",
    }
    chosen = ", ".join(f'{columns.get(name, value.get(name))} as "{name}"' for name in SHARED)
    counts = " and ".join(
        f"({value[name]} = '' or coalesce(try_cast({value[name]} as bigint) between 0 and {most}, false))"
        for name, most in (("records", MAX_RECORDS), ("credits", MAX_CREDITS))
        if name in given
    )
    readable = f"moment between {_FIRST} and {_LAST}{' and ' + counts if counts else ''}"
    if "id" in given:
        readable += f" and length({value['id']}) <= {MOST_OF_ID}"
    request = f"regexp_extract({value['request']}, {quoted(_REQUEST)}, ['http', 'path', 'query'])"
    path = f"if(r.path = '', split_part({value['path']}, '?', 1), r.path) as bare"
    asked = f"if(r.path = '' and contains({value['path']}, '?'), substr({value['path']}, strpos({value['path']}, '?')), r.query) as asked"
    return (
        f"select n, if({readable}, moment, null) as time, {value['id']} as id, rest, {chosen}"
        f" from (select *, {path}, {asked} from (select *, {time} as moment, {request} as r from ({texts})))"
    )
