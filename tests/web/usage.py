"""Usage to show on pages."""

from typing import Any

from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.services import Services


def record(services: Services, organization: Organization, *calls: dict[str, Any]) -> None:
    """Stores calls, of which statistics are up to date when this returns."""
    events = [UsageEvent(**call) for call in calls]
    receipt = services.ingest.accept_and_wait(
        ApiKey(organization, "all"), Sent(events, range(len(events)), [])
    )
    assert receipt.accepted == len(calls)
