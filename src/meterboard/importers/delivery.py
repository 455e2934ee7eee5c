"""Delivery of imported calls: its interface, and its implementation for the meter of this process."""

from collections.abc import Callable
from typing import NamedTuple

from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.importers.reading.fields import ParseOptions
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.ingest.intake import Ingest, Receipt
from meterboard.service.jobs.refresh import Refresh

Deliver = Callable[[list[UsageEvent]], Receipt]
"""Accepts events, and returns when they are durable."""


class Delivery(NamedTuple):
    """
    Accepts calls of an organisation, and returns when they are durable.

    `options` say what to parse: fields that no price depends on may be left out.
    """

    calls: Callable[[Calls], Outcome]
    options: ParseOptions


REFRESH_EVERY = 500_000
"""The number of calls after which statistics are refreshed."""
BATCH_EVENTS = 5_000
"""Events in a request: half of its limit, so that other requests don't wait long."""


def to_meter(ingest: Ingest, key: ApiKey) -> Deliver:
    """Returns the delivery of events within this process."""
    return lambda events: ingest.accept_and_wait(key, Sent(events, range(len(events)), []))


def calls_to_meter(
    ingest: Ingest, refresh: Refresh, organization: Organization, schedule: CreditSchedule
) -> Delivery:
    """
    Returns the delivery of calls within this process. Statistics are refreshed meanwhile, so that no refresh needs
    too much memory.
    """
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

    options = ParseOptions(
        organization=organization.id,
        fold=schedule.ids_are_alike,
        parameters=bool(schedule.parameters),
        changes=schedule.changes,
    )
    return Delivery(deliver, options)


def calls_as_events(ingest: Ingest, key: ApiKey) -> Callable[[Calls], Outcome]:
    """
    Returns the delivery of calls within this process as a server does it: each is priced by its organisation's
    current schedule.

    Parsing doesn't need to know the prices, so calls may be delivered later, or elsewhere.
    """
    deliver = to_meter(ingest, key)

    def calls_one_by_one(calls: Calls) -> Outcome:
        events = calls.events()
        outcome = Outcome()
        for start in range(0, len(events), BATCH_EVENTS):
            outcome = outcome.and_then(outcome_of(deliver(events[start : start + BATCH_EVENTS])))
        return outcome

    return calls_one_by_one


def outcome_of(receipt: Receipt) -> Outcome:
    """Returns the counts of a receipt."""
    first = receipt.rejected[0].message if receipt.rejected else ""
    return Outcome(receipt.accepted, receipt.duplicates, len(receipt.rejected), first)
