"""
Splits a stream into batches of lines, with bounded memory.

The lines of a chunk stay in pieces of memory that DuckDB splits: a million lines never become a million objects.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import nanoarrow as na
from nanoarrow.c_array import CArray, c_array_from_buffers
from nanoarrow.c_array_stream import CArrayStream

CHUNK = 24 * 1024 * 1024
"""The bytes of a chunk: about 200,000 lines of an access log, so that a commit costs next to nothing per line."""
MAX_LINES = 250_000
"""The most lines of a chunk."""
PIECES = 4
"""The pieces of a chunk, which DuckDB reads in parallel: two for each of two processors, so that neither waits long."""
MAX_LINE = 65_536
"""The bytes of a line without its end. No server writes longer lines; of a longer one only this much is read."""
END, RECORD = b"\n", b"\x1e"
"""The separators of lines, and of records that may contain line ends (as in RFC 7464)."""

GIVEN = f"""
(select n, if(strlen(line) <= {MAX_LINE}, line, '') as line from (
    select (before + unnest(range(len(lines))))::integer as n, unnest(lines) as line
    from (select before, string_split(text, separator) as lines from given)
))
"""
"""The lines of a `Table` that is called `given`: `n`, which counts from 0, and `line`, empty where it is too long."""


class Piece(NamedTuple):
    """A piece of a chunk; `before` is the number of the chunk's lines before it."""

    before: int
    text: bytes


class Lines(NamedTuple):
    """
    A batch of lines without their ends, as UTF-8, in pieces in which a separator is between lines.

    `first` is the number of the first line, `total` the number of lines. The last line has no end if not `ended`.
    `raw` are the lines as they were written, where that is not UTF-8.
    """

    first: int
    total: int
    pieces: Sequence[Piece]
    separator: bytes = END
    ended: bool = True
    raw: bytes = b""

    def texts(self) -> list[bytes]:
        """Returns each line."""
        return [text for piece in self.pieces for text in piece.text.split(self.separator)]

    def originals(self) -> list[bytes]:
        """Returns each line as it was written."""
        return self.raw.split(self.separator) if self.raw else self.texts()


class ByteReader(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes: ...


def chunks(stream: ByteReader, *, size: int = CHUNK) -> Iterator[Lines]:
    r"""Yields the lines of a stream. Bytes that are not UTF-8 become `\xff`, as servers write them."""
    number, rest = 1, b""
    while piece := stream.read(size):
        rest += piece
        end = rest.rfind(END)
        if end >= 0:
            for lines in batches(number, rest[:end]):
                yield lines
                number += lines.total
            rest = rest[end + 1 :]
        if len(rest) > MAX_LINE:
            rest = rest[: MAX_LINE + 1]  # one more than a line may have, so that it stays unreadable
    if rest:
        yield decoded_lines(number, rest, ended=False)


def batches(first: int, data: bytes) -> Iterator[Lines]:
    """Yields whole lines, at most MAX_LINES at a time."""
    lines = decoded_lines(first, data)
    if lines.total <= MAX_LINES:
        yield lines
        return
    texts = data.split(END)
    for at in range(0, len(texts), MAX_LINES):
        yield decoded_lines(first + at, END.join(texts[at : at + MAX_LINES]))


def decoded_lines(first: int, data: bytes, *, ended: bool = True) -> Lines:
    """Returns lines as a server wrote them, in UTF-8 or not."""
    text = readable(data)
    return split_into_pieces(first, text, ended=ended, raw=b"" if text is data else data)


def split_into_pieces(
    first: int, text: bytes, *, separator: bytes = END, ended: bool = True, raw: bytes = b""
) -> Lines:
    """Returns a text in pieces of about equal length."""
    pieces: list[Piece] = []
    at = count = 0
    while at <= len(text):
        end = text.find(separator, at + len(text) // PIECES)
        piece = text[at : end if end >= 0 else len(text)]
        pieces.append(Piece(count, piece))
        count += piece.count(separator) + 1
        at += len(piece) + 1
    return Lines(first, count, pieces, separator, ended, raw)


def records(first: int, texts: Sequence[bytes]) -> Lines:
    """Returns texts that may contain line ends as a batch."""
    return split_into_pieces(first, RECORD.join(texts), separator=RECORD)


def readable(data: bytes) -> bytes:
    """Returns bytes as UTF-8, with invalid bytes escaped, the same for each line however lines are grouped."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace").encode()
    return data


class Table:
    """The pieces of a chunk as a table, whose rows DuckDB reads in parallel; see GIVEN."""

    def __init__(self, lines: Lines) -> None:
        schema = na.struct({"before": na.int32(), "separator": na.string(), "text": na.string()})
        self._schema = na.c_schema(schema)
        self._rows = [
            c_array_from_buffers(
                schema, 1, [None], children=[_number(before), _text(lines.separator), _text(text)]
            )
            for before, text in lines.pieces
        ]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = CArrayStream.from_c_arrays(self._rows, self._schema, move=False)
        return stream.__arrow_c_stream__(requested_schema)


def _number(number: int) -> CArray:
    return c_array_from_buffers(na.int32(), 1, [None, array("i", [number])])


def _text(text: bytes) -> CArray:
    return c_array_from_buffers(na.string(), 1, [None, array("i", [0, len(text)]), text])
