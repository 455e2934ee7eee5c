"""Jobs run when they are due, and a failure is not the last turn."""

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH
from meterboard.errors import Unauthenticated
from meterboard.service.access import CACHE_SECONDS, Access
from meterboard.service.jobs.schedule import Job, run_jobs


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the browser's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(work, 30)).result()


START = datetime(2026, 11, 24, tzinfo=UTC)


QUARTER = timedelta(minutes=15)


class Turns:
    """Runs a job against a clock that its sleeps, its runs and the test move, and notes the due moments."""

    def __init__(self, clock: FixedClock, *, until: datetime) -> None:
        self.clock = clock
        self.until = until
        self.due: list[datetime] = []
        self.began: list[datetime] = []
        self.during: dict[int, timedelta] = {}
        """How far the clock moves during the run of that number."""
        self.slept: list[float] = []
        self.early = 1.0
        """The part of a sleep after which it ends."""
        self.steps: dict[int, timedelta] = {}
        """By how much the clock is set in the sleep of that number."""

    def work(self, due: datetime) -> None:
        self.clock.advance(self.during.get(len(self.due), timedelta(0)))
        self.due.append(due)
        self.began.append(self.clock.now())

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=max(seconds * self.early, 1e-6)))
        self.clock.advance(self.steps.get(len(self.slept), timedelta(0)))
        self.slept.append(seconds)
        if self.clock.now() >= self.until:
            raise Done

    def run(self) -> list[str]:
        """The due moments of all runs."""
        job = Job("work", self.work, QUARTER, lambda now: EPOCH + ((now - EPOCH) // QUARTER + 1) * QUARTER)
        with pytest.raises(Done):
            run(run_jobs([job], self.clock, self.sleep))
        return [f"{due:%H:%M}" for due in self.due]


class Done(Exception):
    """The time is up."""


def test_a_job_is_told_what_it_is_due_for() -> None:
    turns = Turns(FixedClock(START + timedelta(minutes=7)), until=START + timedelta(minutes=50))

    assert turns.run() == ["00:15", "00:30", "00:45"]
    assert turns.began == turns.due


def test_a_sleep_that_ends_early_neither_skips_a_turn_nor_runs_one_early() -> None:
    turns = Turns(FixedClock(START), until=START + timedelta(minutes=50))
    turns.early = 0.9

    assert turns.run() == ["00:15", "00:30", "00:45"]
    assert all(began >= due for began, due in zip(turns.began, turns.due, strict=True))


def test_a_run_that_crosses_the_next_due_moment_is_followed_by_its_turn_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = Turns(FixedClock(START), until=START + timedelta(minutes=50))
    turns.during = {0: timedelta(minutes=17)}

    assert turns.run() == ["00:15", "00:30", "00:45"]
    assert turns.began[1] == START + timedelta(minutes=32)
    assert "The job 'work' was due at 2026-11-24 00:30:00+00:00 and starts at 2026-11-24 00:32" in caplog.text


def test_the_latest_of_several_missed_turns_stands_for_all() -> None:
    turns = Turns(FixedClock(START), until=START + timedelta(hours=4))
    turns.steps = {3: timedelta(hours=3, minutes=10)}

    assert turns.run() == ["03:00", "03:15", "03:30", "03:45"]


def test_a_clock_that_is_set_back_delays_no_turn_by_more_than_the_interval() -> None:
    turns = Turns(
        FixedClock(START + timedelta(hours=5, minutes=10)), until=START + timedelta(hours=5, minutes=50)
    )
    a_minute_after_the_first_turn = 20 + 4
    turns.steps = {
        a_minute_after_the_first_turn: -timedelta(hours=3),
        a_minute_after_the_first_turn + 120: timedelta(hours=3),
    }

    assert turns.run() == ["05:15", "02:30", "02:45", "05:45"]


def test_a_job_that_fails_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    turns = Turns(FixedClock(START), until=START + timedelta(minutes=50))
    work = turns.work

    def fail_once(due: datetime) -> None:
        work(due)
        if len(turns.due) == 1:
            raise ValueError("not this time")

    turns.work = fail_once  # type: ignore[method-assign]

    with caplog.at_level(logging.ERROR):
        assert turns.run() == ["00:15", "00:30", "00:45"]

    assert "The job 'work' due at 2026-11-24 00:15:00+00:00 failed" in caplog.text
    assert "not this time" in caplog.text


def test_a_session_is_remembered_for_seconds_and_forgotten_at_once_when_it_ends() -> None:
    now = 1_000.0
    asked: list[str] = []

    def viewer(session: str) -> object:
        asked.append(session)
        if len(asked) == 3:
            raise Unauthenticated("gone")
        return Organization

    access = Access(
        monotonic=lambda: now,
        key=viewer,  # type: ignore[arg-type]
        is_key=lambda key: True,
        is_session=lambda session: True,
        viewer=viewer,  # type: ignore[arg-type]
        sign_in=lambda link: link,
        sign_out=lambda session: None,
    )

    async def main() -> None:
        nonlocal now
        await access.viewer("s")
        now += CACHE_SECONDS - 1
        await access.viewer("s")
        assert len(asked) == 1
        now += 1
        await access.viewer("s")
        assert len(asked) == 2
        await access.sign_out("s")
        with pytest.raises(Unauthenticated):
            await access.viewer("s")

    run(main())
