"""Ranges of local times, and the period before a period, against clocks that are read one quarter of an hour at a time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meterboard.domain.period import BUCKET, Period, midnight, parse_period, points, range_name
from meterboard.errors import InvalidParameter

LATER = datetime(2026, 12, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# The days around changes of the clocks by an hour and by half an hour, and days like any other.
ZONES = ["UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "America/St_Johns"]
DAYS = [date(2026, month, day) for month, day in ((3, 8), (4, 5), (10, 4), (11, 1), (6, 15))]
local_times = st.builds(
    lambda day, quarter: datetime.combine(day, datetime.min.time()) + quarter * BUCKET,
    st.sampled_from(DAYS),
    st.integers(-96, 192),
)


def period(text: str, zone: str, as_of: datetime = LATER) -> Period:
    return parse_period(text, zone=ZoneInfo(zone), now=as_of, as_of=as_of)


def clock(zone: str, around: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each quarter of an hour of some days, and what the zone's clocks showed."""
    moment = around.replace(tzinfo=UTC) - 2 * DAY
    for _ in range(4 * 96):
        yield moment, moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        moment += BUCKET


def started(zone: str, shown: datetime) -> datetime:
    return next(moment for moment, local in clock(zone, shown) if local >= shown)


def ended(zone: str, shown: datetime) -> datetime:
    twice = [moment for moment, local in clock(zone, shown) if local == shown]
    return twice[-1] if twice else started(zone, shown)


@given(st.sampled_from(ZONES), local_times, st.integers(1, 300))
def test_a_range_of_times_is_from_when_clocks_first_show_its_start_to_when_they_last_show_its_end(
    zone: str, first: datetime, quarters: int
) -> None:
    last = first + quarters * BUCKET
    start, end = started(zone, first), ended(zone, last)
    text = f"{first:%Y-%m-%dT%H:%M}..{last:%Y-%m-%dT%H:%M}"
    if start == end:  # both within what the clocks skipped
        with pytest.raises(InvalidParameter):
            period(text, zone)
        return

    asked = period(text, zone)

    assert (asked.start, asked.end) == (start, end)
    length = end - start
    assert asked.unit == ("quarter_hour" if length <= 2 * HOUR else "hour" if length <= 2 * DAY else "day")
    shown = points(asked)
    assert [point.end for point in shown[:-1]] == [point.start for point in shown[1:]]
    assert (shown[0].start.astimezone(UTC), shown[-1].end.astimezone(UTC)) == (start, end)
    longest = {"quarter_hour": BUCKET, "hour": HOUR, "day": 25 * HOUR}[asked.unit]
    assert all(
        timedelta(0) < point.end.astimezone(UTC) - point.start.astimezone(UTC) <= longest for point in shown
    )


@given(st.sampled_from(ZONES), local_times, st.integers(1, 700))
def test_every_stretch_of_quarters_has_a_name_that_reads_back(
    zone: str, shown: datetime, quarters: int
) -> None:
    start = started(zone, shown)
    end = start + quarters * BUCKET

    read = period(range_name(start, end, ZoneInfo(zone)), zone)

    assert (read.start, read.end) == (start, end)


def test_an_offset_says_which_of_two_equal_times_is_meant() -> None:
    once = period("2026-11-01T01:00-04:00..2026-11-01T01:00-05:00", "America/New_York")
    both = period("2026-11-01T01:00..2026-11-01T02:00", "America/New_York")

    assert once.end - once.start == HOUR
    assert both.end - both.start == 2 * HOUR


def test_times_that_the_clocks_skip_are_the_moment_of_the_jump() -> None:
    asked = period("2026-03-08T02:30..2026-03-08T04:00", "America/New_York")

    assert asked.start == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    assert asked.end - asked.start == HOUR


def test_a_range_of_times_ends_at_the_watermark_at_the_latest() -> None:
    as_of = datetime(2026, 11, 24, 10, 52, tzinfo=UTC)

    assert period("2026-11-24T10:00..2026-11-24T12:00", "UTC", as_of).end == as_of
    assert points(period("2026-11-24T11:00..2026-11-24T12:00", "UTC", as_of)) == []


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-03T10:00",
        "2026-11-03T10:00..",
        "2026-11-03T10:00..2026-11-04",
        "2026-11-03T10:07..2026-11-03T11:00",
        "2026-11-03T10:00:00..2026-11-03T11:00:00",
        "2026-11-03T10:00..2026-11-03T10:00",
        "2026-11-03T11:00..2026-11-03T10:00",
        "2026-11-03T24:30..2026-11-04T10:00",
        "2026-13-03T10:00..2026-11-03T11:00",
        "0001-01-01T00:00..2026-11-03T11:00",
        "2026-11-03T10:00+25:00..2026-11-03T11:00",
        "2026-11-03T10:00+05:07..2026-11-03T11:00",
        "2026-11-03T١٠:00..2026-11-03T11:00",
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InvalidParameter, match="period is") as refused:
        period(text, "UTC")

    assert refused.value.parameter == "period"


# -- The period before ----------------------------------------------------------------------------------------------------


@given(st.sampled_from(ZONES), st.sampled_from(DAYS), st.integers(0, 6))
def test_whole_days_are_compared_with_the_whole_days_before_them(zone: str, last: date, more: int) -> None:
    first = last - more * DAY
    before = period(f"{first}..{last}", zone).previous()

    assert before.end == midnight(first, ZoneInfo(zone))
    assert before.start == midnight(first - (more + 1) * DAY, ZoneInfo(zone))
    again = period(before.name, zone)
    assert (again.start, again.end) == (before.start, before.end)


@given(st.sampled_from(ZONES), st.sampled_from(DAYS), st.integers(1, 23 * 60))
def test_a_day_that_is_not_over_is_compared_with_as_much_of_the_day_before(
    zone: str, day: date, minutes: int
) -> None:
    begins = midnight(day, ZoneInfo(zone))
    now = begins + timedelta(minutes=minutes)
    assume(now < midnight(day + DAY, ZoneInfo(zone)))  # a day may have 23 hours

    before = period("today", zone, now).previous()

    assert before.start == midnight(day - DAY, ZoneInfo(zone))
    rounded = -(-minutes // 15) * BUCKET
    whole = begins - before.start
    # The last quarter of a day is the whole day, however long the two days are.
    assert before.end - before.start in {min(rounded, whole), whole if minutes > 22 * 60 else rounded}
    assert before.end <= begins


@given(st.sampled_from(ZONES), local_times, st.integers(1, 700))
def test_times_are_compared_with_as_many_hours_right_before_them(
    zone: str, shown: datetime, quarters: int
) -> None:
    start = started(zone, shown)
    name = range_name(start, start + quarters * BUCKET, ZoneInfo(zone))
    if "T" in name:
        before = period(name, zone).previous()

        assert (before.start, before.end) == (start - quarters * BUCKET, start)


@given(st.sampled_from(ZONES), st.integers(0, 10**6))
def test_the_24_hours_before_are_24_hours(zone: str, minutes: int) -> None:
    asked = period("last_24_hours", zone, LATER - timedelta(minutes=minutes))

    assert (asked.previous().start, asked.previous().end) == (asked.start - DAY, asked.start)
