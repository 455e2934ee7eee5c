"""Following a file that grows, as `tail -F` does: across rotation by renaming, and by copying and truncating."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import NamedTuple

from meterboard.domain.import_file import ImportFile
from meterboard.errors import FileError, InvalidParameter
from meterboard.importers.identity import Files, place_of
from meterboard.importers.reading.lines import CHUNK, END, MAX_LINE, Lines, portions, written
from meterboard.importers.sources import Digest, Extent, Source, is_compressed, open_file

LOOK_SECONDS = 0.5
"""How often the file is looked at. What came is handed on at once, so it is committed within a second."""
COMPARED = 256
"""Bytes at the file's beginning, and before where it was read to, that must still be there: more than a time stamp."""


class Portion(NamedTuple):
    """Whole lines of a file; `extent` and `modified` are what was read with them."""

    lines: Lines
    file: ImportFile
    extent: Extent
    modified: int


class Following:
    """The lines of a file as they are written. A file that takes its place begins with line 1 again."""

    def __init__(self, name: str, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._name = name
        self._look_seconds = look_seconds
        self._enough = Event()

    def stop(self) -> None:
        """Hand on what is there, then end. May be called from a signal handler."""
        self._enough.set()

    def wait(self, seconds: float) -> bool:
        """Waits, but no longer than until `stop`. Returns whether it was called."""
        return self._enough.wait(seconds)

    def portions(self, files: Files) -> Iterator[Portion]:
        """
        Portions of whole lines until `stop`, never an empty one.

        A line without its end waits for it, but at the end of a file that was replaced.
        Raises: FileError: the file can't be opened at first.
        """
        file = _Followed(self._name, files)
        replaced = False
        try:
            while True:
                ends = self._enough.is_set()
                piece = file.read()
                if not file.is_as_before():
                    file.begin()
                elif piece:
                    yield from file.portions(piece)
                elif ends:
                    return
                elif replaced:  # and read to its end once more since: the writer has gone over to the new one
                    yield from file.rest()
                    file = file.successor()
                    replaced = False
                else:
                    self.wait(self._look_seconds)
                    replaced = file.is_replaced()
        finally:
            file.close()


class _Followed:
    """A file that is open, and how far it was read."""

    def __init__(self, name: str, files: Files, *, elsewhere: str | None = None) -> None:
        self._name = name
        self._files = files
        self._elsewhere = elsewhere
        # A buffer would show what was there before a truncation.
        self._raw = open_file(name, buffered=False)
        self.begin()

    def begin(self) -> None:
        """Reads it from its beginning: it is new, or was truncated."""
        self._number, self._position = 1, 0
        self._head = self._tail = self._rest = b""
        self._digest = Digest()
        self._file: ImportFile | None = None

    def close(self) -> None:
        self._raw.close()

    def read(self) -> bytes:
        """What was added. Whether it was added to what was read before, `is_as_before` says afterwards."""
        self._raw.seek(self._position)
        return self._raw.read(CHUNK)

    def is_as_before(self) -> bool:
        """Do the first and the last bytes that were read still stand there? Else the file was truncated."""
        return self._at(0, self._head) and self._at(self._position - len(self._tail), self._tail)

    def _at(self, position: int, data: bytes) -> bool:
        self._raw.seek(position)
        return not data or self._raw.read(len(data)) == data

    def portions(self, piece: bytes) -> Iterator[Portion]:
        """The lines that are whole with the bytes that come next."""
        file = self._file or self._recognised(piece)
        if file is None:
            return
        self._file = file
        self._position += len(piece)
        self._head = self._head or piece[:COMPARED]
        self._tail = (self._tail + piece[-COMPARED:])[-COMPARED:]
        self._digest.add(piece)
        data = self._rest + piece
        end = data.rfind(END)
        # Of a line that has no end yet, no more is kept than makes it too long.
        self._rest = data[end + 1 :][: MAX_LINE + 1]
        if end >= 0:
            for lines in portions(self._number, data[:end]):
                yield self._portion(lines, file)

    def rest(self) -> Iterator[Portion]:
        """The last line of a file that grows no more."""
        if self._rest and self._file is not None:
            yield self._portion(written(self._number, self._rest, ended=False), self._file)

    def _portion(self, lines: Lines, file: ImportFile) -> Portion:
        self._number += lines.total
        return Portion(lines, file, self._digest.extent, os.fstat(self._raw.fileno()).st_mtime_ns)

    def _recognised(self, piece: bytes) -> ImportFile | None:
        """Which file it is; None: it was truncated meanwhile."""
        with open(os.dup(self._raw.fileno()), "rb") as raw:
            raw.seek(0)
            if is_compressed(raw, self._name):
                raise InvalidParameter(
                    "follow", f"The file {self._name} is compressed: it can't be followed."
                )
            source = Source(self._name, raw)
            if not source.is_file:
                raise InvalidParameter("follow", f"{self._name} is not a file: it can't be followed.")
            found = self._files.recognise(source, elsewhere=self._elsewhere)
            shared = min(len(piece), len(source.beginning))
            return found if source.beginning[:shared] == piece[:shared] else None

    def is_replaced(self) -> bool:
        """Does the name belong to another file now?"""
        try:
            found = Path(self._name).stat()
        except OSError:
            return False  # between two files
        return place_of(found) != place_of(os.fstat(self._raw.fileno()))

    def successor(self) -> "_Followed":
        """The file that has the name now, or this one while there is none."""
        # An old file that has a name still is another one than the new, even if their lines are equal.
        is_elsewhere = os.fstat(self._raw.fileno()).st_nlink > 0
        try:
            next_one = _Followed(
                self._name, self._files, elsewhere=self._file.key if is_elsewhere and self._file else None
            )
        except FileError:
            self._rest = b""
            return self
        self.close()
        return next_one
