"""
A stream's lines, many at a time: bounded memory, whatever the stream holds.

The lines of a chunk stay in pieces of memory that DuckDB splits itself: a million lines never become a million
objects.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import nanoarrow as na
from nanoarrow.c_array import CArray, c_array_from_buffers
from nanoarrow.c_array_stream import CArrayStream

CHUNK = 24 * 1024 * 1024
"""Bytes. About 200,000 lines of an access log: a commit so large costs next to nothing a line."""
MOST_LINES = 250_000
"""Lines, in a chunk of very short ones."""
PIECES = 4
"""Pieces of a chunk, which DuckDB reads side by side: two for each of two processors, so that neither waits long."""
MAX_LINE = 65_536
"""Bytes, the line's end not counted. No server writes longer lines; of a longer one no more than this is looked at."""
END, RECORD = b"\n", b"\x1e"
"""What stands between lines, and between records that may have line ends in them (as in RFC 7464)."""

GIVEN = f"""
(select n, if(strlen(line) <= {MAX_LINE}, line, '') as line from (
    select (before + unnest(range(len(lines))))::integer as n, unnest(lines) as line
    from (select before, string_split(text, separator) as lines from given)
))
"""
"""The lines of a `Table` that is called `given`: `n`, which counts from 0, and `line`, empty where it is too long."""


class Piece(NamedTuple):
    """Lines, and how many of the chunk come before them."""

    before: int
    text: bytes


class Lines(NamedTuple):
    """
    Lines without their ends, as UTF-8: how many in total, and in pieces, where a separator stands between them.

    `first` is the number of the first. The last has no end if not `ended`. `raw` are the lines as they were written,
    where that is not UTF-8.
    """

    first: int
    total: int
    pieces: Sequence[Piece]
    separator: bytes = END
    ended: bool = True
    raw: bytes = b""

    def texts(self) -> list[bytes]:
        """Each alone."""
        return [text for piece in self.pieces for text in piece.text.split(self.separator)]

    def originals(self) -> list[bytes]:
        """Returns each line as it was written."""
        return self.raw.split(self.separator) if self.raw else self.texts()


class ByteReader(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


def chunks(stream: ByteReader, *, size: int = CHUNK) -> Iterator[Lines]:
    """The lines of a stream. What is no UTF-8 is written as `\\xff`, as servers write it themselves."""
    number, rest = 1, b""
    while piece := stream.read(size):
        rest += piece
        end = rest.rfind(END)
        if end >= 0:
            for lines in portions(number, rest[:end]):
                yield lines
                number += lines.total
            rest = rest[end + 1 :]
        if len(rest) > MAX_LINE:
            rest = rest[
                : MAX_LINE + 1
            ]  # one more than a line may have: it stays unreadable, whatever follows
    if rest:
        yield written(number, rest, ended=False)


def portions(first: int, data: bytes) -> Iterator[Lines]:
    """Whole lines, no more than MOST_LINES at a time."""
    lines = written(first, data)
    if lines.total <= MOST_LINES:
        yield lines
        return
    texts = data.split(END)
    for at in range(0, len(texts), MOST_LINES):
        yield written(first + at, END.join(texts[at : at + MOST_LINES]))


def written(first: int, data: bytes, *, ended: bool = True) -> Lines:
    """Returns lines as a server wrote them, in UTF-8 or not."""
    text = readable(data)
    return cut(first, text, ended=ended, raw=b"" if text is data else data)


def cut(first: int, text: bytes, *, separator: bytes = END, ended: bool = True, raw: bytes = b"") -> Lines:
    """A text in pieces that are about as long as each other."""
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
    """Texts that may have line ends in them."""
    return cut(first, RECORD.join(texts), separator=RECORD)


def readable(data: bytes) -> bytes:
    """Bytes as UTF-8 that stays as it is and else is escaped, line by line the same however they are cut."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace").encode()
    return data


class Table:
    """The pieces of a chunk as a table, whose rows DuckDB reads side by side; see GIVEN."""

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
