"""Follows a file that grows, as `tail -F` does: across rotation by renaming, and by copying and truncating."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import NamedTuple

from meterboard.domain.import_file import ImportFile
from meterboard.errors import FileError, InvalidParameter
from meterboard.importers.log_identity import Files, place_of
from meterboard.importers.reading.lines import CHUNK, END, MAX_LINE, Lines, batches, decoded_lines
from meterboard.importers.sources import Digest, Extent, Source, is_compressed, open_file

POLL_SECONDS = 0.5
"""How often the file is checked. New lines are delivered at once, so they are committed within a second."""
COMPARED = 256
"""
The bytes at the beginning, and before the position, that are compared to detect truncation: more than a time stamp.
"""


class FollowedBatch(NamedTuple):
    """Whole lines of a file; `extent` and `modified` are what was read up to their end."""

    lines: Lines
    file: ImportFile
    extent: Extent
    modified: int


class Following:
    """The lines of a file as they are written. A file that replaces it begins with line 1 again."""

    def __init__(self, name: str, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._name = name
        self._poll_seconds = poll_seconds
        self._enough = Event()

    def stop(self) -> None:
        """Ends the iteration after the lines that are there. May be called from a signal handler."""
        self._enough.set()

    def wait(self, seconds: float) -> bool:
        """Waits until `stop` is called, at most some seconds. Returns whether it was called."""
        return self._enough.wait(seconds)

    def batches(self, files: Files) -> Iterator[FollowedBatch]:
        """
        Yields batches of whole lines until `stop`, never an empty one.

        A line without its end waits for it, except at the end of a file that was replaced.
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
                    yield from file.batches(piece)
                elif ends:
                    return
                elif replaced:  # and read to its end once more: the writer has switched to the new file
                    yield from file.rest()
                    file = file.successor()
                    replaced = False
                else:
                    self.wait(self._poll_seconds)
                    replaced = file.is_replaced()
        finally:
            file.close()


class _Followed:
    """A file that is open, and the position up to which it was read."""

    def __init__(self, name: str, files: Files, *, elsewhere: str | None = None) -> None:
        self._name = name
        self._files = files
        self._elsewhere = elsewhere
        # A buffer would return data from before a truncation.
        self._raw = open_file(name, buffered=False)
        self.begin()

    def begin(self) -> None:
        """Starts to read from the beginning: the file is new, or was truncated."""
        self._number, self._position = 1, 0
        self._head = self._tail = self._rest = b""
        self._digest = Digest()
        self._file: ImportFile | None = None

    def close(self) -> None:
        self._raw.close()

    def read(self) -> bytes:
        """Returns what was added. Afterwards `is_as_before` says whether the file was truncated."""
        self._raw.seek(self._position)
        return self._raw.read(CHUNK)

    def is_as_before(self) -> bool:
        """
        Returns whether the first and the last bytes that were read are unchanged; otherwise the file was truncated.
        """
        return self._at(0, self._head) and self._at(self._position - len(self._tail), self._tail)

    def _at(self, position: int, data: bytes) -> bool:
        self._raw.seek(position)
        return not data or self._raw.read(len(data)) == data

    def batches(self, piece: bytes) -> Iterator[FollowedBatch]:
        """Yields the lines that are complete with the bytes that come next."""
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
        # Of a line without an end, only as much is kept as makes it too long.
        self._rest = data[end + 1 :][: MAX_LINE + 1]
        if end >= 0:
            for lines in batches(self._number, data[:end]):
                yield self._batch(lines, file)

    def rest(self) -> Iterator[FollowedBatch]:
        """Yields the last line of a file that no longer grows."""
        if self._rest and self._file is not None:
            yield self._batch(decoded_lines(self._number, self._rest, ended=False), self._file)

    def _batch(self, lines: Lines, file: ImportFile) -> FollowedBatch:
        self._number += lines.total
        return FollowedBatch(lines, file, self._digest.extent, os.fstat(self._raw.fileno()).st_mtime_ns)

    def _recognised(self, piece: bytes) -> ImportFile | None:
        """Returns the recorded file that it is; None: it was truncated meanwhile."""
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
        """Returns whether the name belongs to another file now."""
        try:
            found = Path(self._name).stat()
        except OSError:
            return False  # between two files
        return place_of(found) != place_of(os.fstat(self._raw.fileno()))

    def successor(self) -> "_Followed":
        """Returns the file that has the name now, or this one while there is none."""
        # An old file that still has a name is a different one, even if its lines are equal.
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
