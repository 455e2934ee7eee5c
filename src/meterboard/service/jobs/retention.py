"""Deleting what is older than the retention, and the store's housekeeping."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic

from meterboard.clock import Clock
from meterboard.service.ingest.meter import Meter

log = logging.getLogger("meterboard.retention")

MOST_AHEAD = timedelta(days=1)
"""How far the clock may be past the latest receipt before it is doubted: a day too much is all that a wrong clock deletes."""
CONFIRMED_AFTER = timedelta(days=1)
"""How long a doubted clock must have run on before it is believed: a wrong one is usually set right within the day."""


class Retention:
    """Runs in the meter's thread, a day at a time, so that requests wait milliseconds and not for all of it."""

    def __init__(
        self,
        meter: Meter,
        clock: Clock,
        keep: timedelta,
        *,
        receipts: Sequence[datetime] = (),
        uptime: Callable[[], float] = monotonic,
    ) -> None:
        """`receipts`: when events were received before the start, in order; `uptime`: seconds that no clock changes."""
        self._meter = meter
        self._keep = keep
        self._time = PlausibleTime(clock, confirmed(receipts), uptime)

    def enforce(self) -> int:
        """Delete what is older than the retention; returns how many events were deleted."""
        before = self._time.now() - self._keep
        deleted = self._meter.run(lambda store, _: store.delete_before(before)).result()
        if deleted:
            self.maintain()
        return deleted

    def maintain(self) -> None:
        """Do the store's housekeeping, a step at a time, so that commits wait for one step at most."""
        while self._meter.run(lambda store, _: store.maintain()).result():
            pass


def confirmed(receipts: Sequence[datetime]) -> datetime | None:
    """
    Returns the latest of some receipts, in order, by a clock that can be believed; None: there are none.

    A clock that was set far ahead leaves a gap, and receipts behind it. Those count once they go on for a day.
    """
    for before, receipt in zip(reversed(receipts[:-1]), reversed(receipts), strict=False):
        if receipts[-1] - receipt >= CONFIRMED_AFTER:
            break
        if receipt - before > MOST_AHEAD:
            return before
    return receipts[-1] if receipts else None


class PlausibleTime:
    """
    The clock, unless it is implausibly far ahead: then the time by the latest receipt and the seconds since the start.

    A clock that is a year ahead at one start would otherwise delete everything. An installation that was idle for weeks
    looks the same, so a clock that has run on for a day is believed. So are receipts of more than a day, see `confirmed`.
    """

    def __init__(self, clock: Clock, believed: datetime | None, uptime: Callable[[], float]) -> None:
        self._clock = clock
        self._uptime = uptime
        self._believed = believed or clock.now()
        self._believed_at = uptime()
        self._doubted: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """The latest time that can be believed."""
        now, at = self._clock.now(), self._uptime()
        believed = self._believed + timedelta(seconds=at - self._believed_at)
        if now - believed > MOST_AHEAD and not self._is_confirmed(now, at):
            return believed
        self._believed, self._believed_at, self._doubted = now, at, None
        return now

    def _is_confirmed(self, now: datetime, at: float) -> bool:
        """Has the clock run on from when it was first doubted, without being set again?"""
        if self._doubted is not None:
            first, first_at = self._doubted
            passed = timedelta(seconds=at - first_at)
            if abs(now - first - passed) <= MOST_AHEAD:
                return passed >= CONFIRMED_AFTER
        self._doubted = (now, at)
        log.warning(
            "The clock shows %s, but the latest events that confirm it are of about %s. Nothing newer than the retention before "
            "that is deleted until the clock has run on for a day. If the clock is wrong, set it right.",
            f"{now:%Y-%m-%d %H:%M} UTC",
            f"{self._believed:%Y-%m-%d %H:%M} UTC",
        )
        return False
