"""When statistics move: at fixed times of the clock, or on every read; and what retention takes away."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH
from meterboard.errors import StoreFailed
from meterboard.formats.json_events import Sent
from meterboard.service.jobs.retention import Retention
from meterboard.service.jobs.schedule import run_jobs
from meterboard.service.statistics.answers import Summary
from meterboard.services import Services
from meterboard.settings import Settings
from meterboard.web.formatting import freshness
from tests.service.jobs.test_schedule import Done, run

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


def refresh(services: Services) -> None:
    """What the job does that was due last."""
    services.refresh.run(services.refresh.last_due(services.clock.now()))


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
    refresh(quarterly)
    assert summary(quarterly, acme).calls == 1
    assert f"{summary(quarterly, acme).as_of:%H:%M:%S}" == "11:00:00"
    assert f"{summary(quarterly, acme).next_refresh:%H:%M}" == "11:15"


def test_a_refresh_that_comes_late_covers_what_it_should_have(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, clock.now())
    clock.advance(8 * MINUTE)  # 11:00:30, the job has not run yet
    send(quarterly, acme, clock.now())
    refresh(quarterly)

    assert summary(quarterly, acme).calls == 1


def test_a_due_moment_that_a_start_takes_past_is_caught_up(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    clock.set(clock.now().replace(minute=59, second=59))
    send(quarterly, acme, clock.now())
    quarterly.refresh.now()
    send(quarterly, acme, clock.now())
    clock.advance(timedelta(seconds=2))  # 11:00:01 when the jobs begin

    async def sleep(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))
        if clock.now().minute >= 2:
            raise Done

    with pytest.raises(Done):
        run(run_jobs([job for job in quarterly.jobs() if job.name == "refresh"], clock, sleep))

    with quarterly.statistics.read(acme) as reading:
        assert (f"{reading.as_of:%H:%M}", reading.delay) == ("11:00", None)
        assert reading.summary(reading.period("today"), {}).calls == 2


def test_all_answers_of_a_reading_are_of_one_watermark(
    quarterly: Services, acme: Organization, clock: FixedClock
) -> None:
    send(quarterly, acme, clock.now())
    with quarterly.statistics.read(acme) as reading:
        before = reading.breakdown(reading.period("today"), {}, "module").total
        clock.advance(8 * MINUTE)
        refresh(quarterly)
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


def test_maintenance_changes_no_answer(quarterly: Services, acme: Organization, clock: FixedClock) -> None:
    for _ in range(20):
        send(quarterly, acme, clock.now(), clock.now() - timedelta(days=2))
        quarterly.refresh.now()
        clock.advance(4 * MINUTE)
    before = summary(quarterly, acme, "last_30_days")
    quarterly.retention.maintain()

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


def test_a_refresh_that_is_late_and_one_that_failed_are_reported_as_such(
    quarterly: Services, acme: Organization, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        with quarterly.statistics.read(acme) as reading:
            return freshness(reading.summary(reading.period("today"), {}), reading.is_live, reading.delay)

    def full(watermark: datetime) -> None:
        raise StoreFailed("No space left on device.")

    refresh(quarterly)
    assert told() == "Statistics as of 10:52, next refresh at 11:00."
    clock.set(clock.now().replace(hour=11, minute=0, second=30))
    assert told() == "Statistics as of 10:52, next refresh at 11:15."
    clock.set(clock.now().replace(minute=2))
    assert told() == (
        "Statistics as of 10:52: the refresh of 11:00 has not finished yet, so later calls are not included."
    )
    with monkeypatch.context() as broken:
        broken.setattr(quarterly.store, "refresh", full)
        with pytest.raises(StoreFailed):
            refresh(quarterly)
    assert told() == (
        "Statistics as of 10:52: the refresh of 11:00 failed, so later calls are not included. "
        "It is tried again at 11:15. Reason: No space left on device."
    )
    clock.set(clock.now().replace(minute=17))  # the next one is not the one that failed
    assert "the refresh of 11:15 has not finished yet" in told()
    refresh(quarterly)
    assert told() == "Statistics as of 11:15, next refresh at 11:30."


def test_statistics_move_and_say_so_while_the_clock_is_behind_them(
    quarterly: Services, acme: Organization, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.advance(timedelta(hours=1))
    send(quarterly, acme, clock.now())
    quarterly.refresh.now()
    clock.set(clock.now().replace(hour=10, minute=56))
    for _ in range(2):
        send(quarterly, acme, clock.now())
        clock.advance(5 * MINUTE)
        refresh(quarterly)

    with quarterly.statistics.read(acme) as reading:
        found = reading.summary(reading.period("today"), {})
        assert freshness(found, reading.is_live, reading.delay) == (
            "Statistics as of 11:52, but the server's clock shows 11:06: it was set back. "
            "Nothing is lost; times run ahead until it has caught up."
        )
    assert (found.calls, f"{found.next_refresh:%H:%M}") == (3, "11:15")
    assert quarterly.verify.check(acme).difference == 0
    assert caplog.text.count("it was set back") == 1
    assert b"meterboard_clock_behind_seconds 2760.0" in quarterly.health.render("")[0]

    clock.advance(timedelta(hours=1))
    refresh(quarterly)
    with quarterly.statistics.read(acme) as reading:
        assert f"{reading.as_of:%H:%M}" == "12:00"
        assert reading.delay is None


def test_a_long_log_is_folded_whatever_the_refresh_interval(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("meterboard.usage.duckdb.store.CHECKPOINT_BYTES", 0)
    acme = services.accounts.organizations.create(
        "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
    )
    log = tmp_path / "data" / "usage.duckdb.wal"
    send(services, acme, services.clock.now())
    assert log.stat().st_size

    for job in services.jobs():
        job.run(services.clock.now())

    assert not log.exists() or not log.stat().st_size


def test_a_start_with_a_clock_that_is_ahead_leaves_nothing_behind(tmp_path: Path, clock: FixedClock) -> None:
    def started() -> Services:
        running = Services(tmp_path / "data", Settings(), clock)
        running.refresh.now()
        running.retention.enforce()
        return running

    first = started()
    acme = first.accounts.organizations.create(
        "acme", allowance=None, time_zone="UTC", schedule="one-per-call"
    )
    send(first, acme, clock.now())
    first.close()
    clock.advance(timedelta(days=365))
    started().close()
    clock.advance(-timedelta(days=365) + MINUTE)
    again = started()
    send(again, acme, clock.now())
    clock.advance(8 * MINUTE)
    refresh(again)

    with again.statistics.read(acme) as reading:
        assert (f"{reading.as_of:%Y-%m-%d %H:%M}", reading.delay) == ("2026-11-24 11:00", None)
        assert reading.summary(reading.period("today"), {}).calls == 2
    assert again.verify.check(acme).difference == 0
    again.close()


class TestRetentionOnAWrongClock:
    """Ten events of the last ten days, and a clock that is a year ahead at the next start."""

    YEAR = timedelta(days=365)

    @pytest.fixture(autouse=True)
    def some_usage(self, quarterly: Services, acme: Organization, clock: FixedClock) -> None:
        send(quarterly, acme, *(clock.now() - timedelta(days=days) for days in range(10)))
        self.started = clock.now()
        self.seconds = 0.0

    def restarted(self, services: Services, clock: FixedClock) -> Retention:
        """As made at a start."""
        keep, receipts = timedelta(days=5), services.store.receipt_hours()
        return Retention(services.meter, clock, keep, receipts=receipts, uptime=lambda: self.seconds)

    def run_for(self, clock: FixedClock, time: timedelta) -> None:
        clock.advance(time)
        self.seconds += time.total_seconds()

    def test_nothing_is_deleted_that_would_not_be_by_the_right_clock(
        self, quarterly: Services, clock: FixedClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock.advance(self.YEAR)
        retention = self.restarted(quarterly, clock)

        assert retention.enforce() == 4
        self.run_for(clock, timedelta(hours=23))
        assert retention.enforce() == 1  # one that is older than five days by now
        assert caplog.text.count("the retention counts from the time of those events") == 1

        clock.set(self.started + timedelta(hours=24))
        assert retention.enforce() == 0

    def test_a_clock_that_runs_on_for_a_day_is_believed(self, quarterly: Services, clock: FixedClock) -> None:
        clock.advance(timedelta(days=60))  # nothing was received for two months
        retention = self.restarted(quarterly, clock)

        assert retention.enforce() == 4
        self.run_for(clock, timedelta(days=1))
        assert retention.enforce() == 6

    def test_a_clock_that_is_set_again_is_doubted_from_then_on(
        self, quarterly: Services, clock: FixedClock
    ) -> None:
        clock.advance(self.YEAR)
        retention = self.restarted(quarterly, clock)
        assert retention.enforce() == 4
        self.run_for(clock, timedelta(hours=23))
        clock.advance(self.YEAR)
        self.run_for(clock, timedelta(hours=2))

        assert retention.enforce() == 2  # older than five days by now

    def test_a_clock_that_jumps_ahead_while_the_server_runs_is_doubted_too(
        self, quarterly: Services, clock: FixedClock
    ) -> None:
        retention = self.restarted(quarterly, clock)
        assert retention.enforce() == 4
        clock.advance(self.YEAR)

        assert retention.enforce() == 0

    def test_events_that_are_received_by_a_clock_that_is_ahead_do_not_confirm_it(
        self, quarterly: Services, acme: Organization, clock: FixedClock
    ) -> None:
        clock.advance(self.YEAR)
        for _ in range(3):
            send(quarterly, acme, clock.now())
            assert self.restarted(quarterly, clock).enforce() in (4, 0)
            clock.advance(timedelta(hours=7))

        with quarterly.store.snapshot() as snapshot:
            assert snapshot.window(acme.id, after=EPOCH, until=clock.now()).calls == 6 + 3

    def test_events_of_more_than_a_day_confirm_the_clock(
        self, quarterly: Services, acme: Organization, clock: FixedClock
    ) -> None:
        clock.advance(timedelta(days=60))
        send(quarterly, acme, clock.now())
        clock.advance(timedelta(days=3))  # another gap, but the first has been passed for good
        send(quarterly, acme, clock.now())

        assert self.restarted(quarterly, clock).enforce() == 10

    def test_a_few_idle_hours_raise_no_doubt(
        self, quarterly: Services, clock: FixedClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock.advance(timedelta(hours=20))

        assert self.restarted(quarterly, clock).enforce() == 5
        assert not caplog.text
