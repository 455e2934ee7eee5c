"""
Recognises log files, so that equal lines in different files are different calls, and reading a file again adds none.

The id of a line that has none of its own is the key of its source, the digest of its text, and how many equal lines
came before it in the source. A source that `--source` names, and standard input (`-`), have a key made of the name.
Every other source is a file, and its key is a random number that is recorded before the first of its lines is
delivered.

A file is one that is recorded when

1. it is at the recorded device and inode and begins with what was read then. It may have grown or been renamed;    a
file that was truncated, or got the inode of a deleted one, begins with something else. At the recorded path the
first 64 KiB are compared, under another name all that was read; or 2. it begins with everything that was read of the
recorded file, and that one is no longer where it was: neither at its    path nor, under another name, in the same
folder. It may have been compressed, moved to another file system,    replaced by a newer copy, or copied and
truncated. Of several such files the one of which most was read is taken; or 3. it is the same log, compressed or
expanded, of the same name but for `.gz` or `.zst`, while the recorded one is still    there (`gzip -k`): it begins
with all that the compressed one holds; or 4. it is a copy that was made just before the recorded file was truncated,
and lacks the lines written last.

Otherwise it is a new file: equal lines in two files are two calls. Whenever the choice is between several recorded
files, each of them holds what the file begins with, so the total is right whichever is taken.

The record always covers what was delivered: it is written first, and never undone. So after an interruption the file
is recognised, and the lines that were already delivered are duplicates.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from msgspec.structs import replace

from meterboard.domain.import_file import ImportFile
from meterboard.errors import FileError
from meterboard.importers.sources import (
    BEGINNING,
    DAMAGED,
    Digest,
    Extent,
    Source,
    extent_of,
    open_source,
)

KEY_BYTES = 8
"""The length of a random key. The chance that two of a million files have the same one is below 1 in 10^7."""
PIECE = 1024 * 1024
"""How many bytes are compared at once."""
COPY_SECONDS = 60
"""The longest time between the copy that a rotation makes and the truncation."""
DAMAGED_LENGTH = 4096
"""The bytes by which a damaged file is recognised: later ones may be damaged, and intact the next time."""


class Registry(Protocol):
    """The recorded files of one organisation."""

    def at(self, place: str) -> ImportFile | None:
        """Returns the file that was last seen at a device and inode."""
        ...

    def starting(self, start: bytes) -> list[ImportFile]:
        """Returns the files whose first digest is `start`, and those that were too short for one."""
        ...

    def save(
        self, file: ImportFile, *, known: ImportFile | None = None, displaced: ImportFile | None = None
    ) -> ImportFile | None:
        """
        Adds a file, or replaces the `known` record of it, and returns it; `displaced` is the file recorded at its
        place before.

        Returns None, and changes nothing, when another import has changed any of these records meanwhile.
        """
        ...

    def extend(self, file: ImportFile) -> None:
        """Records that more of a file was read."""
        ...


def key_of_name(source: str) -> str:
    """Returns the key of a source that has a name."""
    return "s" + blake2b(source.encode("utf-8", "surrogateescape"), digest_size=KEY_BYTES).hexdigest()


class Files:
    """Recognises the files of an organisation."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def recognise(self, source: Source, *, elsewhere: str | None = None) -> ImportFile:
        """
        Returns the recorded file that a source is; a new one is recorded now. The source is then read from its
        beginning.

        `elsewhere`: the key of a file that is known to be a different one, wherever it is.
        """
        while (found := _Recognition(self._registry, source, elsewhere).run()) is None:
            source.restart()  # another import has changed the records meanwhile
        source.restart()
        return found

    def extend(self, file: ImportFile, extent: Extent, modified: int) -> ImportFile:
        """Records that a file was read up to `extent`, before any of it is delivered."""
        if extent.length <= file.length:
            return file
        length, digest, beginnings = extent
        longer = replace(
            file, length=length, digest=digest, beginnings=beginnings, modified=max(modified, file.modified)
        )
        self._registry.extend(longer)
        return longer

    def shorten(self, file: ImportFile, source: Source) -> None:
        """Reduces the record of a damaged file to its beginning, so that it is recognised when it is intact."""
        length, digest, beginnings = extent_of(source.beginning[:DAMAGED_LENGTH])
        if length < file.length:
            self._registry.save(
                replace(file, length=length, digest=digest, beginnings=beginnings), known=file
            )


class Pieces:
    """The files that one command reads as parts of a named source."""

    def __init__(self) -> None:
        self._places: set[str] = set()
        self._paths: list[Path] = []

    def is_new(self, source: Source) -> bool:
        """
        Returns whether it is none of the files before: not by another name or link, and not compressed beside the
        original.
        """
        if not source.is_file:
            return True
        path, place = Path(source.name).resolve(), place_of(os.fstat(source.raw.fileno()))
        if place in self._places or any(_is_packed(source, path, other) for other in self._paths):
            return False
        self._places.add(place)
        self._paths.append(path)
        source.restart()
        return True


