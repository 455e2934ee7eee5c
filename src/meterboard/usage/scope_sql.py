"""
Statements for the rows of the statistics in a scope: of one organisation and period, and matching the filters.

Values are always bound; identifiers come from closed sets of names.
"""

from collections.abc import Iterable, Sequence

from meterboard.domain.period import BUCKET_SECONDS, BUCKETS_A_DAY, micros
from meterboard.domain.query import NOT, DimensionName, Scope
from meterboard.usage.dialect import Parameter, Statement

Span = tuple[int, int]
"""The steps of a table from the first number up to, but excluding, the second."""


def column_list(names: Iterable[DimensionName]) -> str:
    """Returns dimensions as quoted columns. The name of an own dimension may be an SQL keyword."""
    return ", ".join(f'"{name}"' for name in names)


def usage_rows(scope: Scope, columns: Iterable[str], condition: str = "") -> Statement:
    """
    Returns the rows of the period: by day for whole days of UTC, by bucket before and after them.

    Days of UTC work for every time zone, since the rest is by bucket of 15 minutes.
    """
    columns = tuple(columns)
    days, edges = _whole_days(scope)
    rest = _table_rows(scope, "rollup", edges, columns, condition)
    if not days:
        return rest
    whole = _table_rows(scope, "daily", [days], columns, condition)
    return Statement(f"{whole.sql} union all {rest.sql}", [*whole.parameters, *rest.parameters])


def bucket_rows(scope: Scope, columns: Sequence[str], condition: str = "") -> Statement:
    """Returns the rows of the period by bucket."""
    return _table_rows(scope, "rollup", [bucket_range(scope)], columns, condition)


def stepped_rows(scope: Scope, columns: Sequence[str], grain: int) -> Statement:
    """
    Returns the rows of the period, each with a bucket of its step of `grain` buckets.

    Steps of whole days rarely begin with a day of UTC. So a day of UTC is counted in the step that most of it belongs
    to; the shorter part, which belongs to the step next to it, is then subtracted from the one and added to the
    other.
    """
    days, edges = _whole_days(scope)
    if not days or grain % BUCKETS_A_DAY:
        return bucket_rows(scope, ["bucket", *columns])
    begin = edges[0][0] % BUCKETS_A_DAY
    last = BUCKETS_A_DAY - 1
    # The bucket that decides the step of a day, the part that belongs to another step, and the distance to that step.
    own, shorter, distance = (
        (0, (begin, last), BUCKETS_A_DAY) if 2 * begin > last else (last, (0, begin - 1), -BUCKETS_A_DAY)
    )
    whole = _table_rows(scope, "daily", [days], ["day", *columns])
    inner = _table_rows(scope, "rollup", [(edges[0][1], edges[1][0])], ["bucket", *columns])
    rest = _table_rows(scope, "rollup", edges, ["bucket", *columns])
    names = ", ".join(columns)
    day_start = f"bucket - bucket % {BUCKETS_A_DAY}"
    return Statement(
        f'with moved as (select {day_start} as "day start", {names}, sum(inner_days.calls) as calls,'
        f" sum(inner_days.credits) as credits from ({inner.sql}) as inner_days"
        f" where bucket % {BUCKETS_A_DAY} between ? and ? group by {day_start}, {names})"
        f" select day * {BUCKETS_A_DAY} + ? as bucket, {names}, calls, credits from ({whole.sql}) as whole_days"
        f' union all select "day start" + ?, {names}, -calls, -credits from moved'
        f' union all select "day start" + ?, {names}, calls, credits from moved'
        f" union all select bucket, {names}, calls, credits from ({rest.sql}) as edges",
        [*inner.parameters, *shorter, own, *whole.parameters, own, distance + own, *rest.parameters],
    )


def _whole_days(scope: Scope) -> tuple[Span | None, list[Span]]:
    """Returns the whole days of UTC in the period, if any, and the buckets outside them."""
    first, after = bucket_range(scope)
    first_day, day_after = -(-first // BUCKETS_A_DAY), after // BUCKETS_A_DAY
    if first_day >= day_after:
        return None, [(first, after)]
    return (first_day, day_after), [(first, first_day * BUCKETS_A_DAY), (day_after * BUCKETS_A_DAY, after)]


def _table_rows(
    scope: Scope, table: str, spans: Sequence[Span], columns: Sequence[str], condition: str = ""
) -> Statement:
    """
    Returns the rows of one table, limited to the organisation, the watermark and the filters. Spans are steps of the
    table.

    Rows of refreshes after the watermark are excluded, so that all statements of a watermark read the same, even
    without a common transaction.
    """
    step = "day" if table == "daily" else "bucket"
    times = " or ".join(f"{step} >= ? and {step} < ?" for _ in spans)
    conditions = ["organization = ?", f"({times})", "as_of <= ?", *([condition] if condition else [])]
    filters = filter_conditions(scope)
    chosen = ", ".join([*columns, "calls", "credits", "estimated"])
    return Statement(
        f"select {chosen} from {table} where {' and '.join(conditions)}{filters.sql}",
        [
            scope.organization,
            *(bound for span in spans for bound in span),
            micros(scope.watermark),
            *filters.parameters,
        ],
    )


def filter_conditions(scope: Scope) -> Statement:
    """Returns the filters as conditions, each preceded by `and`."""
    conditions = ""
    parameters: list[Parameter] = []
    for name, values in scope.filters.items():
        membership = "not in" if name.endswith(NOT) else "in"
        conditions += f' and "{name.removesuffix(NOT)}" {membership} ({", ".join("?" * len(values))})'
        parameters += values
    return Statement(conditions, parameters)


def bucket_range(scope: Scope) -> Span:
    """
    Returns the first bucket of the period and the one after its last.

    A period ends on a bucket boundary or at the watermark. Nothing in the rollup is later than the watermark, so the
    bucket of the watermark can be included completely.
    """
    start, end = scope.period.start.timestamp(), scope.period.end.timestamp()
    return int(-(-start // BUCKET_SECONDS)), int(-(-end // BUCKET_SECONDS))
