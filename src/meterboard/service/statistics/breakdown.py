"""Usage by one dimension, or by caller."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from meterboard.domain.query import MOST_CALLS_FIRST, Breakdown, Order, Scope, name_of, value_of
from meterboard.service.statistics.answers import BreakdownAnswer, Others, Share, Total
from meterboard.usage.store import Group, Groups, Snapshot, Usage


def groups(
    snapshot: Snapshot,
    scope: Scope,
    by: Breakdown,
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int = 0,
    in_full: bool = False,
) -> Groups:
    """Returns the names of a dimension with their usage. `function` counts only integration tasks."""
    if by == "caller":
        return snapshot.callers(scope, order=order, limit=limit, offset=offset, in_full=in_full)
    order = [Order(by, key.descending) if key.column == "name" else key for key in order]
    tasks = by == "function"
    return snapshot.groups(
        scope, [by], order=order, limit=limit, offset=offset, tasks_only=tasks, in_full=in_full
    )


def breakdown(found: Groups, by: Breakdown, *, as_of: datetime) -> BreakdownAnswer:
    """Returns the result with these names."""
    calls = sum(row.calls for row in found.rows)
    credits = sum(row.credits for row in found.rows)
    total = found.total
    return BreakdownAnswer(
        as_of=as_of,
        by=by,
        rows=[_share(row, total) for row in found.rows],
        others=Others(found.count - len(found.rows), total.calls - calls, total.credits - credits),
        total=Total(total.calls, total.credits),
    )


def usage_of(
    snapshot: Snapshot, scope: Scope, answer: BreakdownAnswer
) -> dict[tuple[str, str | None], Total]:
    """Returns the usage of a result's names in another scope, by name and kind."""
    by, found = answer.by, list[Group]()
    if by == "caller":
        found = snapshot.callers_named(scope, [(value_of(row.name), row.kind or "") for row in answer.rows])
    elif answer.rows:
        names = tuple(value_of(row.name) for row in answer.rows)
        narrowed = replace(scope, filters={**scope.filters, by: names})
        found = groups(snapshot, narrowed, by, order=MOST_CALLS_FIRST, limit=None).rows
    return {_key(group.values): Total(group.calls, group.credits) for group in found}


def _key(values: tuple[str, ...]) -> tuple[str, str | None]:
    name, *kind = values
    return name_of(name), kind[0] if kind else None


def _share(group: Group, total: Usage) -> Share:
    share = group.calls / total.calls if total.calls else 0.0
    return Share(*_key(group.values), group.calls, group.credits, share)
