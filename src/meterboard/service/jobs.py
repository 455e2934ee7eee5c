"""What happens by itself: a list of jobs, and the loop that runs each when it is due."""

import asyncio
import logging
from collections.abc import Callable, Sequence
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
    await asyncio.gather(*(_keep_running(job, clock) for job in jobs))


async def _keep_running(job: Job, clock: Clock) -> None:
    while True:
        due = job.next_after(clock.now())
        await asyncio.sleep(max(0.05, (due - clock.now()).total_seconds()))
        try:
            await asyncio.to_thread(job.run)
        except Exception:  # the loop must outlive any failure; the next turn may succeed
            log.exception("The job %r failed; it runs again when it is due.", job.name)
