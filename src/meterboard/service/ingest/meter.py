"""
The meter: one thread that writes, with its queue.

Requests queue priced events and wait. The thread stores all queued events in one transaction (group commit), so that all
of their requests share the cost of a write to disk. Refreshes and deletions run in the same thread between two commits,
so that a watermark means the same to every reader, and no lock is needed.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Condition, Thread
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from meterboard.clock import Clock
from meterboard.domain.period import INSTANT
from meterboard.errors import MeterboardError, OutcomeUnknown, Overloaded, StoreFailed
from meterboard.usage.batch import Batch, EncodedBatch, EventBatch
from meterboard.usage.store import UsageStore

log = logging.getLogger("meterboard.meter")

MAX_COMMIT_EVENTS = 20_000
"""Events. A commit of this size takes tens of milliseconds; larger ones would delay the next without being faster."""

BUSY_REQUESTS = 3
LINGER_SECONDS = 0.005
POLL_SECONDS = 0.0005
"""After a commit for BUSY_REQUESTS requests or more, the next waits at most LINGER_SECONDS for as many requests: their
senders are about to send again, and one commit for all is cheaper than several. It checks every POLL_SECONDS. Latency
doesn't grow, since reading and writing the responses takes about as long."""

CLOCK_TOLERANCE = timedelta(seconds=1)
"""How far times of receipt may be ahead of the clock before it counts as set back: they differ by microseconds."""

NOT_ANSWERED = "The result of the write is unknown. Send the events again with the same ids."

T = TypeVar("T")
IsNew = list[bool]
"""Whether each event of a batch was new. The others are duplicates."""


class _Waiting(NamedTuple):
    batch: EventBatch
    future: "Future[IsNew] | asyncio.Future[IsNew]"


