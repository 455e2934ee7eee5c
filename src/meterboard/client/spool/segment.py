"""
A stretch of recorded events: a file mapped into memory, so what is written to it outlives the process.

Writing to a mapped file is a copy in memory, without a call of the system that could wait or fail: the file's whole size
is reserved on the disk before the first event. What was copied is the kernel's at once and survives `kill -9`.

Its format: 8 bytes, little endian, of how many bytes of events are settled; then the events, one JSON object a line;
then zeros up to the file's size.
"""

import os
import struct
from contextlib import suppress
from errno import ENOSPC
from mmap import PAGESIZE, mmap
from pathlib import Path
from typing import Any, NamedTuple

fcntl: Any = None
with suppress(ImportError):  # Windows has no such locks, so events are kept in memory only
    import fcntl

SEGMENT_BYTES = 1_000_000
"""One file. The longest event takes 600 kB: nine texts of 10,000 characters, of which JSON makes six bytes each at most."""
REWIND_BYTES = 32_768
_HEADER = struct.Struct("<Q")
LONGEST_BYTES = SEGMENT_BYTES - _HEADER.size
"""What an empty segment has room for."""


class Batch(NamedTuple):
    """Events to send, each with a newline behind it; how many; and where in the segment they end."""

    segment: "Segment"
    data: bytes
    events: int
    end: int

    @property
    def body(self) -> bytes:
        """The events as a JSON array."""
        return b"[" + self.data[:-1].replace(b"\n", b",") + b"]"

    @property
    def lines(self) -> list[bytes]:
        """The events one by one."""
        return self.data.splitlines()


class Segment:
    """
    Written to by whoever holds the journal's lock, settled by the sending thread alone.

    `waiting` events are not settled yet. `durable`: on disk, rather than in memory only.
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
        """One for when the disk has no room: lost with the process."""
        return Segment(bytearray(SEGMENT_BYTES))

    @staticmethod
    def create(path: Path) -> "Segment":
        """A new file, locked as long as it is open here. Raises: OSError: no room, or no right to."""
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
    def adopt(path: Path) -> "Segment | None":
        """
        What another process left; None while that one lives, or when somebody else adopted it first.

        Raises: OSError: it can't be opened.
        """
        if fcntl is None:
            return None
        file = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink == 0:  # sent and removed by another, between our open and our lock
                os.close(file)
                return None
            if os.fstat(file).st_size != SEGMENT_BYTES:  # its maker died before the first event
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
        segment._recall()
        return segment

    def _recall(self) -> None:
        """
        Find out what is in an adopted file.

        An event that its process was killed in the middle of writing was never recorded. After a loss of power pages
        may be missing from the middle: the events that they took are `damaged`.
        """
        memory = bytes(self._memory[:])
        self._written = max(memory.rfind(b"\n") + 1, _HEADER.size)
        (settled,) = _HEADER.unpack_from(memory)
        starts_a_line = settled == _HEADER.size or memory[settled - 1 : settled] == b"\n"
        if _HEADER.size <= settled <= self._written and starts_a_line:
            self._settled = settled
        lines = memory[self._settled : self._written].splitlines()
        self._events = sum(map(_whole, lines))
        self.damaged = len(lines) - self._events

    @property
    def waiting(self) -> int:
        return self._events - self._done

    @property
    def events(self) -> int:
        """How many were ever written to it."""
        return self._events

    @property
    def done(self) -> int:
        """How many of them are settled."""
        return self._done

    @property
    def empty(self) -> bool:
        """Is everything that was written settled?"""
        return self._settled == self._written

    @property
    def rewindable(self) -> bool:
        """Is there something to win by starting from the beginning again, and nothing to lose?"""
        return self.empty and self._written > REWIND_BYTES

    def rewind(self) -> None:
        """Start again from the beginning, where memory is warm, once everything is settled; needs the journal's lock."""
        end = self._written
        self._memory[_HEADER.size : end] = bytes(end - _HEADER.size)
        self._written = self._settled = self._synced = _HEADER.size
        _HEADER.pack_into(self._memory, 0, _HEADER.size)

    @property
    def half_full(self) -> bool:
        return self._written > SEGMENT_BYTES // 2

    def append(self, lines: bytes, events: int) -> bool:
        """Write so many events; False when there is no room left."""
        start = self._written
        end = start + len(lines)
        if end > SEGMENT_BYTES:
            return False
        self._memory[start:end] = lines
        self._written = end
        self._events += events
        return True

    def next(self, most: int) -> Batch | None:
        """Events that wait: so many bytes of them at most, but one at least; None when none do."""
        start, end = self._settled, self._written
        if start == end:
            return None
        data = bytes(self._memory[start:end])
        if len(data) > most:
            data = data[: data.rfind(b"\n", 0, most) + 1 or data.find(b"\n") + 1]
        end = start + len(data)
        if b"\0" in data:
            data = b"".join(line + b"\n" for line in data.splitlines() if _whole(line))
        return Batch(self, data, data.count(b"\n"), end)

    def settle(self, batch: Batch) -> None:
        """Remember that these need not be sent again, also for whoever adopts this file."""
        self._done += batch.events
        self._settled = batch.end
        _HEADER.pack_into(self._memory, 0, batch.end)

    def sync(self) -> None:
        """Bring what was written to the disk, so that it survives a loss of power. Raises: OSError."""
        written = self._written
        if self._file is not None and self._synced < written:
            os.fsync(self._file)
            self._synced = written

    def close(self) -> None:
        """Let go of it. A file that holds nothing any more is removed, another one waits for its next owner."""
        if self._path is not None and self.empty:
            self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Close the file as it is: in a forked child it is the parent's."""
        if isinstance(self._memory, mmap):
            self._memory.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}") and b"\0" not in line


def _reserve(file: int) -> None:
    """Make the disk set the whole size aside: writing to a mapped page that finds no room would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, SEGMENT_BYTES)
    if os.write(file, bytes(SEGMENT_BYTES)) < SEGMENT_BYTES:
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _mapped(file: int) -> mmap:
    """The file as memory, each page touched, so that no event has to wait for the system to find its page."""
    memory = mmap(file, SEGMENT_BYTES)
    for page in range(0, SEGMENT_BYTES, PAGESIZE):
        memory[page] = 0
    return memory
