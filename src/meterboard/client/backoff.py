"""How long to wait before trying again: longer each time, and never at the same moment as everybody else."""

from random import uniform

FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0
SLOW_SECONDS = 60.0
"""Between tries when somebody has to mend something first, such as the key."""


class Backoff:
    """Exponential, with full jitter: a random time between nothing and a limit that doubles with each failure."""

    def __init__(self) -> None:
        self._failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait after one more failure; `at_least` is what Retry-After asked for."""
        limit = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(self._failures, 16))
        self._failures += 1
        return at_least + uniform(0, limit)  # noqa: S311  # spreads load, keeps no secret

    def slow(self) -> float:
        """Seconds to wait for somebody to mend something."""
        return uniform(SLOW_SECONDS / 2, SLOW_SECONDS)  # noqa: S311

    def reset(self) -> None:
        """It worked."""
        self._failures = 0
