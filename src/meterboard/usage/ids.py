"""
Which ids may have been seen before: a filter in memory in front of the exact look-up in the store.

A Bloom filter answers "certainly new" for all but one in a million of the new ids, so that the store is asked for
little else than ids that were really sent again. It is derived from the committed events and rebuilt from them at
start: never trusted over them, never written before them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rbloom import Bloom

FALSE_POSITIVES = 1e-6
SMALLEST = 1_000_000
"""Ids that the smallest filter holds: 3.6 MB."""


class _Generation:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.filter = Bloom(capacity, FALSE_POSITIVES)
        self.count = 0
        self.newest: datetime | None = None


class IdFilter:
    """
    Filters in a row, each as large as was needed when the one before it was full.

    A full one is dropped when its newest event has been forgotten, so memory follows what is retained.
    """

    def __init__(self, expected: int = 0) -> None:
        self._generations = [_Generation(max(SMALLEST, expected + expected // 8))]

    def possible(self, keys: Sequence[int]) -> list[int]:
        """The positions of the keys that may have been added before."""
        found: list[int] = []
        for generation in self._generations:
            known = generation.filter
            found.extend([position for position, key in enumerate(keys) if key in known])
        return found

    def add(self, keys: Iterable[int], *, count: int, received_at: datetime) -> None:
        """Remember keys, of which there are `count`."""
        generation = self._generations[-1]
        if generation.count + count > generation.capacity:
            generation = _Generation(max(generation.capacity, count))
            self._generations.append(generation)
        generation.filter.update(keys)
        generation.count += count
        generation.newest = received_at

    def forget(self, before: datetime) -> None:
        """Drop the full filters whose events were all received before `before`."""
        *full, current = self._generations
        kept = [generation for generation in full if generation.newest and generation.newest >= before]
        self._generations = [*kept, current]
