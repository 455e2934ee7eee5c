"""The thread that sends: gathers for a moment, sends batches, and keeps what was not acknowledged for another try."""

import json
import logging
from threading import Condition, Event, Lock, Thread
from time import monotonic

from meterboard.client.backoff import Backoff
from meterboard.client.spool.journal import Journal
from meterboard.client.spool.segment import Batch
from meterboard.client.transport import PROBLEM, NoResponse, Response, Transport

log = logging.getLogger("meterboard.client")

PATH = "/v1/events"
MOST_BYTES = 250_000
"""Of events in one request: about a thousand of them."""
SYNC_SECONDS = 1.0
ADOPT_SECONDS = 10.0
"""How often to look for what other processes left in the spool."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that pass by themselves. Every other refusal is somebody's to mend: the key, the address, a proxy."""


class Sender:
    """Takes batches out of the journal. `awake`: it need not be told that something was recorded."""

    def __init__(self, journal: Journal, transport: Transport, *, gather: float) -> None:
        """`gather` is in seconds: how long to wait after a first event for more of them."""
        self._journal = journal
        self._transport = transport
        self._gather = gather
        self._backoff = Backoff()
        self._wake = Event()
        self._hurry = Event()
        self._settled = Condition()
        self._end = Event()
        self._held_until = 0.0
        self._starting = Lock()
        self._most = MOST_BYTES
        self._adopt_at = 0.0
        self._thread: Thread | None = None
        self.awake = True
        self.sent = 0
        self.duplicates = 0
        self.rejected = 0
        self.last_error: str | None = None
        self._failing = False

    def start(self) -> None:
        """Raises: RuntimeError: no thread can be started any more."""
        self._thread = Thread(target=self._run, name="meterboard", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something was recorded while it slept, or before it was started in this process."""
        if self._thread is None and self._starting.acquire(blocking=False):
            try:
                self.start()
            except (
                RuntimeError
            ) as error:  # the process is ending: what is in the spool is sent by another one
                self.last_error = f"No thread can be started to send usage events: {error}."
                self._starting.release()
                return
        self.awake = True
        self._wake.set()

    def wait(self, seconds: float) -> bool:
        """Wait until everything that is written now is settled; False when it took too long."""
        written = self._journal.written()
        self._hurry.set()
        self._wake.set()
        with self._settled:
            return self._settled.wait_for(
                lambda: all(segment.done >= events for segment, events in written), seconds
            )

    def end(self, seconds: float) -> None:
        """Send what can be sent in this time, stopping at the first failure; then stop the thread."""
        self._end.set()
        self._hurry.set()
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(seconds)

    def release(self) -> None:
        """Close this process's end of the connection in a forked child, where it is the parent's."""
        self._transport.close()

    def _run(self) -> None:
        going = True
        while going:
            try:
                going = self._pass()
            except Exception:  # whatever it was, the next events must still be sent
                log.exception("Sending usage events failed")
                self._pause(self._backoff.slow())
                going = not self._end.is_set()
        self._transport.close()

    def _pass(self) -> bool:
        """One round: sleep until there is something, send it all. False at the end."""
        self.awake = False
        self._tidy()
        if self._journal.empty:
            if self._end.is_set():
                return False
            self._wake.wait(ADOPT_SECONDS)
        self._wake.clear()
        self.awake = True
        if not self._end.is_set():
            self._hurry.wait(self._gather)
        self._hurry.clear()
        while (batch := self._journal.next(self._most)) is not None:
            full = len(batch.data) > self._most // 2
            wait = self._send(batch)
            if wait is not None:
                if self._end.is_set():
                    return False
                self._pause(wait)
            elif not full and not self._end.is_set():
                break  # what came meanwhile is gathered first: many small requests would cost more than they bring
            self._tidy()
        return True

    def _tidy(self) -> None:
        self._journal.prepare()
        self._journal.tell_drops()
        if monotonic() >= self._adopt_at:
            self._journal.adopt()
            self._adopt_at = monotonic() + ADOPT_SECONDS

    def _pause(self, seconds: float) -> None:
        """Wait before another try; meanwhile bring to the disk what has to wait. A flush cuts it short."""
        until = monotonic() + seconds
        while not self._end.is_set() and (now := monotonic()) < until:
            asked_to_wait = now < self._held_until  # by Retry-After, which not even a flush cuts short
            if self._hurry.is_set() and not asked_to_wait:
                break
            self._journal.sync()
            self._tidy()
            (self._end if asked_to_wait else self._hurry).wait(min(SYNC_SECONDS, until - now))
        self._hurry.clear()

    def _send(self, batch: Batch) -> float | None:
        """Send a batch. Answers the seconds to wait before another try, None when there is nothing to wait for."""
        if not batch.events:
            self._settle(batch)
            return None
        try:
            answer = self._transport.post(PATH, batch.body)
        except NoResponse as error:
            self._failed(f"Meterboard does not answer: {error}")
            return self._backoff.next()
        if answer.status == 202 and self._received(batch, answer):
            self._backoff.reset()
            self._most = min(MOST_BYTES, self._most * 2)
            self._worked()
            return None
        if answer.status == 413 or (answer.status == 400 and answer.content_type == PROBLEM):
            return self._divide(batch, answer)
        self._failed(f"Meterboard refused: {_detail(answer)}")
        self._held_until = monotonic() + answer.retry_after
        if answer.status in PASSING:
            return self._backoff.next(answer.retry_after)
        return max(answer.retry_after, self._backoff.slow())

    def _received(self, batch: Batch, answer: Response) -> bool:
        """Count what became of a batch; False when this is no answer of Meterboard's."""
        try:
            receipt = json.loads(answer.body)
            accepted, duplicates = int(receipt["accepted"]), int(receipt["duplicates"])
            refused = {int(each["index"]): each for each in receipt["rejected"]}
        except (ValueError, KeyError, TypeError):
            return False
        if accepted + duplicates + len(refused) != batch.events:
            return False
        ahead = [index for index, each in refused.items() if each.get("code") == "in_future"]
        # Nothing was called later than now: the clock here was ahead, and Meterboard's own is taken instead.
        if ahead:
            lines = batch.lines
            self._journal.rewrite([_without_time(lines[index]) for index in ahead])
        rejected = [each for index, each in refused.items() if index not in ahead]
        if rejected:
            log.error(
                "Meterboard rejected %d of %d usage events, which will not be counted; the first: %s",
                len(rejected),
                batch.events,
                rejected[0].get("message"),
            )
            self.last_error = f"Rejected: {rejected[0].get('message')}"
        self.sent += accepted
        self.duplicates += duplicates
        self.rejected += len(rejected)
        self._settle(batch)
        return True

    def _divide(self, batch: Batch, answer: Response) -> float | None:
        """Send less at once; a single event that is refused for good is dropped."""
        if batch.events > 1:
            self._most = len(batch.data) // 2
            return None
        self._failed(f"Meterboard refused an event for good: {_detail(answer)}")
        self._journal.drop(1, _detail(answer).rstrip("."))
        self._settle(batch)
        return None

    def _settle(self, batch: Batch) -> None:
        self._journal.settle(batch)
        with self._settled:
            self._settled.notify_all()

    def _failed(self, why: str) -> None:
        self.last_error = why
        if not self._failing:
            log.warning("%s Usage events are kept and sent later.", why if why.endswith(".") else f"{why}.")
        self._failing = True

    def _worked(self) -> None:
        if self._failing:
            log.info("Meterboard takes usage events again.")
        self._failing = False


def _without_time(line: bytes) -> bytes:
    event = json.loads(line)
    event.pop("time", None)
    # Not escaped, so that it gets no longer; a spool of an earlier version may hold unpaired surrogates.
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _detail(answer: Response) -> str:
    """The sentence of a problem, else the status."""
    try:
        return f"{answer.status}, {json.loads(answer.body)['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status} without Meterboard's explanation"
