"""
A stream's lines, many at a time: bounded memory, whatever the stream holds.

The lines of a chunk stay in one piece of memory that DuckDB reads as a column.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

import nanoarrow as na
from nanoarrow.c_array import CArray, c_array_from_buffers
from nanoarrow.c_array_stream import CArrayStream

CHUNK = 16 * 1024 * 1024
"""Bytes. About 120,000 lines of an access log: a commit so large costs next to nothing a line."""
MOST_LINES = 250_000
"""Lines, in a chunk of very short ones."""
PIECES = 4
"""Pieces of a chunk, which DuckDB reads side by side: two for each of two processors, so that neither waits long."""
MAX_LINE = 65_536
"""Bytes, the line's end not counted. No server writes longer lines; of a longer one no more than this is looked at."""


class Lines(NamedTuple):
    """Lines without their ends, as UTF-8; `first` is the number of the first. The last has no end if not `ended`."""

    first: int
    texts: Sequence[bytes]
    ended: bool = True


class Reads(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


def chunks(stream: Reads, *, size: int = CHUNK) -> Iterator[Lines]:
    """The lines of a stream. What is no UTF-8 is written as `\\xff`, as servers write it themselves."""
    number, rest = 1, b""
    while piece := stream.read(size):
        rest += piece
        end = rest.rfind(b"\n")
        if end >= 0:
            texts = readable(rest[:end]).split(b"\n")
            for at in range(0, len(texts), MOST_LINES):
                yield Lines(number + at, texts[at : at + MOST_LINES])
            number += len(texts)
            rest = rest[end + 1 :]
        if len(rest) > MAX_LINE:
            rest = rest[
                : MAX_LINE + 1
            ]  # one more than a line may have: it stays unreadable, whatever follows
    if rest:
        yield Lines(number, [readable(rest)], ended=False)


def readable(data: bytes) -> bytes:
    """Bytes as UTF-8 that stays as it is and else is escaped, line by line the same however they are cut."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace").encode()
    return data


class Column:
    """Lines as a table: `n`, which counts from 0, and `line`. It is in pieces, which DuckDB reads side by side."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        schema = na.struct({"n": na.int32(), "line": na.string()})
        self._schema = na.c_schema(schema)
        size = max(1, -(-len(texts) // PIECES))
        self._pieces = [
            c_array_from_buffers(schema, len(piece), [None], children=_children(at, piece))
            for at in range(0, len(texts), size)
            if (piece := texts[at : at + size])
        ]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = CArrayStream.from_c_arrays(self._pieces, self._schema, move=False)
        return stream.__arrow_c_stream__(requested_schema)


def _children(first: int, texts: Sequence[bytes]) -> list[CArray]:
    numbers = array("i", range(first, first + len(texts)))
    ends = array("i", accumulate(map(len, texts), initial=0))
    return [
        c_array_from_buffers(na.int32(), len(texts), [None, numbers]),
        c_array_from_buffers(na.string(), len(texts), [None, ends, b"".join(texts)]),
    ]
