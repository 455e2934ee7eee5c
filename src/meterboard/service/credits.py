"""The live counter: what an organisation used in the rolling window, at once and exactly."""

from collections.abc import Callable, Sequence

from meterboard.clock import Clock
from meterboard.domain.allowance import WINDOW, Allowance, allowance_at
from meterboard.domain.organization import Organization
from meterboard.service.answers import Credits, Window
from meterboard.service.meter import Meter
from meterboard.usage.store import UsageStore


class LiveCredits:
    """Reads the window from the events themselves, so every acknowledged event is in it."""

    def __init__(
        self,
        store: UsageStore,
        meter: Meter,
        clock: Clock,
        *,
        allowances: Callable[[int], Sequence[Allowance]],
    ) -> None:
        """`allowances` answers an organisation's history."""
        self._store = store
        self._meter = meter
        self._clock = clock
        self._allowances = allowances

    def now(self, organization: Organization) -> Credits:
        """Used and unused credits of (now - 24 h, now], times in the organisation's zone."""
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

    def version(self, organization: Organization) -> int:
        """Changes with every commit that holds events of the organisation; cheap to ask."""
        return self._meter.version(organization.id)
