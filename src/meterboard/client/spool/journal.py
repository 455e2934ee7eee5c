"""
Keeps every recorded event until it is settled: acknowledged, refused permanently, or dropped.

`write` never blocks: not on the network, a disk or another thread. When it returns, the event is in the spool, unless
another thread is writing at the same time: that thread writes this event next.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock

from meterboard.client.spool.folder import Spool, SpoolFull
from meterboard.client.spool.segment import MAX_EVENT_BYTES, SEGMENT_BYTES, Batch, Segment

log = logging.getLogger("meterboard.client")

MAX_MEMORY_SEGMENTS = 4
"""Segments in memory while the disk can't be written to."""
MAX_WRITE_BYTES = 65_536
"""Larger groups of events are written one by one."""
MAX_QUEUED_BYTES = 32_000_000
"""About how much may wait for a thread that is creating a file: a hundred thousand usual events."""


class Journal:
    """Segments, oldest first; events are appended to the last. When the spool is full, new events are dropped."""

    def __init__(self, spool: Spool, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._spool = spool
        self._max_queued_bytes = max_queued_bytes
        self._lock = Lock()
        self._queued: deque[tuple[bytes, int]] = deque()
        self._recovered: list[Segment] = []
        self._segments: list[Segment] = []
        self._spare: Segment | None = None
        self._is_full = False
        self._closed = False
        self._has_logged_closed = False
        self._counting = RLock()
        self._written = 0
        self._discarded = 0
        self.recovered = 0
        self.dropped = 0
        self.last_error: str | None = None
        self._drop_reason = ""
        self._logged_drops = 0

    def write_all(self, lines: bytes, events: int) -> None:
        """Writes several events: together if they are short, as nearly always."""
        if len(lines) <= MAX_WRITE_BYTES:
            self.write(lines, events)
        else:
            for line in lines.splitlines(keepends=True):
                self.write(line)

    def write(self, lines: bytes, events: int = 1) -> None:
        """Appends an event, or several short ones, or drops and counts them when the spool is full."""
        if self._lock.acquire(False):
            try:
                # The same as `_append`, without a call for every event.
                segments = self._segments
                if not (segments and segments[-1].append(lines, events)):
                    self._append_to_new(lines, events)
                self._written += events
            finally:
                self._lock.release()
        elif len(lines) * len(self._queued) < self._max_queued_bytes:  # a sum would need a lock
            self._queued.append((lines, events))
        else:
            with self._counting:
                self._discarded += events
            self.drop(events, "creating a file in the spool takes too long")
        if self._queued:
            self._write_queued()

    @property
    def recorded(self) -> int:
        """Returns how many events `write` was called with."""
        return self._written + self._discarded

    def _write_queued(self) -> None:
        # A thread checks the queue again after it releases the lock, so no event stays behind, and a signal handler that
        # interrupts a writer need not wait for it.
        while self._queued and self._lock.acquire(False):
            try:
                while self._queued:
                    lines, events = self._queued[0]
                    self._append(lines, events)
                    self._queued.popleft()
                    self._written += events
            finally:
                self._lock.release()

    def _append(self, lines: bytes, events: int) -> None:
        """Appends to the last segment, or to a new one. The caller holds the lock."""
        segments = self._segments
        if not (segments and segments[-1].append(lines, events)):
            self._append_to_new(lines, events)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock for the sending thread, which may wait for it."""
        with self._lock:
            yield
        self._write_queued()

    def _append_to_new(self, lines: bytes, events: int) -> None:
        """Appends to a new segment, since the last one is full; drops the events if there is none."""
        if self._closed:
            self.drop(events, "the meter is closed")
            self._log_closed()
            return
        if len(lines) > MAX_EVENT_BYTES:
            self.drop(events, f"an event has {len(lines):,} bytes, and the limit is {MAX_EVENT_BYTES:,}")
            return
        if not self._is_full:
            segment = self._spare or self._new_segment()
            self._spare = None
            if segment is not None:
                self._segments.append(segment)
                segment.append(lines, events)  # it fits, since the segment is empty
                return
            self._is_full = True
        self.drop(events, self.last_error or "the spool is full")

    def _log_closed(self) -> None:
        """Logs the first event after `close`, since the thread that logs other drops has ended."""
        if not self._has_logged_closed:
            self._has_logged_closed = True
            log.error("Usage events are recorded after the meter was closed. They are dropped.")

    def drop(self, count: int, reason: str) -> None:
        """Counts events that are lost."""
        with self._counting:
            self.dropped += count
            self._drop_reason = reason

    def log_drops(self) -> None:
        """Logs what was dropped since the last call."""
        with self._counting:
            new = self.dropped - self._logged_drops
            self._logged_drops = self.dropped
        if new:
            log.error(
                "%s usage events were dropped and will not be counted: %s.", f"{new:,}", self._drop_reason
            )

    def _new_segment(self) -> Segment | None:
        """Creates a segment on disk if possible, else in memory. Returns None when both are full."""
        try:
            return self._spool.create()
        except SpoolFull as error:
            self.last_error = str(error).rstrip(".")
            return None
        except OSError as error:
            error_text = f"The spool {self._spool.folder} can't be written to: {error}"
            if self.last_error != error_text:
                log.warning("%s. Events are kept in memory, as long as the process runs.", error_text)
            self.last_error = error_text
        in_memory = sum(not segment.durable for segment in self._segments)
        return Segment.in_memory() if in_memory < MAX_MEMORY_SEGMENTS else None

    def prepare_spare(self) -> None:
        """Creates a segment before it is needed, so that no caller spends the time."""
        if self._spare is None and (not self._segments or self._segments[-1].half_full):
            spare = self._new_segment()
            with self._locked():
                self._spare = spare
                self._is_full = spare is None

    def recover(self) -> None:
        """Takes over the events of processes that ended. They are sent first."""
        found = self._spool.recover()
        for segment in found:
            self.recovered += segment.waiting
            if segment.damaged:
                self.recovered += segment.damaged
                self.drop(segment.damaged, "a power failure damaged them in the spool")
        if found:
            with self._locked():
                self._recovered += found
            self._remove_settled()

    @property
    def empty(self) -> bool:
        """Returns whether no event waits."""
        return all(segment.empty for segment in self._all())

    def next(self, max_bytes: int) -> Batch | None:
        """Returns the oldest events that wait: at most `max_bytes`, but at least one event. None when none wait."""
        for segment in self._all():
            batch = segment.next(max_bytes)
            if batch is not None:
                return batch
        return None

    def settle(self, batch: Batch) -> None:
        """Marks events as not to be sent again."""
        with self._locked():
            if not self._closed:
                batch.segment.settle(batch)
                if batch.segment.can_rewind and self._segments[-1:] == [batch.segment]:
                    batch.segment.rewind()
        self._remove_settled()

    def rewrite(self, lines: list[bytes]) -> None:
        """Appends events that were changed, without counting them again."""
        with self._locked():
            for line in lines:
                self._append(line, 1)

    def _remove_settled(self) -> None:
        with self._locked():
            done = [segment for segment in [*self._recovered, *self._segments[:-1]] if segment.empty]
            self._recovered = [segment for segment in self._recovered if segment not in done]
            self._segments = [segment for segment in self._segments if segment not in done]
        for segment in done:
            segment.close()

    def written(self) -> list[tuple[Segment, int]]:
        """Returns how many events were written to each segment so far."""
        return [(segment, segment.events) for segment in self._all()]

    def waiting(self, *, durable: bool) -> int:
        """Returns how many events are not settled, on disk (`durable`) or in memory only."""
        return sum(segment.waiting for segment in self._all() if segment.durable == durable)

    def sync(self) -> None:
        """Flushes waiting events to the disk, so that they survive a power failure."""
        for segment in self._all():
            try:
                segment.sync()
            except OSError as error:
                self.last_error = f"The spool {self._spool.folder} can't be flushed to the disk: {error}"
                log.warning("%s.", self.last_error)

    def close(self) -> None:
        """Leaves waiting events to the next process, and drops those that can't be written to the disk."""
        with self._locked():
            self._closed = True
            segments = self._all()
            spare, self._spare, self._segments, self._recovered = self._spare, None, [], []
        for segment in segments:
            if not segment.durable and segment.waiting:
                self._save(segment)
            segment.close()
        if spare:
            spare.close()
        self.log_drops()

    def _save(self, segment: Segment) -> None:
        """Tries once more to write to disk what is in memory only."""
        batch = segment.next(SEGMENT_BYTES)
        assert batch is not None
        try:
            saved = self._spool.create()
        except (OSError, SpoolFull) as error:
            self.drop(batch.events, f"the process ended before they could be sent or spooled ({error})")
            return
        saved.append(batch.data, batch.events)  # it fits, since both segments have the same size
        saved.close()

    def release(self) -> None:
        """Closes the parent's files in a forked child."""
        for segment in [*self._all(), *([self._spare] if self._spare else [])]:
            segment.release()

    def _all(self) -> list[Segment]:
        return [*self._recovered, *self._segments]
