"""Deleting what is older than the retention, and giving its space back."""

from datetime import timedelta

from meterboard.clock import Clock
from meterboard.service.meter import Meter


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
            self.rest()
        return gone

    def merge(self) -> None:
        """Join the pieces of statistics that frequent refreshes and late events have left."""
        while self._meter.run(lambda store, _: store.merge()).result():
            pass

    def rest(self) -> None:
        """Give back memory while nobody reads."""
        self._meter.run(lambda store, _: store.rest()).result()
