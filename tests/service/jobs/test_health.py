"""What is told of jobs and of commits that fail."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meterboard.clock import FixedClock
from meterboard.service.jobs.health import Health
from meterboard.service.jobs.schedule import Job

START = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


def told_by(health: Health) -> dict[str, float]:
    """Values by name, of what has no label or that of a job."""
    families = text_string_to_metric_families(health.render("")[0].decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_job_s_last_run_and_last_failure_are_told(clock: FixedClock) -> None:
    health = Health("1", clock)
    outcomes = [None, ValueError("not now")]

    def work(due: datetime) -> None:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    job = health.watched(Job("work", work, timedelta(minutes=15)))
    assert told_by(health)["meterboard_job_failures_total"] == 0
    job.run(START)
    clock.advance(timedelta(minutes=15))
    with pytest.raises(ValueError, match="not now"):
        job.run(START)

    told = told_by(health)
    assert told["meterboard_job_last_success_timestamp_seconds"] == START.timestamp()
    assert told["meterboard_job_last_failure_timestamp_seconds"] == START.timestamp() + 900
    assert told["meterboard_job_failures_total"] == 1


def test_a_store_that_can_t_be_read_hides_nothing_else(
    clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    health = Health("1", clock)

    def watermark() -> datetime:
        raise OSError("the disk is gone")

    health.watch(waiting=lambda: 7, max_waiting=10, watermark=watermark)
    health.commit_failed()

    told = told_by(health)
    assert told["meterboard_queue_events"] == 7
    assert math.isnan(told["meterboard_refresh_age_seconds"])
    assert told["meterboard_commits_failed_total"] == 1
    assert "The watermark can't be read" in caplog.text
