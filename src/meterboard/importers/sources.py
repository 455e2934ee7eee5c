"""Where lines come from: files by name or pattern, plain or compressed, and standard input."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard

from meterboard.errors import NotFound, UnreadableBody

STANDARD_INPUT = "-"
BEGINNING = 65_536
"""Bytes that are enough to guess a format by."""
MAX_WINDOW = 2**31
"""Bytes that zstd may look back (`--long=31`); it holds as many at most."""
PACKED = 1024
"""Bytes that zstd expands at once: a few of them may become many thousand times as many."""
DAMAGED = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a file raises that is damaged or cut off."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Stream(Protocol):
    """What gives some bytes, as many as come easily, and none at its end."""

    def read1(self, size: int, /) -> bytes: ...


class _Zstd:
    """Frames expanded one after the other. (zstandard's own `stream_reader` takes one that is cut off for a whole one.)"""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._packed = b""
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._expanded = memoryview(b"")

    def read1(self, size: int, /) -> bytes:
        """Raises: EOFError: the last frame is cut off."""
        while not self._expanded:
            packed = self._packed or self._raw.read(PACKED)
            if not packed:
                if self._frame is not None:
                    raise EOFError("Compressed file ended before the end of its last frame")
                return b""
            frame = self._frame or zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
            self._expanded = memoryview(frame.decompress(packed))
            self._packed = frame.unused_data
            self._frame = None if frame.eof else frame
        found, self._expanded = bytes(self._expanded[:size]), self._expanded[size:]
        return found


class Source:
    """Bytes as they were before they were compressed, and how far into the file they are."""

    def __init__(self, name: str, raw: BinaryIO, stream: _Stream, size: int | None) -> None:
        self.name = name
        self.size = size
        """Bytes of the file as it lies there; None: nobody knows."""
        self._raw = raw
        self._stream = stream
        self._given_back = b""
        self.beginning = self._given_back = _beginning(self)

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, compressed if it is."""
        return self._raw.tell() if self.size is not None else 0

    def read(self, size: int, /) -> bytes:
        """Fewer bytes than that at the end alone. Raises: one of DAMAGED; EOFError when all before the cut is read."""
        found, self._given_back = [self._given_back], b""
        left = size - len(found[0])
        try:
            while left and (piece := self._stream.read1(left)):
                found.append(piece)
                left -= len(piece)
        except EOFError:  # comes again when there is nothing before it
            if not any(found):
                raise
        return b"".join(found)


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Raises: NotFound: it can't be opened. UnreadableBody: it is damaged from the beginning."""
    if name == STANDARD_INPUT:
        yield Source(name, sys.stdin.buffer, _expanded(cast(io.BufferedReader, sys.stdin.buffer), name), None)
        return
    with open_file(name) as raw:
        yield Source(name, raw, _expanded(cast(io.BufferedReader, raw), name), Path(name).stat().st_size)


def _beginning(source: Source) -> bytes:
    try:
        return source.read(BEGINNING)
    except DAMAGED as error:
        raise UnreadableBody(f"The file {source.name} can't be read to its end: {error}.") from error


def open_file(name: str) -> BinaryIO:
    """Raises: NotFound: it can't be opened."""
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise NotFound(f"The file {name} can't be opened: {error.strerror or error}.") from error


def _expanded(raw: io.BufferedReader, name: str) -> _Stream:
    """By the first bytes rather than by the name: logs are renamed more often than compressed anew."""
    beginning = raw.peek(4)
    if beginning.startswith(_GZIP) or name.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if beginning.startswith(_ZSTD) or name.endswith(".zst"):
        return _Zstd(raw)
    return raw


def named(patterns: Sequence[str]) -> list[str]:
    """The files that patterns such as `access.log*` name, each once. Raises: NotFound: one names none."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern == STANDARD_INPUT or not has_magic(pattern) or Path(pattern).exists():
            found[pattern] = None
            continue
        files = sorted(file for file in glob(pattern, recursive=True) if Path(file).is_file())
        if not files:
            raise NotFound(f"No file is named like {pattern}.")
        found |= dict.fromkeys(files)
    return list(found)
