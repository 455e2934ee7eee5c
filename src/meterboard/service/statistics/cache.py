"""Answers that every page needs, kept until an organisation's statistics move."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

MOST_KEPT_BYTES = 30_000_000
"""Of all organisations together, as they would be pickled; in memory they are about three times that."""


class Kept:
    """Answers by organisation and name, of which the least recently used go first. Safe to call from any thread."""

    def __init__(self, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._lock = Lock()
        self._answers: LRUCache[tuple[int, str], _Answer] = LRUCache(
            most_bytes, getsizeof=lambda answer: answer.size
        )

    def get(self, organization: int, watermark: datetime, name: str, make: Callable[[], T]) -> T:
        """Returns what `make` returns, worked out once for an organisation at a watermark."""
        key = organization, name
        with self._lock:
            known = self._answers.get(key)
        if known is not None and known.watermark == watermark:
            value: T = known.value
            return value
        made = make()
        answer = _Answer(watermark, made, len(pickle.dumps(made)) + len(name))
        with self._lock, suppress(ValueError):  # larger than all of the cache
            self._answers[key] = answer
        return made


class _Answer(NamedTuple):
    watermark: datetime
    value: Any
    size: int
