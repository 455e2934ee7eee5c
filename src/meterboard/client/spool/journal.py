"""
Every recorded event until it is settled: acknowledged, refused for good, or dropped.

`write` never waits: not for the network, not for a disk, not for another thread. An event is in the spool when it
returns, unless another thread was writing at that very moment, which then writes this one next.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock

from meterboard.client.spool.folder import Spool, SpoolFull
from meterboard.client.spool.segment import LONGEST_BYTES, SEGMENT_BYTES, Batch, Segment

log = logging.getLogger("meterboard.client")

MOST_IN_MEMORY = 4
"""Segments that may be kept in memory while the disk takes no more."""
MOST_AT_ONCE = 65_536
"""Bytes of events that are written together."""
MOST_ARRIVING_BYTES = 32_000_000
"""About what may wait in memory for a thread that is stuck in making a file: a hundred thousand usual events."""


class Journal:
    """Segments, the oldest first; the last is written to. When there is no room, the newest events are dropped."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = Lock()
        self._arriving: deque[tuple[bytes, int]] = deque()
        self._adopted: list[Segment] = []
        self._segments: list[Segment] = []
        self._spare: Segment | None = None
        self._no_room = False
        self._closed = False
        self._is_closed_told = False
        self._counting = RLock()
        self._taken = 0
        self._overflowed = 0
        self.adopted = 0
        self.dropped = 0
        self.trouble: str | None = None
        self._why_dropped = ""
        self._told_dropped = 0

    def write_all(self, lines: bytes, events: int) -> None:
        """`write` several events: together if they are short, as nearly always."""
        if len(lines) <= MOST_AT_ONCE:
            self.write(lines, events)
        else:
            for line in lines.splitlines(keepends=True):
                self.write(line)

    def write(self, lines: bytes, events: int = 1) -> None:
        """Keep an event, or some short ones together; or drop and count them when there is no room."""
        if self._lock.acquire(False):
            try:
                # As in `_keep`: a call less for every event.
                segments = self._segments
                if not (segments and segments[-1].append(lines, events)):
                    self._append_to_next(lines, events)
                self._taken += events
            finally:
                self._lock.release()
        elif len(lines) * len(self._arriving) < MOST_ARRIVING_BYTES:  # a sum would need a lock
            self._arriving.append((lines, events))
        else:
            with self._counting:
                self._overflowed += events
            self.drop(events, "making a file in the spool takes too long")
        if self._arriving:
            self._write_arriving()

    @property
    def recorded(self) -> int:
        """How many events `write` was given."""
        return self._taken + self._overflowed

    def _write_arriving(self) -> None:
        # Whoever holds the lock looks again after letting go of it, so nothing that arrives meanwhile is left behind,
        # and a signal handler that interrupts a writer need not wait for it.
        while self._arriving and self._lock.acquire(False):
            try:
                while self._arriving:
                    lines, events = self._arriving[0]
                    self._keep(lines, events)
                    self._arriving.popleft()
                    self._taken += events
            finally:
                self._lock.release()

    def _keep(self, lines: bytes, events: int) -> None:
        """Write to the last segment, or to another; whoever holds the lock may."""
        segments = self._segments
        if not (segments and segments[-1].append(lines, events)):
            self._append_to_next(lines, events)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The sending thread's turn at the segments; it may wait."""
        with self._lock:
            yield
        self._write_arriving()

    def _append_to_next(self, lines: bytes, events: int) -> None:
        """The last segment is full: start another, or drop the events."""
        if self._closed:
            self.drop(events, "the meter is closed")
            self._tell_closed()
            return
        if len(lines) > LONGEST_BYTES:
            self.drop(
                events, f"an event takes {len(lines):,} bytes, and a file of the spool {LONGEST_BYTES:,}"
            )
            return
        if not self._no_room:
            segment = self._spare or self._new_segment()
            self._spare = None
            if segment is not None:
                self._segments.append(segment)
                segment.append(lines, events)  # it is empty, so there is room
                return
            self._no_room = True
        self.drop(events, self.trouble or "there is no room in the spool")

    def _tell_closed(self) -> None:
        """Log the first event that is recorded too late: no thread is left that would."""
        if not self._is_closed_told:
            self._is_closed_told = True
            log.error("Usage events are recorded after the meter was closed. They are dropped.")

    def drop(self, count: int, why: str) -> None:
        """Count events that nobody will count any more."""
        with self._counting:
            self.dropped += count
            self._why_dropped = why

    def tell_drops(self) -> None:
        """Log what was dropped since the last time."""
        with self._counting:
            more = self.dropped - self._told_dropped
            self._told_dropped = self.dropped
        if more:
            log.error(
                "%s usage events were dropped and will not be counted: %s.", f"{more:,}", self._why_dropped
            )

    def _new_segment(self) -> Segment | None:
        """On disk if possible, else in memory; None when neither has room."""
        try:
            return self._spool.create()
        except SpoolFull as error:
            self.trouble = str(error).rstrip(".")
            return None
        except OSError as error:
            trouble = f"The spool {self._spool.folder} can't be written to: {error}"
            if self.trouble != trouble:
                log.warning("%s. Events are kept in memory, as long as the process lives.", trouble)
            self.trouble = trouble
        in_memory = sum(not segment.durable for segment in self._segments)
        return Segment.in_memory() if in_memory < MOST_IN_MEMORY else None

    def prepare(self) -> None:
        """Have a segment at hand before it is needed, so that making it costs no caller any time."""
        if self._spare is None and (not self._segments or self._segments[-1].half_full):
            spare = self._new_segment()
            with self._turn():
                self._spare = spare
                self._no_room = spare is None

    def adopt(self) -> None:
        """Take over what processes that ended left in the spool; it is sent first."""
        found = self._spool.adopt()
        for segment in found:
            self.adopted += segment.waiting
            if segment.damaged:
                self.adopted += segment.damaged
                self.drop(segment.damaged, "a loss of power damaged them in the spool")
        if found:
            with self._turn():
                self._adopted += found
            self._remove_settled()

    @property
    def empty(self) -> bool:
        """Is nothing waiting?"""
        return all(segment.empty for segment in self._all())

    def next(self, most: int) -> Batch | None:
        """Events that wait, oldest first: so many bytes of them at most, but one at least."""
        for segment in self._all():
            batch = segment.next(most)
            if batch is not None:
                return batch
        return None

    def settle(self, batch: Batch) -> None:
        """These need not be sent again."""
        with self._turn():
            if not self._closed:
                batch.segment.settle(batch)
                if batch.segment.rewindable and self._segments[-1:] == [batch.segment]:
                    batch.segment.rewind()
        self._remove_settled()

    def rewrite(self, lines: list[bytes]) -> None:
        """Keep events again, changed; they are no new ones."""
        with self._turn():
            for line in lines:
                self._keep(line, 1)

    def _remove_settled(self) -> None:
        with self._turn():
            done = [segment for segment in [*self._adopted, *self._segments[:-1]] if segment.empty]
            self._adopted = [segment for segment in self._adopted if segment not in done]
            self._segments = [segment for segment in self._segments if segment not in done]
        for segment in done:
            segment.close()

    def written(self) -> list[tuple[Segment, int]]:
        """How many events were written to each segment up to now."""
        return [(segment, segment.events) for segment in self._all()]

    def waiting(self, *, durable: bool) -> int:
        """Events that are not settled, on disk or in memory only."""
        return sum(segment.waiting for segment in self._all() if segment.durable == durable)

    def sync(self) -> None:
        """Bring what waits to the disk itself, so that it survives a loss of power."""
        for segment in self._all():
            try:
                segment.sync()
            except OSError as error:
                self.trouble = f"The spool {self._spool.folder} can't be brought to the disk: {error}"
                log.warning("%s.", self.trouble)

    def close(self) -> None:
        """Leave what is not settled to the next process; what the disk could not take is dropped."""
        with self._turn():
            self._closed = True
            segments = self._all()
            spare, self._spare, self._segments, self._adopted = self._spare, None, [], []
        for segment in segments:
            if not segment.durable and segment.waiting:
                self._save(segment)
            segment.close()
        if spare:
            spare.close()
        self.tell_drops()

    def _save(self, segment: Segment) -> None:
        """A last try to bring to disk what is in memory only."""
        batch = segment.next(SEGMENT_BYTES)
        assert batch is not None
        try:
            saved = self._spool.create()
        except (OSError, SpoolFull) as error:
            self.drop(batch.events, f"the process ended before they could be sent or spooled ({error})")
            return
        saved.append(batch.data, batch.events)  # as large as the segment that it comes from, so there is room
        saved.close()

    def release(self) -> None:
        """Let go of the parent's files in a forked child."""
        for segment in [*self._all(), *([self._spare] if self._spare else [])]:
            segment.release()

    def _all(self) -> list[Segment]:
        return [*self._adopted, *self._segments]
