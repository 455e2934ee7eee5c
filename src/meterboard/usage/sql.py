"""
A question -> SQL and parameters. The one builder of every statistic.

Only SQL that DuckDB and ClickHouse share. Values are always bound; identifiers come from closed sets of names.
Every statement starts from one organisation's part of the rollup.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meterboard.domain.event import UNKNOWN
from meterboard.domain.period import BUCKET_SECONDS, BUCKETS_A_DAY
from meterboard.domain.query import Dimension, Order, Scope

Parameter = int | str
SUMS = ("calls", "credits", "integration_tasks")


class Statement(NamedTuple):
    """SQL with a ? for each parameter."""

    sql: str
    parameters: Sequence[Parameter]


def bucket_range(scope: Scope) -> tuple[int, int]:
    """
    First bucket and the one after the last.

    A period ends on a bucket boundary or at the watermark; nothing in the rollup is later than the watermark, so the
    bucket that the watermark is in can be taken whole.
    """
    start, end = scope.period.start.timestamp(), scope.period.end.timestamp()
    return int(-(-start // BUCKET_SECONDS)), int(-(-end // BUCKET_SECONDS))


def _usage(scope: Scope) -> Statement:
    """
    The organisation's rows in the period: by day as far as whole days of UTC go, by bucket before and after.

    Days of UTC serve every zone, since the edges are taken by the quarter of an hour.
    """
    first, after = bucket_range(scope)
    first_day, day_after = -(-first // BUCKETS_A_DAY), after // BUCKETS_A_DAY
    by_bucket = (
        "select combination, calls, credits from rollup where organization = ? and bucket >= ? and bucket < ?"
    )
    if first_day >= day_after:
        return Statement(by_bucket, [scope.organization, first, after])
    by_day = "select combination, calls, credits from daily where organization = ? and day >= ? and day < ?"
    parameters = [
        *(scope.organization, first, first_day * BUCKETS_A_DAY),
        *(scope.organization, first_day, day_after),
        *(scope.organization, day_after * BUCKETS_A_DAY, after),
    ]
    return Statement(f"{by_bucket} union all {by_day} union all {by_bucket}", parameters)


def part(scope: Scope) -> Statement:
    """The organisation's usage in the period by combination: the small table that breakdowns are made of."""
    rows, parameters = _usage(scope)
    return Statement(
        "select combination, sum(calls) as calls, sum(credits) as credits"
        f" from ({rows}) as usage group by combination",
        parameters,
    )


def whole(scope: Scope) -> Statement:
    """Calls and credits of the period whatever the filters."""
    rows, parameters = _usage(scope)
    return Statement(
        f"select coalesce(sum(calls), 0), coalesce(sum(credits), 0) from ({rows}) as usage", parameters
    )


def buckets(scope: Scope) -> Statement:
    """Usage by bucket."""
    first, after = bucket_range(scope)
    where, parameters = _where(scope)
    matching = f" and combination in (select combination from combination{where})" if where else ""
    return Statement(
        "select bucket, sum(calls), sum(credits) from rollup"
        f" where organization = ? and bucket >= ? and bucket < ?{matching} group by bucket",
        [scope.organization, first, after, *parameters],
    )


def total(scope: Scope, *, source: str) -> Statement:
    """Calls and credits of `source`, the name of a relation made by `part`."""
    where, parameters = _where(scope)
    return Statement(
        "select coalesce(sum(calls), 0), coalesce(sum(credits), 0)"
        f" from {source} join combination using (combination){where}",
        parameters,
    )


def groups(
    scope: Scope,
    columns: Sequence[Dimension],
    *,
    source: str,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
    tasks_only: bool = False,
) -> Statement:
    """Each combination of `columns` with its sums, then the number of groups and the sums of all."""
    names = [f'"{column}"' for column in columns]
    where, parameters = _where(scope, *(["function <> ''"] if tasks_only else []))
    return _page(names, names, source, where, parameters, order=order, limit=limit, offset=offset)


def callers(
    scope: Scope, *, source: str, order: Sequence[Order], limit: int | None, offset: int
) -> Statement:
    """As `groups`, by name and kind of who called: the function of an integration task, else the application."""
    chosen = [
        "case when function <> '' then function else application end as name",
        "case when function <> '' then 'function' else 'application' end as kind",
    ]
    where, parameters = _where(scope)
    names = ['"name"', '"kind"']
    return _page(chosen, names, source, where, parameters, order=order, limit=limit, offset=offset)


def _page(
    chosen: Sequence[str],
    names: Sequence[str],
    source: str,
    where: str,
    parameters: list[Parameter],
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
) -> Statement:
    grouped = (
        f"select {', '.join(chosen)}, sum(calls) as calls, sum(credits) as credits,"
        " sum(case when function <> '' then calls else 0 end) as integration_tasks"
        f" from {source} join combination using (combination){where} group by {', '.join(names)}"
    )
    shown = {name: f"case when {name} = '' then '{UNKNOWN}' else {name} end" for name in names}
    wanted = [(f'"{key.column}"', "desc" if key.descending else "asc") for key in order]
    keys = [f"{shown.get(name, name)} {direction}" for name, direction in wanted]
    sql = (
        f"select {', '.join(names)}, calls, credits, integration_tasks,"
        " count(*) over () as count, sum(calls) over () as all_calls, sum(credits) over () as all_credits"
        f" from ({grouped}) as grouped order by {', '.join([*keys, *shown.values()])}"
    )
    paging = "" if limit is None else " limit ? offset ?"
    return Statement(sql + paging, parameters if limit is None else [*parameters, limit, offset])


def _where(scope: Scope, *conditions: str) -> tuple[str, list[Parameter]]:
    """The filters as a condition on the combination; each dimension lets any of its values through."""
    clauses = list(conditions)
    parameters: list[Parameter] = []
    for dimension, values in scope.filters.items():
        clauses.append(f'"{dimension}" in ({", ".join("?" * len(values))})')
        parameters += values
    return (f" where {' and '.join(clauses)}" if clauses else ""), parameters
