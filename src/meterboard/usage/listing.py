"""The events behind a number, a page at a time, from any store that answers SQL."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from meterboard.domain.cursor import Cursor
from meterboard.domain.query import DimensionName, Scope
from meterboard.usage import events_sql as sql
from meterboard.usage.dialect import Statement
from meterboard.usage.store import EventRow, Listing

FIRST_LOOK = 3_600_000_000
"""Microseconds that are searched for a page at first: an hour."""
WIDER = 12
"""How many times as much is searched each time that it did not fill the page: 12 hours, 6 days, everything."""
Ask = Callable[[Statement], Sequence[Sequence[Any]]]


def listing(
    ask: Ask,
    scope: Scope,
    dimensions: Sequence[DimensionName],
    limit: int,
    cursor: Cursor | None,
) -> Listing:
    """Returns what `meterboard.usage.store.Snapshot.events` does, of any store that answers SQL."""
    return _Events(ask, scope, dimensions).listing(limit, cursor)


class _Events:
    """The events of one scope. A place among them is a time and how many of that time lie before it."""

    def __init__(self, ask: Ask, scope: Scope, dimensions: Sequence[DimensionName]) -> None:
        self._ask = ask
        self._scope = scope
        self._dimensions = dimensions
        self._since, self._until = sql.covered(scope)

    def listing(self, limit: int, cursor: Cursor | None) -> Listing:
        start = self._start(limit, cursor)
        time, passed = start or (self._until, 0)
        # One more than asked for says whether anything follows.
        rows = self._older(time, passed, limit + 1)
        shown = rows[:limit]
        older = newer = None
        if len(rows) > limit:
            last = shown[-1].time
            older = Cursor(last, sum(row.time == last for row in shown) + (passed if last == time else 0))
        if start:
            newer = Cursor(time, passed, newer=True)
        return Listing(shown, newer, older)

    def _start(self, limit: int, cursor: Cursor | None) -> tuple[int, int] | None:
        """The place at which the page that a cursor asks for begins; None: at the newest."""
        if cursor is None or cursor.time >= self._until:
            return None
        if not cursor.newer:
            return cursor.time, cursor.passed
        here = self._count(cursor.time)
        times = self._newer(cursor.time, here - min(here, cursor.passed), limit + 1)
        if len(times) <= limit:
            return None
        first = times[-2]
        of_all = min(here, cursor.passed) if first == cursor.time else self._count(first)
        return first, of_all - sum(time == first for time in times[:-1])

    def _older(self, time: int, passed: int, limit: int) -> list[EventRow]:
        until = min(time + 1, self._until)
        rows: Sequence[Sequence[Any]] = []
        for span in _widening(until - self._since):
            stretch = sql.Stretch(until - span, until)
            rows = self._ask(sql.page(self._scope, stretch, self._dimensions, limit=limit, offset=passed))
            if len(rows) == limit:
                break
        return [_event_row(row) for row in rows]

    def _newer(self, time: int, passed: int, limit: int) -> list[int]:
        since = max(time, self._since)
        rows: Sequence[Sequence[Any]] = []
        for span in _widening(self._until - since):
            stretch = sql.Stretch(since, since + span)
            rows = self._ask(sql.newer(self._scope, stretch, limit=limit, offset=passed))
            if len(rows) == limit:
                break
        return [int(moment) for (moment,) in rows]

    def _count(self, time: int) -> int:
        stretch = sql.Stretch(max(time, self._since), min(time + 1, self._until))
        ((count,),) = self._ask(sql.count(self._scope, stretch))
        return int(count)


def _widening(most: int) -> Iterator[int]:
    """Ever longer spans of time, up to `most`: what fills a page is nearly always close by."""
    span = FIRST_LOOK
    while span < most:
        yield span
        span *= WIDER
    if most > 0:
        yield most


def _event_row(row: Sequence[Any]) -> EventRow:
    time, *values, credits, charged, estimated, records, reason = row
    return EventRow(time, tuple(values), credits, charged, bool(estimated), records, reason)
