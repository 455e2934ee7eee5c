"""
Reads of the usage store: they run in separate threads, of which each organisation has a share.

A read takes from milliseconds to minutes. Without shares, the reads of one organisation could delay those of all others.
In asyncio's default executor they could also delay the look-up of keys and the jobs.
"""

import asyncio
import inspect
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from threading import Lock, get_ident
from time import sleep
from typing import Any, Generic, ParamSpec, TypeVar

from meterboard.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

MAX_RUNNING = 3
"""Reads that run at the same time. Each may use every processor, so more would finish no sooner and slow commits down."""
MAX_RUNNING_PER_ORGANIZATION = 2
"""Running reads of one organisation: fewer than MAX_RUNNING, so that those of another can always start."""
MAX_WAITING_PER_ORGANIZATION = 32
"""Waiting reads of one organisation. A page is one read, so this many tabs can be opened at the same moment."""
RETRY_SECONDS = 2
INTERRUPT_SECONDS = 0.05
"""How often a read whose caller has left is interrupted until it ends: it may be between two statements."""


class _Read(Generic[T]):
    """A read that runs in a thread and can be interrupted."""

    def __init__(self, work: Callable[[], T], interrupt: Callable[[int], None]) -> None:
        self._work = work
        self._interrupt = interrupt
        self._lock = Lock()
        self._thread: int | None = None
        self._is_cancelled = False

    def run(self) -> T:
        with self._lock:
            if self._is_cancelled:
                raise asyncio.CancelledError
            self._thread = get_ident()
        try:
            return self._work()
        finally:
            with self._lock:  # the thread is free for another read
                self._thread = None

    def stop(self) -> bool:
        """Interrupts the read, or keeps it from starting. Returns whether it is still running."""
        with self._lock:
            self._is_cancelled = True
            if self._thread is not None:
                self._interrupt(self._thread)
            return self._thread is not None


class Reads:
    """Shares the threads for reads among organisations, which take turns. Belongs to one event loop."""

    def __init__(self, interrupt: Callable[[int], None]) -> None:
        """`interrupt` ends the statement that the read in a thread is executing."""
        self._interrupt = interrupt
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="read")
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}
        self._running: Counter[int] = Counter()
        self._all: set[_Read[Any]] = set()

    async def run(self, organization: int, work: Callable[[], T]) -> T:
        """
        Runs `work` in a thread when it is the organisation's turn, and returns its result.

        Cancelling removes it from the queue or interrupts it.
        Raises: Overloaded: too many reads of the organisation are waiting.
        """
        await self._wait_for_turn(organization)
        read = _Read(work, self._interrupt)
        self._all.add(read)
        try:
            return await self._result(read)
        finally:
            self._all.discard(read)
            self._leave(organization)

    async def _wait_for_turn(self, organization: int) -> None:
        queue = self._waiting.setdefault(organization, deque())
        if len(queue) >= MAX_WAITING_PER_ORGANIZATION:
            raise Overloaded(
                f"{MAX_WAITING_PER_ORGANIZATION} requests of this organisation are waiting. "
                f"Try again in {RETRY_SECONDS} seconds.",
                retry_after=RETRY_SECONDS,
            )
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._start_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._remove(organization, turn)
            else:  # its turn had just come
                self._leave(organization)
            raise

    def _start_next(self) -> None:
        """Gives free threads to waiting reads, one organisation after the other."""
        for organization in [*self._waiting]:
            if self._running.total() >= MAX_RUNNING:
                return
            if self._running[organization] < MAX_RUNNING_PER_ORGANIZATION:
                queue = self._waiting.pop(organization)  # and added again after the others
                turn = queue.popleft()
                if queue:
                    self._waiting[organization] = queue
                self._running[organization] += 1
                turn.set_result(None)

    def _remove(self, organization: int, turn: asyncio.Future[None]) -> None:
        queue = self._waiting[organization]
        queue.remove(turn)
        if not queue:
            del self._waiting[organization]

    def _leave(self, organization: int) -> None:
        self._running -= Counter([organization])
        self._start_next()

    async def _result(self, read: _Read[T]) -> T:
        done = asyncio.get_running_loop().run_in_executor(self._threads, read.run)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            while not done.done():
                read.stop()
                await asyncio.wait([done], timeout=INTERRUPT_SECONDS)
            with suppress(BaseException):  # the outcome of a cancelled read is not needed
                done.result()
            raise

    @property
    def running(self) -> int:
        """Returns the number of running reads of all organisations."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Returns the number of waiting reads of all organisations."""
        return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Interrupts running reads, and ends the threads."""
        while any(read.stop() for read in [*self._all]):
            sleep(INTERRUPT_SECONDS)
        self._threads.shutdown(cancel_futures=True)


def shared(handler: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """
    Makes a request handler run in the threads for reads, within the share of its `organization` or `viewer`.

    The handler gets an additional parameter, `reads`.
    """

    @wraps(handler)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        given: dict[str, Any] = dict(kwargs)
        reads: Reads = given.pop("reads")
        organization = given["organization"] if "organization" in given else given["viewer"].organization
        return await reads.run(organization.id, lambda: handler(*args, **given))

    signature = inspect.signature(handler)
    added = inspect.Parameter("reads", inspect.Parameter.KEYWORD_ONLY, annotation=Reads)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined]
    run.__annotations__ = {**handler.__annotations__, "reads": Reads}
    return run
