"""A snapshot of DuckDB: one connection in one transaction, so that all results are of the same moment."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.errors import Overloaded
from meterboard.usage.answer_length import check_answer_length
from meterboard.usage.dialect import DUCKDB, Statement
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.statements import Statements
from meterboard.usage.snapshot import SqlSnapshot
from meterboard.usage.sql import page
from meterboard.usage.store import Difference, Usage

Row = tuple[Any, ...]
MAX_CACHED_ROWS = 1_000_000_000
"""More rows than a result can have."""
FETCHED_ROWS = 250
"""How many rows are fetched before the length of their text is checked."""


class DuckDBSnapshot(SqlSnapshot):
    """The DuckDB implementation of `meterboard.usage.store.Snapshot`: one connection in one transaction."""

    dialect = DUCKDB

    def __init__(self, connection: duckdb.DuckDBPyConnection, naming: Statements) -> None:
        self._connection = connection
        self._naming = naming
        self.dimensions = naming.shown
        self._is_ended = False
        self._cached: dict[tuple[str, str], str] = {}
        self.watermark = EPOCH + INSTANT * watermark_of(connection)

    def interrupt(self) -> None:
        """Makes the statement that is running fail, and all later ones. Called from any thread."""
        self._is_ended = True
        self._connection.interrupt()

    def _execute(self, statement: str, parameters: object) -> duckdb.DuckDBPyConnection:
        if self._is_ended:  # DuckDB ignores an interruption between two statements
            raise duckdb.InterruptException("The read was interrupted.")
        try:
            return self._connection.execute(statement, parameters)
        except duckdb.OutOfMemoryException as error:
            raise Overloaded(
                "This query needs more memory than is free. Use a shorter period, or try again later."
            ) from error

    def _rows(self, statement: str, parameters: object) -> list[Row]:
        """Returns the rows of a statement. Raises: AnswerTooLong: before more text than the limit is in memory."""
        result = self._execute(statement, parameters)
        rows: list[Row] = result.fetchmany(FETCHED_ROWS)
        if len(rows) < FETCHED_ROWS:
            return rows
        texts = [index for index, value in enumerate(rows[0]) if isinstance(value, str)]
        fetched, characters = rows, 0
        while fetched:
            characters += sum(len(row[index]) for row in fetched for index in texts)
            check_answer_length(characters)
            fetched = result.fetchmany(FETCHED_ROWS)
            rows += fetched
        return rows

    def ask(self, statement: Statement) -> list[Row]:
        return self._rows(*statement)

    def ask_page(self, whole: Statement, limit: int | None, offset: int, *, in_full: bool) -> list[Row]:
        """
        Returns a page of a statement's rows. With `in_full` the rows are computed once and cached on disk, in order.
        """
        if not in_full:
            return self.ask(page(whole, limit, offset))
        key = (whole.sql, repr(whole.parameters))
        if key not in self._cached:
            table = f"cached_{len(self._cached)}"
            numbered = f"select row_number() over () - 1 as place, * from ({whole.sql}) as answer"
            self._execute(f"create temp table {table} as {numbered}", whole.parameters).fetchall()
            self._cached[key] = table
        # Not `_rows`: the number of rows limits the pages of an export.
        return self._execute(
            f"select * exclude (place) from {self._cached[key]} where place >= ? and place < ? order by place",
            [offset, offset + (limit or MAX_CACHED_ROWS)],
        ).fetchall()

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        (sums,) = self._rows(statements.WINDOW, [organization, micros(after), micros(until)])
        return Usage(*sums)

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        rows = self._rows(statements.RETURNS, [organization, micros(after), micros(until)])
        return {bucket: Usage(calls, credits) for bucket, calls, credits in rows}

    def difference(self, organization: int) -> Difference:
        parameters = {"organization": organization, "watermark": micros(self.watermark)}
        (numbers,) = self._rows(self._naming.difference, parameters)
        return Difference(*numbers)


def watermark_of(connection: duckdb.DuckDBPyConnection) -> int:
    """Returns the watermark that a connection sees, in microseconds; 0 before the first refresh."""
    found = connection.execute("select moment from watermark").fetchall()
    return int(found[0][0]) if found else 0


def first_line(error: Exception) -> str:
    """Returns the first line of a driver's message, which is the part for users."""
    return str(error).split("\n", 1)[0]


def why_not_opened(path: Path, error: Exception) -> str:
    """Returns why a file can't be opened, and what to do."""
    text = first_line(error)
    if "conflicting lock" in text.lower() or "set lock" in text.lower():
        return f"{path.parent} is in use by another Meterboard server. Stop that one, or choose another --data folder."
    return f"{path} can't be opened: {text} Restore it from a backup, or move it away to start again."
