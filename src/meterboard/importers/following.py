"""Following a file that grows, as `tail -F` does: across rotation by renaming, and by copying and truncating."""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from meterboard.importers.lines import CHUNK, END, MAX_LINE, Lines, cut, portions, readable
from meterboard.importers.sources import open_file

LOOK_SECONDS = 0.5
"""How often the file is looked at. What came is handed on at once, so it is committed within a second."""


class Following:
    """The lines of a file as they are written. A new file begins with line 1 again."""

    def __init__(self, name: str, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._name = name
        self._look_seconds = look_seconds
        self._enough = Event()

    def stop(self) -> None:
        """Hand on what is there, then end. May be called from a signal handler."""
        self._enough.set()

    def lines(self) -> Iterator[Lines]:
        """
        Portions of whole lines until `stop`, never an empty one.

        A line without its end waits for it, but at the end of a file that was replaced.
        Raises: NotFound: the file can't be opened at first.
        """
        file = open_file(self._name)
        number, rest, replaced = 1, b"", False
        while True:
            ends = self._enough.is_set()
            piece = file.read(CHUNK)
            if piece:
                rest += piece
                end = rest.rfind(END)
                if end >= 0:
                    for lines in portions(number, rest[:end]):
                        yield lines
                        number += lines.total
                # Of a line that has no end yet, no more is kept than makes it too long.
                rest = rest[end + 1 :][: MAX_LINE + 1]
                continue
            if ends:
                break
            if (
                replaced
            ):  # and read to its end once more since: whoever wrote to it has gone over to the new one
                if rest:
                    yield cut(number, readable(rest), ended=False)
                file.close()
                file, number, rest, replaced = open_file(self._name), 1, b"", False
                continue
            self._enough.wait(self._look_seconds)
            found, mine = self._found(), os.fstat(file.fileno())
            replaced = found is not None and (found.st_ino, found.st_dev) != (mine.st_ino, mine.st_dev)
            if not replaced and mine.st_size < file.tell():  # truncated: whoever rotates had copied it before
                file.seek(0)
                number, rest = 1, b""
        file.close()

    def _found(self) -> os.stat_result | None:
        try:
            return Path(self._name).stat()
        except OSError:
            return None  # between two files
