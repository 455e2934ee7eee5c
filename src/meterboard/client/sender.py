"""The sending thread: collects events into batches, sends them, and keeps what Meterboard has not acknowledged."""

import json
import logging
from threading import Condition, Event, Lock, Thread

from meterboard.client.backoff import Backoff
from meterboard.client.spool.journal import Journal
from meterboard.client.spool.segment import Batch
from meterboard.client.timing import Timing
from meterboard.client.transport import PROBLEM, NoResponse, Response, Transport

log = logging.getLogger("meterboard.client")

PATH = "/v1/events"
MAX_BATCH_BYTES = 250_000
"""Events in one request: about a thousand."""
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that a later retry may not get. Any other refusal lasts until a person fixes the key, the URL or a proxy."""


class Sender:
    """Sends the journal's events in a thread. `awake`: the thread finds new events without a call of `wake`."""

    def __init__(self, journal: Journal, transport: Transport, timing: Timing) -> None:
        self._journal = journal
        self._transport = transport
        self._timing = timing
        self._backoff = Backoff(timing)
        self._wake = Event()
        self._flush = Event()
        self._settled = Condition()
        self._stopping = Event()
        self._retry_after_until = 0.0
        self._starting = Lock()
        self._max_bytes = MAX_BATCH_BYTES
        self._recover_at = 0.0
        self._thread: Thread | None = None
        self.awake = True
        self.sent = 0
        self.duplicates = 0
        self.rejected = 0
        self.last_error: str | None = None
        self._is_failing = False

    def start(self) -> None:
        """Starts the thread. Raises: RuntimeError: no thread can be started any more."""
        self._thread = Thread(target=self._run, name="meterboard", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Wakes the thread after an event was recorded; starts it in a forked child."""
        if self._thread is None and self._starting.acquire(blocking=False):
            try:
                self.start()
            except RuntimeError as error:  # the process is ending; another one sends what is in the spool
                self.last_error = f"No thread can be started to send usage events: {error}."
                self._starting.release()
                return
        self.awake = True
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Waits until everything written before is settled. Returns False after `timeout` seconds."""
        written = self._journal.written()
        self._flush.set()
        self._wake.set()
        with self._settled:
            return self._settled.wait_for(
                lambda: all(segment.done >= events for segment, events in written), timeout
            )

    def stop(self, timeout: float) -> None:
        """Sends what it can within `timeout` seconds, until a first failure, and stops the thread."""
        self._stopping.set()
        self._flush.set()
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def release(self) -> None:
        """Closes this process's copy of the connection, in a forked child. It stays open in the parent."""
        self._transport.close()

    def _run(self) -> None:
        is_running = True
        while is_running:
            try:
                is_running = self._send_waiting()
            except Exception:  # later events must still be sent
                log.exception("Sending usage events failed")
                self._pause(self._backoff.refused_delay())
                is_running = not self._stopping.is_set()
        self._transport.close()

    def _send_waiting(self) -> bool:
        """Waits for events and sends them all. Returns False when the thread is to end."""
        self.awake = False
        self._maintain()
        if self._journal.empty:
            if self._stopping.is_set():
                return False
            self._wake.wait(self._timing.recovery_seconds)
        self._wake.clear()
        self.awake = True
        if not self._stopping.is_set():
            self._flush.wait(self._timing.linger_seconds)
        self._flush.clear()
        while (batch := self._journal.next(self._max_bytes)) is not None:
            is_full = len(batch.data) > self._max_bytes // 2
            delay = self._send(batch)
            if delay is not None:
                if self._stopping.is_set():
                    return False
                self._pause(delay)
            elif not is_full and not self._stopping.is_set():
                break  # collects newer events first: many small requests would cost more
            self._maintain()
        return True

    def _maintain(self) -> None:
        self._journal.prepare_spare()
        self._journal.log_drops()
        if self._timing.monotonic() >= self._recover_at:
            self._journal.recover()
            self._recover_at = self._timing.monotonic() + self._timing.recovery_seconds

    def _pause(self, seconds: float) -> None:
        """Waits before a retry, and flushes waiting events to the disk meanwhile. A call of `flush` ends it."""
        until = self._timing.monotonic() + seconds
        while not self._stopping.is_set() and (now := self._timing.monotonic()) < until:
            is_asked_to_wait = now < self._retry_after_until  # which a flush does not end
            if self._flush.is_set() and not is_asked_to_wait:
                break
            self._journal.sync()
            self._maintain()
            end = self._stopping if is_asked_to_wait else self._flush
            end.wait(min(self._timing.sync_seconds, until - now))
        self._flush.clear()

    def _send(self, batch: Batch) -> float | None:
        """Sends a batch. Returns the seconds to wait before a retry, or None when there is nothing to retry."""
        if not batch.events:
            self._settle(batch)
            return None
        try:
            response = self._transport.post(PATH, batch.body)
        except NoResponse as error:
            self._note_failure(f"Meterboard does not respond: {error}")
            return self._backoff.next_delay()
        if response.status == 202 and self._apply_receipt(batch, response):
            self._backoff.reset()
            self._max_bytes = min(MAX_BATCH_BYTES, self._max_bytes * 2)
            self._note_success()
            return None
        if response.status == 413 or (response.status == 400 and response.content_type == PROBLEM):
            return self._split(batch, response)
        self._note_failure(f"Meterboard refused: {_detail(response)}")
        self._retry_after_until = self._timing.monotonic() + response.retry_after
        if response.status in TEMPORARY:
            return self._backoff.next_delay(response.retry_after)
        return max(response.retry_after, self._backoff.refused_delay())

    def _apply_receipt(self, batch: Batch, response: Response) -> bool:
        """Counts a batch by Meterboard's receipt. Returns False for a response that is not one."""
        try:
            receipt = json.loads(response.body)
            accepted, duplicates = int(receipt["accepted"]), int(receipt["duplicates"])
            refused = {int(each["index"]): each for each in receipt["rejected"]}
        except (ValueError, KeyError, TypeError):
            return False
        if accepted + duplicates + len(refused) != batch.events:
            return False
        in_future = [index for index, each in refused.items() if each.get("code") == "in_future"]
        # No call is later than now: this clock is ahead, so Meterboard's own is used instead.
        if in_future:
            lines = batch.lines
            self._journal.rewrite([_without_time(lines[index]) for index in in_future])
        rejected = [each for index, each in refused.items() if index not in in_future]
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

    def _split(self, batch: Batch, response: Response) -> float | None:
        """Halves the next batch after a permanent refusal; drops an event that is refused alone."""
        if batch.events > 1:
            self._max_bytes = len(batch.data) // 2
            return None
        self._note_failure(f"Meterboard refused an event permanently: {_detail(response)}")
        self._journal.drop(1, _detail(response).rstrip("."))
        self._settle(batch)
        return None

    def _settle(self, batch: Batch) -> None:
        self._journal.settle(batch)
        with self._settled:
            self._settled.notify_all()

    def _note_failure(self, reason: str) -> None:
        self.last_error = reason
        if not self._is_failing:
            log.warning("%s Usage events are kept and sent later.", f"{reason.rstrip('.')}.")
        self._is_failing = True

    def _note_success(self) -> None:
        if self._is_failing:
            log.info("Meterboard accepts usage events again.")
        self._is_failing = False


def _without_time(line: bytes) -> bytes:
    event = json.loads(line)
    event.pop("time", None)
    # Not escaped, so that it gets no longer; a spool of an earlier version may have unpaired surrogates.
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _detail(response: Response) -> str:
    """Returns the status, and the detail if the response is a problem of Meterboard's."""
    try:
        return f"{response.status}, {json.loads(response.body)['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"status {response.status} without Meterboard's explanation"
