"""
The folder that keeps what Meterboard has not acknowledged yet.

Any number of processes may share it: each writes to files of its own, which it holds locked as long as it lives. A file
that nobody holds was left by a process that ended, and is adopted by whoever locks it first.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from time import time

from meterboard.client.spool.segment import SEGMENT_BYTES, Segment

log = logging.getLogger("meterboard.client")

SUFFIX = ".events"
LEAST_BYTES = 4 * SEGMENT_BYTES
_MAKING_SECONDS = 60
"""A file that is empty for longer than this is not being made by anybody."""


class SpoolFull(Exception):
    """The folder holds as much as it may."""


def default_folder(url: str, key: str) -> Path:
    """A folder of the user's own for this server and key."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = hashlib.sha256(f"{url}\n{key}".encode()).hexdigest()[:16]
    return Path(state) / "meterboard" / f"spool-{digest}"


class Spool:
    """The files of a folder, bounded together."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Raises: ValueError: `most_bytes` is too small."""
        if most_bytes < LEAST_BYTES:
            raise ValueError(f"spool_bytes is {most_bytes:,}: use at least {LEAST_BYTES:,}.")
        self.folder = folder
        self._most_bytes = most_bytes

    def create(self) -> Segment:
        """Raises: SpoolFull: the bound is reached. OSError: the disk is full, or the folder can't be used."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = sum(self._size(path) for path in self._files())
        if held + SEGMENT_BYTES > self._most_bytes:
            raise SpoolFull(f"The spool {self.folder} holds {held:,} of {self._most_bytes:,} bytes.")
        return Segment.create(self.folder / f"{os.getpid()}-{token_hex(8)}{SUFFIX}")

    def adopt(self) -> list[Segment]:
        """What processes that ended left here, oldest first."""
        found = []
        for path in sorted(self._files(), key=self._age, reverse=True):
            try:
                if self._size(path) or self._age(path) > _MAKING_SECONDS:
                    segment = Segment.adopt(path)
                    if segment is not None:
                        found.append(segment)
            except FileNotFoundError:
                continue  # its owner was quicker
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

    @staticmethod
    def _age(path: Path) -> float:
        """Seconds since it was last written to, by the wall clock."""
        try:
            return time() - path.stat().st_mtime
        except OSError:
            return 0
