"""Jobs that the server runs at fixed times, and the loop that runs each when it is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Struct

from meterboard.clock import Clock

log = logging.getLogger("meterboard.jobs")

CHECK_SECONDS = 15
"""The longest sleep before the clock is read again: it may be set meanwhile, which doesn't end a sleep."""
LATE = timedelta(minutes=1)
"""How late a job may begin before that is logged."""


class Job(Struct, frozen=True):
    """
    Work that is due at intervals. `run` may block: it is called in a thread, with the moment at which it was due.

    A job is first due at `first_after(now)`, by default `interval` from now, and then every `interval` after that.
    """

    name: str
    run: Callable[[datetime], object]
    interval: timedelta
    first_after: Callable[[datetime], datetime] | None = None

    def first_due(self, now: datetime) -> datetime:
        """Returns the first due moment after the start, or after the clock was set back."""
        return self.first_after(now) if self.first_after else now + self.interval


Sleep = Callable[[float], Awaitable[object]]


async def run_jobs(jobs: Sequence[Job], clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
    """Runs each job whenever it is due, until cancelled. Failures are logged and don't end the loop."""
    # A thread for each: in asyncio's default executor they might have to wait for requests.
    with ThreadPoolExecutor(max(1, len(jobs)), thread_name_prefix="job") as threads:
        await asyncio.gather(*(_keep_running(job, clock, sleep, threads) for job in jobs))


async def _keep_running(job: Job, clock: Clock, sleep: Sleep, threads: ThreadPoolExecutor) -> None:
    due = job.first_due(clock.now())
    while True:
        due = await _next_due(job, due, clock, sleep)
        try:
            await asyncio.get_running_loop().run_in_executor(threads, job.run, due)
        except Exception:  # the loop must survive any failure; the next run may succeed
            log.exception("The job %r due at %s failed. It runs again when it is next due.", job.name, due)
        due += job.interval


async def _next_due(job: Job, due: datetime, clock: Clock, sleep: Sleep) -> datetime:
    """
    Waits until the clock has reached `due`, and returns it.

    If a run took longer than the interval or the clock was set forward, it returns the latest due moment, and those
    before it are skipped. If the clock was set back, the first due moment is computed again.
    """
    while (now := clock.now()) < due:
        if due - now > job.interval:
            due = job.first_due(now)
        await sleep(min(CHECK_SECONDS, (due - now).total_seconds()))
    if now - due > LATE:
        log.warning("The job %r was due at %s and starts at %s.", job.name, due, now)
    return due + (now - due) // job.interval * job.interval
