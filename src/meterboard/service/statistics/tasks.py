"""Integration tasks and their credits, by function and module."""

from datetime import datetime
from zoneinfo import ZoneInfo

from meterboard.domain.period import bucket_start
from meterboard.domain.query import MOST_CALLS_FIRST, Scope, name_of
from meterboard.service.statistics.answers import TaskRow, TasksAnswer, TaskTotal
from meterboard.usage.store import Snapshot


def tasks(
    snapshot: Snapshot,
    scope: Scope,
    *,
    as_of: datetime,
    zone: ZoneInfo,
    limit: int | None,
    offset: int,
    in_full: bool,
) -> TasksAnswer:
    """Returns functions and modules, most tasks first, and when the last task of each ran."""
    found = snapshot.groups(
        scope,
        ["function", "module"],
        order=MOST_CALLS_FIRST,
        limit=limit,
        offset=offset,
        tasks_only=True,
        in_full=in_full,
    )
    last = snapshot.last_tasks(scope, [(group.values[0], group.values[1]) for group in found.rows])
    rows = [
        TaskRow(
            function,
            name_of(module),
            group.calls,
            group.credits,
            bucket_start(last[function, module]).astimezone(zone),
        )
        for group in found.rows
        for function, module in [group.values]
    ]
    return TasksAnswer(as_of, rows, TaskTotal(found.total.calls, found.total.credits))
