"""The live counter: the credits that an organisation used in the rolling window, exact to the last event."""

from collections.abc import Callable, Sequence
from datetime import UTC

from meterboard.clock import Clock
from meterboard.domain.allowance import WINDOW, Allowance, allowance_at
from meterboard.domain.organization import Organization
from meterboard.domain.period import BUCKETS_A_DAY, Period, bucket_number, bucket_start, points
from meterboard.service.ingest.meter import Meter
from meterboard.service.statistics.answers import Credits, ReturnPoint, Returns, Window
from meterboard.usage.store import UsageStore


class LiveCredits:
    """Reads the rolling window from the events, so that it includes every acknowledged one."""

    def __init__(
        self,
        store: UsageStore,
        meter: Meter,
        clock: Clock,
        *,
        allowances: Callable[[int], Sequence[Allowance]],
    ) -> None:
        """`allowances` returns the allowances of an organisation in order of time."""
        self._store = store
        self._meter = meter
        self._clock = clock
        self._allowances = allowances

    def now(self, organization: Organization) -> Credits:
        """Returns used and unused credits of (now - 24 h, now], with times in the organisation's zone."""
        with self._store.snapshot() as snapshot:
            end = self._clock.now()
            used = snapshot.window(organization.id, after=end - WINDOW, until=end)
        allowance = allowance_at(self._allowances(organization.id), end)
        zone = organization.zone
        return Credits(
            organization=organization.name,
            window=Window((end - WINDOW).astimezone(zone), end.astimezone(zone)),
            allowance=allowance,
            used=used.credits,
            unused=None if allowance is None else max(0, allowance - used.credits),
            calls=used.calls,
        )

    def returns(self, organization: Organization) -> Returns:
        """Returns when the used credits of (now - 24 h, now] are free again: exactly 24 hours after their use."""
        with self._store.snapshot() as snapshot:
            now = self._clock.now()
            window = snapshot.window_buckets(organization.id, after=now - WINDOW, until=now)
        zone = organization.zone
        first = bucket_number(now)
        end = bucket_start(first + BUCKETS_A_DAY + 1)
        coming = Period("returns", bucket_start(first), end, zone, "hour", 1)
        steps = points(coming)
        starts = [bucket_number(step.start) - BUCKETS_A_DAY for step in steps]
        used_by_step = [
            [usage for bucket, usage in window.items() if start <= bucket < end]
            for start, end in zip(starts, [*starts[1:], starts[-1] + BUCKETS_A_DAY], strict=True)
        ]
        returned = [
            ReturnPoint(
                # In UTC: Python compares times of one zone by their local time, which repeats at the end of DST.
                max(step.start.astimezone(UTC), now).astimezone(zone),
                sum(u.calls for u in used),
                sum(u.credits for u in used),
            )
            for step, used in zip(steps, used_by_step, strict=True)
        ]
        return Returns(
            organization=organization.name,
            window=Window((now - WINDOW).astimezone(zone), now.astimezone(zone)),
            used=sum(point.credits for point in returned),
            points=returned,
        )

    def version(self, organization: Organization) -> int:
        """Returns a number that changes with every commit of events of the organisation. Doesn't read the store."""
        return self._meter.version(organization.id)
