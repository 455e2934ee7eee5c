"""An answer of the statistics as JSON, CSV or Parquet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Literal, NamedTuple

import msgspec
from litestar import Response
from litestar.response import Stream

from meterboard.domain.dimensions import BUILT_IN
from meterboard.domain.organization import Organization
from meterboard.domain.query import DimensionName
from meterboard.service.export import ExportFile, Exports, FileFormat, Value, in_pages, to_csv, to_parquet
from meterboard.service.statistics.answers import (
    BreakdownAnswer,
    FlowsAnswer,
    SeriesAnswer,
    Summary,
    TableAnswer,
    TasksAnswer,
)
from meterboard.service.statistics.events import Event, EventsAnswer
from meterboard.service.statistics.linked import ConnectionsAnswer, ValuesAnswer

Format = Literal["json", "csv", "parquet"]
Rows = (
    Summary
    | BreakdownAnswer
    | SeriesAnswer
    | TableAnswer
    | FlowsAnswer
    | TasksAnswer
    | ConnectionsAnswer
    | ValuesAnswer
)
Answer = Rows | EventsAnswer
Paged = BreakdownAnswer | TableAnswer | TasksAnswer
"""The answers that may be of any length."""
OTHERS = "(others)"
"""What files call the names that are not told apart."""
ESTIMATED = "estimated_calls"
"""A column of the table that is there when the price of any of its calls is an estimate."""
_BUILT_IN = tuple(dimension.name for dimension in BUILT_IN)
_COSTS: dict[str, type] = {**dict.fromkeys(("records", "credits", "charged"), int), "estimated": bool}
_WHY: dict[str, type] = dict.fromkeys(("schedule", "rule", "formula", "result"), str)
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = {"csv": "text/csv", "parquet": PARQUET}
PIECE_BYTES = 256 * 1024
"""What of a file is in memory while it is sent."""


class Flat(NamedTuple):
    """An answer's rows without what surrounds them."""

    columns: dict[str, type]
    rows: list[list[Value]]


def respond(answer: Answer, *, form: Format, name: str, own: Sequence[DimensionName] = ()) -> Response[bytes]:
    """`name` is the downloaded file's, without its ending; `own` are the own dimensions that events are listed with."""
    if form == "json":
        return Response(msgspec.json.encode(answer), media_type="application/json")
    flat = _events(answer, own) if isinstance(answer, EventsAnswer) else _flat(answer)
    content = (to_csv if form == "csv" else to_parquet)(flat.columns, flat.rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


def respond_in_full(
    ask: Callable[[int, int], Paged],
    *,
    form: FileFormat,
    name: str,
    organization: Organization,
    exports: Exports,
    with_estimates: bool = False,
) -> Response[Any]:
    """
    `respond` for an answer of any length: its pages, which `ask` answers, are written to a file, and that is sent.

    Raises: Overloaded: too many such files are being sent.
    """
    file = exports.open(organization.id)
    try:
        size = write_in_full(ask, file, form=form, with_estimates=with_estimates)
    except BaseException:
        exports.close(file)
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Content-Length": str(size)}
    return Stream(_pieces(file, exports), media_type=MEDIA_TYPES[form], headers=headers)


def write_in_full(
    ask: Callable[[int, int], Paged], file: ExportFile, *, form: FileFormat, with_estimates: bool
) -> int:
    """Writes the rows of all pages of an answer; answers how many bytes they take."""
    parts = (_flat(page, with_estimates=with_estimates) for page in in_pages(ask))
    first = next(parts)
    return file.write(
        form, first.columns, chain(first.rows, chain.from_iterable(part.rows for part in parts))
    )


async def _pieces(file: ExportFile, exports: Exports) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.content.read, PIECE_BYTES):
            yield piece
    finally:
        exports.close(file)


def _flat(answer: Rows, *, with_estimates: bool = False) -> Flat:
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
        return Flat(flow_columns | {"calls": int, "credits": int}, paths)
    if isinstance(answer, TasksAnswer):
        task_columns = {"function": str, "module": str, "tasks": int, "credits": int, "last_use": datetime}
        return Flat(
            task_columns, [[r.function, r.module, r.tasks, r.credits, r.last_use] for r in answer.rows]
        )
    if isinstance(answer, ValuesAnswer):
        value_columns = {"name": str, "calls": int, "credits": int}
        return Flat(value_columns, [[r.name, r.calls, r.credits] for r in answer.rows])
    if isinstance(answer, ConnectionsAnswer):
        connection_columns = {"column": str, "name": str, "calls": int, "credits": int}
        pairs = [(of.column, value) for of in answer.columns for value in of.rows]
        return Flat(connection_columns, [[column, v.name, v.calls, v.credits] for column, v in pairs])
    names: dict[str, type] = dict.fromkeys(answer.columns, str)
    columns = (
        names | dict.fromkeys(answer.counts, int) | {"calls": int, "credits": int, "integration_tasks": int}
    )
    if with_estimates or any(ESTIMATED in row for row in answer.rows):
        columns |= {ESTIMATED: int}
    return Flat(columns, [[row.get(column, 0) for column in columns] for row in answer.rows])


def _events(answer: EventsAnswer, own: Sequence[DimensionName]) -> Flat:
    said: dict[str, type] = dict.fromkeys((*_BUILT_IN, *own), str) | {"status": int}
    rows = [_event(event, own) for event in answer.events]
    return Flat({"time": datetime} | said | _COSTS | _WHY, rows)


def _event(event: Event, own: Sequence[DimensionName]) -> list[Value]:
    why = event.why
    return [
        event.time,
        *(getattr(event, name) for name in _BUILT_IN),
        *(event.dimensions.get(name) for name in own),
        *(getattr(event, name) for name in _COSTS),
        *(getattr(why, name) if why else None for name in _WHY),
    ]


def _breakdown(answer: BreakdownAnswer) -> Flat:
    columns: dict[str, type] = {"name": str, "kind": str, "calls": int, "credits": int, "share": float}
    rows: list[list[Value]] = [[r.name, r.kind, r.calls, r.credits, r.share] for r in answer.rows]
    if answer.previous is None:
        return Flat(columns, rows)
    for row, share in zip(rows, answer.rows, strict=True):
        before = share.previous
        row += [before.calls, before.credits] if before else [None, None]
    return Flat(columns | {"previous_calls": int, "previous_credits": int}, rows)


def _series(answer: SeriesAnswer) -> Flat:
    """A row for each step; or for each step and name, the others behind them."""
    if answer.by is None:
        return Flat(
            {"start": datetime, "calls": int, "credits": int},
            [[p.start, p.calls, p.credits] for p in answer.points],
        )
    rows: list[list[Value]] = []
    for point in answer.points:
        rows += [[point.start, p.name, p.kind, p.calls, p.credits] for p in point.parts or ()]
        rows += [[point.start, OTHERS, None, p.calls, p.credits] for p in [point.others] if p]
    return Flat({"start": datetime, "name": str, "kind": str, "calls": int, "credits": int}, rows)


def _summary(answer: Summary) -> Flat:
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
        return Flat(columns, [row])
    before: list[Value] = [answer.previous.calls, answer.previous.credits_used]
    return Flat(columns | {"previous_calls": int, "previous_credits_used": int}, [row + before])
