"""Reading from DuckDB: one connection in one transaction, so that every answer is of the same moment."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
from msgspec.structs import replace

from meterboard.domain.cursor import Cursor
from meterboard.domain.period import EPOCH, INSTANT, micros
from meterboard.domain.query import Breakdown, DimensionName, Order, Scope, check_answer_length
from meterboard.errors import Overloaded
from meterboard.usage import sql
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.statements import Statements
from meterboard.usage.listing import listing
from meterboard.usage.store import (
    Bucket,
    Connected,
    Difference,
    Group,
    Groups,
    Listing,
    Named,
    Section,
    Sections,
    Sums,
    Totals,
    Usage,
)

MOST_KEPT_ROWS = 1_000_000_000
"""More than an answer can have."""
FETCHED_ROWS = 250
"""Rows that are made at once before their text is counted."""


class DuckDBSnapshot:
    """See `meterboard.usage.store.Snapshot`. One connection in one transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, naming: Statements) -> None:
        self._connection = connection
        self._naming = naming
        self._is_ended = False
        self._kept: dict[tuple[str, tuple[sql.Parameter, ...]], str] = {}
        self.watermark = EPOCH + INSTANT * watermark_of(connection)

    def interrupt(self) -> None:
        """Makes the statement that is being executed fail, and every later one. May be called from any thread."""
        self._is_ended = True
        self._connection.interrupt()

    def _execute(self, statement: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        if self._is_ended:  # DuckDB forgets an interruption that comes between two statements
            raise duckdb.InterruptException("The read was interrupted.")
        try:
            return self._connection.execute(statement, parameters)
        except duckdb.OutOfMemoryException as error:
            raise Overloaded(
                "This question needs more memory than is free now. Ask for a shorter period, or again later."
            ) from error

    def _rows(self, statement: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        """Raises: AnswerTooLong: before more than that is in memory."""
        result = self._execute(statement, parameters)
        rows = result.fetchmany(FETCHED_ROWS)
        if len(rows) < FETCHED_ROWS:
            return rows
        texts = [place for place, value in enumerate(rows[0]) if value is None or isinstance(value, str)]
        page, characters = rows, 0
        while page:
            characters += sum(len(row[place] or "") for row in page for place in texts)
            check_answer_length(characters)
            page = result.fetchmany(FETCHED_ROWS)
            rows += page
        return rows

    def _kept_rows(
        self, statement: sql.Statement, limit: int | None, offset: int
    ) -> list[tuple[object, ...]]:
        """Rows of an answer that is worked out once and kept, in order, until the snapshot is closed."""
        key = (statement.sql, tuple(statement.parameters))
        if key not in self._kept:
            self._kept[key] = f"kept_{len(self._kept)}"
            numbered = f"select row_number() over () - 1 as place, * from ({statement.sql}) as answer"
            self._rows(f"create temp table {self._kept[key]} as {numbered}", statement.parameters)
        # Not `_rows`: the pages of an export are bounded by their rows.
        return self._execute(
            f"select * exclude (place) from {self._kept[key]} where place >= ? and place < ? order by place",
            [offset, offset + (limit or MOST_KEPT_ROWS)],
        ).fetchall()

    def total(self, scope: Scope) -> Totals:
        (sums,) = self._rows(*sql.total(scope))
        return Totals(*map(_int, sums))

    def groups(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        tasks_only: bool = False,
        search: str = "",
        in_full: bool = False,
    ) -> Groups:
        def page(limit: int | None, offset: int) -> sql.Statement:
            return sql.groups(
                scope, columns, order=order, limit=limit, offset=offset, tasks_only=tasks_only, search=search
            )

        return self._page(page, limit, offset, in_full=in_full)

    def callers(
        self,
        scope: Scope,
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        in_full: bool = False,
    ) -> Groups:
        def page(limit: int | None, offset: int) -> sql.Statement:
            return sql.callers(scope, order=order, limit=limit, offset=offset)

        return self._page(page, limit, offset, in_full=in_full)

    def callers_named(self, scope: Scope, callers: Sequence[tuple[str, str]]) -> list[Group]:
        everybody = sql.callers(scope, order=(), limit=None, offset=0)
        named = f"select * from ({everybody.sql}) as everybody where (name, kind) in (select unnest(?), unnest(?))"
        names, kinds = [name for name, _ in callers], [kind for _, kind in callers]
        return [_group(row) for row in self._rows(named, [*everybody.parameters, names, kinds])]

    def _page(
        self,
        page: Callable[[int | None, int], sql.Statement],
        limit: int | None,
        offset: int,
        *,
        in_full: bool = False,
    ) -> Groups:
        rows = self._kept_rows(page(None, 0), limit, offset) if in_full else self._rows(*page(limit, offset))
        if not rows and offset:
            beyond = self._page(
                page, 1, 0, in_full=in_full
            )  # a page past the last has no row to carry the sums
            return Groups([], beyond.count, beyond.total)
        if not rows:
            return Groups([], 0, Usage(0, 0))
        *_, count, calls, credits = rows[0]
        return Groups([_group(row) for row in rows], _int(count), Usage(_int(calls), _int(credits)))

    def estimated(self, scope: Scope) -> int:
        ((calls,),) = self._rows(*sql.estimated(scope))
        return _int(calls)

    def sums(
        self,
        scope: Scope,
        columns: Sequence[Breakdown] = (),
        *,
        limit: int = 0,
        grain: int | None = None,
        tasks_only: bool = False,
    ) -> Sums:
        rows = self._rows(*sql.sums(scope, columns, limit=limit, grain=grain, tasks_only=tasks_only))
        return _sums(rows, columns, steps=0 if grain is None else 1)

    def sections(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int,
        in_full: bool = False,
    ) -> Sections:
        if in_full:
            whole = sql.sections(scope, columns, order=order, limit=None, offset=0)
            rows = self._kept_rows(whole, limit, offset)
        else:
            rows = self._rows(*sql.sections(scope, columns, order=order, limit=limit, offset=offset))
        if not rows and offset:
            beyond = self.sections(scope, columns, order=order, limit=1, offset=0)
            return replace(beyond, rows=[])
        if not rows:
            return Sections([], 0, 0, 0, Usage(0, 0))
        count, combinations, tasks, calls, credits = map(_int, rows[0][-5:])
        return Sections(
            [_section(row[:-5]) for row in rows], count, combinations, tasks, Usage(calls, credits)
        )

    def within(
        self, scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
    ) -> list[Group]:
        rows = self._rows(*sql.within(scope, columns, order=order, limit=limit))
        return [Group(tuple(map(str, row[:-4])), *map(_int, row[-4:])) for row in rows]

    def connected(
        self, scope: Scope, columns: Sequence[DimensionName], *, limit: int
    ) -> dict[DimensionName, Connected]:
        everything = (1 << len(columns)) - 1
        places = {everything ^ 1 << bit: column for bit, column in enumerate(reversed(columns))}
        values: dict[DimensionName, list[tuple[str, Usage]]] = {column: [] for column in columns}
        counts: dict[DimensionName, int] = dict.fromkeys(columns, 0)
        total = Usage(0, 0)
        for place, value, *numbers in self._rows(*sql.connected(scope, columns, limit=limit)):
            calls, credits, count = map(_int, numbers)
            if place == everything:
                total = Usage(calls, credits)
            else:
                column = places[_int(place)]
                values[column].append((str(value), Usage(calls, credits)))
                counts[column] = count
        return {column: Connected(values[column], counts[column], total) for column in columns}

    def last_tasks(self, scope: Scope, tasks: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        all_tasks = sql.last_tasks(scope)
        rows = self._rows(
            f"select * from ({all_tasks.sql}) as tasks where (function, module) in (select unnest(?), unnest(?))",
            [*all_tasks.parameters, [function for function, _ in tasks], [module for _, module in tasks]],
        )
        return {(str(function), str(module)): _int(bucket) for function, module, bucket in rows}

    def events(self, scope: Scope, *, limit: int, cursor: Cursor | None = None) -> Listing:
        def ask(statement: sql.Statement) -> list[tuple[object, ...]]:
            return self._rows(*statement)

        return listing(ask, scope, self.watermark, self._naming.shown, limit, cursor)

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        ((calls, credits),) = self._rows(statements.WINDOW, [organization, micros(after), micros(until)])
        return Usage(_int(calls), _int(credits))

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        rows = self._rows(statements.RETURNS, [organization, micros(after), micros(until)])
        return {_int(bucket): Usage(_int(calls), _int(credits)) for bucket, calls, credits in rows}

    def difference(self, organization: int) -> Difference:
        parameters = {"organization": organization, "watermark": micros(self.watermark)}
        (row,) = self._execute(self._naming.difference, parameters).fetchall()
        return Difference(*map(_int, row))


def _group(row: Sequence[object]) -> Group:
    width = len(row) - 7
    return Group(tuple(map(str, row[:width])), *map(_int, row[width : width + 4]))


def _section(row: Sequence[object]) -> Section:
    calls, credits, tasks, estimated, combinations = map(_int, row[1:6])
    distinct, first = tuple(map(_int, row[6::2])), tuple(map(str, row[7::2]))
    return Section(str(row[0]), calls, credits, tasks, estimated, combinations, distinct, first)


def _sums(rows: Sequence[Sequence[object]], columns: Sequence[Breakdown], *, steps: int) -> Sums:
    named: list[Named] = []
    after = steps + len(columns)
    for place, by in enumerate(columns, steps):
        first, after = after, after + (3 if by == "caller" else 2)
        found = {_int(row[place]): row[first:after] for row in rows if row[place] is not None}
        ranked = [found[rank] for rank in sorted(found)]
        count = _int(ranked[0][-1]) if ranked else 0
        named.append(Named(by, [tuple(map(str, values)) for *values, _ in ranked], count))
    others = [len(column.values) for column in named]
    usage: dict[tuple[int, ...], Bucket] = {}
    for row in rows:
        places = zip(row[steps:], others, strict=False)
        key = (*map(_int, row[:steps]), *(other if place is None else _int(place) for place, other in places))
        usage[key] = Bucket(*map(_int, row[-3:]))
    return Sums(named, usage)


def _int(value: object) -> int:
    """DuckDB answers sums as wide integers; the driver gives them as Python's."""
    assert isinstance(value, int)
    return value


def watermark_of(connection: duckdb.DuckDBPyConnection) -> int:
    """The watermark that a connection sees, in microseconds; 0 before the first refresh."""
    found = connection.execute("select moment from watermark").fetchall()
    return int(found[0][0]) if found else 0


def first_line(error: Exception) -> str:
    """The part of a driver's message that a person can use."""
    return str(error).split("\n", 1)[0]


def why_not_opened(path: Path, error: Exception) -> str:
    """What keeps a file from being opened, and what to do."""
    text = first_line(error)
    if "conflicting lock" in text.lower() or "set lock" in text.lower():
        return f"{path.parent} is in use by another Meterboard server. Stop that one, or choose another --data folder."
    return f"{path} can't be opened: {text} Restore it from a backup, or move it away to start anew."
