"""Deletion of usage that is older than the retention, and maintenance of the store."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic

from meterboard.clock import Clock
from meterboard.service.ingest.meter import Meter

log = logging.getLogger("meterboard.retention")

MAX_GAP = timedelta(days=1)
"""How far the clock may be ahead of the latest receipt before it is doubted. A wrong clock deletes at most a day too much."""
CONFIRMED_AFTER = timedelta(days=1)
"""How long a doubted clock must run before it is trusted: a wrong one is usually corrected within a day."""


class Retention:
    """Deletes old usage and maintains the store in the meter's thread, in short steps, so that requests wait milliseconds."""

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        keep: timedelta,
        *,
        receipts: Sequence[datetime] = (),
        uptime: Callable[[], float] = monotonic,
    ) -> None:
        """
        `receipts` are times at which events were received before the start, in order.

        `uptime` returns seconds of a clock that is never set.
        """
        self._meter = meter
        self._keep = keep
        self._time = PlausibleTime(clock, confirmed(receipts), uptime)

    def enforce(self) -> int:
        """Deletes usage that is older than the retention, and returns the number of deleted events."""
        before = self._time.now() - self._keep
        deleted = self._meter.run(lambda store, _: store.delete_before(before)).result()
        if deleted:
            self.maintain()
        return deleted

    def maintain(self) -> None:
        """Maintains the store, step by step, so that commits wait for one step at most."""
        while self._meter.run(lambda store, _: store.maintain()).result():
            pass


def confirmed(receipts: Sequence[datetime]) -> datetime | None:
    """
    Returns the latest of some receipts, in order, that a plausible clock has recorded. None: there are none.

    A clock that was set far ahead leaves a gap with receipts after it. Those are trusted once they span a day.
    """
    for before, receipt in zip(reversed(receipts[:-1]), reversed(receipts), strict=False):
        if receipts[-1] - receipt >= CONFIRMED_AFTER:
            break
        if receipt - before > MAX_GAP:
            return before
    return receipts[-1] if receipts else None


class PlausibleTime:
    """
    The time of the clock or, if that is implausibly far ahead, of the latest receipt plus the seconds since the start.

    Otherwise a clock that is a year ahead at one start would delete everything. An installation that was idle for weeks
    looks the same, so a clock that has run for a day is trusted. So are receipts that span a day, see `confirmed`.
    """

    def __init__(self, clock: Clock, trusted: datetime | None, uptime: Callable[[], float]) -> None:
        self._clock = clock
        self._uptime = uptime
        self._trusted = trusted or clock.now()
        self._trusted_at = uptime()
        self._doubted: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Returns the latest time that is plausible."""
        now, at = self._clock.now(), self._uptime()
        trusted = self._trusted + timedelta(seconds=at - self._trusted_at)
        if now - trusted > MAX_GAP and not self._is_confirmed(now, at):
            return trusted
        self._trusted, self._trusted_at, self._doubted = now, at, None
        return now

    def _is_confirmed(self, now: datetime, at: float) -> bool:
        """Returns whether the clock has run for CONFIRMED_AFTER since it was first doubted, without being set again."""
        if self._doubted is not None:
            first, first_at = self._doubted
            passed = timedelta(seconds=at - first_at)
            if abs(now - first - passed) <= MAX_GAP:
                return passed >= CONFIRMED_AFTER
        self._doubted = (now, at)
        log.warning(
            "The clock shows %s, but the latest events were received at about %s. Until the clock has run for a day, "
            "the retention counts from the time of those events. If the clock is wrong, correct it.",
            f"{now:%Y-%m-%d %H:%M} UTC",
            f"{self._trusted:%Y-%m-%d %H:%M} UTC",
        )
        return False
