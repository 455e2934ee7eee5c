"""
Periods: `last_24_hours`, `today`, `yesterday`, `last_30_days`, a date, a range of dates.

A period is a half-open stretch of time [start, end) whose days are those of the organisation's time zone.
No period ends after the watermark, so a period says exactly which time its numbers cover.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from meterboard.errors import InvalidParameter

BUCKET = timedelta(minutes=15)
"""Statistics' unit of time. The offset of every time zone in use is a multiple of it."""
BUCKET_SECONDS = 900
BUCKETS_A_DAY = 96
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
"""The finest step of time that is told apart."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Unit = Literal["hour", "day"]
DEFAULT_PERIOD = "last_24_hours"
NAMED_PERIODS = ("last_24_hours", "today", "yesterday", "last_30_days")
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")


class Period(Struct, frozen=True):
    """
    A half-open stretch of time, aware UTC, on bucket boundaries but for an end at the watermark.

    `unit` is the step of its chart: hours for one day, days for a range. `days` counts the days that it names as far
    as they had begun at the watermark, at least one.
    """

    name: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    unit: Unit
    days: int


def parse_period(text: str, *, zone: ZoneInfo, now: datetime, as_of: datetime) -> Period:
    """
    The period that `text` names, cut off at the watermark `as_of`.

    `today` is the date in `zone` at `now`, even while the watermark is still in the day before: such a period is empty.

    Raises: InvalidParameter: `text` names no period, or a range ends before it starts.
    """
    if text == "last_24_hours":
        return Period(text, bucket_at_or_after(as_of - DAY), as_of, zone, "hour", 1)
    first, last = _dates(text, now.astimezone(zone).date())
    start = midnight(first, zone)
    end = max(start, min(midnight(last + DAY, zone), as_of))
    begun = ((end - INSTANT).astimezone(zone).date() - first).days + 1
    return Period(text, start, end, zone, "hour" if first == last else "day", max(1, begun))


def _dates(text: str, today: date) -> tuple[date, date]:
    match text:
        case "today":
            return today, today
        case "yesterday":
            return today - DAY, today - DAY
        case "last_30_days":
            return today - 29 * DAY, today
    found = _DATES.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        first = date.fromisoformat(found[1])
        last = date.fromisoformat(found[2] or found[1])
        if first.year < 1971 or last.year > 9990:
            raise ValueError
    except ValueError:
        raise InvalidParameter(
            "period",
            f"period is {text!r}: use {', '.join(NAMED_PERIODS)}, a date such as 2026-11-03, "
            "or a range such as 2026-11-03..2026-11-09.",
        ) from None
    if last < first:
        raise InvalidParameter("period", f"period is {text!r}: it ends before it starts. Swap the two dates.")
    return first, last


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day, in UTC; where clocks skip midnight itself, the first that exists."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC: how moments are stored."""
    return (moment - EPOCH) // INSTANT


def bucket_at_or_after(moment: datetime) -> datetime:
    """The first bucket boundary that is not before `moment`."""
    return datetime.fromtimestamp(-(-moment.timestamp() // BUCKET_SECONDS) * BUCKET_SECONDS, UTC)


def bucket_number(moment: datetime) -> int:
    """The number of the bucket that `moment` falls in, counted from 1970-01-01 00:00 UTC."""
    return int(moment.timestamp() // BUCKET_SECONDS)


def bucket_start(number: int) -> datetime:
    """The first moment of a bucket, in UTC."""
    return datetime.fromtimestamp(number * BUCKET_SECONDS, UTC)


class Point(Struct, frozen=True):
    """A step of the time chart: [start, end), aware, in the organisation's zone."""

    start: datetime
    end: datetime


def points(period: Period) -> list[Point]:
    """
    The steps of a period in order, empty ones included, without a gap.

    Days are the zone's days of 23, 24 or 25 hours. Hours are the clock's: a step begins when the clock shows a new
    hour or jumps, so the first step may start within an hour and a repeated hour is two steps.
    """
    starts = list(_days(period) if period.unit == "day" else _hours(period))
    ends = [*starts[1:], period.end.astimezone(period.zone)]
    return [Point(start, end) for start, end in zip(starts, ends, strict=False)]


def _days(period: Period) -> Iterator[datetime]:
    moment = period.start
    while moment < period.end:
        local = moment.astimezone(period.zone)
        yield local
        moment = midnight(local.date() + DAY, period.zone)


def _hours(period: Period) -> Iterator[datetime]:
    shown: object = None
    moment = period.start
    while moment < period.end:
        local = moment.astimezone(period.zone)
        hour = (local.date(), local.hour, local.utcoffset())
        if hour != shown:
            yield local
            shown = hour
        moment += BUCKET
