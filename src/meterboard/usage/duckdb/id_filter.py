"""
Which ids may have been seen before: filters in memory in front of the exact look-up in the store.

A Bloom filter answers "certainly new" for all but one in a million of the new ids, so that the store is asked for
little else than ids that were really sent again. Each filter is of one stretch of receipts, so that a retry is looked
for there alone, at the same cost however much is retained. All of it is derived from the committed events and rebuilt
from them at start: never trusted over them, never written before them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from rbloom import Bloom

FALSE_POSITIVES = 1e-6
STRETCH = 2_000_000
"""Ids to a filter: 7 MB, and milliseconds to search the events of its stretch."""


class Stretch(NamedTuple):
    """Where ids may be: their positions among those asked about, and when the events of the stretch were received."""

    positions: list[int]
    first: datetime
    last: datetime


class _Filter:
    def __init__(self, capacity: int, first: datetime) -> None:
        self.capacity = capacity
        self.bloom = Bloom(capacity, FALSE_POSITIVES)
        self.count = 0
        self.first = first
        self.last = first


class IdFilter:
    """
    A filter for each stretch, the latest last.

    One is dropped when the last event of its stretch has been forgotten, so memory follows what is retained.
    """

    def __init__(self) -> None:
        self._filters: list[_Filter] = []

    def possible(self, keys: Sequence[int]) -> list[Stretch]:
        """Everywhere that keys may have been added before."""
        found: list[Stretch] = []
        for stretch in self._filters:
            known = stretch.bloom
            here = [position for position, key in enumerate(keys) if key in known]
            if here:
                found.append(Stretch(here, stretch.first, stretch.last))
        return found

    def add(self, keys: Collection[int], *, first: datetime, last: datetime) -> None:
        """Remember keys of events that were received from `first` to `last`; never earlier ones than before."""
        if not keys:
            return
        if not self._filters or self._filters[-1].count + len(keys) > self._filters[-1].capacity:
            self._filters.append(_Filter(max(STRETCH, len(keys)), first))
        current = self._filters[-1]
        current.bloom.update(keys)
        current.count += len(keys)
        current.last = last

    def forget(self, before: datetime) -> None:
        """Drop the filters whose events were all received before `before`."""
        self._filters = [stretch for stretch in self._filters if stretch.last >= before]
