"""
A question -> SQL and parameters. The one builder of every statistic.

Only SQL that DuckDB and ClickHouse share. Values are always bound; identifiers come from closed sets of names.
Every statement starts from `_usage`: one organisation's rows of one period that the filters let through.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from meterboard.domain.event import REFUSED, UNKNOWN
from meterboard.domain.period import BUCKET_SECONDS, BUCKETS_A_DAY
from meterboard.domain.query import NOT, Breakdown, DimensionName, Order, Scope

Parameter = int | str
CALLER = {
    "name": "case when function <> '' then function else application end",
    "kind": "case when function <> '' then 'function' else 'application' end",
}

SUMS = ("calls", "credits", "integration_tasks", "estimated")


def column_list(names: Iterable[DimensionName]) -> str:
    """Dimensions as columns: an own one may have the name of a word of SQL."""
    return ", ".join(f'"{name}"' for name in names)


class Statement(NamedTuple):
    """SQL with a ? for each parameter."""

    sql: str
    parameters: Sequence[Parameter]


def total(scope: Scope) -> Statement:
    """Calls, credits, and those of the credits that count against the allowance."""
    rows, parameters = _usage(scope, ["charged"])
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ("calls", "credits", "charged"))
    return Statement(f"select {sums} from ({rows}) as usage", parameters)


def estimated(scope: Scope) -> Statement:
    """How many calls have an estimated price."""
    rows, parameters = _usage(scope, [])
    return Statement(f"select coalesce(sum(estimated), 0) from ({rows}) as usage", parameters)


def sums(
    scope: Scope, columns: Sequence[Breakdown], *, limit: int, grain: int | None, tasks_only: bool
) -> Statement:
    """
    Calls, credits and refused calls by time and by the `limit` names of each column that have the most calls.

    Places of names come first, in the order of `columns`, and null for all others; then, by column, what the name is and
    how many there are.
    `grain`: by steps of so many buckets, counted from the period's first and named by theirs; None: not by time.
    """
    dimensions = list(dict.fromkeys(name for by in columns for name in _columns_of(by)))
    needed = [*dimensions, *(["status"] if '"status"' not in dimensions else [])]
    if grain is None:
        usage, step, steps = _usage(scope, needed), [], []
    else:
        usage = _by_bucket(scope, needed, grain)
        step, steps = ["bucket - (bucket - ?) % ? as step"], [bucket_range(scope)[0], grain]
    names = [*(["step"] if step else []), *dimensions]
    # The rows are read once, and joined first: whatever is done with names then is done with few rows.
    joined = (
        f"select {', '.join([*step, *dimensions])}, sum(calls) as calls, sum(credits) as credits,"
        f" sum(case when status = '{REFUSED}' then calls else 0 end) as refused"
        f" from ({usage.sql}) as usage group by {', '.join(names)} having sum(calls) <> 0"
    )
    ranked = [_ranked(number, by, tasks_only) for number, by in enumerate(columns)]
    places = [f'"place {number}"' for number in range(len(ranked))]
    keys = ", ".join([*names[: len(step)], *places, *(name for column in ranked for name in column.names)])
    return Statement(
        f"with joined as ({joined}){''.join(column.query for column in ranked)}"
        f" select {keys}, sum(calls), sum(credits), sum(refused)"
        f" from joined{''.join(column.join for column in ranked)} group by {keys}",
        [*steps, *usage.parameters, *[limit] * len(ranked)],
    )


class _Ranked(NamedTuple):
    """The names of a column that are told apart: what they are called, their query and how rows find theirs."""

    names: Sequence[str]
    query: str
    join: str


def _ranked(number: int, by: Breakdown, tasks_only: bool) -> _Ranked:
    values = CALLER if by == "caller" else {"name": f'"{by}"'}
    own = {f'"{name} {number}"': value for name, value in values.items()}
    table, place, count = f"ranked_{number}", f'"place {number}"', f'"count {number}"'
    named = ", ".join(f"{value} as {name}" for name, value in own.items())
    tasks = " where function <> ''" if tasks_only else ""
    query = (
        f", {table} as (select * from (select {', '.join(own)}, count(*) over () as {count},"
        f" row_number() over (order by calls desc, {', '.join(map(_shown, own))}) - 1 as {place}"
        f" from (select {named}, sum(calls) as calls from joined{tasks}"
        f" group by {', '.join(own)}) as counted) as numbered where {place} < ?)"
    )
    join = f" left join {table} on {' and '.join(f'{value} = {name}' for name, value in own.items())}"
    return _Ranked([*own, count], query, join)


def _columns_of(by: Breakdown) -> tuple[str, ...]:
    return ("application", "function") if by == "caller" else (f'"{by}"',)


def groups(
    scope: Scope,
    columns: Sequence[DimensionName],
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
    tasks_only: bool = False,
    search: str = "",
) -> Statement:
    """Each combination of `columns` with its sums, then the number of groups and the sums of all."""
    names = [f'"{column}"' for column in columns]
    condition = "function <> ''" if tasks_only else ""
    usage = _usage(scope, _with_function(names), condition)
    return _page(names, names, usage, order=order, limit=limit, offset=offset, search=search)


def sections(
    scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int | None, offset: int
) -> Statement:
    """
    Each value of the first column with its sums, its combinations, and the number and the first of the values of each
    other column; then the number of sections, the combinations, tasks and sums of all.
    """
    names = [f'"{column}"' for column in columns]
    first, others = names[0], columns[1:]
    usage = _usage(scope, _with_function(names))
    counts = [
        f', count(distinct "{name}") as "count of {name}", min("{name}") as "first {name}"' for name in others
    ]
    sections = (
        f"select {first}, {', '.join(f'sum({sum}) as {sum}' for sum in SUMS)}, count(*) as combinations"
        f"{''.join(counts)} from ({_grouped(names, names, usage)}) as grouped group by {first}"
    )
    shown = _shown(first)
    by = {first: shown, **{f'"{name}"': f'"count of {name}"' for name in others}}
    keys = [f"{by.get(name, name)} {direction}" for name, direction in _keys(order)]
    chosen = [f', "count of {name}", "first {name}"' for name in others]
    sql = (
        f"select {first}, {', '.join(SUMS)}, combinations{''.join(chosen)}, count(*) over () as count,"
        " sum(combinations) over () as all_combinations, sum(integration_tasks) over () as all_tasks,"
        " sum(calls) over () as all_calls, sum(credits) over () as all_credits"
        f" from ({sections}) as sections order by {', '.join([*keys, shown])}"
    )
    return _limited(Statement(sql, usage.parameters), limit, offset)


def within(
    scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
) -> Statement:
    """Each combination of `columns` with its sums, of each value of the first column the first `limit`."""
    names = [f'"{column}"' for column in columns]
    usage = _usage(scope, _with_function(names))
    keys = [f"{_shown(name) if name in names else name} {direction}" for name, direction in _keys(order)]
    ranked = (
        f"select {', '.join(names)}, {', '.join(SUMS)}, row_number() over (partition by {names[0]}"
        f" order by {', '.join([*keys, *map(_shown, names)])}) as place"
        f" from ({_grouped(names, names, usage)}) as grouped"
    )
    return Statement(
        f"select {', '.join(names)}, {', '.join(SUMS)} from ({ranked}) as ranked where place <= ? order by place",
        [*usage.parameters, limit],
    )


def connected(scope: Scope, columns: Sequence[DimensionName], *, limit: int) -> Statement:
    """
    The values of each column with calls and credits, and the number of the column's values; and one row of everything.

    The first number of a row has a bit for each column, the last column's the lowest: 0 for the one whose value it is of.
    """
    names = [f'"{column}"' for column in columns]
    usage = _usage(scope, names)
    sets = f"(), {', '.join(f'({name})' for name in names)}"
    counted = (
        f"select grouping({', '.join(names)}) as place, coalesce({', '.join(names)}) as value,"
        " coalesce(sum(calls), 0) as calls, coalesce(sum(credits), 0) as credits"
        f" from ({usage.sql}) as usage group by grouping sets ({sets})"
    )
    ranked = (
        "select place, value, calls, credits, count(*) over (partition by place) as count,"
        f" row_number() over (partition by place order by calls desc, {_shown('value')}) as rank"
        f" from ({counted}) as counted"
    )
    return Statement(
        f"select place, value, calls, credits, count from ({ranked}) as ranked where rank <= ? order by place, rank",
        [*usage.parameters, limit],
    )


def last_tasks(scope: Scope) -> Statement:
    """Function, module, and the last bucket that has a task of theirs."""
    rows, parameters = _part(
        scope, "rollup", [bucket_range(scope)], ("function", "module", "bucket"), "function <> ''"
    )
    return Statement(
        f"select function, module, max(bucket) from ({rows}) as usage group by function, module", parameters
    )


def callers(scope: Scope, *, order: Sequence[Order], limit: int | None, offset: int) -> Statement:
    """As `groups`, by name and kind of who called: the function of an integration task, else the application."""
    usage = _usage(scope, ["application", "function"])
    chosen = [f"{value} as {name}" for name, value in CALLER.items()]
    return _page(chosen, [f'"{name}"' for name in CALLER], usage, order=order, limit=limit, offset=offset)


def _page(
    chosen: Sequence[str],
    names: Sequence[str],
    usage: Statement,
    *,
    order: Sequence[Order],
    limit: int | None,
    offset: int,
    search: str = "",
) -> Statement:
    keys = [f"{_shown(name) if name in names else name} {direction}" for name, direction in _keys(order)]
    found = f" where position(lower(?) in lower({_shown(names[0])})) > 0" if search else ""
    sql = (
        f"select {', '.join(names)}, {', '.join(SUMS)},"
        " count(*) over () as count, sum(calls) over () as all_calls, sum(credits) over () as all_credits"
        f" from ({_grouped(chosen, names, usage)}) as grouped{found}"
        f" order by {', '.join([*keys, *map(_shown, names)])}"
    )
    return _limited(Statement(sql, [*usage.parameters, *([search] if search else [])]), limit, offset)


def _limited(statement: Statement, limit: int | None, offset: int) -> Statement:
    """A page of rows; None: all of them."""
    if limit is None:
        return statement
    return Statement(f"{statement.sql} limit ? offset ?", [*statement.parameters, limit, offset])


def _grouped(chosen: Sequence[str], names: Sequence[str], usage: Statement) -> str:
    """Each combination with its SUMS."""
    return (
        f"select {', '.join(chosen)}, sum(calls) as calls, sum(credits) as credits,"
        " sum(case when function <> '' then calls else 0 end) as integration_tasks, sum(estimated) as estimated"
        f" from ({usage.sql}) as usage group by {', '.join(names)}"
    )


def _with_function(names: Sequence[str]) -> list[str]:
    """What integration tasks are told by has to be among the columns."""
    return [*names, *(["function"] if '"function"' not in names else [])]


def _shown(name: str) -> str:
    """A column as people see it, which is how it is sorted and searched."""
    return f"case when {name} = '' then '{UNKNOWN}' else {name} end"


def _keys(order: Sequence[Order]) -> list[tuple[str, str]]:
    return [(f'"{key.column}"', "desc" if key.descending else "asc") for key in order]


def _usage(scope: Scope, columns: Iterable[str], condition: str = "") -> Statement:
    """
    The organisation's rows in the period: by day as far as whole days of UTC go, by bucket before and after.

    Days of UTC serve every zone, since the edges are taken by the quarter of an hour.
    """
    columns = tuple(columns)
    days, edges = _whole_days(scope)
    rest = _part(scope, "rollup", edges, columns, condition)
    if not days:
        return rest
    whole = _part(scope, "daily", [days], columns, condition)
    return Statement(f"{whole.sql} union all {rest.sql}", [*whole.parameters, *rest.parameters])


def _by_bucket(scope: Scope, columns: Sequence[str], grain: int) -> Statement:
    """
    The organisation's rows in the period, each with a bucket of the step of `grain` buckets that it is of.

    Steps of whole days hardly ever begin with a day of UTC. So a day of UTC is taken as if all of it were of the step
    that most of it is of, and its shorter end, which is of the step beside, is then taken from the one and given to the
    other.
    """
    days, edges = _whole_days(scope)
    if not days or grain % BUCKETS_A_DAY:
        return _part(scope, "rollup", [bucket_range(scope)], ["bucket", *columns])
    begin = edges[0][0] % BUCKETS_A_DAY
    last = BUCKETS_A_DAY - 1
    # The bucket of a day that says of which step it is, the end that is of another, and how far away that one is.
    own, shorter, beside = (0, (begin, last), 1) if 2 * begin > last else (last, (0, begin - 1), -1)
    whole = _part(scope, "daily", [days], ["day", *columns])
    inner = _part(scope, "rollup", [(edges[0][1], edges[1][0])], ["bucket", *columns])
    rest = _part(scope, "rollup", edges, ["bucket", *columns])
    names = ", ".join(columns)
    return Statement(
        f"with moved as (select bucket // {BUCKETS_A_DAY} as day, {names}, sum(calls) as calls, sum(credits) as credits"
        f" from ({inner.sql}) as inner_days where bucket % {BUCKETS_A_DAY} between ? and ? group by day, {names})"
        f" select day * {BUCKETS_A_DAY} + ? as bucket, {names}, calls, credits from ({whole.sql}) as whole_days"
        f" union all select day * {BUCKETS_A_DAY} + ?, {names}, -calls, -credits from moved"
        f" union all select (day + ?) * {BUCKETS_A_DAY} + ?, {names}, calls, credits from moved"
        f" union all select bucket, {names}, calls, credits from ({rest.sql}) as edges",
        [*inner.parameters, *shorter, own, *whole.parameters, own, beside, own, *rest.parameters],
    )


def _whole_days(scope: Scope) -> tuple[tuple[int, int] | None, list[tuple[int, int]]]:
    """The whole days of UTC in the period, if there are any, and the buckets that are of none; first and after."""
    first, after = bucket_range(scope)
    first_day, day_after = -(-first // BUCKETS_A_DAY), after // BUCKETS_A_DAY
    if first_day >= day_after:
        return None, [(first, after)]
    return (first_day, day_after), [(first, first_day * BUCKETS_A_DAY), (day_after * BUCKETS_A_DAY, after)]


def _part(
    scope: Scope, table: str, spans: Sequence[tuple[int, int]], columns: Sequence[str], condition: str = ""
) -> Statement:
    """Where the organisation comes into every statement, and the filters. Spans are of the table's own steps."""
    step = "day" if table == "daily" else "bucket"
    times = " or ".join(f"{step} >= ? and {step} < ?" for _ in spans)
    conditions = ["organization = ?", f"({times})", *([condition] if condition else [])]
    let_through = filtered(scope)
    chosen = ", ".join([*columns, "calls", "credits", "estimated"])
    return Statement(
        f"select {chosen} from {table} where {' and '.join(conditions)}{let_through.sql}",
        [scope.organization, *(bound for span in spans for bound in span), *let_through.parameters],
    )


def filtered(scope: Scope) -> Statement:
    """The filters as conditions, each with an `and` before it: they let their values through or keep them out."""
    conditions = ""
    parameters: list[Parameter] = []
    for name, values in scope.filters.items():
        membership = "not in" if name.endswith(NOT) else "in"
        conditions += f' and "{name.removesuffix(NOT)}" {membership} ({", ".join("?" * len(values))})'
        parameters += values
    return Statement(conditions, parameters)


def bucket_range(scope: Scope) -> tuple[int, int]:
    """
    First bucket and the one after the last.

    A period ends on a bucket boundary or at the watermark; nothing in the rollup is later than the watermark, so the
    bucket that the watermark is in can be taken whole.
    """
    start, end = scope.period.start.timestamp(), scope.period.end.timestamp()
    return int(-(-start // BUCKET_SECONDS)), int(-(-end // BUCKET_SECONDS))
