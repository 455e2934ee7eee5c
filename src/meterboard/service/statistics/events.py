"""Lists of events, each with the reason for its price."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.schedule.reason import Why, explained
from meterboard.usage.store import EventRow, Listing

MAX_LISTED_EVENTS = 10_000
"""Events of one result."""


class Event(Struct, frozen=True):
    """
    One call. Values that its event didn't have are None.

    `dimensions` are its values of the installation's own dimensions. `charged` are the credits that count against the
    allowance. `why` is None if the event was accepted by an earlier version of Meterboard, which didn't record it.
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
    """Events, newest first. `next` and `previous` are the cursors of the pages after and before. None: there is none."""

    as_of: datetime
    events: list[Event]
    next: str | None
    previous: str | None


def events_answer(
    listing: Listing, dimensions: Dimensions, *, as_of: datetime, zone: ZoneInfo
) -> EventsAnswer:
    """Returns a page of events as the API and the pages show it, with times in `zone`."""
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
    fields: dict[str, Any] = {name: value or None for name, value in values.items()}
    return Event(
        **fields | {"status": status},
        time=(EPOCH + row.time * INSTANT).astimezone(zone),
        dimensions={name: value for name, value in own.items() if value},
        records=records,
        credits=row.credits,
        charged=row.charged,
        estimated=row.estimated,
        why=why,
    )
