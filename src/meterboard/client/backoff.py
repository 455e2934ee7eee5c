"""How long to wait before a retry: longer after each failure, and a random time, so that clients don't retry together."""

from random import uniform

from meterboard.client.timing import Timing


class Backoff:
    """Exponential backoff with full jitter: a random time up to a limit that doubles with each failure."""

    def __init__(self, timing: Timing = Timing()) -> None:  # noqa: B008  # it never changes
        self._timing = timing
        self._failures = 0

    def next_delay(self, retry_after: float = 0.0) -> float:
        """Returns the seconds to wait after one more failure, at least `retry_after`."""
        doubled = self._timing.first_retry_seconds * 2 ** min(self._failures, 16)
        self._failures += 1
        limit = min(self._timing.max_retry_seconds, doubled)
        return retry_after + uniform(0, limit)  # noqa: S311  # spreads load, keeps no secret

    def refused_delay(self) -> float:
        """Returns the seconds to wait after a refusal that lasts until a person fixes its cause."""
        longest = self._timing.refused_retry_seconds
        return uniform(longest / 2, longest)  # noqa: S311

    def reset(self) -> None:
        """Starts again with short waits, after a success."""
        self._failures = 0
