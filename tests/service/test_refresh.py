"""When statistics move: at fixed times of the clock, or on every read; and what retention takes away."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.wire import Sent
from meterboard.service.answers import Summary
from meterboard.services import Services
from meterboard.settings import Settings
from meterboard.web.words import freshness

MINUTE = timedelta(minutes=1)


@pytest.fixture
def quarterly(tmp_path: Path, clock: FixedClock) -> Iterator[Services]:
    """Services whose statistics move every 15 minutes; the clock shows 10:52:30."""
    running = Services(tmp_path / "data", Settings(), clock)
    running.refresh.now()
    yield running
    running.close()


@pytest.fixture
def acme(quarterly: Services) -> Organization:
    return quarterly.accounts.organizations.create(
        "acme", allowance=100, time_zone="UTC", schedule="one-per-call"
    )


def send(services: Services, acme: Organization, *times: datetime) -> list[str]:
    events = [UsageEvent(time=time) for time in times]
    receipt = services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(len(events)), []))
    return [rejection.code for rejection in receipt.rejected]


def summary(services: Services, acme: Organization, period: str = "last_24_hours") -> Summary:
    with services.statistics.read(acme) as reading:
        return reading.summary(reading.period(period), {})


def test_statistics_follow_at_fixed_times_while_the_counter_is_immediate(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, clock.now())

    assert quarterly.live_credits.now(acme).calls == 1
    assert summary(quarterly, acme).calls == 0
    assert f"{summary(quarterly, acme).next_refresh:%H:%M}" == "11:00"

    clock.advance(8 * MINUTE)
    quarterly.refresh.on_schedule()
    assert summary(quarterly, acme).calls == 1
    assert f"{summary(quarterly, acme).as_of:%H:%M:%S}" == "11:00:00"
    assert f"{summary(quarterly, acme).next_refresh:%H:%M}" == "11:15"


def test_a_refresh_that_comes_late_covers_what_it_should_have(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, clock.now())
    clock.advance(8 * MINUTE)  # 11:00:30, the job has not run yet
    send(quarterly, acme, clock.now())
    quarterly.refresh.on_schedule()

    assert summary(quarterly, acme).calls == 1


def test_all_answers_of_a_reading_are_of_one_watermark(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, clock.now())
    with quarterly.statistics.read(acme) as reading:
        before = reading.breakdown(reading.period("today"), {}, "module").total
        clock.advance(8 * MINUTE)
        quarterly.refresh.on_schedule()
        after = reading.breakdown(reading.period("today"), {}, "module").total
        assert before == after
        assert reading.summary(reading.period("today"), {}).as_of == reading.as_of


def test_retention_takes_events_and_statistics_of_more_than_30_days_ago(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    old, kept = clock.now() - timedelta(days=30), clock.now() - timedelta(days=29)
    assert send(quarterly, acme, old, kept) == []
    quarterly.refresh.now()
    assert quarterly.retention.enforce() == 0

    clock.advance(timedelta(hours=1))
    assert quarterly.retention.enforce() == 1
    assert quarterly.verify.check(acme).events == 1
    assert quarterly.verify.check(acme).difference == 0
    assert send(quarterly, acme, old) == ["too_old"]


def test_resting_and_merging_change_no_answer(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    for _ in range(20):
        send(quarterly, acme, clock.now(), clock.now() - timedelta(days=2))
        quarterly.refresh.now()
        clock.advance(MINUTE)
    before = summary(quarterly, acme, "last_30_days")
    quarterly.retention.merge()
    quarterly.retention.rest()

    assert summary(quarterly, acme, "last_30_days") == before
    assert before.calls == 40
    assert quarterly.verify.check(acme).difference == 0


def test_the_average_of_one_day_is_over_the_retained_days_that_have_data(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, *[clock.now() - timedelta(days=days) for days in (0, 0, 0, 4, 9)])
    quarterly.refresh.now()

    today = summary(quarterly, acme, "today")
    assert (today.average_calls_per_day, today.average_over_days) == (5 / 3, 3)
    month = summary(quarterly, acme, "last_30_days")
    assert (month.average_calls_per_day, month.average_over_days) == (5 / 30, 30)


def test_a_refresh_that_does_not_come_about_is_told(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    def told() -> str:
        with quarterly.statistics.read(acme) as reading:
            return freshness(reading.summary(reading.period("today"), {}), reading.is_live, reading.missed)

    quarterly.refresh.on_schedule()
    assert told() == "Statistics as of 10:52, next refresh at 11:00."
    clock.set(clock.now().replace(hour=11, minute=0, second=30))
    assert "failed" not in told()  # it may still be at work
    clock.set(clock.now().replace(minute=2))
    assert told() == (
        "Statistics as of 10:52: the refresh at 11:00 failed, and later calls are not in them. "
        "It is tried again at 11:15; the server's log says why."
    )
    quarterly.refresh.on_schedule()
    assert told() == "Statistics as of 11:00, next refresh at 11:15."
