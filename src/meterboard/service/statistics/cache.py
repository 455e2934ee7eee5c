"""Answers that every page needs, kept until an organisation's statistics move."""

import pickle
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

MOST_KEPT_BYTES = 30_000_000
"""Of all organisations together, as they would be pickled; in memory they are about three times that."""


class Kept:
    """Answers by organisation and name. Safe to call from any thread."""

    def __init__(self, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._most = most_bytes
        self._lock = Lock()
        self._answers: dict[int, tuple[datetime, dict[str, Any]]] = {}
        self.bytes = 0

    def get(self, organization: int, watermark: datetime, name: str, make: Callable[[], T]) -> T:
        """What `make` says, worked out once for an organisation at a watermark."""
        with self._lock:
            at, answers = self._answers.get(organization, (watermark, {}))
            if at == watermark and name in answers:
                known: T = answers[name]
                return known
        made = make()
        size = len(pickle.dumps(made)) + len(name)
        with self._lock:
            if self.bytes + size > self._most:
                self._answers, self.bytes = {}, 0
            at, answers = self._answers.get(organization, (watermark, {}))
            if at != watermark:
                answers = {}
            if size <= self._most:
                answers[name] = made
                self._answers[organization] = (watermark, answers)
                self.bytes += size  # what a moved watermark lets go of is counted until all is
        return made
