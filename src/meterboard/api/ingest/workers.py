"""The threads in which bodies are read and priced that would block the event loop for too long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

WORKERS = 2
"""Threads that only read and price bodies. One is free for short bodies while another reads a large one."""

T = TypeVar("T")


class Workers:
    """Runs the jobs of one request at a time for each owner, and one large job at a time for all, in order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="bodies")
        self._large = asyncio.Semaphore(1)
        self._turns: dict[int | None, asyncio.Lock] = {}
        self._waiting: dict[int | None, int] = {}

    async def run(self, job: Callable[[], T], *, large: bool) -> T:
        """Runs a job in a thread. Waits for a job that has started even if the caller is cancelled."""
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
        """Waits until no other request of the owner runs jobs."""
        lock = self._turns.setdefault(owner, asyncio.Lock())
        self._waiting[owner] = self._waiting.get(owner, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner], self._turns[owner]
