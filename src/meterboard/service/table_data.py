"""The rows of every result of statistics, as they are written to files."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from meterboard.domain.dimensions import BUILT_IN
from meterboard.domain.query import DimensionName
from meterboard.service.statistics.answers import (
    BreakdownAnswer,
    FlowsAnswer,
    SeriesAnswer,
    Summary,
    TableAnswer,
    TasksAnswer,
)
from meterboard.service.statistics.events import Event, EventsAnswer
from meterboard.service.statistics.linked import RelatedAnswer, ValuesAnswer

Value = str | int | float | datetime | None
Statistic = (
    Summary
    | BreakdownAnswer
    | SeriesAnswer
    | TableAnswer
    | FlowsAnswer
    | TasksAnswer
    | RelatedAnswer
    | ValuesAnswer
)
Answer = Statistic | EventsAnswer
Paged = BreakdownAnswer | TableAnswer | TasksAnswer
"""The results that may have any number of rows."""
OTHERS = "(others)"
"""The name of all other values in files."""
ESTIMATED = "estimated_calls"
"""A column that a table has if the price of any of its calls is an estimate."""
_BUILT_IN = tuple(dimension.name for dimension in BUILT_IN)
_COSTS: dict[str, type] = {**dict.fromkeys(("records", "credits", "charged"), int), "estimated": bool}
_WHY: dict[str, type] = dict.fromkeys(("schedule", "rule", "formula", "result"), str)


class TableData(NamedTuple):
    """The columns with their types, and the rows."""

    columns: dict[str, type]
    rows: list[list[Value]]


def table_data(answer: Statistic, *, with_estimates: bool = False) -> TableData:
    """Returns the rows of a result. A table has the column of estimates if asked for, or if any row has one."""
    if isinstance(answer, Summary):
        return _summary(answer)
    if isinstance(answer, BreakdownAnswer):
        return _breakdown(answer)
    if isinstance(answer, SeriesAnswer):
        return _series(answer)
    if isinstance(answer, FlowsAnswer):
        flow_columns: dict[str, type] = {column.by: str for column in answer.columns}
        paths: list[list[Value]] = [
            [*(OTHERS if name is None else name for name in path.names), path.calls, path.credits]
            for path in answer.paths
        ]
        return TableData(flow_columns | {"calls": int, "credits": int}, paths)
    if isinstance(answer, TasksAnswer):
        task_columns = {"function": str, "module": str, "tasks": int, "credits": int, "last_use": datetime}
        return TableData(
            task_columns, [[r.function, r.module, r.tasks, r.credits, r.last_use] for r in answer.rows]
        )
    if isinstance(answer, ValuesAnswer):
        value_columns = {"name": str, "calls": int, "credits": int}
        return TableData(value_columns, [[r.name, r.calls, r.credits] for r in answer.rows])
    if isinstance(answer, RelatedAnswer):
        related_columns = {"column": str, "name": str, "calls": int, "credits": int}
        pairs = [(of.column, value) for of in answer.columns for value in of.rows]
        return TableData(related_columns, [[column, v.name, v.calls, v.credits] for column, v in pairs])
    names: dict[str, type] = dict.fromkeys(answer.columns, str)
    columns = (
        names | dict.fromkeys(answer.counts, int) | {"calls": int, "credits": int, "integration_tasks": int}
    )
    if with_estimates or any(ESTIMATED in row for row in answer.rows):
        columns |= {ESTIMATED: int}
    return TableData(columns, [[row.get(column, 0) for column in columns] for row in answer.rows])


def events_data(answer: EventsAnswer, own: Sequence[DimensionName]) -> TableData:
    """Returns the rows of events; `own` are the own dimensions of the installation."""
    fields: dict[str, type] = dict.fromkeys((*_BUILT_IN, *own), str) | {"status": int}
    rows = [_event(event, own) for event in answer.events]
    return TableData({"time": datetime} | fields | _COSTS | _WHY, rows)


def _event(event: Event, own: Sequence[DimensionName]) -> list[Value]:
    why = event.why
    return [
        event.time,
        *(getattr(event, name) for name in _BUILT_IN),
        *(event.dimensions.get(name) for name in own),
        *(getattr(event, name) for name in _COSTS),
        *(getattr(why, name) if why else None for name in _WHY),
    ]


def _breakdown(answer: BreakdownAnswer) -> TableData:
    columns: dict[str, type] = {"name": str, "kind": str, "calls": int, "credits": int, "share": float}
    rows: list[list[Value]] = [[r.name, r.kind, r.calls, r.credits, r.share] for r in answer.rows]
    if answer.previous is None:
        return TableData(columns, rows)
    for row, share in zip(rows, answer.rows, strict=True):
        before = share.previous
        row += [before.calls, before.credits] if before else [None, None]
    return TableData(columns | {"previous_calls": int, "previous_credits": int}, rows)


def _series(answer: SeriesAnswer) -> TableData:
    """Returns a row for each step; or for each step and name, followed by one for the others."""
    if answer.by is None:
        return TableData(
            {"start": datetime, "calls": int, "credits": int},
            [[p.start, p.calls, p.credits] for p in answer.points],
        )
    rows: list[list[Value]] = []
    for point in answer.points:
        rows += [[point.start, p.name, p.kind, p.calls, p.credits] for p in point.parts or ()]
        rows += [[point.start, OTHERS, None, p.calls, p.credits] for p in [point.others] if p]
    return TableData({"start": datetime, "name": str, "kind": str, "calls": int, "credits": int}, rows)


def _summary(answer: Summary) -> TableData:
    columns = {
        "as_of": datetime,
        "period": str,
        "start": datetime,
        "end": datetime,
        "time_zone": str,
        "calls": int,
        "credits_used": int,
        "credits_allowed": int,
        "credits_unused": int,
        "average_calls_per_day": float,
        "average_over_days": int,
    }
    row: list[Value] = [
        answer.as_of,
        answer.period.name,
        answer.period.start,
        answer.period.end,
        answer.period.time_zone,
        answer.calls,
        answer.credits_used,
        answer.credits_allowed,
        answer.credits_unused,
        answer.average_calls_per_day,
        answer.average_over_days,
    ]
    if answer.previous is None:
        return TableData(columns, [row])
    before: list[Value] = [answer.previous.calls, answer.previous.credits_used]
    return TableData(columns | {"previous_calls": int, "previous_credits_used": int}, [row + before])
