"""The usual line of an access log, split at its quotes and spaces: in half the time that an expression takes."""

from collections.abc import Set
from typing import NamedTuple

from meterboard.importers.reading.fields import CLF, Wanted, parsed

_QUERY = """
select n, line, q[2] as request, h[1] as ip, h[3] as "user", q[6] as agent, substr(q[3], 2, 3) as status, q[7] as rest, false as is_open,
    substr(q[1], strpos(q[1], '[')) as clock,
    len(q) = 7 and len(h) = 6 and q[5] = ' ' and left(q[7], 1) in ('', ' ', chr(9), chr(13))
    and not contains(line, '\\') and len(string_split(h[1], ':')) <> 2
    and regexp_full_match(q[3], ' [0-9]{{3}} (?:[0-9]+|-) ')
    and regexp_full_match(substr(clock, 23), '[+-](?:[01][0-9]|2[0-3])[0-5][0-9]\\] ') as usual
from (
    select n, line, q, string_split(q[1], ' ') as h from (select n, line, string_split(line, '"') as q from {lines})
)
"""


class Combined(NamedTuple):
    """
    The combined format with nothing unusual: no escapes, no spaces in names.

    A line that it can't read may be one of the format all the same, for the pattern to read.
    """

    is_closed: bool = True

    @property
    def fields(self) -> Set[str]:
        """The fields that it has."""
        return {"time", "ip", "user", "agent", "request", "status"}

    def query(self, lines: str, wanted: Wanted) -> str:
        """What is parsed of a table of `n` and `line`; see `fields.parsed`."""
        time = f"if(usual, epoch_us(try_strptime(clock, '[{CLF}] ')), null)"
        given = {field: f'"{field}"' for field in self.fields if field != "time"}
        return parsed(_QUERY.format(lines=lines), given, time, wanted)
