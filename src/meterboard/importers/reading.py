"""
Lines -> calls. DuckDB parses a chunk of lines at once; what a call is, is worked out once for each kind of call.
"""

from array import array
from collections.abc import Sequence
from typing import Any

import duckdb
import nanoarrow as na
from msgspec import Struct

from meterboard.domain.event import UsageEvent
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.importers import words
from meterboard.importers.fields import SHARED
from meterboard.importers.formats import Format
from meterboard.importers.lines import MAX_LINE, Column, Lines
from meterboard.importers.numbering import Numbering
from meterboard.service.ingest import Calls

_KEY = ", ".join(f'"{name}"' for name in SHARED)
_SAME = " and ".join(f'parsed."{name}" = kinds."{name}"' for name in SHARED)
DAY = 86_400_000_000
"""Microseconds. Prices begin and end with days of UTC, so a kind of call is of one day."""
KINDS = f"""
create or replace temp table kinds as
select *, (row_number() over () - 1)::integer as kind from (
    select {_KEY}, time // {DAY} as day, min(time) as time from parsed where time is not null group by all
)
"""
CALLS = f"""
select n, parsed.time, kind, strlen(rest)::integer as rest
from parsed join kinds on {_SAME} and parsed.time // {DAY} = kinds.day order by n
"""


class Read(Struct):
    """What a chunk holds: its calls, how many lines, and those that can't be read, with their numbers."""

    calls: Calls
    lines: int
    unreadable: list[tuple[int, bytes]]


class Reader:
    """Reads the chunks of one file, in their order."""

    def __init__(self, form: Format, *, fold: bool, numbering: Numbering | None = None) -> None:
        """`fold`: see `fields.parsed`."""
        self._form = form
        self._fold = fold
        self._numbering = numbering or Numbering()
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
        self._connection.execute("set TimeZone = 'UTC'").fetchall()

    def close(self) -> None:
        self._connection.close()

    def read(self, lines: Lines) -> Read:
        """The calls of a chunk. No line makes it raise."""
        self._parse(lines)
        self._connection.execute(KINDS).fetchall()
        places, times, kind, rest = self._columns(CALLS, "iqii")
        calls = Calls(self._kinds(), kind, times, self._ids(lines.texts, places, rest))
        unreadable: list[tuple[int, bytes]] = []
        if len(places) < len(lines.texts):
            missing = sorted(set(range(len(lines.texts))).difference(places))
            unreadable = [(lines.first + n, lines.texts[n]) for n in missing if lines.texts[n].strip()]
        return Read(calls, len(lines.texts), unreadable)

    def _parse(self, lines: Lines) -> None:
        """Make the table `parsed`, a row for each line."""
        execute = self._connection.execute
        self._load(Column(lines.texts))
        first, *others = [
            layout for layout in self._form.layouts if lines.ended or layout.is_closed
        ] or self._form.layouts
        execute(f"create or replace temp table parsed as {first.query('line', fold=self._fold)}").fetchall()
        for layout in others:
            execute(
                "create or replace temp table left_over as select n, line from line "
                "semi join (select n from parsed where time is null) using (n) where line <> ''"
            ).fetchall()
            if not execute("select count(*) from left_over").fetchall()[0][0]:
                break
            execute("delete from parsed where n in (select n from left_over)").fetchall()
            execute(f"insert into parsed {layout.query('left_over', fold=self._fold)}").fetchall()
        if not lines.ended and not any(layout.is_closed for layout in self._form.layouts):
            execute("update parsed set time = null").fetchall()

    def _load(self, given: Column) -> None:
        # DuckDB finds `given` by its name in this frame.
        self._connection.execute(
            "create or replace temp table line as select (row_number() over () - 1)::integer as n, "
            f"if(strlen(line) <= {MAX_LINE}, line, '') as line from given"
        ).fetchall()

    def _columns(self, query: str, codes: str) -> "list[array[int]]":
        """The columns of an answer that holds nothing but numbers."""
        columns = [array(code) for code in codes]
        for piece in na.ArrayStream(self._connection.sql(query)):
            for place, column in enumerate(columns):
                column.frombytes(
                    memoryview(piece.child(place).buffer(1)).cast("B")[: len(piece) * column.itemsize]
                )
        return columns

    def _ids(self, texts: Sequence[bytes], places: Sequence[int], rest: Sequence[int]) -> list[str]:
        if len(places) == len(texts) and not any(rest):
            chosen = texts
        else:
            chosen = [texts[n][: len(texts[n]) - cut] for n, cut in zip(places, rest, strict=True)]
        return self._numbering.ids(chosen)

    def _kinds(self) -> list[UsageEvent]:
        rows = self._connection.execute(f"select {_KEY}, time from kinds order by kind").fetchall()
        return [self._kind(*row) for row in rows]

    def _kind(
        self, ip: str, user: str, agent: str, http: str, path: str, query: str, status: str, *more: Any
    ) -> UsageEvent:
        *names, records, credits, time = more
        application, function, module, method, version = map(words.name, names)
        if self._form.is_escaped:
            user, agent, path = words.unescaped(user), words.unescaped(agent), words.unescaped(path + query)
        else:
            path += query
        code = int(status) if status.isascii() and status.isdecimal() and len(status) == 3 else 0
        return UsageEvent(
            time=EPOCH + INSTANT * time,
            application=application or words.product(agent[: words.LONGEST_AGENT]),
            function=function,
            user=words.name(user),
            ip=words.address(ip),
            version=version,
            module=module,
            method=method,
            request=words.request(http, path),
            records=int(records) if records else None,
            credits=int(credits) if credits else None,
            status=code if 100 <= code <= 599 else None,
        )
