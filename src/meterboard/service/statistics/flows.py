"""Flows: the usage that the most used names of two or three columns share, few enough for a chart."""

from collections.abc import Sequence
from datetime import datetime

from meterboard.domain.query import DimensionName, Scope, name_of
from meterboard.errors import InvalidParameter
from meterboard.service.statistics.answers import FlowColumn, FlowPath, FlowsAnswer, Total
from meterboard.usage.answer_length import check_answer_length
from meterboard.usage.store import Snapshot, TopValues

MAX_COLUMNS = 3


def flows(
    snapshot: Snapshot, scope: Scope, columns: Sequence[DimensionName], *, as_of: datetime, limit: int
) -> FlowsAnswer:
    """
    Returns the `limit` names with the most calls of each column, all others as one, and the usage that they share.

    Raises: InvalidParameter: there are not two or three columns. AnswerTooLong.
    """
    if not 2 <= len(columns) <= MAX_COLUMNS:
        raise InvalidParameter("columns", f"columns is {','.join(columns)!r}: choose two or three.")
    top_values, sums = snapshot.sums(scope, columns, limit=limit)
    lengths = [[len(value) for value, *_ in column.values] + [0] for column in top_values]
    check_answer_length(
        sum(length[index] for indexes in sums for length, index in zip(lengths, indexes, strict=True))
    )
    paths = [
        FlowPath(
            [_name(column, index) for column, index in zip(top_values, indexes, strict=True)],
            usage.calls,
            usage.credits,
        )
        for indexes, usage in sorted(sums.items(), key=lambda item: (-item[1].calls, item[0]))
    ]
    return FlowsAnswer(
        as_of=as_of,
        columns=[
            FlowColumn(
                column.by, [name_of(value) for value, *_ in column.values], column.count - len(column.values)
            )
            for column in top_values
        ],
        paths=paths,
        total=Total(sum(path.calls for path in paths), sum(path.credits for path in paths)),
    )


def _name(column: TopValues, index: int) -> str | None:
    return name_of(column.values[index][0]) if index < len(column.values) else None
