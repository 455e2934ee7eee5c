"""
Deduplication: which events have new ids.

The ids of a request are checked by the filters of `meterboard.usage.duckdb.id_filter` first, since a query would cost
each request milliseconds. The ids of an import are compared with all stored ids at once, a hundred thousand in 30 ms
at ten million events, without a filter, which takes seconds to build when so many events are stored.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import duckdb

from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.columns import Rows
from meterboard.usage.duckdb.id_filter import IdFilter

ROWS_AT_ONCE = 100_000
"""How many rows are read at once to build the filter: about 5 MB."""

Halves = tuple[int, int]
"""The twelve bytes of an id as two numbers, which DuckDB compares and stores better than bytes; (0, 0) is no id."""


class KnownIds:
    """The ids of all stored events. Used by the thread that writes; look-ups may raise DuckDB's errors."""

    def __init__(self) -> None:
        self._filter: IdFilter | None = None

    def build_filter(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Builds the filter of all ids, unless it exists. Returns whether it was built."""
        if self._filter is not None:
            return False
        known = IdFilter()
        ((rows,),) = connection.execute(statements.ROWS_OF_EVENTS).fetchall()
        for first in range(0, rows, ROWS_AT_ONCE):
            span = [first, first + ROWS_AT_ONCE]
            ((lows, oldest, newest),) = connection.execute(statements.IDS_OF_ROWS, span).fetchall()
            known.add(lows, first=EPOCH + INSTANT * oldest, last=EPOCH + INSTANT * newest)
        self._filter = known  # only when complete: a part of the filter would report stored ids as new
        return True

    def new_events(
        self, connection: duckdb.DuckDBPyConnection, lows: Sequence[int], highs: Sequence[int]
    ) -> list[bool]:
        """Returns which events of a request are new: neither stored nor earlier in the request."""
        self.build_filter(connection)
        assert self._filter is not None
        stored: set[Halves] = set()
        for indexes, first, last in self._filter.possible(lows):
            candidates = [[half[index] for index in indexes] for half in (lows, highs)]
            parameters = [*candidates, micros(first), micros(last)]
            stored.update(connection.execute(statements.KNOWN_IDS, parameters).fetchall())
        if not stored and len(set(lows)) == len(lows):
            return [True] * len(lows)
        return _first_of_each(lows, highs, stored)

    def new_calls(
        self, connection: duckdb.DuckDBPyConnection, calls: Rows, lows: Sequence[int], highs: Sequence[int]
    ) -> list[bool]:
        """Returns which calls of an import are new; the calls are also given as rows."""
        # DuckDB finds `calls` by its name in this frame. The first number alone nearly always rules out duplicates.
        ((known, repeated),) = connection.execute(statements.ANY_KNOWN_CALLS).fetchall()
        if not known and not repeated:
            return [True] * len(lows)
        stored = set(connection.execute(statements.KNOWN_CALLS).fetchall()) if known else set()
        return _first_of_each(lows, highs, stored)

    def add(self, lows: Collection[int], *, received_at: datetime) -> None:
        """
        Adds the ids of events that were just stored; 0 is no id.

        Never raises, since the events are committed: after a failure the filter is built again when it is needed.
        """
        if self._filter is None:
            return
        try:
            self._filter.add([low for low in lows if low], first=received_at, last=received_at)
        except Exception:  # noqa: BLE001  # see above
            self._filter = None

    def remove_before(self, before: datetime) -> None:
        """Removes events that were all received before `before`."""
        if self._filter is not None:
            self._filter.remove_before(before)


def _first_of_each(lows: Sequence[int], highs: Sequence[int], stored: set[Halves]) -> list[bool]:
    seen = set(stored)
    new: list[bool] = []
    for halves in zip(lows, highs, strict=True):
        new.append(halves == (0, 0) or halves not in seen)
        seen.add(halves)
    return new
