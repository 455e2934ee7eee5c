"""The open database file: one connection that writes, and one per read."""

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
"""How long open reads may continue before the database is opened again. DuckDB can't close it while they run."""
_NOT_READABLE = (duckdb.FatalException, duckdb.IOException, duckdb.ConnectionException)
"""Errors of reads when the database was invalidated or the disk fails; others are bugs in statements."""


class Database:
    """An open database file. All methods but `snapshot` and `interrupt` are called by the thread that writes."""

    def __init__(self, path: Path, memory: str) -> None:
        """Opens the file. Raises: DataFolderError: it is in use by another process, damaged, or can't be written."""
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
        """Updates an older file. Raises: DataFolderError: it was written by a newer version of Meterboard."""
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
        self.connection.execute("checkpoint").fetchall()  # the content of the log is also held in memory

    def set_dimensions(self, dimensions: Dimensions) -> None:
        """
        Adds the columns of an installation's own dimensions, and drops columns of removed ones that have no values.

        The values of a dimension that is removed from the settings stay, hidden, until retention deletes them.
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
        """Returns whether the file has values of an own dimension."""
        found = " union all ".join(
            f"select 1 from {table} where \"{name}\" <> ''" for table in statements.TABLES_OF_DIMENSIONS
        )
        return bool(self.connection.execute(f"{found} limit 1").fetchall())

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # A checkpoint delays the commits after it, so the store chooses when it happens, not DuckDB.
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._memory,
            "checkpoint_threshold": "1TB",
        }
        try:
            connection = duckdb.connect(str(self.path), config=config)
        except duckdb.Error as error:
            raise DataFolderError(why_not_opened(self.path, error)) from error
        try:
            # Closing must write nothing: entries after half an entry of a log that can't be truncated are lost.
            connection.execute("pragma disable_checkpoint_on_shutdown").fetchall()
            connection.execute(statements.SCHEMA).fetchall()
        except duckdb.Error as error:
            connection.close()  # an open connection would share the invalidated database with the next one
            raise DataFolderError(why_not_opened(self.path, error)) from error
        return connection

    def reopen(self) -> None:
        """
        Closes the database, which DuckDB may have invalidated, and opens it again, at first only for writing.

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
        """Allows reads."""
        reader = self.connection.cursor()
        with self._readers_changed:
            self._reader = reader

    @contextmanager
    def snapshot(self) -> Iterator[DuckDBSnapshot]:
        """
        Opens a snapshot, which reads in its own transaction. Called from any thread. Raises: StoreFailed: it can't be
        read.
        """
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
        """Registers a snapshot for `interrupt` while it is open: a closed one can't be interrupted."""
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

    def release_memory(self, remaining: str) -> None:
        """Releases the memory of cached blocks, except for the amount `remaining`, unless a read is in progress."""
        with self._readers_changed:
            if self._readers:
                return
            with suppress(duckdb.OutOfMemoryException):  # it released what it could
                self.connection.execute(f"set memory_limit = '{remaining}'").fetchall()
            self.connection.execute(f"set memory_limit = '{self._memory}'").fetchall()

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()
