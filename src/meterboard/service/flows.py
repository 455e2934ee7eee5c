"""How the most used names of two or more columns are connected, for a picture that stays readable."""

from collections.abc import Sequence
from datetime import datetime

from meterboard.domain.query import MOST_CALLS_FIRST, Dimension, Scope, name_of
from meterboard.errors import InvalidParameter
from meterboard.service.answers import FlowColumn, FlowPath, FlowsAnswer, Total
from meterboard.usage.store import Named, Snapshot

MOST_COLUMNS = 3


def flows(
    snapshot: Snapshot, scope: Scope, columns: Sequence[Dimension], *, as_of: datetime, limit: int
) -> FlowsAnswer:
    """
    The `limit` names with the most calls of each column, all others as one, and what they have in common.

    Raises: InvalidParameter: there are not two or three columns.
    """
    if not 2 <= len(columns) <= MOST_COLUMNS:
        raise InvalidParameter("columns", f"columns is {','.join(columns)!r}: choose two or three.")
    tops = [snapshot.groups(scope, [column], order=MOST_CALLS_FIRST, limit=limit) for column in columns]
    named = [
        Named(column, [group.values for group in top.rows]) for column, top in zip(columns, tops, strict=True)
    ]
    found = snapshot.sums(scope, named) if tops[0].rows else {}
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
            FlowColumn(column.by, [name_of(value) for value, *_ in column.values], top.count - len(top.rows))
            for column, top in zip(named, tops, strict=True)
        ],
        paths=paths,
        total=Total(*tops[0].total),
    )


def _name(column: Named, place: int) -> str | None:
    return name_of(column.values[place][0]) if place < len(column.values) else None
