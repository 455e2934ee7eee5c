"""Delivery of imported calls: what it takes and returns, and to the meter of this process."""

from collections.abc import Callable
from typing import NamedTuple

from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.importers.reading.fields import Wanted
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.ingest.intake import Ingest, Receipt
from meterboard.service.jobs.refresh import Refresh

Deliver = Callable[[list[UsageEvent]], Receipt]
"""Takes events, answers when they are durable."""


class Delivery(NamedTuple):
    """
    Takes calls of an organisation, answers when they are durable.

    `wanted` says what is to be made of lines: what no price depends on may be left out of them.
    """

    calls: Callable[[Calls], Outcome]
    wanted: Wanted


REFRESH_EVERY = 500_000
"""Calls."""
BATCH_EVENTS = 5_000
"""Events in a request: half of what it may carry, so that other requests are not kept waiting."""


def to_meter(ingest: Ingest, key: ApiKey) -> Deliver:
    """Deliver events within this process."""
    return lambda events: ingest.accept_and_wait(key, Sent(events, range(len(events)), []))


def calls_to_meter(
    ingest: Ingest, refresh: Refresh, organization: Organization, schedule: CreditSchedule
) -> Delivery:
    """Deliver calls within this process; statistics follow, so that no refresh has more to do than memory holds."""
    intake = ingest.calls_of(ApiKey(organization, "ingest"))
    fresh = 0

    def deliver(calls: Calls) -> Outcome:
        nonlocal fresh
        outcome = intake.accept(calls)
        fresh += outcome.accepted
        if fresh >= REFRESH_EVERY:
            refresh.now()
            fresh = 0
        return outcome

    wanted = Wanted(
        organization=organization.id,
        fold=schedule.ids_are_alike,
        parameters=bool(schedule.parameters),
        changes=schedule.changes,
    )
    return Delivery(deliver, wanted)


def calls_as_events(ingest: Ingest, key: ApiKey) -> Callable[[Calls], Outcome]:
    """
    Deliver calls within this process as a server takes them: each is priced as its organisation prices it then.

    What was read need not know the prices, and so may be delivered later, or elsewhere.
    """
    deliver = to_meter(ingest, key)

    def calls_one_by_one(calls: Calls) -> Outcome:
        events = calls.events()
        outcome = Outcome()
        for at in range(0, len(events), BATCH_EVENTS):
            outcome = outcome.and_then(outcome_of(deliver(events[at : at + BATCH_EVENTS])))
        return outcome

    return calls_one_by_one


def outcome_of(receipt: Receipt) -> Outcome:
    """Returns the counts of a receipt."""
    first = receipt.rejected[0].message if receipt.rejected else ""
    return Outcome(receipt.accepted, receipt.duplicates, len(receipt.rejected), first)
