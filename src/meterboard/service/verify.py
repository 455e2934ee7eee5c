"""Verification: the statistics are compared with sums that are computed from the events again."""

from datetime import datetime

from msgspec import Struct

from meterboard.clock import Clock
from meterboard.domain.organization import Organization
from meterboard.service.jobs.refresh import Refresh
from meterboard.usage.store import UsageStore


class Verification(Struct, frozen=True):
    """
    By how much the statistics differ from the events, and when that was checked.

    `as_of`: statistics cover the events received before, and `events` is their number; 1970 until the first refresh.
    Both times are in the organisation's zone.
    `difference` is the sum of the absolute differences in calls and credits of each bucket and combination, so that a
    surplus in one can't hide a lack in another.
    """

    organization: str
    events: int
    difference: int
    checked_at: datetime
    as_of: datetime


class Verify:
    """Compares statistics with events. Changes nothing."""

    def __init__(self, store: UsageStore, refresh: Refresh, clock: Clock) -> None:
        self._store = store
        self._refresh = refresh
        self._clock = clock

    def check(self, organization: Organization) -> Verification:
        """Compares an organisation's statistics with its events."""
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
