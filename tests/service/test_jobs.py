"""Jobs run when they are due, and a failure is not the last turn."""

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.organization import Organization
from meterboard.errors import Unauthenticated
from meterboard.service.access import REMEMBERED_SECONDS, Access
from meterboard.service.jobs import Job, run_jobs


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the browser's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asyncio.wait_for(work, 30)).result()


START = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_job_that_fails_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[int] = []

    def work() -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise ValueError("not this time")

    async def main() -> None:
        running = asyncio.create_task(run_jobs([Job("work", work, lambda moment: moment)], FixedClock(START)))
        while len(turns) < 3:
            await asyncio.sleep(0.01)
        running.cancel()

    with caplog.at_level(logging.ERROR):
        run(main())

    assert "The job 'work' failed; it runs again when it is due." in caplog.text


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
        now += REMEMBERED_SECONDS - 1
        await access.viewer("s")
        assert len(asked) == 1
        now += 1
        await access.viewer("s")
        assert len(asked) == 2
        await access.sign_out("s")
        with pytest.raises(Unauthenticated):
            await access.viewer("s")

    run(main())
