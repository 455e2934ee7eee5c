"""Deleting what is older than the retention, and giving its space back."""

from datetime import datetime, timedelta
from functools import partial

from meterboard.clock import Clock
from meterboard.domain.period import DAY, INSTANT
from meterboard.service.meter import Meter
from meterboard.usage.store import UsageStore


class Retention:
    """Runs in the meter's thread, a day at a time, so that requests wait milliseconds and not for all of it."""

    def __init__(self, meter: Meter, clock: Clock, keep: timedelta) -> None:
        self._meter = meter
        self._clock = clock
        self._keep = keep

    def enforce(self) -> int:
        """Delete what is older than the retention; answers how many events went."""
        before = self._clock.now() - self._keep
        gone = self._meter.run(lambda store, _: store.forget(before)).result()
        if gone:
            self._meter.run(lambda store, _: store.checkpoint()).result()
        return gone

    def merge(self) -> None:
        """Join the pieces of statistics that frequent refreshes and late events have left."""
        today = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        for ago in range(self._keep.days + 1):
            self._meter.run(partial(_merge_day, today - ago * DAY)).result()


def _merge_day(day: datetime, store: UsageStore, _: datetime) -> None:
    store.merge(day, day + DAY - INSTANT)
