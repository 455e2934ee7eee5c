"""Where lines come from: files by name or pattern, plain or compressed, and standard input."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from meterboard.errors import NotFound, UnreadableBody

STANDARD_INPUT = "-"
BEGINNING = 65_536
"""Bytes that are enough to guess a format by."""
MAX_WINDOW = 2**31
"""Bytes that zstd may look back (`--long=31`); it holds as many at most."""
DAMAGED = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a file raises that is damaged or cut off."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Source:
    """Bytes as they were before they were compressed, and how far into the file they are."""

    def __init__(self, name: str, raw: BinaryIO, stream: BinaryIO, size: int | None) -> None:
        self.name = name
        self.size = size
        """Bytes of the file as it lies there; None: nobody knows."""
        self._raw = raw
        self._stream = stream
        self.beginning = _beginning(stream, name)
        self._given_back = self.beginning

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, compressed if it is."""
        return self._raw.tell() if self.size is not None else 0

    def read(self, size: int, /) -> bytes:
        given_back, self._given_back = self._given_back, b""
        return (
            given_back + self._stream.read(size - len(given_back)) if given_back else self._stream.read(size)
        )


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Raises: NotFound: it can't be opened. UnreadableBody: it is damaged from the beginning."""
    if name == STANDARD_INPUT:
        yield Source(name, sys.stdin.buffer, _expanded(cast(io.BufferedReader, sys.stdin.buffer), name), None)
        return
    with open_file(name) as raw:
        yield Source(name, raw, _expanded(cast(io.BufferedReader, raw), name), Path(name).stat().st_size)


def _beginning(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(BEGINNING)
    except DAMAGED as error:
        raise UnreadableBody(f"The file {name} can't be read to its end: {error}.") from error


def open_file(name: str) -> BinaryIO:
    """Raises: NotFound: it can't be opened."""
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise NotFound(f"The file {name} can't be opened: {error.strerror or error}.") from error


def _expanded(raw: io.BufferedReader, name: str) -> BinaryIO:
    """By the first bytes rather than by the name: logs are renamed more often than compressed anew."""
    beginning = raw.peek(4)
    if beginning.startswith(_GZIP) or name.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if beginning.startswith(_ZSTD) or name.endswith(".zst"):
        reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
            raw, read_across_frames=True
        )
        return io.BufferedReader(cast(io.RawIOBase, reader), 1024 * 1024)
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
