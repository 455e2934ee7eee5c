"""Bringing the statistics up to date: at fixed times of the clock, or with interval 0 on every read."""

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
    Why statistics don't end where they should.

    late: the refresh of `due` has not finished. failed: it failed, for that reason. clock: statistics end after the
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
        """Up to where the last refresh of this process went."""

    def now(self) -> None:
        """Cover everything received until this moment; returns when it is done."""
        self._refresh(self._clock.now(), lambda moment: moment)

    def before_read(self) -> None:
        """With interval zero, what `now` does; else nothing."""
        if not self.interval:
            self.now()

    def run(self, due: datetime) -> None:
        """
        Cover everything received before `due`; with interval zero, what `now` does.

        While receipts are ahead of the clock, which was set back, it covers everything received until this moment: else
        statistics would stand still until the clock has caught up.
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
        """What is wrong with a watermark at a time of the clock; None: nothing."""
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
        The first fixed time that no refresh has covered: a start that takes a while may have passed it. After the clock
        was set back, the next one.
        """
        return self.next_after(now if self._covered is None else min(now, self._covered))

    def next_after(self, moment: datetime) -> datetime:
        """The next fixed time: a multiple of the interval since 1970 UTC, later than `moment`."""
        if not self.interval:
            return moment
        return EPOCH + ((moment - EPOCH) // self.interval + 1) * self.interval

    def last_due(self, moment: datetime) -> datetime:
        """The last fixed time that is not later than `moment`."""
        return self.next_after(moment) - self.interval


def _reason(error: Exception) -> str:
    """Why a refresh failed, for readers of a page. Whoever runs the job logs the rest."""
    if isinstance(error, MeterboardError):
        return str(error)
    return f"an internal error ({type(error).__name__}), which is in the server's log."
