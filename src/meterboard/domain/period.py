"""
Periods: `last_24_hours`, `today`, `yesterday`, `last_30_days`, a date, a range of dates or of local times.

A period is a half-open stretch of time [start, end) whose days are those of the organisation's time zone.
No period ends after the watermark, so a period says exactly which time its numbers cover.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from meterboard.errors import InvalidParameter

BUCKET = timedelta(minutes=15)
"""Statistics' unit of time. The offset of every time zone in use is a multiple of it."""
BUCKET_SECONDS = 900
BUCKETS_A_DAY = 96
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
"""The smallest difference between two times that is stored."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EARLIEST = date(1971, 1, 1)
"""The first day that a period may begin with."""

Unit = Literal["quarter_hour", "hour", "day"]
DEFAULT_PERIOD = "last_24_hours"
NAMED_PERIODS = ("last_24_hours", "today", "yesterday", "last_30_days")
MAX_BY_QUARTER = timedelta(hours=2)
MAX_BY_HOUR = timedelta(hours=48)
"""Ranges of times up to these lengths have steps of 15 minutes and of an hour in charts, longer ones steps of a day."""
EXAMPLE = "2026-11-03T10:00..2026-11-03T14:00"
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")
_TIME = r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?:[+-]\d{2}:\d{2})?)"
_TIMES = re.compile(rf"{_TIME}\.\.{_TIME}")


class Period(Struct, frozen=True):
    """
    A half-open range of time, aware UTC, on bucket boundaries unless it ends at the watermark.

    `unit` is the step of its chart: hours for one day, days for a range of days. `days` is how many of its days had
    begun at the watermark, at least 1.
    """

    name: str
    start: datetime
    end: datetime
    zone: ZoneInfo
    unit: Unit
    days: int

    def previous(self) -> "Period":
        """
        Returns the period of the same length before this one, with a name that `parse_period` accepts.

        The previous period of whole days is as many whole days, even if DST makes their lengths differ. That of days
        which are not over ends at the same time of day: today until 10:45 is compared with yesterday until 10:45.
        Lengths are rounded up to buckets: the bucket of the watermark counts in full.
        """
        end = bucket_at_or_after(self.end)
        length = end - self.start
        if not self.is_of_days:
            return self._before(self.start - length, self.start)
        start = midnight(self.start.astimezone(self.zone).date() - self.days * DAY, self.zone)
        is_over = midnight(end.astimezone(self.zone).date(), self.zone) == end > self.start
        return self._before(start, self.start if is_over else min(start + length, self.start))

    def within(self, first: datetime, longest: timedelta) -> "Period":
        """
        Returns the part of this period from `first` on, a midnight of its zone, with the same name.

        A period that ends before `first` is returned unchanged, or its last part if it is longer than `longest`.
        """
        start = (
            first
            if first < self.end
            else midnight((self.end - longest).astimezone(self.zone).date(), self.zone)
        )
        if self.start >= start:
            return self
        days = -((start - self.end) // DAY)
        if self.is_of_days:
            days = (
                (self.end - INSTANT).astimezone(self.zone).date() - start.astimezone(self.zone).date()
            ).days + 1
        return replace(self, start=start, days=max(1, days))

    @property
    def is_of_days(self) -> bool:
        """Returns whether the period is named by calendar days, and not by times."""
        return self.name != "last_24_hours" and "T" not in self.name

    def _before(self, start: datetime, end: datetime) -> "Period":
        earliest = midnight(EARLIEST, self.zone)
        start, end = max(start, earliest), max(end, earliest)
        return Period(range_name(start, end, self.zone), start, end, self.zone, self.unit, self.days)


def parse_period(text: str, *, zone: ZoneInfo, now: datetime, as_of: datetime) -> Period:
    """
    Returns the period that `text` names. It ends at the watermark `as_of` at the latest.

    `today` is the date in `zone` at `now`, even while the watermark is still on the day before: the period is then empty.

    Raises: InvalidParameter: `text` is not a period, or a range ends before it starts.
    """
    if text == "last_24_hours":
        return Period(text, bucket_at_or_after(as_of - DAY), as_of, zone, "hour", 1)
    if times := _TIMES.fullmatch(text):
        return _between(text, times[1], times[2], zone, as_of)
    first, last = _dates(text, now.astimezone(zone).date())
    start = midnight(first, zone)
    end = max(start, min(midnight(last + DAY, zone), as_of))
    begun = ((end - INSTANT).astimezone(zone).date() - first).days + 1
    return Period(text, start, end, zone, "hour" if first == last else "day", max(1, begun))


def _between(text: str, first: str, last: str, zone: ZoneInfo, as_of: datetime) -> Period:
    """Returns a range of local times. Its days are counted in local time: 00:00 to 00:00 is one day, also with DST."""
    try:
        start, end = local_moment(first, zone), local_moment(last, zone, is_end=True)
        shown = end.astimezone(zone).replace(tzinfo=None) - start.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(
            "period",
            f"period is {text!r}: {error or 'there is no such time'}. Use local times such as {EXAMPLE}.",
        ) from None
    if end <= start:
        raise InvalidParameter("period", f"period is {text!r}: it ends before it starts. Swap the two times.")
    unit: Unit = "day"
    if end - start <= MAX_BY_HOUR:
        unit = "quarter_hour" if end - start <= MAX_BY_QUARTER else "hour"
    end = max(start, min(end, as_of))
    begun = -((start - end) // DAY)
    return Period(text, start, end, zone, unit, max(1, min(begun, -(-shown // DAY))))


def local_moment(text: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """
    Returns the moment of a local date and time, in UTC.

    A time that occurs twice (DST overlap) is the first of the two as a start and the second as an end, unless it has an
    offset. A time that doesn't occur (DST gap) is the moment of the change.

    Raises: ValueError: there is no such date or time, or it is not a multiple of 15 minutes.
    """
    given = datetime.fromisoformat(text)
    if not EARLIEST.year <= given.year <= 9990:
        raise ValueError("the year is out of range")
    if given.tzinfo is None:
        first, second = (given.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        moment = second if is_end else first
        if (
            first > second
        ):  # a DST gap: the change lies between, at a multiple of 15 minutes like every change of offset
            moment = second
            while moment.astimezone(zone).replace(tzinfo=None) < given:
                moment += BUCKET
    else:
        moment = given.astimezone(UTC)
    if moment != bucket_at_or_after(moment):
        raise ValueError("its times are not multiples of 15 minutes (00, 15, 30, 45)")
    return moment


def range_name(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """
    Returns the name of [start, end) for `parse_period`: whole days as dates, else local times, with an offset if needed.

    Both have to be on bucket boundaries.
    """
    first, after = start.astimezone(zone).date(), end.astimezone(zone).date()
    if start < end and midnight(first, zone) == start and midnight(after, zone) == end:
        last = after - DAY
        if midnight(last, zone) < end:  # else the zone skipped the last day
            return f"{first}" if last == first else f"{first}..{last}"
    return "..".join(local_times(start, end, zone))


def local_times(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Returns the two ends of a range as `parse_period` reads them. Both have to be on bucket boundaries."""
    return _written(start, zone), _written(end, zone, is_end=True)


