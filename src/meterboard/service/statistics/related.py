"""Related values, the values of a column, and the table grouped by its first column."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from meterboard.domain.query import MOST_CALLS_FIRST, DimensionName, Order, Scope, name_of
from meterboard.service.statistics.answers import Total
from meterboard.usage.store import Group, GroupSummary, Snapshot


class Value(Struct, frozen=True):
    """A value of a column, and its usage."""

    name: str
    calls: int
    credits: int


class ValuesAnswer(Struct, frozen=True):
    """The values of a column, most calls first. `value_count` is the number of all values, not only of the rows."""

    as_of: datetime
    column: str
    value_count: int
    rows: list[Value]


class RelatedValues(Struct, frozen=True):
    """The values of one column in the filtered usage. `value_count` is their number, `rows` are those with most calls."""

    column: str
    value_count: int
    rows: list[Value]


class RelatedAnswer(Struct, frozen=True):
    """The values of each column in the filtered usage, whose sums are `total`."""

    as_of: datetime
    columns: list[RelatedValues]
    total: Total


class TableGroup(Struct, frozen=True):
    """
    A value of a table's first column: its sums, and the number of its combinations.

    `distinct` is the number of values of each other column that occur with it; `only` is the value if there is one.
    `rows` are its first combinations, if the group is open.
    """

    name: str
    sums: dict[str, int]
    combinations: int
    distinct: dict[str, int]
    only: dict[str, str]
    rows: list[Group]


class GroupedTable(Struct, frozen=True):
    """A page of a table that is grouped by its first column. The numbers are of all groups, not only of this page."""

    groups: list[TableGroup]
    count: int
    combinations: int
    integration_tasks: int
    total: Total


def values(
    snapshot: Snapshot, scope: Scope, column: DimensionName, *, as_of: datetime, search: str, limit: int
) -> ValuesAnswer:
    """Returns the values of a column that contain `search`, ignoring case."""
    found = snapshot.groups(scope, [column], order=MOST_CALLS_FIRST, limit=limit, search=search)
    rows = [Value(name_of(group.values[0]), group.calls, group.credits) for group in found.rows]
    return ValuesAnswer(as_of, column, found.count, rows)


def related(
    snapshot: Snapshot, scope: Scope, columns: Sequence[DimensionName], *, as_of: datetime, limit: int
) -> RelatedAnswer:
    """Returns the values of each column that occur, independently of the other columns."""
    found = snapshot.related_values(scope, columns, limit=limit)
    return RelatedAnswer(
        as_of,
        [
            RelatedValues(column, of.count, [Value(name_of(name), *usage) for name, usage in of.rows])
            for column, of in found.items()
        ],
        Total(*found[columns[0]].total),
    )


def grouped_table(
    snapshot: Snapshot,
    scope: Scope,
    columns: Sequence[DimensionName],
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
    open_groups: Collection[str],
    rows_per_group: int,
    in_full: bool = False,
) -> GroupedTable:
    """
    Returns a page of the groups of a table.

    Those named in `open_groups`, and a single group, have their first `rows_per_group` rows.
    """
    found = snapshot.summaries(scope, columns, order=order, limit=limit, offset=offset, in_full=in_full)
    open_values = [
        summary.value
        for summary in found.rows
        if summary.combinations > 1 and (found.count == 1 or name_of(summary.value) in open_groups)
    ]
    rows: dict[str, list[Group]] = {}
    if open_values:
        narrowed = replace(scope, filters={**scope.filters, columns[0]: tuple(open_values)})
        for group in snapshot.top_rows_per_group(narrowed, columns, order=order, limit=rows_per_group):
            rows.setdefault(group.values[0], []).append(group)
    return GroupedTable(
        [_group(summary, columns[1:], rows.get(summary.value, [])) for summary in found.rows],
        found.count,
        found.combinations,
        found.integration_tasks,
        Total(*found.total),
    )


def _group(summary: GroupSummary, others: Sequence[DimensionName], rows: list[Group]) -> TableGroup:
    first = zip(others, summary.distinct, summary.first, strict=True)
    return TableGroup(
        name_of(summary.value),
        {
            "calls": summary.calls,
            "credits": summary.credits,
            "integration_tasks": summary.integration_tasks,
            "estimated_calls": summary.estimated,
        },
        summary.combinations,
        dict(zip(others, summary.distinct, strict=True)),
        {column: name_of(value) for column, count, value in first if count == 1},
        rows,
    )
