"""The open database file: one connection that writes, and as many as are needed to read."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, get_ident

import duckdb

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import DimensionName
from meterboard.errors import DataFolderError, StoreFailed
from meterboard.usage.duckdb import rollup, statements
from meterboard.usage.duckdb.snapshot import DuckDBSnapshot, first_line, watermark_of, why_not_opened
from meterboard.usage.duckdb.statements import Statements

READERS_SECONDS = 5.0
"""How long reads that have begun may go on before the database is opened again. DuckDB can't close it under them."""
_NOT_READABLE = (duckdb.FatalException, duckdb.IOException, duckdb.ConnectionException)
"""What reads meet when the database was given up or the disk fails; anything else is a fault in a statement."""


class Database:
    """Holds the file. Everything but `snapshot` and `interrupt` is called by the thread that writes."""

    def __init__(self, path: Path, memory: str) -> None:
        """Raises: DataFolderError: the file is in use by another process, damaged, or can't be written."""
        self.path = path
        self._memory = memory
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._readers = 0
        self._open: list[tuple[int, DuckDBSnapshot]] = []
        self._readers_changed = Condition()
        self.naming = Statements(Dimensions(), ())
        """The statements that name dimensions; see `set_dimensions`."""
        self.connection = self._connect()

    def update_layout(self) -> None:
        """Brings an older file up to date. Raises: DataFolderError: it was written by a newer version of Meterboard."""
        found = self.connection.execute("select version from layout").fetchall()
        if not found:
            self.connection.execute("insert into layout values (?)", [statements.LAYOUT]).fetchall()
        elif found == [(statements.LAYOUT,)]:
            return
        elif found[0][0] not in statements.FROM_LAYOUT:
            raise DataFolderError(
                f"{self.path} was written by another version of Meterboard (layout {found[0][0]}, this one reads "
                f"{statements.LAYOUT}). Use that version, or move the file away to start again."
            )
        else:
            self._update_from(found[0][0])

    def _update_from(self, version: int) -> None:
        self.connection.begin()
        for statement in statements.FROM_LAYOUT[version]:
            self.connection.execute(statement).fetchall()
        if version == 1:
            self.connection.execute(statements.SCHEMA).fetchall()
            rollup.roll_up(self.connection, self.naming, 0, watermark_of(self.connection))
        self.connection.commit()
        self.connection.execute("checkpoint").fetchall()  # what the log holds, memory holds

    def set_dimensions(self, dimensions: Dimensions) -> None:
        """
        Gives the file columns of an installation's own dimensions, and takes those away that nothing is kept of.

        What is kept of a dimension that is removed from the settings stays, hidden, until retention deletes it.
        """
        names = [name for (name,) in self.connection.execute(statements.ALL_COMBINATION_COLUMNS).fetchall()]
        in_file = [name for name in names if name not in statements.COMBINATION_COLUMNS]
        unused = [name for name in in_file if name not in dimensions.own_names and not self._is_used(name)]
        missing = [name for name in dimensions.own_names if name not in in_file]
        if unused or missing:
            self.connection.begin()
            for table in statements.TABLES_OF_DIMENSIONS:
                for name in unused:
                    self.connection.execute(f'alter table {table} drop column "{name}"').fetchall()
                for name in missing:
                    added = f"alter table {table} add column \"{name}\" varchar default ''"
                    self.connection.execute(added).fetchall()
            self.connection.commit()
            self.connection.execute("checkpoint").fetchall()
        self.naming = Statements(dimensions, [*(name for name in in_file if name not in unused), *missing])

    def _is_used(self, name: DimensionName) -> bool:
        """Does the file say anything of an own dimension?"""
        found = " union all ".join(
            f"select 1 from {table} where \"{name}\" <> ''" for table in statements.TABLES_OF_DIMENSIONS
        )
        return bool(self.connection.execute(f"{found} limit 1").fetchall())

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # A checkpoint stalls the commits behind it, so the store chooses its moment, not DuckDB.
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._memory,
            "checkpoint_threshold": "1TB",
        }
        try:
            connection = duckdb.connect(str(self.path), config=config)
        except duckdb.Error as error:
            raise DataFolderError(why_not_opened(self.path, error)) from error
        try:
            # Closing must write nothing: behind half an entry of a log that can't be cut off, all that follows is lost.
            connection.execute("pragma disable_checkpoint_on_shutdown").fetchall()
            connection.execute(statements.SCHEMA).fetchall()
        except duckdb.Error as error:
            connection.close()  # a database that was given up is shared with the next connection while this one is open
            raise DataFolderError(why_not_opened(self.path, error)) from error
        return connection

    def reopen(self) -> None:
        """
        Close the database, which DuckDB may have given up, and open it again, for writing alone at first.

        Raises: DataFolderError: it can't be opened. StoreFailed: reads are still in progress.
        """
        with self._readers_changed:
            self._reader = None
            if not self._readers_changed.wait_for(lambda: not self._readers, READERS_SECONDS):
                raise StoreFailed("reads are still in progress.")
        with suppress(duckdb.Error):
            self.connection.close()
        self.connection = self._connect()

    def allow_reading(self) -> None:
        """Let reads begin."""
        reader = self.connection.cursor()
        with self._readers_changed:
            self._reader = reader

    @contextmanager
    def snapshot(self) -> Iterator[DuckDBSnapshot]:
        """Reads in a transaction of their own. Called from any thread. Raises: StoreFailed: it can't be read."""
        with self._readers_changed:
            if self._reader is None:
                raise StoreFailed(
                    "The usage store is being opened again after a failure. Try again in a moment."
                )
            reader = self._reader
            self._readers += 1
        try:
            with (
                reader.cursor().begin() as connection,
                self._listed(DuckDBSnapshot(connection, self.naming)) as snapshot,
            ):
                yield snapshot
        except _NOT_READABLE as error:
            raise StoreFailed(f"The usage store can't be read: {first_line(error)}") from error
        finally:
            with self._readers_changed:
                self._readers -= 1
                self._readers_changed.notify_all()

    @contextmanager
    def _listed(self, snapshot: DuckDBSnapshot) -> Iterator[DuckDBSnapshot]:
        """Makes a snapshot known to `interrupt` while it is open: one that is closed can't be interrupted."""
        opened = (get_ident(), snapshot)
        with self._readers_changed:
            self._open.append(opened)
        try:
            yield snapshot
        finally:
            with self._readers_changed:
                self._open.remove(opened)

    def interrupt(self, thread: int) -> None:
        """Ends the snapshots that a thread has open. Called from any thread."""
        with self._readers_changed:
            for opened_in, snapshot in self._open:
                if opened_in == thread:
                    snapshot.interrupt()

    def release_memory(self, kept: str) -> None:
        """Release the memory of cached blocks, except for `kept`, unless a read is in progress."""
        with self._readers_changed:
            if self._readers:
                return
            with suppress(duckdb.OutOfMemoryException):  # it released what it could
                self.connection.execute(f"set memory_limit = '{kept}'").fetchall()
            self.connection.execute(f"set memory_limit = '{self._memory}'").fetchall()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
