"""Jobs: what the server does at fixed moments, and the loop that runs each when it is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Struct

from meterboard.clock import Clock

log = logging.getLogger("meterboard.jobs")

CHECK_SECONDS = 15
"""The longest sleep before the clock is read again: it may have been set meanwhile, which ends no sleep."""
LATE = timedelta(minutes=1)
"""How late a job may begin before that is logged."""


class Job(Struct, frozen=True):
    """
    `run` blocks, is called in a thread, and is given the moment at which it was due.

    It is due first at `first_after(now)`, by default `interval` from now, and then every `interval` after that moment.
    """

    name: str
    run: Callable[[datetime], object]
    interval: timedelta
    first_after: Callable[[datetime], datetime] | None = None

    def first_due(self, now: datetime) -> datetime:
        """The first due moment after the start, or after the clock was set back."""
        return self.first_after(now) if self.first_after else now + self.interval


Sleep = Callable[[float], Awaitable[object]]


async def run_jobs(jobs: Sequence[Job], clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
    """Run each job whenever it is due, until cancelled. A failure is logged and does not end the loop."""
    # A thread for each: in asyncio's own they might have to wait for the requests that use those.
    with ThreadPoolExecutor(max(1, len(jobs)), thread_name_prefix="job") as threads:
        await asyncio.gather(*(_keep_running(job, clock, sleep, threads) for job in jobs))


async def _keep_running(job: Job, clock: Clock, sleep: Sleep, threads: ThreadPoolExecutor) -> None:
    due = job.first_due(clock.now())
    while True:
        due = await _next_due(job, due, clock, sleep)
        try:
            await asyncio.get_running_loop().run_in_executor(threads, job.run, due)
        except Exception:  # the loop must outlive any failure; the next turn may succeed
            log.exception(
                "The job %r that was due at %s failed; it runs again when it is due.", job.name, due
            )
        due += job.interval


async def _next_due(job: Job, due: datetime, clock: Clock, sleep: Sleep) -> datetime:
    """
    Wait until the clock has reached `due`, and return it.

    When a run took longer than the interval or the clock was set forward, the latest due moment stands for all that have
    passed. When the clock was set back, the job is due anew.
    """
    while (now := clock.now()) < due:
        if due - now > job.interval:
            due = job.first_due(now)
        await sleep(min(CHECK_SECONDS, (due - now).total_seconds()))
    if now - due > LATE:
        log.warning("The job %r was due at %s and begins at %s.", job.name, due, now)
    return due + (now - due) // job.interval * job.interval
