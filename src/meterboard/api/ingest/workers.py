"""The threads in which bodies are read and priced that would keep the event loop too long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

WORKERS = 2
"""Threads, of their own so that reads can't fill them. One is left for brief bodies while a large one is read."""

T = TypeVar("T")


class Workers:
    """Runs the jobs of one request at a time for each owner, and one large job at a time for all, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="bodies")
        self._large = asyncio.Semaphore(1)
        self._turns: dict[int | None, asyncio.Lock] = {}
        self._waiting: dict[int | None, int] = {}

    async def run(self, job: Callable[[], T], *, large: bool) -> T:
        """Run a job in a thread. A job that has begun is waited for, also when the caller is cancelled."""
        if not large:
            return await self._done(job)
        async with self._large:
            return await self._done(job)

    async def _done(self, job: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._pool, job)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    @asynccontextmanager
    async def turn(self, owner: int | None) -> AsyncIterator[None]:
        """Waits until no other request of the owner is having its jobs run."""
        lock = self._turns.setdefault(owner, asyncio.Lock())
        self._waiting[owner] = self._waiting.get(owner, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner], self._turns[owner]
