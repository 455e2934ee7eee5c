"""
Which log file is which: what makes a line another line than an equal one elsewhere.

The id of a line that has none of its own is the key of its source, the digest of its text, and how many equal lines came
before it in the source. A source that `--source` names, and standard input (`-`), have a key made of the name. Every
other source is a file, and its key is a random number that is recorded before the first of its lines is delivered.

A file is one that is recorded when

1. it is at the recorded device and inode and begins with what was read then. So it may have grown or been renamed;
   a file that was truncated, or got the inode of a deleted one, begins with something else. At the recorded path the
   first 64 KiB are compared, under another name all that was read; or
2. it begins with everything that was read of the recorded file, and that one is no longer where it was: neither at its
   path nor, under another name, in the same folder. So it may have been compressed, moved to another file system,
   replaced by a newer copy, or copied and truncated. Of several such files it is the one of which most was read; or
3. it is the same log, compressed or expanded, of the same name but for `.gz` or `.zst`, while the recorded one is still
   there (`gzip -k`): it begins with all that the compressed one holds; or
4. it is a copy that was made just before the recorded file was truncated, and what was written last is missing in it.

Otherwise it is a new file: equal lines in two files are two calls. Whenever the choice is between several recorded
files, each of them holds what the file begins with, so the total is right whichever is taken.

What is recorded always covers what was delivered: it is written first, and never taken back. So after an interruption
the file is recognised, and the lines that were delivered already count nothing.
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
"""Of a key. Random, they make the chance that two of a million files have the same one less than 1 in 10^7."""
PIECE = 1024 * 1024
"""Bytes that are compared at once."""
COPY_SECONDS = 60
"""Between the copy that a rotation makes and the truncation after it, at most."""
DAMAGED_LENGTH = 4096
"""Bytes by which a damaged file is recognised: what comes after them may be damaged, and whole the next time."""


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
        Adds a file, or replaces what was `known` of it, and returns it; `displaced` stood at its place before.

        Returns None, and changes nothing, when another import has changed any of it meanwhile.
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
        Returns the recorded file that a source is, recorded now if it is new. The source is then read from its beginning.

        `elsewhere`: the key of a file that is known to be another one, wherever it is.
        """
        while (found := _Recognition(self._registry, source, elsewhere).run()) is None:
            source.restart()  # another import has recorded something meanwhile
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
        """Records of a damaged file no more than its beginning, so that it is recognised when it is whole."""
        length, digest, beginnings = extent_of(source.beginning[:DAMAGED_LENGTH])
        if length < file.length:
            self._registry.save(
                replace(file, length=length, digest=digest, beginnings=beginnings), known=file
            )


class Pieces:
    """The files that one command reads as pieces of a source that has a name."""

    def __init__(self) -> None:
        self._places: set[str] = set()
        self._paths: list[Path] = []

    def is_new(self, source: Source) -> bool:
        """Is it none of the files before: by another name or link, or compressed beside the original?"""
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
    """One look at one file; see the module."""

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
        """Returns the file; None: another import has changed what is recorded."""
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
        """Does the source begin with all that was read of a recorded file? If that was a part, is it all there is?"""
        if not _holds_all(self._source, file):
            return False
        return not file.is_part or _digest(self._source, file.length + 1) is None

    def _preference(self, file: ImportFile) -> tuple[int, bool, str]:
        """The file of which most was read comes first, then one of the same name."""
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
    """Returns where a file is, whatever it is called."""
    return f"{status.st_dev}:{status.st_ino}"


def begins_with(beginning: bytes, file: ImportFile) -> bool:
    """Is what was read of a file what another begins with, as far as its first bytes show?"""
    if file.length <= len(beginning):
        return extent_of(beginning[: file.length]).digest == file.digest
    return len(beginning) == BEGINNING and extent_of(beginning).beginnings == file.beginnings


def _holds_all(source: Source, file: ImportFile) -> bool:
    """Does a source begin with all that was read of a recorded file?"""
    return begins_with(source.beginning, file) and _digest(source, file.length) == file.digest


def _digest(source: Source, length: int) -> bytes | None:
    """Returns the digest of the first bytes; None: there are not as many."""
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
                # An inode under another name may be that of a file which was deleted.
                if begins_with(source.beginning, file) if other == path else _holds_all(source, file):
                    return other
        except FileError:
            return other  # there, though it can't be read
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
    """A path without the end that a compression gives it."""
    return path.with_suffix("") if path.suffix in (".gz", ".zst") else path


def _is_packed(source: Source, path: Path, other: Path) -> bool:
    """Is one of two files the other one compressed, perhaps cut off? It holds no more than the other then."""
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
    """The bytes of a source up to `length`, its end, or where it is damaged."""
    left = PIECE if length is None else length
    try:
        while left and (piece := source.read(min(PIECE, left))):
            yield piece
            left -= len(piece) if length is not None else 0
    except DAMAGED:
        return
