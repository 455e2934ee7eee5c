"""Refreshes of the statistics: at fixed times of the clock, or with interval 0 before every read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.period import EPOCH
from meterboard.errors import MeterboardError
from meterboard.service.ingest.meter import CLOCK_TOLERANCE, Meter
from meterboard.usage.store import UsageStore

GRACE = timedelta(minutes=1)
"""How long a refresh may take before it is reported as late."""


class Delay(Struct, frozen=True):
    """
    Why the watermark is not where it should be.

    late: the refresh of `due` has not finished. failed: it failed, for `reason`. clock: the watermark is after the
    present, since the clock was set back.
    """

    kind: Literal["late", "failed", "clock"]
    due: datetime
    reason: str = ""


class Refresh:
    """Moves the watermark."""

    def __init__(self, meter: Meter, clock: Clock, interval: timedelta) -> None:
        """An `interval` of zero refreshes before every read."""
        self._meter = meter
        self._clock = clock
        self.interval = interval
        self._failure: Delay | None = None
        self._covered: datetime | None = None
        """The watermark of this process's last refresh."""

    def now(self) -> None:
        """Refreshes the statistics up to the present, and returns when that is done."""
        self._refresh(self._clock.now(), lambda moment: moment)

    def before_read(self) -> None:
        """Refreshes the statistics up to the present if the interval is zero. Otherwise does nothing."""
        if not self.interval:
            self.now()

    def run(self, due: datetime) -> None:
        """
        Refreshes the statistics up to `due`, or up to the present if the interval is zero.

        While times of receipt are ahead of a clock that was set back, it refreshes up to the present: otherwise
        statistics would not change until the clock has caught up.
        """
        if self.interval:
            self._refresh(due, lambda moment: moment if self._is_ahead(moment) else min(due, moment))
        else:
            self.now()

    def _refresh(self, due: datetime, watermark: Callable[[datetime], datetime]) -> None:
        def move(store: UsageStore, moment: datetime) -> datetime:
            until = watermark(moment)
            store.refresh(until)
            return until

        try:
            self._covered = self._meter.run(move).result()
        except Exception as error:
            self._failure = Delay("failed", due, _reason(error))
            raise
        self._failure = None

    def _is_ahead(self, moment: datetime) -> bool:
        return moment - self._clock.now() > CLOCK_TOLERANCE

    def delay(self, now: datetime, watermark: datetime) -> Delay | None:
        """Returns why a watermark is not where it should be at `now`. None: it is."""
        due = self.last_due(now)
        if watermark - now > CLOCK_TOLERANCE:
            return Delay("clock", now)
        if not self.interval or watermark >= due:
            return None
        failure = self._failure
        if failure and failure.due >= due:
            return failure
        return Delay("late", due) if now - due > GRACE else None

    def first_due(self, now: datetime) -> datetime:
        """
        Returns the first fixed time that no refresh has covered: it may have passed during a slow start.

        After the clock was set back, it is the next fixed time.
        """
        return self.next_after(now if self._covered is None else min(now, self._covered))

    def next_after(self, moment: datetime) -> datetime:
        """Returns the next fixed time: a multiple of the interval since 1970 UTC, later than `moment`."""
        if not self.interval:
            return moment
        return EPOCH + ((moment - EPOCH) // self.interval + 1) * self.interval

    def last_due(self, moment: datetime) -> datetime:
        """Returns the last fixed time that is not later than `moment`."""
        return self.next_after(moment) - self.interval


def _reason(error: Exception) -> str:
    """Returns why a refresh failed, as it is shown on pages. The scheduler logs the details."""
    if isinstance(error, MeterboardError):
        return str(error)
    return f"an internal error ({type(error).__name__}), which is in the server's log."
