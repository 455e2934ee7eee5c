"""
The folder of events that Meterboard has not acknowledged yet.

Any number of processes may share it: each writes to its own files and keeps them locked while it runs. A file without a
lock belongs to a process that ended: the first process to lock it recovers its events.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from time import time_ns

from meterboard.client.spool.segment import SEGMENT_BYTES, Segment

log = logging.getLogger("meterboard.client")

SUFFIX = ".events"
MIN_SPOOL_BYTES = 4 * SEGMENT_BYTES
_CREATION_SECONDS = 60
"""An older file that is still empty belongs to a process that ended."""


class SpoolFull(Exception):
    """The folder has reached its size limit."""


def default_folder(url: str, key: str) -> Path:
    """Returns the user's folder for this server and key."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:16]
    return Path(state) / "meterboard" / f"spool-{digest}"


class Spool:
    """The files of a folder, with a limit on their total size."""

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], int] = time_ns) -> None:
        """`clock` returns nanoseconds since 1970. Raises: ValueError: `max_bytes` is too small."""
        if max_bytes < MIN_SPOOL_BYTES:
            raise ValueError(f"spool_bytes is {max_bytes:,}: use at least {MIN_SPOOL_BYTES:,}.")
        self.folder = folder
        self._max_bytes = max_bytes
        self._clock = clock

    def create(self) -> Segment:
        """Creates a file. Raises: SpoolFull. OSError: the disk is full, or the folder can't be used."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = sum(self._size(path) for path in self._files())
        if size + SEGMENT_BYTES > self._max_bytes:
            raise SpoolFull(f"The spool {self.folder} has {size:,} of {self._max_bytes:,} bytes.")
        return Segment.create(self.folder / f"{os.getpid()}-{token_hex(8)}{SUFFIX}")

    def recover(self) -> list[Segment]:
        """Locks and returns the files of processes that ended, oldest first."""
        found = []
        for path in sorted(self._files(), key=self._age, reverse=True):
            try:
                if self._size(path) or self._age(path) > _CREATION_SECONDS:
                    segment = Segment.recover(path)
                    if segment is not None:
                        found.append(segment)
            except FileNotFoundError:
                continue  # another process removed it
            except OSError as error:
                log.warning("The spooled events in %s can't be read: %s.", path, error)
        return found

    def _files(self) -> Iterator[Path]:
        try:
            yield from [path for path in self.folder.iterdir() if path.suffix == SUFFIX]
        except OSError:
            return

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return path.stat().st_size
        except OSError:
            return 0

    def _age(self, path: Path) -> float:
        """Returns the seconds since it was last written to, by the wall clock."""
        try:
            return self._clock() / 1e9 - path.stat().st_mtime
        except OSError:
            return 0
