"""The rows of the table: each combination that occurred, or each value of the first column."""

from collections.abc import Sequence
from datetime import datetime

from meterboard.domain.dimensions import COUNT_SUFFIX
from meterboard.domain.query import DimensionName, name_of
from meterboard.service.statistics.answers import TableAnswer, Total
from meterboard.service.statistics.related import GroupedTable
from meterboard.usage.store import Group, Groups

Row = dict[str, str | int | None]


def by_combinations(
    found: Groups, columns: Sequence[DimensionName], *, as_of: datetime, page: int, page_size: int | None
) -> TableAnswer:
    """Returns a page of combinations. `page_size` None: all of them."""
    rows = [_row(columns, group) for group in found.rows]
    size = len(rows) if page_size is None else page_size
    return TableAnswer(as_of, list(columns), rows, page, size, found.count, Total(*found.total))


def by_groups(
    found: GroupedTable,
    columns: Sequence[DimensionName],
    *,
    as_of: datetime,
    page: int,
    page_size: int | None,
) -> TableAnswer:
    """Returns a page of the values of the first column. `page_size` None: all of them."""
    first, *others = columns
    rows: list[Row] = []
    for group in found.groups:
        row: Row = {first: group.name}
        row |= {column: group.only.get(column) for column in others}
        row |= {f"{column}{COUNT_SUFFIX}": group.distinct[column] for column in others}
        row |= {"combinations": group.combinations}
        rows.append(
            row | {name: value for name, value in group.sums.items() if value or name != "estimated_calls"}
        )
    counts = [*(f"{column}{COUNT_SUFFIX}" for column in others), "combinations"]
    size = len(rows) if page_size is None else page_size
    return TableAnswer(as_of, list(columns), rows, page, size, found.count, found.total, counts)


def _row(columns: Sequence[DimensionName], group: Group) -> Row:
    names: Row = {column: name_of(value) for column, value in zip(columns, group.values, strict=True)}
    sums: Row = {
        "calls": group.calls,
        "credits": group.credits,
        "integration_tasks": group.integration_tasks,
    }
    if group.estimated:
        sums["estimated_calls"] = group.estimated
    return names | sums
