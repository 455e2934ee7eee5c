"""The results of a store that reads SQL: builds statements and decodes their rows, for any engine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from meterboard.domain.cursor import Cursor
from meterboard.domain.query import Breakdown, DimensionName, Order, Scope
from meterboard.usage import sql
from meterboard.usage.dialect import Dialect, Statement
from meterboard.usage.listing import listing
from meterboard.usage.store import (
    Amount,
    BreakdownSums,
    Difference,
    Group,
    Groups,
    GroupSummaries,
    GroupSummary,
    Listing,
    RelatedValues,
    TopValues,
    Totals,
    Usage,
)

Row = Sequence[Any]


class SqlSnapshot(ABC):
    """
    The part of `meterboard.usage.store.Snapshot` that is the same for all engines. An engine implements the abstract
    methods.
    """

    dialect: Dialect
    dimensions: Sequence[DimensionName]
    watermark: datetime

    @abstractmethod
    def ask(self, statement: Statement) -> Sequence[Row]:
        """Returns the rows of a statement."""

    def ask_page(self, whole: Statement, limit: int | None, offset: int, *, in_full: bool) -> Sequence[Row]:
        """Returns a page of the rows of a statement; `in_full`: all pages will be requested."""
        return self.ask(sql.page(whole, limit, offset))

    @abstractmethod
    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        """Returns what `Snapshot` specifies."""

    @abstractmethod
    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        """Returns what `Snapshot` specifies."""

    @abstractmethod
    def difference(self, organization: int) -> Difference:
        """Returns what `Snapshot` specifies."""

    def total(self, scope: Scope) -> Totals:
        (sums,) = self.ask(sql.total(scope))
        return Totals(*map(int, sums))

    def estimated(self, scope: Scope) -> int:
        ((calls,),) = self.ask(sql.estimated(scope))
        return int(calls)

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
        whole = sql.groups(self.dialect, scope, columns, order=order, tasks_only=tasks_only, search=search)
        return self._groups(whole, limit, offset, in_full=in_full)

    def callers(
        self,
        scope: Scope,
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        in_full: bool = False,
    ) -> Groups:
        return self._groups(sql.callers(scope, order=order), limit, offset, in_full=in_full)

    def callers_named(self, scope: Scope, callers: Sequence[tuple[str, str]]) -> list[Group]:
        return [_group(row[:-3]) for row in self.ask(sql.callers_named(self.dialect, scope, callers))]

    def _groups(self, whole: Statement, limit: int | None, offset: int, *, in_full: bool) -> Groups:
        rows = self.ask_page(whole, limit, offset, in_full=in_full)
        if not rows and offset:
            # A page past the last has no row with the sums.
            return replace(self._groups(whole, 1, 0, in_full=in_full), rows=[])
        if not rows:
            return Groups([], 0, Usage(0, 0))
        count, calls, credits = map(int, rows[0][-3:])
        return Groups([_group(row[:-3]) for row in rows], count, Usage(calls, credits))

    def summaries(
        self,
        scope: Scope,
        columns: Sequence[DimensionName],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int,
        in_full: bool = False,
    ) -> GroupSummaries:
        whole = sql.summaries(scope, columns, order=order)
        rows = self.ask_page(whole, limit, offset, in_full=in_full)
        if not rows and offset:
            first = self.summaries(scope, columns, order=order, limit=1, offset=0, in_full=in_full)
            return replace(first, rows=[])
        if not rows:
            return GroupSummaries([], 0, 0, 0, Usage(0, 0))
        count, combinations, tasks, calls, credits = map(int, rows[0][-5:])
        summaries = [_summary(row[:-5]) for row in rows]
        return GroupSummaries(summaries, count, combinations, tasks, Usage(calls, credits))

    def top_rows_per_group(
        self, scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
    ) -> list[Group]:
        return [
            _group(row) for row in self.ask(sql.top_rows_per_group(scope, columns, order=order, limit=limit))
        ]

    def related_values(
        self, scope: Scope, columns: Sequence[DimensionName], *, limit: int
    ) -> dict[DimensionName, RelatedValues]:
        everything = (1 << len(columns)) - 1
        indexes = {everything ^ 1 << bit: column for bit, column in enumerate(reversed(columns))}
        values: dict[DimensionName, list[tuple[str, Usage]]] = {column: [] for column in columns}
        counts: dict[DimensionName, int] = dict.fromkeys(columns, 0)
        total = Usage(0, 0)
        for index, value, *numbers in self.ask(sql.related_values(scope, columns, limit=limit)):
            calls, credits, count = map(int, numbers)
            if index == everything:
                total = Usage(calls, credits)
            else:
                column = indexes[index]
                values[column].append((value, Usage(calls, credits)))
                counts[column] = count
        return {column: RelatedValues(values[column], counts[column], total) for column in columns}

    def last_tasks(self, scope: Scope, tasks: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        rows = self.ask(sql.last_tasks(self.dialect, scope, tasks))
        return {(function, module): int(bucket) for function, module, bucket in rows}

    def sums(
        self,
        scope: Scope,
        columns: Sequence[Breakdown] = (),
        *,
        limit: int = 0,
        grain: int | None = None,
        tasks_only: bool = False,
    ) -> BreakdownSums:
        rows = self.ask(
            sql.sums(self.dialect, scope, columns, limit=limit, grain=grain, tasks_only=tasks_only)
        )
        return _breakdown_sums(rows, columns, steps=0 if grain is None else 1)

    def events(self, scope: Scope, *, limit: int, cursor: Cursor | None = None) -> Listing:
        return listing(self.ask, scope, self.dimensions, limit, cursor)


def _group(row: Row) -> Group:
    return Group(tuple(row[:-4]), *map(int, row[-4:]))


def _summary(row: Row) -> GroupSummary:
    calls, credits, tasks, estimated, combinations = map(int, row[1:6])
    distinct, first = tuple(map(int, row[6::2])), tuple(row[7::2])
    return GroupSummary(row[0], calls, credits, tasks, estimated, combinations, distinct, first)


def _breakdown_sums(rows: Sequence[Row], columns: Sequence[Breakdown], *, steps: int) -> BreakdownSums:
    """
    Returns the sums of rows that have a step, if any; then for each column a rank (0 for the others), the value and
    the count.
    """
    tops: list[TopValues] = []
    ranks: list[int] = []
    after = steps
    for by in columns:
        rank, after = after, after + (4 if by == "caller" else 3)
        ranks.append(rank)
        found = {row[rank]: row[rank + 1 : after] for row in rows if row[rank]}
        ranked = [found[index] for index in sorted(found)]
        count = int(ranked[0][-1]) if ranked else 0
        tops.append(TopValues(by, [tuple(values) for *values, _ in ranked], count))
    amounts: dict[tuple[int, ...], Amount] = {}
    for row in rows:
        indexes = (
            row[rank] - 1 if row[rank] else len(top.values) for rank, top in zip(ranks, tops, strict=True)
        )
        amounts[(*map(int, row[:steps]), *indexes)] = Amount(*map(int, row[-3:]))
    return BreakdownSums(tops, amounts)
