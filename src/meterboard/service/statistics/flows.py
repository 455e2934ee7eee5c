"""How the most used names of two or more columns are connected, for a picture that stays readable."""

from collections.abc import Sequence
from datetime import datetime

from meterboard.domain.query import DimensionName, Scope, name_of
from meterboard.errors import InvalidParameter
from meterboard.service.statistics.answers import FlowColumn, FlowPath, FlowsAnswer, Total
from meterboard.usage.answer_length import check_answer_length
from meterboard.usage.store import Snapshot, TopValues

MOST_COLUMNS = 3


def flows(
    snapshot: Snapshot, scope: Scope, columns: Sequence[DimensionName], *, as_of: datetime, limit: int
) -> FlowsAnswer:
    """
    The `limit` names with the most calls of each column, all others as one, and what they have in common.

    Raises: InvalidParameter: there are not two or three columns. AnswerTooLong.
    """
    if not 2 <= len(columns) <= MOST_COLUMNS:
        raise InvalidParameter("columns", f"columns is {','.join(columns)!r}: choose two or three.")
    named, found = snapshot.sums(scope, columns, limit=limit)
    lengths = [[len(value) for value, *_ in column.values] + [0] for column in named]
    check_answer_length(
        sum(length[place] for places in found for length, place in zip(lengths, places, strict=True))
    )
    paths = [
        FlowPath(
            [_name(column, place) for column, place in zip(named, places, strict=True)],
            usage.calls,
            usage.credits,
        )
        for places, usage in sorted(found.items(), key=lambda item: (-item[1].calls, item[0]))
    ]
    return FlowsAnswer(
        as_of=as_of,
        columns=[
            FlowColumn(
                column.by, [name_of(value) for value, *_ in column.values], column.count - len(column.values)
            )
            for column in named
        ],
        paths=paths,
        total=Total(sum(path.calls for path in paths), sum(path.credits for path in paths)),
    )


def _name(column: TopValues, place: int) -> str | None:
    return name_of(column.values[place][0]) if place < len(column.values) else None