class Meter:
    """Owns the writing side of a usage store. Safe to call from any thread."""

    def __init__(
        self,
        store: UsageStore,
        clock: Clock,
        *,
        max_waiting: int,
        committed: Callable[[int, float], None] = lambda events, seconds: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        `max_waiting` events may wait for the next commit; more are refused.

        `committed` is called with the number of events and the seconds of each commit, `failed` for each that failed.
        """
        self._store = store
        self._clock = clock
        self._max_waiting = max_waiting
        self._committed = committed
        self._failed = failed
        self._waiting: deque[_Waiting] = deque()
        self._waiting_events = 0
        self._jobs: deque[tuple[Callable[[UsageStore], Any], Future[Any]]] = deque()
        self._changed = Condition()
        self._closing = False
        self._latest = store.last_timestamp()
        self._clock_was_set_back = False
        self._versions: defaultdict[int, int] = defaultdict(int)
        self._thread = Thread(target=self._work, name="meter", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> "Future[IsNew]":
        """
        Queues events for the next commit. The future has its result when they are durable.

        An encoded batch is as large as a commit should be, and is committed alone.
        Raises: Overloaded: too many events wait already. StoreFailed (from the future): none of the batch was stored.
        OutcomeUnknown (from the future): it may have been stored.
        """
        if isinstance(batch, EncodedBatch):
            return self.run(lambda _, moment: self._append_alone(batch, moment))
        future: Future[IsNew] = Future()
        self._queue(_Waiting(batch, future))
        return future

    async def commit(self, batch: EventBatch) -> IsNew:
        """Does the same as `submit` in a coroutine, and returns the result when the events are durable."""
        future: asyncio.Future[IsNew] = asyncio.get_running_loop().create_future()
        self._queue(_Waiting(batch, future))
        return await future

    def _queue(self, waiting: _Waiting) -> None:
        count = len(waiting.batch)
        if not count:
            waiting.future.set_result([])
            return
        with self._changed:
            self._refuse_if_closing()
            if self._waiting_events + count > self._max_waiting:
                raise Overloaded(
                    f"{self._waiting_events:,} events are waiting to be stored, the limit is "
                    f"{self._max_waiting:,}. Try again in a second."
                )
            self._waiting.append(waiting)
            self._waiting_events += count
            self._changed.notify()

    def run(self, job: Callable[[UsageStore, datetime], T]) -> "Future[T]":
        """
        Runs a job in the writing thread, between two commits.

        The job is called with the store and a watermark: a moment after every receipt before the job, and before every
        receipt after it.
        Raises: Overloaded: the meter is closing.
        """
        future: Future[T] = Future()
        with self._changed:
            self._refuse_if_closing()
            self._jobs.append((lambda store: job(store, self._moment()), future))
            self._changed.notify()
        return future

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Overloaded("Meterboard is shutting down. Try again in a moment.", retry_after=2)

    @property
    def waiting(self) -> int:
        """Returns how many events wait for the next commit."""
        return self._waiting_events

    def version(self, organization: int) -> int:
        """Returns a number that changes with every commit of events of the organisation."""
        return self._versions.get(organization, 0)

    def close(self) -> None:
        """Stores the events that wait, then ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    # -- the writing thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        requests = 0
        while True:
            if requests >= BUSY_REQUESTS:
                self._linger(requests)
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._jobs or self._closing)
                jobs, self._jobs = self._jobs, deque()
                group = self._next_group()
                if not (jobs or group):
                    return
            requests = len(group)
            for job, future in jobs:
                self._run_job(job, future)
            if group:
                self._store_group(group)

    def _run_job(self, job: Callable[[UsageStore], Any], future: "Future[Any]") -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = job(self._store)
        except BaseException as error:  # noqa: BLE001  # raised to the caller, which waits for the job
            future.set_exception(error)
        else:
            future.set_result(result)

    def _linger(self, requests: int) -> None:
        deadline = monotonic() + LINGER_SECONDS
        while len(self._waiting) < requests and monotonic() < deadline and not (self._jobs or self._closing):
            sleep(POLL_SECONDS)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        count = 0
        while self._waiting and (not group or count + len(self._waiting[0].batch) <= MAX_COMMIT_EVENTS):
            group.append(self._waiting.popleft())
            count += len(group[-1].batch)
        self._waiting_events -= count
        return group

    def _store_group(self, group: list[_Waiting]) -> None:
        """Stores a group and completes its futures. Never raises: the thread has to serve later events."""
        began = monotonic()
        outcome: IsNew | MeterboardError
        try:
            together = _joined(group)
            outcome = self._append(together, self._moment())
        except MeterboardError as error:
            outcome = error
        except BaseException as error:  # noqa: BLE001  # the callers wait for a result in any case
            outcome = StoreFailed(f"The write failed; none of these events was stored: {error}")
        try:
            if isinstance(outcome, MeterboardError):
                self._failed()
            else:
                self._committed(len(together), monotonic() - began)
        except Exception:
            log.exception("A commit could not be reported")
        try:
            _complete(group, outcome)
        except Exception:
            log.exception("The result of a commit could not be delivered")
            with suppress(Exception):  # callers without a result send again; later events need this thread
                _complete(group, OutcomeUnknown(NOT_ANSWERED))

    def _append_alone(self, batch: Batch, moment: datetime) -> IsNew:
        began = monotonic()
        try:
            new = self._append(batch, moment)
        except BaseException:
            self._failed()
            raise
        self._committed(len(batch), monotonic() - began)
        return new

    def _append(self, batch: Batch, moment: datetime) -> IsNew:
        new = self._store.append(batch, received_at=moment)
        for organization in batch.organizations:
            self._versions[organization] += 1
        return new

    def _moment(self) -> datetime:
        """Returns the present, but always a later moment than the last time, even if the clock was set back."""
        now = self._clock.now()
        was_set_back, self._clock_was_set_back = (
            self._clock_was_set_back,
            self._latest - now > CLOCK_TOLERANCE,
        )
        if self._clock_was_set_back and not was_set_back:
            log.warning(
                "The clock shows %s, but events were received or statistics refreshed at %s: it was set back. Nothing is "
                "lost; times of receipt continue from the later time until the clock has passed it.",
                now,
                self._latest,
            )
        self._latest = max(now, self._latest + INSTANT)
        return self._latest


def _joined(group: list[_Waiting]) -> EventBatch:
    if len(group) == 1:
        return group[0].batch
    together = EventBatch()
    for waiting in group:
        together.extend(waiting.batch)
    return together


def _complete(group: list[_Waiting], outcome: IsNew | MeterboardError) -> None:
    """Completes each future with its part of the outcome. Each event loop is woken once for all its futures."""
    awaited: defaultdict[
        asyncio.AbstractEventLoop, list[tuple[asyncio.Future[IsNew], IsNew | MeterboardError]]
    ]
    awaited = defaultdict(list)
    first = 0
    for batch, future in group:
        part = outcome if isinstance(outcome, MeterboardError) else outcome[first : first + len(batch)]
        first += len(batch)
        if isinstance(future, asyncio.Future):
            awaited[future.get_loop()].append((future, part))
        else:
            _set_result(future, part)
    for loop, parts in awaited.items():
        with suppress(RuntimeError):  # the loop was closed, and its coroutines with it
            loop.call_soon_threadsafe(_set_results, parts)


def _set_results(parts: list[tuple["asyncio.Future[IsNew]", IsNew | MeterboardError]]) -> None:
    for future, part in parts:
        _set_result(future, part)


def _set_result(future: "Future[IsNew] | asyncio.Future[IsNew]", part: IsNew | MeterboardError) -> None:
    with suppress(InvalidStateError, asyncio.InvalidStateError):  # the client may have disconnected
        if isinstance(part, MeterboardError):
            future.set_exception(part)
        else:
            future.set_result(part)
