"""The sources of lines: files by name or pattern, plain or compressed, and standard input."""

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from meterboard.errors import FileError
from meterboard.formats.compression import zstd

STANDARD_INPUT = "-"
BEGINNING = 65_536
"""How many bytes are read to guess a format."""
MAX_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 31}
"""The logarithm of the window of zstd (`--long=31`), which limits its memory."""
DAMAGED = (OSError, EOFError, zlib.error, zstd.ZstdError)
"""The errors of reading a damaged or truncated file."""
FIRST_BEGINNING = 64
"""Bytes of the shortest beginning whose digest is recorded: no longer than a line, so that most files have one."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Stream(Protocol):
    """A stream that returns some bytes at a time, and none at its end."""

    def read1(self, size: int, /) -> bytes: ...


class Extent(NamedTuple):
    """The number of bytes read, their digest, and the digests of the first 64, 128, ... up to BEGINNING of them."""

    length: int
    digest: bytes
    beginnings: bytes


class Digest:
    """Computes the digests of bytes as they are read."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._length = 0
        self._beginnings = b""
        self._next = FIRST_BEGINNING

    def add(self, data: bytes) -> None:
        """Adds the bytes that come next."""
        view = memoryview(data)
        while self._next <= BEGINNING and self._length + len(view) >= self._next:
            missing = self._next - self._length
            self._hash.update(view[:missing])
            self._length, view = self._next, view[missing:]
            self._beginnings += self._hash.digest()[:8]
            self._next *= 2
        self._hash.update(view)
        self._length += len(view)

    @property
    def extent(self) -> Extent:
        """Returns what has been read so far."""
        return Extent(self._length, self._hash.digest()[:16], self._beginnings)


def extent_of(data: bytes) -> Extent:
    """Returns the extent of bytes that were read at once."""
    digest = Digest()
    digest.add(data)
    return digest.extent


class Source:
    """The expanded bytes of a file, and the position in the file."""

    def __init__(self, name: str, raw: BinaryIO) -> None:
        """Opens a source. Raises: FileError: it is damaged from the beginning."""
        self.name = name
        status = os.fstat(raw.fileno()) if name != STANDARD_INPUT else None
        self.is_file = status is not None and stat.S_ISREG(status.st_mode)
        """Whether it is a regular file, which can be found again, unlike standard input and pipes."""
        self.size = status.st_size if status is not None and self.is_file else None
        """The size of the file, before expansion; None: unknown."""
        self.raw = raw
        self._start()

    def _start(self) -> None:
        self._stream = _expanded(cast(io.BufferedReader, self.raw), self.name)
        self._unread = b""
        self._digest = Digest()
        self.extent = self._digest.extent
        """What has been read. Replaced, never modified, so that other threads may read it."""
        self.beginning = self._unread = self._read_beginning()

    def restart(self) -> None:
        """Starts to read from the beginning again."""
        self.raw.seek(0)
        self._start()

    @property
    def position(self) -> int:
        """Returns how many bytes of the file have been read, before expansion."""
        return self.raw.tell() if self.size is not None else 0

    def read(self, size: int, /) -> bytes:
        """
        Returns the next bytes, fewer than `size` only at the end. Raises: one of DAMAGED; EOFError after the last
        intact byte.
        """
        found = self._read(size)
        if self.is_file:
            self._digest.add(found)
            self.extent = self._digest.extent
        return found

    def _read(self, size: int) -> bytes:
        found, self._unread = [self._unread[:size]], self._unread[size:]
        left = size - len(found[0])
        try:
            while left and (piece := self._stream.read1(left)):
                found.append(piece)
                left -= len(piece)
        except EOFError:  # raised again by the next call
            if not any(found):
                raise
        return b"".join(found)

    def _read_beginning(self) -> bytes:
        try:
            return self._read(BEGINNING)
        except DAMAGED as error:
            raise FileError(f"The file {self.name} can't be read to its end: {error}.") from error


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Opens a source. Raises: FileError: it can't be opened, or is damaged from the beginning."""
    if name == STANDARD_INPUT:
        yield Source(name, sys.stdin.buffer)
        return
    with open_file(name) as raw:
        yield Source(name, raw)


def open_file(name: str, *, buffered: bool = True) -> BinaryIO:
    """Opens a file. Raises: FileError: it can't be opened."""
    try:
        return Path(name).open("rb", buffering=-1 if buffered else 0)
    except OSError as error:
        raise FileError(f"The file {name} can't be opened: {error.strerror or error}.") from error


def is_compressed(raw: BinaryIO, name: str) -> bool:
    """Returns whether a file is compressed, by its first bytes or its name: logs are often renamed."""
    beginning = cast(io.BufferedReader, raw).peek(4)
    return beginning.startswith((_GZIP, _ZSTD)) or name.endswith((".gz", ".zst"))


def _expanded(raw: io.BufferedReader, name: str) -> _Stream:
    if not is_compressed(raw, name):
        return raw
    is_zstd = raw.peek(4).startswith(_ZSTD) or (name.endswith(".zst") and not raw.peek(4).startswith(_GZIP))
    return zstd.ZstdFile(raw, options=MAX_WINDOW) if is_zstd else gzip.GzipFile(fileobj=raw)


def named(patterns: Sequence[str]) -> list[str]:
    """
    Returns the files that match patterns such as `access.log*`, each once, and those of a pattern by age, the order
    in which their lines were written.

    Raises: FileError: a pattern matches none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STANDARD_INPUT or not has_magic(pattern) or Path(pattern).exists():
            found[pattern] = None
            continue
        files = [file for file in glob(pattern, recursive=True) if Path(file).is_file()]
        if not files:
            raise FileError(f"No file matches {pattern}.")
        found |= dict.fromkeys(sorted(files, key=_age))
    return list(found)


def _age(name: str) -> tuple[int, str]:
    try:
        return Path(name).stat().st_mtime_ns, name
    except OSError:  # it was renamed just now
        return 0, name
