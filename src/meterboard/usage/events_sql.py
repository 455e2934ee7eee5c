"""
Statements for the events behind a number, for any engine.

Times are microseconds since 1970 UTC. The events are exactly those that the statistics cover: received, and happened,
before the watermark.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meterboard.domain.period import BUCKET_SECONDS, micros
from meterboard.domain.query import DimensionName, Scope
from meterboard.usage.dialect import Parameter, Statement
from meterboard.usage.scope_sql import bucket_range, column_list, filter_conditions

BUCKET_MICROS = BUCKET_SECONDS * 1_000_000
# Events of the same time are ordered by receipt. Events with equal values of all of these columns are equal in every
# column, so their order does not matter.
REST = "received_at, combination, id_low, id_high, credits, charged, estimated, records, reason"


class Stretch(NamedTuple):
    """The times from `since` to before `until`."""

    since: int
    until: int


def covered(scope: Scope) -> Stretch:
    """Returns the times that a scope covers."""
    first, after = bucket_range(scope)
    return Stretch(first * BUCKET_MICROS, min(after * BUCKET_MICROS, micros(scope.watermark)))


def page(
    scope: Scope,
    stretch: Stretch,
    dimensions: Sequence[DimensionName],
    *,
    limit: int,
    offset: int,
) -> Statement:
    """Returns the events of a stretch with their values of the dimensions, newest first."""
    events = _events(scope, stretch, f"time, {REST}")
    order = f"order by time desc, {REST}"
    return Statement(
        f"select time, {column_list(dimensions)}, credits, charged, estimated, records, coalesce(text, '') from ("
        f"{events.sql} {order} limit ? offset ?) as event join combination using (combination)"
        f" left join reason on number = reason {order}",
        [*events.parameters, limit, offset],
    )


def newer(scope: Scope, stretch: Stretch, *, limit: int, offset: int) -> Statement:
    """Returns the times of the events of a stretch, oldest first."""
    events = _events(scope, stretch, "time")
    return Statement(f"{events.sql} order by time limit ? offset ?", [*events.parameters, limit, offset])


def count(scope: Scope, stretch: Stretch) -> Statement:
    """Returns how many events a stretch has."""
    return _events(scope, stretch, "count(*)")


def _events(scope: Scope, stretch: Stretch, columns: str) -> Statement:
    """Returns the columns of the events of a stretch, limited to the organisation, the watermark and the filters."""
    sql = f"select {columns} from event where organization = ? and time >= ? and time < ? and received_at < ?"
    parameters: list[Parameter] = [scope.organization, stretch.since, stretch.until, micros(scope.watermark)]
    if not scope.filters:
        return Statement(sql, parameters)
    filters = filter_conditions(scope)
    combinations = f"select combination from combination where organization = ?{filters.sql}"
    return Statement(
        f"{sql} and combination in ({combinations})", [*parameters, scope.organization, *filters.parameters]
    )
