"""What was allowed, and when."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from meterboard.domain.allowance import Allowance, allowance_at, allowed_in
from meterboard.domain.period import parse_period

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HISTORY = [
    Allowance(100, datetime(2026, 11, 1, tzinfo=UTC)),
    Allowance(300, datetime(2026, 11, 23, 12, tzinfo=UTC)),
]


def allowed(text: str, history: list[Allowance]) -> int | None:
    return allowed_in(history, parse_period(text, zone=ZoneInfo("UTC"), now=NOW, as_of=NOW))


def test_the_latest_start_that_has_come_is_in_force() -> None:
    assert allowance_at(HISTORY, datetime(2026, 11, 23, 11, 59, tzinfo=UTC)) == 100
    assert allowance_at(HISTORY, datetime(2026, 11, 23, 12, tzinfo=UTC)) == 300


def test_before_its_first_entry_that_entry_holds() -> None:
    assert allowance_at(HISTORY, datetime(2026, 10, 1, tzinfo=UTC)) == 100


def test_without_any_it_is_unlimited() -> None:
    assert allowance_at([], NOW) is None


def test_a_day_s_allowance_is_that_of_its_end() -> None:
    assert allowed("today", HISTORY) == 300
    assert allowed("yesterday", HISTORY) == 300
    assert allowed("2026-11-22", HISTORY) == 100
    assert allowed("last_24_hours", HISTORY) == 300


def test_a_range_adds_up_its_days() -> None:
    assert allowed("2026-11-21..2026-11-24", HISTORY) == 100 + 100 + 300 + 300  # 800
    assert allowed("last_30_days", HISTORY) == 28 * 100 + 2 * 300


def test_an_unlimited_day_makes_the_range_unlimited() -> None:
    unlimited = [*HISTORY, Allowance(None, NOW - timedelta(hours=1))]

    assert allowed("last_30_days", unlimited) is None
    assert allowed("yesterday", unlimited) == 300
