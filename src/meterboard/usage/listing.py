"""Pages of the events behind a number, for any store that reads SQL."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from meterboard.domain.cursor import Cursor
from meterboard.domain.query import DimensionName, Scope
from meterboard.usage import events_sql as sql
from meterboard.usage.dialect import Statement
from meterboard.usage.store import EventRow, Listing

FIRST_LOOK = 3_600_000_000
"""The first range that is searched for a page, in microseconds: an hour."""
WIDER = 12
"""The factor by which the range grows until the page is full: 12 hours, 6 days, everything."""
Ask = Callable[[Statement], Sequence[Sequence[Any]]]


def listing(
    ask: Ask,
    scope: Scope,
    dimensions: Sequence[DimensionName],
    limit: int,
    cursor: Cursor | None,
) -> Listing:
    """Returns a page of events, as `meterboard.usage.store.Snapshot.events` specifies."""
    return _Events(ask, scope, dimensions).listing(limit, cursor)


class _Events:
    """The events of a scope. A position is a time and the number of events of that time before it."""

    def __init__(self, ask: Ask, scope: Scope, dimensions: Sequence[DimensionName]) -> None:
        self._ask = ask
        self._scope = scope
        self._dimensions = dimensions
        self._since, self._until = sql.covered(scope)

    def listing(self, limit: int, cursor: Cursor | None) -> Listing:
        start = self._start(limit, cursor)
        time, passed = start or (self._until, 0)
        # One row more than requested shows whether any follow.
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
        """Returns the position at which the page of a cursor begins; None: at the newest event."""
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
    """Yields ever longer spans of time, up to `most`: the rows of a page are nearly always close."""
    span = FIRST_LOOK
    while span < most:
        yield span
        span *= WIDER
    if most > 0:
        yield most


def _event_row(row: Sequence[Any]) -> EventRow:
    time, *values, credits, charged, estimated, records, reason = row
    return EventRow(time, tuple(values), credits, charged, bool(estimated), records, reason)
