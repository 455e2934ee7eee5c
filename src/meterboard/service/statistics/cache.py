"""A cache of results that every page needs. They are valid until an organisation's statistics are refreshed."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

CACHE_BYTES = 30_000_000
"""The pickled size of the results of all organisations. In memory they take about three times as much."""


class StatisticsCache:
    """A cache of results by organisation and name. Evicts the least recently used. Safe to call from any thread."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._lock = Lock()
        self._entries: LRUCache[tuple[int, str], _Entry] = LRUCache(
            max_bytes, getsizeof=lambda entry: entry.size
        )

    def get(self, organization: int, watermark: datetime, name: str, compute: Callable[[], T]) -> T:
        """Returns the result of `compute`, which is called once for an organisation at a watermark."""
        key = organization, name
        with self._lock:
            cached = self._entries.get(key)
        if cached is not None and cached.watermark == watermark:
            value: T = cached.value
            return value
        computed = compute()
        entry = _Entry(watermark, computed, len(pickle.dumps(computed)) + len(name))
        with self._lock, suppress(ValueError):  # larger than the whole cache
            self._entries[key] = entry
        return computed


class _Entry(NamedTuple):
    watermark: datetime
    value: Any
    size: int
