"""
Bloom filters of stored ids, which are checked before the exact look-up in the store.

A filter answers "certainly new" for all but one in a million new ids, so that the store is queried for little else
than duplicates. Each filter covers a range of receipts, so that a duplicate is looked up only there, at the same cost
however much is retained. Filters are derived from the committed events and rebuilt from them at start: the events are
authoritative, and are written first.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from rbloom import Bloom

FALSE_POSITIVES = 1e-6
STRETCH = 2_000_000
"""Ids per filter: 7 MB, and milliseconds to search the events of its range."""


class Stretch(NamedTuple):
    """Where ids may be stored: their indexes in the query, and when the events of the range were received."""

    indexes: list[int]
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
    A filter for each range of receipts, the latest last.

    A filter is dropped when the last event of its range has been deleted, so memory is bounded by what is retained.
    """

    def __init__(self) -> None:
        self._filters: list[_Filter] = []

    def possible(self, keys: Sequence[int]) -> list[Stretch]:
        """Returns the ranges in which keys may have been added before."""
        found: list[Stretch] = []
        for stretch in self._filters:
            known = stretch.bloom
            matches = [index for index, key in enumerate(keys) if key in known]
            if matches:
                found.append(Stretch(matches, stretch.first, stretch.last))
        return found

    def add(self, keys: Collection[int], *, first: datetime, last: datetime) -> None:
        """Adds keys of events that were received from `first` to `last`; never earlier than those added before."""
        if not keys:
            return
        if not self._filters or self._filters[-1].count + len(keys) > self._filters[-1].capacity:
            self._filters.append(_Filter(max(STRETCH, len(keys)), first))
        current = self._filters[-1]
        current.bloom.update(keys)
        current.count += len(keys)
        current.last = last

    def remove_before(self, before: datetime) -> None:
        """Drops the filters whose events were all received before `before`."""
        self._filters = [stretch for stretch in self._filters if stretch.last >= before]
