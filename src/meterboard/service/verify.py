"""Every number can prove itself: the statistics and the counter, recomputed from the events."""

from datetime import datetime

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.organization import Organization
from meterboard.service.jobs.refresh import Refresh
from meterboard.usage.store import UsageStore


class Verification(Struct, frozen=True):
    """
    What the statistics differ by from the events behind them, and when that was checked.

    `as_of`: statistics cover, and `events` counts, what was received before; 1970 until the first refresh. Both times are
    in the organisation's zone.
    `difference` adds up what each bucket and combination is off by in calls and in credits, so that a surplus here
    can't hide a lack there.
    """

    organization: str
    events: int
    difference: int
    checked_at: datetime
    as_of: datetime


class Verify:
    """Recomputes; changes nothing."""

    def __init__(self, store: UsageStore, refresh: Refresh, clock: Clock) -> None:
        self._store = store
        self._refresh = refresh
        self._clock = clock

    def check(self, organization: Organization) -> Verification:
        """Compare an organisation's statistics with its events."""
        self._refresh.before_read()
        with self._store.snapshot() as snapshot:
            found = snapshot.difference(organization.id)
            as_of = snapshot.watermark
        checked_at = self._clock.now().astimezone(organization.zone)
        return Verification(
            organization.name,
            found.events,
            found.calls + found.credits + found.estimated + found.charged,
            checked_at,
            as_of.astimezone(organization.zone),
        )