def _written(moment: datetime, zone: ZoneInfo, *, is_end: bool = False) -> str:
    local = moment.astimezone(zone)
    text = f"{local:%Y-%m-%dT%H:%M}"
    return text if local_moment(text, zone, is_end=is_end) == moment else local.isoformat(timespec="minutes")


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
        if first < EARLIEST or last.year > 9990:
            raise ValueError
    except ValueError:
        raise InvalidParameter(
            "period",
            f"period is {text!r}: use {', '.join(NAMED_PERIODS)}, a date such as 2026-11-03, "
            f"a range such as 2026-11-03..2026-11-09, or one of local times such as {EXAMPLE}.",
        ) from None
    if last < first:
        raise InvalidParameter("period", f"period is {text!r}: it ends before it starts. Swap the two dates.")
    return first, last


def midnight(day: date, zone: tzinfo) -> datetime:
    """Returns the first moment of a local day, in UTC. Where midnight is in a DST gap, it is the end of the gap."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def micros(moment: datetime) -> int:
    """Returns a moment as microseconds since 1970 UTC, as it is stored."""
    return (moment - EPOCH) // INSTANT


def bucket_at_or_after(moment: datetime) -> datetime:
    """Returns the first bucket boundary that is not before `moment`."""
    return datetime.fromtimestamp(-(-moment.timestamp() // BUCKET_SECONDS) * BUCKET_SECONDS, UTC)


def bucket_number(moment: datetime) -> int:
    """Returns the number of the bucket that contains `moment`, counted from 1970-01-01 00:00 UTC."""
    return int(moment.timestamp() // BUCKET_SECONDS)


def bucket_start(number: int) -> datetime:
    """Returns the first moment of a bucket, in UTC."""
    return datetime.fromtimestamp(number * BUCKET_SECONDS, UTC)


class Point(Struct, frozen=True):
    """A step of the time chart: [start, end), aware, in the organisation's zone."""

    start: datetime
    end: datetime


def points(period: Period) -> list[Point]:
    """
    Returns the steps of a period in order, including empty ones.

    Days are local days of 23, 24 or 25 hours. Hours are local hours: a step begins with each hour and each change of
    offset, so the first step may start within an hour, and an hour that occurs twice is two steps.
    """
    steps = {"quarter_hour": _quarters, "hour": _hours, "day": _days}[period.unit]
    starts = list(steps(period))
    ends = [*starts[1:], period.end.astimezone(period.zone)]
    return [Point(start, end) for start, end in zip(starts, ends, strict=False)]


def _days(period: Period) -> Iterator[datetime]:
    moment = period.start
    while moment < period.end:
        local = moment.astimezone(period.zone)
        yield local
        moment = midnight(local.date() + DAY, period.zone)


def _quarters(period: Period) -> Iterator[datetime]:
    moment = period.start
    while moment < period.end:
        yield moment.astimezone(period.zone)
        moment += BUCKET


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
