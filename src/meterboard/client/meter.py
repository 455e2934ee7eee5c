"""What an API calls for each of its own calls: `meter.record(...)`."""

import atexit
import logging
import os
from asyncio import get_running_loop
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Never, Self, Unpack

from meterboard.client.event import Mistake, Stamp, UsageEvent, encoded
from meterboard.client.sender import Sender
from meterboard.client.spool.folder import Spool, default_folder
from meterboard.client.spool.journal import Journal
from meterboard.client.transport import Transport

log = logging.getLogger("meterboard.client")

GATHER_SECONDS = 0.2
MOST_LOGGED_MISTAKES = 10
MOST_TOGETHER = 64
"""Calls of a busy event loop that are recorded together."""
BUSY_SECONDS = 0.005
"""How long the first of them waits for the others."""


@dataclass(frozen=True)
class Stats:
    """
    What became of the events of this process, as of now.

    recorded + adopted = sent + duplicates + rejected + dropped + spooled + in_memory, whenever nothing is on its way.
    """

    recorded: int
    """Events that `record` took."""
    adopted: int
    """Events that an earlier process left in the spool."""
    sent: int
    """Accepted by Meterboard."""
    duplicates: int
    """Sent again, and recognised: their first answer was lost."""
    rejected: int
    """Refused by Meterboard one by one, for what is in them."""
    dropped: int
    """Lost: the spool had no room, the meter was closed, or Meterboard refused the whole request for good."""
    mistakes: int
    """Calls of `record` whose arguments can't be an event; not among `recorded`."""
    spooled: int
    """Waiting on disk."""
    in_memory: int
    """Waiting in memory, since the disk takes no more."""
    last_error: str | None
    """What went wrong last, in a sentence."""


class Meter:
    """
    Counts calls in Meterboard. Safe to use from any thread, and after a fork.

    `record` takes microseconds, waits for nothing and raises nothing. What it took is on disk, survives the end of the
    process by any means, and is sent by a thread in the background: at once, or when Meterboard is back.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256_000_000,
        timeout: float = 10.0,
    ) -> None:
        """
        `url` is Meterboard's address, `key` one that may send events.

        `spool` is a folder on a local disk that keeps events until Meterboard has them; processes may share it when
        they send to the same organisation. Without it, a folder in the user's own state folder. `spool_bytes` bounds the
        folder; past it the newest events are dropped. `timeout` is in seconds, for connecting and for an answer.

        Raises: ValueError: an argument that can't be right.
        """
        self.url, self.key, self.timeout = url, key, timeout
        self._spool = Spool(Path(spool) if spool else default_folder(url, key), spool_bytes)
        self._closed = False
        self._answered: deque[str] = deque()
        self._begin()
        self._journal.prepare()
        self._sender.start()
        _open.add(self)
        atexit.register(self.close)

    def _begin(self) -> None:
        self._stamp = Stamp()
        self._mistakes = 0
        self._answered.clear()
        self._journal = Journal(self._spool)
        self._sender = Sender(self._journal, self._transport(), gather=GATHER_SECONDS)

    def _transport(self) -> Transport:
        return Transport(self.url, self.key, self.timeout)

    def record(self, *positional: Never, **event: Unpack[UsageEvent]) -> None:
        """
        Count one call; the fields are those of a usage event, each by its name.

        A mistake in them is counted in `stats.mistakes` and logged. Text that is too long is cut.
        """
        try:
            if positional:
                raise Mistake(f"record takes no positional arguments, but got {positional[0]!r}.")
            own = event.get("id") is None, event.get("time") is None
            self._journal.write(self._stamp.line(encoded(event), id=own[0], time=own[1]))
            if not self._sender.awake:
                self._sender.wake()
        except Mistake as mistake:
            self._tell(mistake)
        except Exception:  # the caller's request matters more than its count
            self._mistakes += 1
            log.exception("A usage event could not be recorded")

    def record_encoded(self, fields: str) -> None:
        """`record` for middleware, which encodes what many calls share only once: see `meterboard.client.event`."""
        try:
            self._journal.write(self._stamp.stamped(fields, time_ns()))
            if not self._sender.awake:
                self._sender.wake()
        except Exception:  # as in `record`
            self._mistakes += 1
            log.exception("A usage event could not be recorded")

    def record_soon(self, fields: str) -> None:
        """
        `record_encoded` at the end of the event loop's turn; if there is more than one call by then, some milliseconds
        later, together with those that follow; at once where there is no loop.

        Calls that are recorded together cost half of what each costs by itself. `flush`, `stats` and `close` find them
        recorded at any time.
        """
        answered = self._answered
        answered.append(fields)
        if len(answered) % MOST_TOGETHER == 1:  # and not only for the first, should a loop have ended
            try:
                get_running_loop().call_soon(self._record_unless_busy)
            except RuntimeError:  # another kind of loop, or none
                self._record_answered()

    def _record_unless_busy(self) -> None:
        if 1 < len(self._answered) < MOST_TOGETHER:
            get_running_loop().call_later(BUSY_SECONDS, self._record_answered)
        else:
            self._record_answered()

    def _record_answered(self) -> None:
        answered, events = self._answered, []
        try:
            while answered:
                events.append(answered.popleft())
        except IndexError:  # another thread took the last
            pass
        try:
            if events:
                self._journal.write_all(self._stamp.stamped_all(events, time_ns()), len(events))
                if not self._sender.awake:
                    self._sender.wake()
        except Exception:  # as in `record`
            self._mistakes += len(events)
            log.exception("Usage events could not be recorded")

    def _tell(self, mistake: Mistake) -> None:
        self._mistakes += 1
        if self._mistakes <= MOST_LOGGED_MISTAKES:
            log.error("A usage event was not recorded: %s", mistake)

    @property
    def stats(self) -> Stats:
        """What became of the events of this process."""
        self._record_answered()
        journal, sender = self._journal, self._sender
        return Stats(
            recorded=journal.recorded,
            adopted=journal.adopted,
            sent=sender.sent,
            duplicates=sender.duplicates,
            rejected=sender.rejected,
            dropped=journal.dropped,
            mistakes=self._mistakes,
            spooled=journal.waiting(durable=True),
            in_memory=journal.waiting(durable=False),
            last_error=sender.last_error or journal.trouble,
        )

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until Meterboard has what was recorded before this; False when `timeout` seconds were not enough."""
        self._record_answered()
        return self._sender.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """
        Send what can be sent within `timeout` seconds, and stop; happens by itself at the end of the process.

        What Meterboard does not take stays in the spool for the next process. What is recorded later is dropped.
        """
        if self._closed:
            return
        self._closed = True
        self._record_answered()
        _open.discard(self)
        atexit.unregister(self.close)
        self._sender.end(timeout)
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forked(self) -> None:
        """In a forked child: the parent sends what it recorded; here everything starts anew."""
        self._journal.release()
        self._sender.release()
        self._begin()
        self._sender.awake = False  # its thread starts with the first event, since most children record none


_open: set[Meter] = set()


def _after_fork() -> None:
    for meter in list(_open):
        meter._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
