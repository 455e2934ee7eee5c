"""Periods, against what calendars and clocks showed."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from meterboard.domain.period import Period, parse_period, points
from meterboard.errors import InvalidParameter

KOLKATA = ZoneInfo("Asia/Kolkata")


def period(text: str, zone: str, now: datetime, as_of: datetime | None = None) -> Period:
    return parse_period(text, zone=ZoneInfo(zone), now=now, as_of=as_of or now)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        pytest.param("America/New_York", "2026-03-08", 23, id="clocks go forward"),
        pytest.param("America/New_York", "2026-11-01", 25, id="clocks go back"),
        pytest.param("Australia/Lord_Howe", "2026-10-04", 23.5, id="forward by half an hour"),
        pytest.param("Australia/Lord_Howe", "2026-04-05", 24.5, id="back by half an hour"),
        pytest.param("Asia/Kathmandu", "2026-11-03", 24, id="a quarter past the hour"),
        pytest.param("Pacific/Apia", "2011-12-31", 24, id="the day after a day that never was"),
    ],
)
def test_a_day_is_as_long_as_the_zone_says(zone: str, day: str, hours: float) -> None:
    asked = period(day, zone, datetime(2026, 12, 31, tzinfo=UTC))

    assert timedelta(hours=hours) == asked.end - asked.start


def test_kathmandu_s_midnight_is_at_1815_utc() -> None:
    asked = period("2026-11-03", "Asia/Kathmandu", datetime(2026, 12, 1, tzinfo=UTC))

    assert datetime(2026, 11, 2, 18, 15, tzinfo=UTC) == asked.start


def test_last_24_hours_starts_at_the_first_bucket_boundary_at_or_after() -> None:
    now = datetime(2026, 11, 24, 10, 52, 30, tzinfo=UTC)

    asked = period("last_24_hours", "UTC", now)

    assert (datetime(2026, 11, 23, 11, 0, tzinfo=UTC), now) == (asked.start, asked.end)


def test_last_24_hours_from_a_boundary_starts_there() -> None:
    asked = period("last_24_hours", "UTC", datetime(2026, 11, 24, 10, 45, tzinfo=UTC))

    assert datetime(2026, 11, 23, 10, 45, tzinfo=UTC) == asked.start


def test_last_30_days_is_today_with_the_29_days_before() -> None:
    now = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)  # the 25th in Kolkata

    asked = period("last_30_days", "Asia/Kolkata", now)

    assert datetime(2026, 10, 27, tzinfo=KOLKATA) == asked.start
    assert (asked.days, asked.unit) == (30, "day")


def test_no_period_ends_after_the_watermark() -> None:
    as_of = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
    now = as_of + timedelta(minutes=14)

    for text in ("last_24_hours", "today", "last_30_days", "2026-11-24", "2026-11-20..2026-12-24"):
        assert as_of == period(text, "UTC", now, as_of).end


def test_today_is_empty_until_the_watermark_reaches_it() -> None:
    now = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)

    asked = period("today", "UTC", now, as_of=now - timedelta(minutes=10))

    assert asked.start == asked.end
    assert points(asked) == []


def test_a_repeated_hour_is_two_points() -> None:
    shown = points(period("2026-11-01", "America/New_York", datetime(2026, 12, 1, tzinfo=UTC)))

    assert [point.start.isoformat()[11:16] + point.start.isoformat()[19:] for point in shown[:4]] == [
        "00:00-04:00",
        "01:00-04:00",
        "01:00-05:00",
        "02:00-05:00",
    ]
    assert len(shown) == 25


def test_points_follow_each_other_without_a_gap() -> None:
    for zone in ("Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"):
        for text in ("last_24_hours", "2026-10-04", "2026-04-05", "2026-03-30..2026-04-09"):
            asked = period(text, zone, datetime(2026, 11, 24, 10, 52, tzinfo=UTC))
            shown = points(asked)
            assert (asked.start, asked.end) == (shown[0].start, shown[-1].end)
            assert all(left.end == right.start for left, right in itertools.pairwise(shown))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "2026-13-01",
        "2026-02-30",
        "2026-11-1",
        "2026-11-03..",
        "2026-11-09..2026-11-03",
        "0001-01-01",
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(InvalidParameter, match="period is") as refused:
        period(text, "UTC", datetime(2026, 11, 24, tzinfo=UTC))

    assert refused.value.parameter == "period"


@pytest.mark.parametrize(
    ("text", "start", "days"),
    [
        pytest.param("2026-11-20..2026-11-22", "2026-11-20", 3, id="kept as a whole"),
        pytest.param("1971-01-01..2026-11-22", "2026-10-23", 31, id="begins before what is kept"),
        pytest.param("1971-01-01T09:15..2026-11-22T00:00", "2026-10-23", 30, id="of times"),
        pytest.param("2020-01-01", "2020-01-01", 1, id="a day that is not kept"),
        pytest.param("1971-01-01..2020-01-31", "2020-01-01", 31, id="ends before what is kept"),
        pytest.param("2027-01-01..2030-01-01", "2027-01-01", 1, id="has not begun"),
    ],
)
def test_a_period_begins_no_earlier_than_what_is_kept(text: str, start: str, days: int) -> None:
    asked = period(text, "Asia/Kolkata", datetime(2026, 11, 24, tzinfo=UTC))
    first = datetime(2026, 10, 23, tzinfo=KOLKATA).astimezone(UTC)

    kept = asked.within(first, timedelta(days=31))

    assert datetime.fromisoformat(start).replace(tzinfo=KOLKATA) == kept.start
    assert (text, asked.end, days) == (kept.name, kept.end, kept.days)


def test_the_period_before_begins_no_earlier_than_periods_do() -> None:
    asked = period("1971-01-02T00:15..2026-11-20T00:00", "UTC", datetime(2026, 11, 24, tzinfo=UTC))

    assert datetime(1971, 1, 1, tzinfo=UTC) == asked.previous().start
