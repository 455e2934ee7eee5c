"""
One file of recorded events, mapped into memory, so that what is written to it outlives the process.

Writing to a mapped file is a copy in memory, without a system call that could block or fail: the whole file is allocated
on the disk before the first event. The kernel owns what was copied, so it survives `kill -9`.

The format: 8 bytes, little endian, for how many bytes of events are settled; the events, one JSON object a line; zeros up
to the file's size.
"""

import os
import struct
from contextlib import suppress
from errno import ENOSPC
from mmap import PAGESIZE, mmap
from pathlib import Path
from typing import Any, NamedTuple

fcntl: Any = None
with suppress(ImportError):  # Windows has no such locks: events stay in memory
    import fcntl

SEGMENT_BYTES = 1_000_000
"""The size of a file. The longest event has 900 kB: fifteen texts of 10,000 characters, at most six bytes each in JSON."""
REWIND_BYTES = 32_768
_HEADER = struct.Struct("<Q")
MAX_EVENT_BYTES = SEGMENT_BYTES - _HEADER.size
"""What fits into an empty segment."""


class Batch(NamedTuple):
    """Events to send, each with a newline at its end; their number; the offset in the segment where they end."""

    segment: "Segment"
    data: bytes
    events: int
    end: int

    @property
    def body(self) -> bytes:
        """Returns the events as a JSON array."""
        return b"[" + self.data[:-1].replace(b"\n", b",") + b"]"

    @property
    def lines(self) -> list[bytes]:
        """Returns each event."""
        return self.data.splitlines()


class Segment:
    """
    A segment is written to under the journal's lock, and settled by the sending thread alone.

    `waiting` events are not settled yet. `durable`: on disk, not in memory only.
    """

    def __init__(self, memory: mmap | bytearray, file: int | None = None, path: Path | None = None) -> None:
        self._memory = memory
        self._file = file
        self._path = path
        self._written = _HEADER.size
        self._settled = _HEADER.size
        self._events = 0
        self._done = 0
        self._synced = _HEADER.size
        self.damaged = 0
        self.durable = file is not None

    @staticmethod
    def in_memory() -> "Segment":
        """Returns a segment that is lost with the process, for when the disk is full."""
        return Segment(bytearray(SEGMENT_BYTES))

    @staticmethod
    def create(path: Path) -> "Segment":
        """Creates a file, locked while it is open here. Raises: OSError: the disk is full, or access is denied."""
        if fcntl is None:
            raise OSError("This system has no file locks")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _reserve(file)
            return Segment(_mapped(file), file, path)
        except BaseException:
            os.close(file)
            path.unlink(missing_ok=True)
            raise

    @staticmethod
    def recover(path: Path) -> "Segment | None":
        """
        Locks and opens the file of a process that ended.

        Returns None while that process runs, or when another one recovered the file first. Raises: OSError.
        """
        if fcntl is None:
            return None
        file = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink == 0:  # another process sent and removed it before we locked it
                os.close(file)
                return None
            if os.fstat(file).st_size != SEGMENT_BYTES:  # its process ended before the first event
                os.close(file)
                path.unlink(missing_ok=True)
                return None
            segment = Segment(mmap(file, SEGMENT_BYTES), file, path)
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        segment._scan()
        return segment

    def _scan(self) -> None:
        """
        Reads the state of a recovered file.

        An event that was partly written when its process was killed was never recorded. After a power failure, pages may
        be missing from the middle: their events are `damaged`.
        """
        memory = bytes(self._memory[:])
        self._written = max(memory.rfind(b"\n") + 1, _HEADER.size)
        (settled,) = _HEADER.unpack_from(memory)
        starts_a_line = settled == _HEADER.size or memory[settled - 1 : settled] == b"\n"
        if _HEADER.size <= settled <= self._written and starts_a_line:
            self._settled = settled
        lines = memory[self._settled : self._written].splitlines()
        self._events = sum(map(_is_complete, lines))
        self.damaged = len(lines) - self._events

    @property
    def waiting(self) -> int:
        """Returns how many events are not settled."""
        return self._events - self._done

    @property
    def events(self) -> int:
        """Returns how many events were written to it."""
        return self._events

    @property
    def done(self) -> int:
        """Returns how many of them are settled."""
        return self._done

    @property
    def empty(self) -> bool:
        """Returns whether every event is settled."""
        return self._settled == self._written

    @property
    def can_rewind(self) -> bool:
        """Returns whether `rewind` loses no event and is worth its time."""
        return self.empty and self._written > REWIND_BYTES

    def rewind(self) -> None:
        """Starts again at the beginning, where pages are in the cache. The caller holds the journal's lock."""
        end = self._written
        self._memory[_HEADER.size : end] = bytes(end - _HEADER.size)
        self._written = self._settled = self._synced = _HEADER.size
        _HEADER.pack_into(self._memory, 0, _HEADER.size)

    @property
    def half_full(self) -> bool:
        """Returns whether it is time to create the next segment."""
        return self._written > SEGMENT_BYTES // 2

    def append(self, lines: bytes, events: int) -> bool:
        """Appends `events` events. Returns False when they don't fit."""
        start = self._written
        end = start + len(lines)
        if end > SEGMENT_BYTES:
            return False
        self._memory[start:end] = lines
        self._written = end
        self._events += events
        return True

    def next(self, max_bytes: int) -> Batch | None:
        """Returns the oldest events that wait: at most `max_bytes`, but at least one event. None when none wait."""
        start, end = self._settled, self._written
        if start == end:
            return None
        data = bytes(self._memory[start:end])
        if len(data) > max_bytes:
            data = data[: data.rfind(b"\n", 0, max_bytes) + 1 or data.find(b"\n") + 1]
        end = start + len(data)
        if b"\0" in data:
            data = b"".join(line + b"\n" for line in data.splitlines() if _is_complete(line))
        return Batch(self, data, data.count(b"\n"), end)

    def settle(self, batch: Batch) -> None:
        """Marks events as not to be sent again, also by a process that recovers this file."""
        self._done += batch.events
        self._settled = batch.end
        _HEADER.pack_into(self._memory, 0, batch.end)

    def sync(self) -> None:
        """Flushes to the disk, so that events survive a power failure. Raises: OSError."""
        written = self._written
        if self._file is not None and self._synced < written:
            os.fsync(self._file)
            self._synced = written

    def close(self) -> None:
        """Closes the file, and removes it if every event is settled."""
        if self._path is not None and self.empty:
            self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Closes the file only: in a forked child, it is the parent's."""
        if isinstance(self._memory, mmap):
            self._memory.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _is_complete(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}") and b"\0" not in line


def _reserve(file: int) -> None:
    """Allocates the whole file: a write to a mapped page on a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, SEGMENT_BYTES)
    if os.write(file, bytes(SEGMENT_BYTES)) < SEGMENT_BYTES:
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _mapped(file: int) -> mmap:
    """Maps the file into memory and touches each page, so that no event waits for a page fault."""
    memory = mmap(file, SEGMENT_BYTES)
    for page in range(0, SEGMENT_BYTES, PAGESIZE):
        memory[page] = 0
    return memory