class _Recognition:
    """The recognition of one file; see the module."""

    def __init__(self, registry: Registry, source: Source, elsewhere: str | None) -> None:
        status = os.fstat(source.raw.fileno())
        self._registry = registry
        self._source = source
        self._elsewhere = elsewhere
        self._path = Path(source.name).resolve()
        self._place = place_of(status)
        self._modified = status.st_mtime_ns
        self._extent = extent_of(source.beginning)

    def run(self) -> ImportFile | None:
        """Returns the file; None: another import has changed the records."""
        here = self._registry.at(self._place)
        if here is not None and here.path == str(self._path):
            if begins_with(self._source.beginning, here):
                return here
        elif here is not None and self._holds(
            here
        ):  # renamed; or another file got the inode of a deleted one
            return self._saved(replace(here, path=str(self._path)), known=here)
        candidates = [
            file
            for file in self._registry.starting(self._extent.beginnings[:8])
            if file.key != self._elsewhere and (here is None or file.number != here.number)
        ]
        candidates.sort(key=self._preference)
        present = {file.key: there for file in candidates if not file.is_part and (there := self._find(file))}
        for key, there in present.items():
            if _is_packed(self._source, self._path, there):
                return self._saved(self._new(key), displaced=here)
        gone = [file for file in candidates if file.key not in present]
        for file in gone:
            if self._holds(file) and not (file.is_part and self._find(file)):
                modified = max(self._modified, file.modified)
                now = replace(file, path=str(self._path), place=self._place, modified=modified)
                return self._saved(now, known=file, displaced=here)
        for file in gone:
            if self._is_short_copy(file):
                return self._saved(self._new(file.key, is_part=True), displaced=here)
        return self._saved(self._new("f" + token_hex(KEY_BYTES)), displaced=here)

    def _new(self, key: str, *, is_part: bool = False) -> ImportFile:
        length, digest, beginnings = self._extent
        return ImportFile(
            key=key,
            path=str(self._path),
            place=self._place,
            length=length,
            digest=digest,
            beginnings=beginnings,
            modified=self._modified,
            is_part=is_part,
        )

    def _saved(
        self, file: ImportFile, *, known: ImportFile | None = None, displaced: ImportFile | None = None
    ) -> ImportFile | None:
        return self._registry.save(file, known=known, displaced=displaced)

    def _find(self, file: ImportFile) -> Path | None:
        """Returns where a recorded file is, which may have been renamed; None: it is not where it was."""
        return _whereabouts(file, self._path.parent)

    def _holds(self, file: ImportFile) -> bool:
        """
        Returns whether the source begins with all that was read of a recorded file, and, if that was a part, has no
        more.
        """
        if not _holds_all(self._source, file):
            return False
        return not file.is_part or _digest(self._source, file.length + 1) is None

    def _preference(self, file: ImportFile) -> tuple[int, bool, str]:
        """Returns a sort key: the file of which most was read comes first, then one of the same name."""
        return -file.length, not self._path.name.startswith(_stem(Path(file.path)).name), file.key

    def _is_short_copy(self, file: ImportFile) -> bool:
        behind = file.modified - self._modified
        return (
            self._path.name.startswith(_stem(Path(file.path)).name)
            and 0 < behind <= COPY_SECONDS * 1_000_000_000
            and len(self._extent.beginnings) > 0
            and file.beginnings.startswith(self._extent.beginnings)
            and _digest(self._source, file.length) is None
        )


def place_of(status: os.stat_result) -> str:
    """Returns the device and inode of a file, which identify it whatever its name."""
    return f"{status.st_dev}:{status.st_ino}"


def begins_with(beginning: bytes, file: ImportFile) -> bool:
    """Returns whether a file's first bytes are those that were read of a recorded file."""
    if file.length <= len(beginning):
        return extent_of(beginning[: file.length]).digest == file.digest
    return len(beginning) == BEGINNING and extent_of(beginning).beginnings == file.beginnings


def _holds_all(source: Source, file: ImportFile) -> bool:
    """Returns whether a source begins with all that was read of a recorded file."""
    return begins_with(source.beginning, file) and _digest(source, file.length) == file.digest


def _digest(source: Source, length: int) -> bytes | None:
    """Returns the digest of the first bytes; None: there are fewer."""
    digest = Digest()
    source.restart()
    for piece in _pieces(source, length):
        digest.add(piece)
    return digest.extent.digest if digest.extent.length == length else None


def _whereabouts(file: ImportFile, folder: Path) -> Path | None:
    """Returns where a recorded file is, which may have been renamed; None: it is in neither folder."""
    if file.place is None:
        return None
    inode = int(file.place.partition(":")[2])
    path = Path(file.path)
    renamed = (found for parent in {path.parent, folder} for found in _with_inode(parent, inode))
    for other in chain([path], renamed):
        try:
            if place_of(other.stat()) != file.place:
                continue
            with open_source(str(other)) as source:
                # An inode under another name may be that of a deleted file.
                if begins_with(source.beginning, file) if other == path else _holds_all(source, file):
                    return other
        except FileError:
            return other  # it exists, though it can't be read
        except OSError:
            continue
    return None


def _with_inode(folder: Path, inode: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from [Path(entry.path) for entry in entries if entry.inode() == inode]
    except OSError:
        return


def _stem(path: Path) -> Path:
    """Returns a path without the suffix of a compression."""
    return path.with_suffix("") if path.suffix in (".gz", ".zst") else path


def _is_packed(source: Source, path: Path, other: Path) -> bool:
    """
    Returns whether one of two files is the other one compressed, possibly truncated, so that it holds no more than
    the other.
    """
    if path == other or _stem(path) != _stem(other):
        return False
    source.restart()
    try:
        with open_source(str(other)) as opened:
            packed, whole = (opened, source) if _stem(path) == path else (source, opened)
            for piece in _pieces(packed):
                if b"".join(_pieces(whole, len(piece))) != piece:
                    return False
    except FileError:
        return False
    return True


def _pieces(source: Source, length: int | None = None) -> Iterator[bytes]:
    """Yields the bytes of a source up to `length`, its end, or damage."""
    left = PIECE if length is None else length
    try:
        while left and (piece := source.read(min(PIECE, left))):
            yield piece
            left -= len(piece) if length is not None else 0
    except DAMAGED:
        return
