"""Bringing the statistics up to date: at fixed times of the clock, or with interval 0 on every read."""

from datetime import datetime, timedelta

from meterboard.clock import Clock
from meterboard.domain.period import EPOCH
from meterboard.service.meter import Meter
from meterboard.usage.store import UsageStore


class Refresh:
    """Moves the watermark."""

    def __init__(self, meter: Meter, clock: Clock, interval: timedelta) -> None:
        """An `interval` of zero refreshes before every read."""
        self._meter = meter
        self._clock = clock
        self.interval = interval

    def now(self) -> None:
        """Cover everything received until this moment; returns when it is done."""
        self._meter.run(lambda store, moment: store.refresh(moment)).result()

    def before_read(self) -> None:
        """With interval zero, what `now` does; else nothing."""
        if not self.interval:
            self.now()

    def on_schedule(self) -> None:
        """Cover everything received before the last fixed time of the clock."""
        if self.interval:
            due = self.next_after(self._clock.now()) - self.interval
            self._meter.run(lambda store, moment: _refresh_until(store, min(due, moment))).result()

    def next_after(self, moment: datetime) -> datetime:
        """The next fixed time: a multiple of the interval since 1970 UTC, later than `moment`."""
        if not self.interval:
            return moment
        return EPOCH + ((moment - EPOCH) // self.interval + 1) * self.interval


def _refresh_until(store: UsageStore, watermark: datetime) -> None:
    store.refresh(watermark)
    store.tidy()
