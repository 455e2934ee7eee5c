"""`Meter`, which an API calls for each of its own calls: `meter.record(...)`."""

import atexit
import logging
import os
from asyncio import get_running_loop
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Never, Self, Unpack

from meterboard.client.event import InvalidEvent, Stamper, UsageEvent, encode_fields
from meterboard.client.sender import Sender
from meterboard.client.spool.folder import Spool, default_folder
from meterboard.client.spool.journal import Journal
from meterboard.client.timing import Timing
from meterboard.client.transport import Transport

log = logging.getLogger("meterboard.client")

MAX_LOGGED_INVALID = 10
MAX_BATCHED_CALLS = 64
"""Calls of a busy event loop that are recorded together."""
BATCH_SECONDS = 0.005
"""How long the first of them waits for the others."""


@dataclass(frozen=True)
class Stats:
    """
    Counts of this process's events.

    recorded + recovered = sent + duplicates + rejected + dropped + spooled + in_memory, while no request is in progress.
    """

    recorded: int
    """Events that `record` accepted."""
    recovered: int
    """Events of ended processes, found in the spool."""
    sent: int
    """Events that Meterboard accepted."""
    duplicates: int
    """Events that Meterboard had already: the first response was lost."""
    rejected: int
    """Events that Meterboard rejected because of their content."""
    dropped: int
    """Lost events: the spool was full, the meter was closed, or Meterboard refused the request permanently."""
    invalid: int
    """Calls of `record` whose arguments were not a valid event; not among `recorded`."""
    spooled: int
    """Events that wait on disk."""
    in_memory: int
    """Events that wait in memory, since the disk is full or can't be written to."""
    last_error: str | None
    """A sentence about the latest error."""


class Meter:
    """
    Records calls and sends them to Meterboard. Safe to use from any thread, and after a fork.

    `record` takes microseconds, never blocks and never raises. Recorded events are on disk, survive any end of the
    process, and are sent by a background thread, at once or when Meterboard is available again.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256_000_000,
        timeout: float = 10.0,
        _timing: Timing = Timing(),  # noqa: B008  # it never changes
    ) -> None:
        """
        Opens the spool and starts the sending thread.

        `url` is Meterboard's address, and `key` one that may send events. `spool` is a folder on a local disk that keeps
        events until Meterboard has them; processes that send to the same organisation may share one. The default is a
        folder of the user for this URL and key. `spool_bytes` limits its size: when it is full, new events are dropped.
        `timeout` is in seconds, for connecting and for a response.

        Raises: ValueError: an invalid argument.
        """
        self.url, self.key, self.timeout = url, key, timeout
        self._timing = _timing
        self._spool = Spool(Path(spool) if spool else default_folder(url, key), spool_bytes, _timing.time_ns)
        self._closed = False
        self._pending: deque[str] = deque()
        self._init_process()
        self._journal.prepare_spare()
        self._sender.start()
        _open_meters.add(self)
        atexit.register(self.close)

    def _init_process(self) -> None:
        self._stamper = Stamper(self._timing.time_ns)
        self._invalid = 0
        self._pending.clear()
        self._journal = Journal(self._spool)
        self._sender = Sender(self._journal, self._transport(), self._timing)

    def _transport(self) -> Transport:
        return Transport(self.url, self.key, self.timeout)

    def record(self, *positional: Never, **event: Unpack[UsageEvent]) -> None:
        """
        Records one call. The keyword arguments are the fields of a usage event.

        Invalid arguments are counted in `stats.invalid` and logged. Text that is too long is truncated.
        """
        try:
            if positional:
                raise InvalidEvent(f"record takes keyword arguments only, but got {positional[0]!r}.")
            no_id, no_time = event.get("id") is None, event.get("time") is None
            self._journal.write(self._stamper.stamp_partly(encode_fields(event), id=no_id, time=no_time))
            if not self._sender.awake:
                self._sender.wake()
        except InvalidEvent as error:
            self._count_invalid(error)
        except Exception:  # the caller's request matters more than its count
            self._invalid += 1
            log.exception("A usage event could not be recorded")

    def record_encoded(self, fields: str) -> None:
        """
        Records one call whose fields are encoded already, by `meterboard.client.event.encode_fields`.

        For middleware, which encodes only once what many calls share.
        """
        try:
            self._journal.write(self._stamper.stamp(fields))
            if not self._sender.awake:
                self._sender.wake()
        except Exception:  # as in `record`
            self._invalid += 1
            log.exception("A usage event could not be recorded")

    def record_batched(self, fields: str) -> None:
        """
        Records one call like `record_encoded`, together with others of the event loop: each costs half as much then.

        A single call is recorded at the end of the event loop's current iteration, several ones 5 ms later, together with
        those that follow. Without a loop, a call is recorded at once. `flush`, `stats` and `close` record what waits.
        """
        pending = self._pending
        pending.append(fields)
        if len(pending) % MAX_BATCHED_CALLS == 1:  # again at each multiple, in case a loop ended
            try:
                get_running_loop().call_soon(self._record_unless_busy)
            except RuntimeError:  # another kind of loop, or none
                self._record_pending()

    def _record_unless_busy(self) -> None:
        if 1 < len(self._pending) < MAX_BATCHED_CALLS:
            get_running_loop().call_later(BATCH_SECONDS, self._record_pending)
        else:
            self._record_pending()

    def _record_pending(self) -> None:
        pending, events = self._pending, []
        try:
            while pending:
                events.append(pending.popleft())
        except IndexError:  # another thread took the last one
            pass
        try:
            if events:
                self._journal.write_all(self._stamper.stamp_all(events), len(events))
                if not self._sender.awake:
                    self._sender.wake()
        except Exception:  # as in `record`
            self._invalid += len(events)
            log.exception("Usage events could not be recorded")

    def _count_invalid(self, error: InvalidEvent) -> None:
        self._invalid += 1
        if self._invalid <= MAX_LOGGED_INVALID:
            log.error("A usage event was not recorded: %s", error)

    @property
    def stats(self) -> Stats:
        """Returns the counts of this process's events."""
        self._record_pending()
        journal, sender = self._journal, self._sender
        return Stats(
            recorded=journal.recorded,
            recovered=journal.recovered,
            sent=sender.sent,
            duplicates=sender.duplicates,
            rejected=sender.rejected,
            dropped=journal.dropped,
            invalid=self._invalid,
            spooled=journal.waiting(durable=True),
            in_memory=journal.waiting(durable=False),
            last_error=sender.last_error or journal.last_error,
        )

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until Meterboard has every event recorded before. Returns False after `timeout` seconds."""
        self._record_pending()
        return self._sender.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """
        Sends what it can within `timeout` seconds, and stops. Called automatically at the end of the process.

        Events that Meterboard does not accept stay in the spool for the next process. Events recorded later are dropped.
        """
        if self._closed:
            return
        self._closed = True
        self._record_pending()
        _open_meters.discard(self)
        atexit.unregister(self.close)
        self._sender.stop(timeout)
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _restart_in_child(self) -> None:
        """Starts with no events in a forked child: the parent sends its own."""
        self._journal.release()
        self._sender.release()
        self._init_process()
        self._sender.awake = False  # the first event starts the thread, since most children record none


_open_meters: set[Meter] = set()


def _after_fork() -> None:
    for meter in list(_open_meters):
        meter._restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
