"""What happens by itself: a list of jobs, and the loop that runs each when it is due."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Struct

from meterboard.clock import Clock

log = logging.getLogger("meterboard.jobs")


class Job(Struct, frozen=True):
    """`run` blocks and is called in a thread; `next_after` says when it is due again."""

    name: str
    run: Callable[[], object]
    next_after: Callable[[datetime], datetime]


def every(interval: timedelta) -> Callable[[datetime], datetime]:
    """Due again `interval` after it has run."""
    return lambda moment: moment + interval


async def run_jobs(jobs: Sequence[Job], clock: Clock) -> None:
    """Run each job now and whenever it is due, until cancelled. A failing job is logged and tried again in time."""
    # A thread for each: in asyncio's own they might have to wait for the requests that use those.
    with ThreadPoolExecutor(max(1, len(jobs)), thread_name_prefix="job") as threads:
        await asyncio.gather(*(_keep_running(job, clock, threads) for job in jobs))


async def _keep_running(job: Job, clock: Clock, threads: ThreadPoolExecutor) -> None:
    while True:
        due = job.next_after(clock.now())
        await asyncio.sleep(max(0.05, (due - clock.now()).total_seconds()))
        try:
            await asyncio.get_running_loop().run_in_executor(threads, job.run)
        except Exception:  # the loop must outlive any failure; the next turn may succeed
            log.exception("The job %r failed; it runs again when it is due.", job.name)
