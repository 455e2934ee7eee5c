"""
Which events are new: the ids that the tables hold, asked in two ways.

A request's events go through the filters of `meterboard.usage.duckdb.id_filter` first, since a look-up of its own would cost each
request milliseconds. An import's calls are compared with all ids at once, a hundred thousand of them in 30 ms at ten
million events; for them no filter need be made, which takes seconds when so much is stored.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import duckdb

from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.id_filter import IdFilter
from meterboard.usage.duckdb.rows import Rows

ROWS_AT_ONCE = 100_000
"""Rows read at once when the filter is made: about 5 MB."""

Halves = tuple[int, int]
"""An id's twelve bytes as two numbers, which DuckDB compares and stores better than bytes; (0, 0): no id."""


class KnownIds:
    """The ids of all events. Used by the thread that writes; a look-up may raise what DuckDB raises."""

    def __init__(self) -> None:
        self._filter: IdFilter | None = None

    def make_filter(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Read all ids, if that was not done before; was it done now?"""
        if self._filter is not None:
            return False
        known = IdFilter()
        ((rows,),) = connection.execute(statements.ROWS_OF_EVENTS).fetchall()
        for first in range(0, rows, ROWS_AT_ONCE):
            span = [first, first + ROWS_AT_ONCE]
            ((lows, oldest, newest),) = connection.execute(statements.IDS_OF_ROWS, span).fetchall()
            known.add(lows, first=EPOCH + INSTANT * oldest, last=EPOCH + INSTANT * newest)
        self._filter = known  # only now: half a filter would call ids new that are stored
        return True

    def new_events(
        self, connection: duckdb.DuckDBPyConnection, lows: Sequence[int], highs: Sequence[int]
    ) -> list[bool]:
        """Which events of a request are new: no other of it or before has their id."""
        self.make_filter(connection)
        assert self._filter is not None
        stored: set[Halves] = set()
        for positions, first, last in self._filter.possible(lows):
            candidates = [[half[position] for position in positions] for half in (lows, highs)]
            parameters = [*candidates, micros(first), micros(last)]
            stored.update(connection.execute(statements.KNOWN_IDS, parameters).fetchall())
        if not stored and len(set(lows)) == len(lows):
            return [True] * len(lows)
        return _first_of_each(lows, highs, stored)

    def new_calls(
        self, connection: duckdb.DuckDBPyConnection, calls: Rows, lows: Sequence[int], highs: Sequence[int]
    ) -> list[bool]:
        """The same of an import's calls, which are also given as rows."""
        # DuckDB finds `calls` by its name in this frame. One number of two finds nearly always that there is nothing.
        ((known, repeated),) = connection.execute(statements.ANY_KNOWN_CALLS).fetchall()
        if not known and not repeated:
            return [True] * len(lows)
        stored = set(connection.execute(statements.KNOWN_CALLS).fetchall()) if known else set()
        return _first_of_each(lows, highs, stored)

    def add(self, lows: Collection[int], *, received_at: datetime) -> None:
        """
        Remember the ids of events that were just stored; 0: it has none.

        Never raises, since the events are committed: if that fails, the filter is made again when it is needed.
        """
        if self._filter is None:
            return
        try:
            self._filter.add([low for low in lows if low], first=received_at, last=received_at)
        except Exception:  # noqa: BLE001  # see above
            self._filter = None

    def forget(self, before: datetime) -> None:
        """Let go of events that were all received before `before`."""
        if self._filter is not None:
            self._filter.forget(before)


def _first_of_each(lows: Sequence[int], highs: Sequence[int], stored: set[Halves]) -> list[bool]:
    seen = set(stored)
    new: list[bool] = []
    for halves in zip(lows, highs, strict=True):
        new.append(halves == (0, 0) or halves not in seen)
        seen.add(halves)
    return new
