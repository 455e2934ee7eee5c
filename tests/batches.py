"""Batches of events for tests that speak with a store: most of them alike, with what a test is about said beside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meterboard.domain.event import NO_ID, Combination, EventBatch, identity
from meterboard.domain.period import micros
from meterboard.schedule.reason import GIVEN

CALL = Combination(1, "desk", "", "Leads", "get", "v8", "", "maria", "200")
"""What is not said otherwise."""


def batch(
    *times: datetime,
    ids: Sequence[str] | None = None,
    combination: Combination = CALL,
    organization: int = 1,
    credits: int = 1,
    charged: int | None = None,
    estimated: bool = False,
    records: int = -1,
    reason: str = GIVEN,
    **values: Any,
) -> EventBatch:
    """Returns events that differ in their times and ids alone. `values` are those of dimensions."""
    events = EventBatch()
    for index, time in enumerate(times):
        events.times.append(micros(time))
        events.ids.append(identity(organization, ids[index]) if ids else NO_ID)
        events.combinations.append(combination._replace(organization=organization, **values))
        events.credits.append(credits)
        events.charged.append(credits if charged is None else charged)
        events.estimated.append(int(estimated))
        events.records.append(records)
        events.reasons.append(reason)
    return events


def joined(*batches: EventBatch) -> EventBatch:
    """Returns the events of several batches as one."""
    together = EventBatch()
    for each in batches:
        together.extend(each)
    return together
