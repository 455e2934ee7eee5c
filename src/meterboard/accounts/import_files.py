"""The log files that were imported, recorded so that the next import recognises them."""

import os
from typing import Any

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, CursorResult, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meterboard.accounts.database import Database
from meterboard.accounts.tables import ImportFileRow
from meterboard.domain.import_file import ImportFile

START = 8
"""Bytes of the first digest in `beginnings`."""


class _Conflict(Exception):
    """Another import has changed what was read."""


class ImportFiles:
    """The imported files of every organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, organization: int) -> "FilesOfOne":
        """Returns the files of an organisation."""
        return FilesOfOne(self._database, organization)


class FilesOfOne:
    """The imported files of one organisation. Several imports may run at once."""

    def __init__(self, database: Database, organization: int) -> None:
        self._database = database
        self._organization = organization

    def at(self, place: str) -> ImportFile | None:
        """Returns the file that was last seen at a device and inode."""
        with self._database.transaction() as session:
            row = session.scalar(select(ImportFileRow).where(*_at(self._organization, place)))
            return None if row is None else _file(row)

    def starting(self, start: bytes) -> list[ImportFile]:
        """Returns the files whose first digest is `start`, and those that were too short for one."""
        matches = or_(ImportFileRow.start == start, ImportFileRow.start == b"")
        with self._database.transaction() as session:
            rows = session.scalars(
                select(ImportFileRow).where(ImportFileRow.organization_id == self._organization, matches)
            )
            return [_file(row) for row in rows]

    def save(
        self,
        file: ImportFile,
        *,
        known: ImportFile | None = None,
        displaced: ImportFile | None = None,
    ) -> ImportFile | None:
        """
        Adds a file, or replaces what was `known` of it, and returns it. `displaced` stood at its place before.

        Returns None, and changes nothing, when another import has changed any of it meanwhile.
        """
        try:
            with self._database.transaction() as session:
                if displaced is not None:
                    _change(session, self._organization, displaced, place=None)
                if known is not None:
                    _change(session, self._organization, known, **_columns(file))
                    return replace(file, number=known.number)
                row = ImportFileRow(organization_id=self._organization, **_columns(file))
                session.add(row)
                session.flush()
                return _file(row)
        except (IntegrityError, _Conflict):
            return None

    def extend(self, file: ImportFile) -> None:
        """Records that more of a file was read, unless another import has read as much."""
        longer = (ImportFileRow.number == file.number, ImportFileRow.length < file.length)
        columns = _columns(file)
        changed = {name: columns[name] for name in ("length", "digest", "start", "beginnings", "modified")}
        with self._database.transaction() as session:
            session.execute(update(ImportFileRow).where(*longer).values(changed))


def _at(organization: int, place: str) -> tuple[ColumnElement[bool], ...]:
    return ImportFileRow.organization_id == organization, ImportFileRow.place == place


def _change(session: Session, organization: int, known: ImportFile, **columns: Any) -> None:
    """Updates a record. Raises: _Conflict: it no longer is as it was read."""
    where = (
        ImportFileRow.organization_id == organization,
        ImportFileRow.number == known.number,
        ImportFileRow.place.is_not_distinct_from(known.place),
    )
    result: CursorResult[Any] = session.execute(update(ImportFileRow).where(*where).values(columns))  # type: ignore[assignment]
    if not result.rowcount:
        raise _Conflict


def _columns(file: ImportFile) -> dict[str, Any]:
    columns = asdict(file) | {"start": file.beginnings[:START], "path": os.fsencode(file.path)}
    del columns["number"]
    return columns


def _file(row: ImportFileRow) -> ImportFile:
    return ImportFile(
        key=row.key,
        path=os.fsdecode(row.path),
        place=row.place,
        length=row.length,
        digest=row.digest,
        beginnings=row.beginnings,
        modified=row.modified,
        is_part=row.is_part,
        number=row.number,
    )
