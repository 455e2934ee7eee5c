"""The events behind a number, each with why it cost what it did."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.schedule.reason import Why, explained
from meterboard.usage.store import EventRow, Listing

MOST_EVENTS = 10_000
"""Events of one answer."""


class Event(Struct, frozen=True):
    """
    One call. What its event did not say is None.

    `dimensions` are the installation's own: what the event said of them.
    `charged` are the credits that count against the allowance. `why` is None where the event was accepted by an earlier
    version of Meterboard, which did not keep it.
    """

    time: datetime
    application: str | None
    function: str | None
    user: str | None
    ip: str | None
    version: str | None
    module: str | None
    method: str | None
    status: int | None
    dimensions: dict[str, str]
    records: int | None
    credits: int
    charged: int
    estimated: bool
    why: Why | None


class EventsAnswer(Struct, frozen=True):
    """Events, newest first. `next` is the cursor of those that follow, `previous` of those before; None: there are none."""

    as_of: datetime
    events: list[Event]
    next: str | None
    previous: str | None


def events_answer(
    listing: Listing, dimensions: Dimensions, *, as_of: datetime, zone: ZoneInfo
) -> EventsAnswer:
    """A page of events as people and programs read it, times in `zone`."""
    return EventsAnswer(
        as_of,
        [_event(row, dimensions, zone) for row in listing.rows],
        listing.older.text() if listing.older else None,
        listing.newer.text() if listing.newer else None,
    )


def _event(row: EventRow, dimensions: Dimensions, zone: ZoneInfo) -> Event:
    values = dict(zip(dimensions.names, row.values, strict=True))
    own = {name: values.pop(name) for name in dimensions.own_names}
    status = int(values["status"]) if values["status"] else None
    records = None if row.records < 0 else row.records
    why = None
    if row.reason:
        why = explained(
            row.reason, records=records, status=status, credits=row.credits, estimated=row.estimated
        )
    said: dict[str, Any] = {name: value or None for name, value in values.items()}
    return Event(
        **said | {"status": status},
        time=(EPOCH + row.time * INSTANT).astimezone(zone),
        dimensions={name: value for name, value in own.items() if value},
        records=records,
        credits=row.credits,
        charged=row.charged,
        estimated=row.estimated,
        why=why,
    )
