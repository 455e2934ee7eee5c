"""Batches of events for tests that speak with a store: all alike, but for what a test says of them."""

from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meterboard.domain.event import Combination
from meterboard.domain.period import micros
from meterboard.schedule.reason import GIVEN
from meterboard.usage.batch import NO_ID, EncodedBatch, EventBatch, id_halves, identity

CALL = Combination(1, "desk", "", "Leads", "get", "v8", "", "maria", "200")
"""What an event is unless a test says otherwise."""


def batch(
    *times: datetime,
    ids: Sequence[str | None] | None = None,
    combination: Combination = CALL,
    credits: int = 1,
    charged: int | None = None,
    estimated: bool = False,
    records: int = -1,
    reason: str = GIVEN,
    **values: Any,
) -> EventBatch:
    """Returns events that differ in their times and ids alone. `values` replace those of the combination."""
    events = EventBatch()
    combination = combination._replace(**values)
    for index, time in enumerate(times):
        name = ids[index] if ids else None
        events.times.append(micros(time))
        events.ids.append(NO_ID if name is None else identity(combination.organization, name))
        events.combinations.append(combination)
        events.credits.append(credits)
        events.charged.append(credits if charged is None else charged)
        events.estimated.append(int(estimated))
        events.records.append(records)
        events.reasons.append(reason)
    return events


def batch_of_ids(time: datetime, *ids: str | None, **values: Any) -> EventBatch:
    """Returns events of one time that have these ids; None: that have none."""
    return batch(*[time] * len(ids), ids=ids, **values)


def joined(*batches: EventBatch) -> EventBatch:
    """Returns the events of several batches as one."""
    together = EventBatch()
    for each in batches:
        together.extend(each)
    return together


def encoded(time: datetime, *ids: str, caller: tuple[str, ...] = ("import", "arjun")) -> EncodedBatch:
    """Returns calls of an import that have these ids and are alike otherwise."""
    halves = [id_halves(identity(CALL.organization, name)) for name in ids]
    zeros = array("i", [0] * len(ids))
    return EncodedBatch(
        kinds=batch(time, application="", user=""),
        callers=[caller],
        origins=[""],
        kind=zeros,
        caller=zeros,
        origin=zeros,
        times=array("q", [micros(time)] * len(ids)),
        id_lows=array("Q", [low for low, _ in halves]),
        id_highs=array("I", [high for _, high in halves]),
    )
