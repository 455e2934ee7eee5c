"""
Lines -> calls. DuckDB parses a chunk of lines at once; what a call is, is worked out once for each kind of call.
"""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import duckdb
import nanoarrow as na
from msgspec import Struct

from meterboard.domain.event import UsageEvent
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
OWN_IDS = "select id from parsed where time is not null order by n"


MOST_KNOWN = 50_000
"""Kinds of call that are at hand for the next chunk: about 30 MB."""


class Read(Struct):
    """What a chunk holds: its calls, how many lines, and those that can't be read, with their numbers."""

    calls: Calls
    lines: int
    unreadable: list[tuple[int, bytes]]


class Parsed(NamedTuple):
    """A chunk's calls as numbers: the place of each among the lines, its time, its kind, and the bytes behind it."""

    lines: Lines
    rows: list[tuple[Any, ...]]
    places: "array[int]"
    times: "array[int]"
    kind: "array[int]"
    rest: "array[int]"
    own_ids: list[str]


class Reader:
    """Reads the chunks of one file, in their order."""

    def __init__(self, form: Format, *, fold: bool, numbering: Numbering | None = None) -> None:
        """`fold`: see `fields.parsed`."""
        self._form = form
        self._fold = fold
        self._known: dict[tuple[str, ...], UsageEvent] = {}
        self._numbering = numbering or Numbering()
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
        self._connection.execute("set TimeZone = 'UTC'").fetchall()

    def close(self) -> None:
        self._connection.close()

    def begin(self) -> None:
        """The next chunk is the first of a new file: equal lines are counted anew."""
        self._numbering = Numbering()

    def read(self, lines: Lines) -> Read:
        """The calls of a chunk. No line makes it raise."""
        return self.calls(self.parse(lines))

    def parse(self, lines: Lines) -> Parsed:
        """What DuckDB does of it, without keeping Python's interpreter: other threads work meanwhile."""
        self._parse(lines)
        self._connection.execute(KINDS).fetchall()
        rows = self._connection.execute(f"select time, {_KEY} from kinds order by kind").fetchall()
        places, times, kind, rest = self._columns(CALLS, "iqii")
        own = self._connection.execute(OWN_IDS).fetchall() if self._form.has_ids else []
        return Parsed(lines, rows, places, times, kind, rest, [name for (name,) in own])

    def calls(self, parsed: Parsed) -> Read:
        """The rest of it: kinds as events, and ids. Chunks are taken in their order."""
        texts, places = parsed.lines.texts, parsed.places
        ids = self._ids(texts, places, parsed.rest)
        if any(parsed.own_ids):
            ids = [own or made for own, made in zip(parsed.own_ids, ids, strict=True)]
        days = [time for time, *_ in parsed.rows]
        calls = Calls(self._kinds(parsed.rows), days, parsed.kind, parsed.times, ids)
        unreadable: list[tuple[int, bytes]] = []
        if len(places) < len(texts):
            missing = sorted(set(range(len(texts))).difference(places))
            unreadable = [(parsed.lines.first + n, texts[n]) for n in missing if texts[n].strip()]
        return Read(calls, len(texts), unreadable)

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

    def _kinds(self, rows: Sequence[tuple[Any, ...]]) -> list[UsageEvent]:
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        events: list[UsageEvent] = []
        for _, *values in rows:
            key = tuple(values)
            event = self._known.get(key)
            if event is None:
                event = self._known[key] = self._kind(*key)
            events.append(event)
        return events

    def _kind(
        self, ip: str, user: str, agent: str, http: str, path: str, query: str, status: str, *more: str
    ) -> UsageEvent:
        *names, records, credits = more
        application, function, module, method, version = (
            words.name(text) if text else None for text in names
        )
        if self._form.is_escaped and "\\" in f"{user}{agent}{path}{query}":
            user, agent, path, query = map(words.unescaped, (user, agent, path, query))
        return UsageEvent(
            application=application or words.product(agent[: words.LONGEST_AGENT]),
            function=function,
            user=words.name(user),
            ip=words.address(ip),
            version=version,
            module=module,
            method=method,
            request=words.request(http, path + query),
            records=int(records) if records else None,
            credits=int(credits) if credits else None,
            status=_STATUS.get(status),
        )


_STATUS = {str(status): status for status in range(100, 600)}
