"""What a value is connected with, the values there are to choose from, and a table's rows by its default column."""

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
    """The values of a column, most calls first; `value_count` is how many there are, on whatever page."""

    as_of: datetime
    column: str
    value_count: int
    rows: list[Value]


class RelatedValues(Struct, frozen=True):
    """The values of one column that occur in the filtered usage; `value_count` is how many, `rows` those with most calls."""

    column: str
    value_count: int
    rows: list[Value]


class RelatedAnswer(Struct, frozen=True):
    """The values that occur in the filtered usage, column by column. `total` is that usage."""

    as_of: datetime
    columns: list[RelatedValues]
    total: Total


class Part(Struct, frozen=True):
    """
    A value of a table's default column: its sums, and how many combinations it has.

    `distinct` is how many values of another column occur with it; `only` is the value where that is one. `rows` are the
    first of its combinations, where they were asked for.
    """

    name: str
    sums: dict[str, int]
    combinations: int
    distinct: dict[str, int]
    only: dict[str, str]
    rows: list[Group]


class Outline(Struct, frozen=True):
    """A table by its default column; the other numbers are of all parts, on whatever page."""

    parts: list[Part]
    count: int
    combinations: int
    integration_tasks: int
    total: Total


def values(
    snapshot: Snapshot, scope: Scope, column: DimensionName, *, as_of: datetime, search: str, limit: int
) -> ValuesAnswer:
    """The values of a column that have `search` within, whatever the case."""
    found = snapshot.groups(scope, [column], order=MOST_CALLS_FIRST, limit=limit, search=search)
    rows = [Value(name_of(group.values[0]), group.calls, group.credits) for group in found.rows]
    return ValuesAnswer(as_of, column, found.count, rows)


def related(
    snapshot: Snapshot, scope: Scope, columns: Sequence[DimensionName], *, as_of: datetime, limit: int
) -> RelatedAnswer:
    """The values of each column that occur, each column for itself."""
    found = snapshot.related_values(scope, columns, limit=limit)
    return RelatedAnswer(
        as_of,
        [
            RelatedValues(column, of.count, [Value(name_of(name), *usage) for name, usage in of.rows])
            for column, of in found.items()
        ],
        Total(*found[columns[0]].total),
    )


def outline(
    snapshot: Snapshot,
    scope: Scope,
    columns: Sequence[DimensionName],
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
    opened: Collection[str],
    within: int,
    in_full: bool = False,
) -> Outline:
    """A page of the parts; those named in `opened`, or the only one there is, come with their first `within` rows."""
    found = snapshot.summaries(scope, columns, order=order, limit=limit, offset=offset, in_full=in_full)
    open_values = [
        summary.value
        for summary in found.rows
        if summary.combinations > 1 and (found.count == 1 or name_of(summary.value) in opened)
    ]
    rows: dict[str, list[Group]] = {}
    if open_values:
        default = columns[0]
        narrowed = replace(scope, filters={**scope.filters, default: tuple(open_values)})
        for group in snapshot.top_rows_per_group(narrowed, columns, order=order, limit=within):
            rows.setdefault(group.values[0], []).append(group)
    return Outline(
        [_part(summary, columns[1:], rows.get(summary.value, [])) for summary in found.rows],
        found.count,
        found.combinations,
        found.integration_tasks,
        Total(*found.total),
    )


def _part(summary: GroupSummary, others: Sequence[DimensionName], rows: list[Group]) -> Part:
    first = zip(others, summary.distinct, summary.first, strict=True)
    return Part(
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
