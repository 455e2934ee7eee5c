"""How a number and a period are compared with those before, in words."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from meterboard.domain.period import parse_period
from meterboard.service.statistics.answers import PeriodAnswer, Previous
from meterboard.web.pages.dashboard.comparison import Change, change, name_of_previous, nothing_to_compare

ZONE = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)  # 16:15 in that zone


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (3, 2, Change("▲ 50 %", "50 % more than yesterday: 2")),
        (1, 4, Change("▼ 75 %", "75 % fewer than yesterday: 4")),
        (0, 12_412, Change("▼ 100 %", "100 % fewer than yesterday: 12,412")),
        (100_001, 100_000, Change("▲ < 1 %", "< 1 % more than yesterday: 100,000")),
        (30, 2, Change("▲ 1,400 %", "1,400 % more than yesterday: 2")),
        (2, 2, Change("= same", "as many as yesterday: 2")),
        (0, 0, Change("= same", "as many as yesterday: 0")),
        (2, 0, Change("new", "none in yesterday")),
    ],
)
def test_a_number_is_compared_with_the_one_before(now: int, before: int, expected: Change) -> None:
    assert change(now, before, "yesterday") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last_24_hours", "the 24 hours before"),
        ("today", "yesterday until 16:15"),
        ("yesterday", "the day before"),
        ("2026-11-03", "the day before"),
        ("2026-11-24", "the day before until 16:15"),
        ("last_30_days", "the 30 days before until 16:15"),
        ("2026-11-03..2026-11-09", "the 7 days before"),
        ("2026-11-03T10:00..2026-11-03T11:00", "the hour before"),
        ("2026-11-03T10:00..2026-11-03T10:15", "the 15 minutes before"),
        ("2026-11-03T10:00..2026-11-03T11:30", "the 1 hour and 30 minutes before"),
        ("2026-11-03T10:00..2026-11-04T12:00", "the 26 hours before"),
    ],
)
def test_a_period_is_compared_with_the_one_before(name: str, expected: str) -> None:
    period = parse_period(name, zone=ZONE, now=NOW, as_of=NOW)
    before = period.previous()
    answer = PeriodAnswer(before.name, before.start.astimezone(ZONE), before.end.astimezone(ZONE), ZONE.key)

    assert name_of_previous(period, Previous(answer, complete=True)) == expected


def test_a_period_before_the_statistics_is_no_comparison() -> None:
    assert nothing_to_compare(date(2026, 11, 3)) == (
        "Nothing to compare with: statistics go back to 3 Nov 2026."
    )
