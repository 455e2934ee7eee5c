"""
The meter: one thread that writes, and everything that waits for it.

Requests hand in priced events and wait; the thread takes all that is waiting and stores it in one durable step (group
commit), so the cost of reaching the disk is shared by everyone who waited for it. Refreshes and clean-ups run in the
same thread between two commits: a watermark therefore means the same to every panel, and no lock is needed.
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

MOST_IN_ONE_COMMIT = 20_000
"""Events. A commit of so many takes tens of milliseconds; more would make the next in line wait for no gain."""

CROWD = 3
LINGER_SECONDS = 0.005
LOOK_SECONDS = 0.0005
"""After a commit that CROWD requests or more had waited for, the next waits for as many again, at most this long: those
who were answered are about to send their next, and together they cost one write instead of several. Latency is no
worse for it, since the answers of a crowd take that long to be read and written anyway."""

CLOCK_TOLERANCE = timedelta(seconds=1)
"""By how much receipts may be ahead of the clock before it counts as set back: they are kept apart by microseconds."""

NOT_ANSWERED = "Meterboard could not answer. Send the events again with the same ids."

T = TypeVar("T")
Answer = list[bool]


class _Waiting(NamedTuple):
    batch: EventBatch
    answer: "Future[Answer] | asyncio.Future[Answer]"


class Meter:
    """Owns the writing side of a usage store. Safe to call from any thread."""

    def __init__(
        self,
        store: UsageStore,
        clock: Clock,
        *,
        most_waiting: int,
        committed: Callable[[int, float], None] = lambda events, seconds: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        `most_waiting` events may wait for the next commit; more are turned away.

        `committed` hears of each commit's events and how many seconds it took, `failed` of each that failed.
        """
        self._store = store
        self._clock = clock
        self._most_waiting = most_waiting
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

    def submit(self, batch: Batch) -> "Future[Answer]":
        """
        Queue events for the next commit. The answer comes when they are durable: which of them were new.

        An encoded batch is as large as a commit should be, and has one of its own.
        Raises: Overloaded: too many events wait already. StoreFailed (from the future): nothing of the batch counts.
        OutcomeUnknown (from the future): it may count.
        """
        if isinstance(batch, EncodedBatch):
            return self.run(lambda _, moment: self._append_alone(batch, moment))
        answer: Future[Answer] = Future()
        self._queue(_Waiting(batch, answer))
        return answer

    async def commit(self, batch: EventBatch) -> Answer:
        """`submit` for a coroutine, which waits for the answer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue(_Waiting(batch, answer))
        return await answer

    def _queue(self, waiting: _Waiting) -> None:
        count = len(waiting.batch)
        if not count:
            waiting.answer.set_result([])
            return
        with self._changed:
            self._refuse_if_closing()
            if self._waiting_events + count > self._most_waiting:
                raise Overloaded(
                    f"{self._waiting_events:,} events are waiting to be stored, the limit is "
                    f"{self._most_waiting:,}. Try again in a second."
                )
            self._waiting.append(waiting)
            self._waiting_events += count
            self._changed.notify()

    def run(self, job: Callable[[UsageStore, datetime], T]) -> "Future[T]":
        """
        Run a job in the writing thread, between two commits.

        The job is given the store and a moment that is later than every receipt before it and earlier than every one
        after it: a watermark.
        Raises: Overloaded: the meter is closing.
        """
        answer: Future[T] = Future()
        with self._changed:
            self._refuse_if_closing()
            self._jobs.append((lambda store: job(store, self._moment()), answer))
            self._changed.notify()
        return answer

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Overloaded("Meterboard is shutting down. Try again in a moment.", retry_after=2)

    @property
    def waiting(self) -> int:
        """Events that wait for the next commit."""
        return self._waiting_events

    def version(self, organization: int) -> int:
        """A number that changes with every commit that holds events of the organisation."""
        return self._versions.get(organization, 0)

    def close(self) -> None:
        """Store what is waiting, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    # -- the writing thread ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        crowd = 0
        while True:
            if crowd >= CROWD:
                self._linger(crowd)
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._jobs or self._closing)
                jobs, self._jobs = self._jobs, deque()
                group = self._next_group()
                if not (jobs or group):
                    return
            crowd = len(group)
            for job, answer in jobs:
                self._run_job(job, answer)
            if group:
                self._store_group(group)

    def _run_job(self, job: Callable[[UsageStore], Any], answer: "Future[Any]") -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            outcome = job(self._store)
        except BaseException as error:  # noqa: BLE001  # handed to the caller, who waits for the job
            answer.set_exception(error)
        else:
            answer.set_result(outcome)

    def _linger(self, crowd: int) -> None:
        give_up = monotonic() + LINGER_SECONDS
        while len(self._waiting) < crowd and monotonic() < give_up and not (self._jobs or self._closing):
            sleep(LOOK_SECONDS)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        count = 0
        while self._waiting and (not group or count + len(self._waiting[0].batch) <= MOST_IN_ONE_COMMIT):
            group.append(self._waiting.popleft())
            count += len(group[-1].batch)
        self._waiting_events -= count
        return group

    def _store_group(self, group: list[_Waiting]) -> None:
        """Store what waits together. Answers all of it and never raises: nothing else would answer later events."""
        began = monotonic()
        outcome: Answer | MeterboardError
        try:
            together = _joined(group)
            outcome = self._append(together, self._moment())
        except MeterboardError as error:
            outcome = error
        except BaseException as error:  # noqa: BLE001  # the callers wait for an answer, whatever has happened
            outcome = StoreFailed(f"The events could not be stored, so none of them counts: {error}")
        try:
            if isinstance(outcome, MeterboardError):
                self._failed()
            else:
                self._committed(len(together), monotonic() - began)
        except Exception:
            log.exception("A commit could not be reported")
        try:
            _settle(group, outcome)
        except Exception:
            log.exception("A commit could not be answered")
            with suppress(
                Exception
            ):  # those whose answer is lost send again; all later events need this thread
                _settle(group, OutcomeUnknown(NOT_ANSWERED))

    def _append_alone(self, batch: Batch, moment: datetime) -> Answer:
        began = monotonic()
        try:
            new = self._append(batch, moment)
        except BaseException:
            self._failed()
            raise
        self._committed(len(batch), monotonic() - began)
        return new

    def _append(self, batch: Batch, moment: datetime) -> Answer:
        new = self._store.append(batch, received_at=moment)
        for organization in batch.organizations:
            self._versions[organization] += 1
        return new

    def _moment(self) -> datetime:
        """Now, but always later than the moment before, whatever the machine's clock does."""
        now = self._clock.now()
        was_set_back, self._clock_was_set_back = (
            self._clock_was_set_back,
            self._latest - now > CLOCK_TOLERANCE,
        )
        if self._clock_was_set_back and not was_set_back:
            log.warning(
                "The clock shows %s, but something was received or refreshed at %s already: it was set back. Nothing is "
                "lost; receipts go on from the later time until the clock has passed it.",
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


def _settle(group: list[_Waiting], outcome: Answer | MeterboardError) -> None:
    """Give each its part of the outcome; an event loop is woken once for all that wait in it."""
    awaited: defaultdict[
        asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | MeterboardError]]
    ]
    awaited = defaultdict(list)
    first = 0
    for batch, answer in group:
        part = outcome if isinstance(outcome, MeterboardError) else outcome[first : first + len(batch)]
        first += len(batch)
        if isinstance(answer, asyncio.Future):
            awaited[answer.get_loop()].append((answer, part))
        else:
            _answer(answer, part)
    for loop, parts in awaited.items():
        with suppress(RuntimeError):  # the loop was closed, and with it all that waited in it
            loop.call_soon_threadsafe(_answer_all, parts)


def _answer_all(parts: list[tuple["asyncio.Future[Answer]", Answer | MeterboardError]]) -> None:
    for answer, part in parts:
        _answer(answer, part)


def _answer(answer: "Future[Answer] | asyncio.Future[Answer]", part: Answer | MeterboardError) -> None:
    with suppress(
        InvalidStateError, asyncio.InvalidStateError
    ):  # the client may have gone away in the meantime
        if isinstance(part, MeterboardError):
            answer.set_exception(part)
        else:
            answer.set_result(part)
