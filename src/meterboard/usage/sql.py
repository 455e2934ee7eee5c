"""
The statements of all statistics, for any engine.

Values are always bound; identifiers come from closed sets of names. `page` limits a statement to a page of its rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

from meterboard.domain.event import REFUSED, UNKNOWN
from meterboard.domain.query import Breakdown, DimensionName, Order, Scope
from meterboard.usage.dialect import Dialect, Statement
from meterboard.usage.scope_sql import bucket_range, bucket_rows, stepped_rows, usage_rows

CALLER = {
    "name": "case when function <> '' then function else application end",
    "kind": "case when function <> '' then 'function' else 'application' end",
}
SUMS = ("calls", "credits", "integration_tasks", "estimated")
_HAS_FUNCTION = "function <> ''"


def total(scope: Scope) -> Statement:
    """Returns calls, credits, and those of the credits that count against the allowance."""
    rows, parameters = usage_rows(scope, ["charged"])
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ("calls", "credits", "charged"))
    return Statement(f"select {sums} from ({rows}) as usage", parameters)


def estimated(scope: Scope) -> Statement:
    """Returns how many calls have an estimated price."""
    rows, parameters = usage_rows(scope, [])
    return Statement(f"select coalesce(sum(estimated), 0) from ({rows}) as usage", parameters)


def sums(
    dialect: Dialect,
    scope: Scope,
    columns: Sequence[Breakdown],
    *,
    limit: int,
    grain: int | None,
    tasks_only: bool,
) -> Statement:
    """
    Returns calls, credits and refused calls by time and by the `limit` values of each column that have the most
    calls.

    Ranks of values come first, from 1, in the order of `columns`, and 0 for all others; then, for each column, the
    value and the number of values. `grain`: by steps of so many buckets, counted from the period's first and named by
    their first; None: not by time.
    """
    dimensions = list(dict.fromkeys(name for by in columns for name in _columns_of(by)))
    summed = _summed(scope, _with_function(dimensions) if tasks_only else dimensions, grain)
    once = dialect.materialized if columns else ""
    ranked = [_ranked(number, by, tasks_only) for number, by in enumerate(columns)]
    steps = [] if grain is None else ["step"]
    keys = [*steps, *(key for column in ranked for key in column.keys)]
    chosen = [*steps, *(value for column in ranked for value in column.chosen)]
    amounts = [f"sum(summed.{name})" for name in ("calls", "credits", "refused")]
    return Statement(
        f"with summed as {once}({summed.sql}){''.join(column.query for column in ranked)}"
        f" select {', '.join([*chosen, *amounts])} from summed{''.join(column.join for column in ranked)}"
        f"{_group_by(keys)} having sum(summed.calls) <> 0",
        [*summed.parameters, *[limit] * len(ranked)],
    )


def _summed(scope: Scope, dimensions: Sequence[str], grain: int | None) -> Statement:
    """Returns the amounts of each combination and step. The rows are read once: all later steps work with few rows."""
    needed = [*dimensions, *(["status"] if '"status"' not in dimensions else [])]
    if grain is None:
        usage, step, parameters = usage_rows(scope, needed), [], []
    else:
        usage = stepped_rows(scope, needed, grain)
        step, parameters = ["bucket - (bucket - ?) % ? as step"], [bucket_range(scope)[0], grain]
    amounts = [f"sum(usage.{name}) as {name}" for name in ("calls", "credits")]
    amounts.append(f"sum(case when status = '{REFUSED}' then usage.calls else 0 end) as refused")
    keys = [*(["step"] if step else []), *dimensions]
    return Statement(
        f"select {', '.join([*step, *dimensions, *amounts])} from ({usage.sql}) as usage{_group_by(keys)}"
        " having sum(usage.calls) <> 0",
        [*parameters, *usage.parameters],
    )


class _Ranked(NamedTuple):
    """The values of a column with the most calls: their query, the join to it, its keys and the selected columns."""

    query: str
    join: str
    keys: Sequence[str]
    chosen: Sequence[str]


def _ranked(number: int, by: Breakdown, tasks_only: bool) -> _Ranked:
    values = CALLER if by == "caller" else {"name": f'"{by}"'}
    own = {f'"{name} {number}"': value for name, value in values.items()}
    table, rank, count = f"ranked_{number}", f'"rank {number}"', f'"count {number}"'
    named = ", ".join(f"{value} as {name}" for name, value in own.items())
    tasks = f" where {_HAS_FUNCTION}" if tasks_only else ""
    query = (
        f", {table} as (select * from (select {', '.join(own)}, count(*) over () as {count},"
        f" row_number() over (order by calls desc, {', '.join(map(_shown, own))}) as {rank}"
        f" from (select {named}, sum(summed.calls) as calls from summed{tasks}"
        f"{_group_by(own)}) as counted) as numbered where {rank} <= ?)"
    )
    join = f" left join {table} on {' and '.join(f'{value} = {name}' for name, value in own.items())}"
    # The others match no rank. Nulls are replaced, since engines return them in different ways.
    chosen = [f"coalesce({rank}, 0)", *(f"coalesce({name}, '')" for name in own), f"coalesce({count}, 0)"]
    return _Ranked(query, join, [rank, *own, count], chosen)


def _columns_of(by: Breakdown) -> tuple[str, ...]:
    return ('"application"', '"function"') if by == "caller" else (f'"{by}"',)


def groups(
    dialect: Dialect,
    scope: Scope,
    columns: Sequence[DimensionName],
    *,
    order: Sequence[Order],
    tasks_only: bool = False,
    search: str = "",
) -> Statement:
    """Returns each combination of `columns` with its sums, then the number of groups and the sums of all."""
    names = [f'"{column}"' for column in columns]
    usage = usage_rows(scope, _with_function(names), _HAS_FUNCTION if tasks_only else "")
    found = (
        f" where position({dialect.lower}(?) in {dialect.lower}({_shown(names[0])})) > 0" if search else ""
    )
    whole = _with_totals(names, _grouped(names, names, usage), order, found)
    return Statement(whole.sql, [*whole.parameters, *([search] if search else [])])


def callers(scope: Scope, *, order: Sequence[Order]) -> Statement:
    """
    Returns, as `groups` does, the callers by name and kind: the function of an integration task, else the application.
    """
    usage = usage_rows(scope, ["application", "function"])
    names = [f'"{name}"' for name in CALLER]
    return _with_totals(
        names, _grouped([f"{value} as {name}" for name, value in CALLER.items()], names, usage), order
    )


def callers_named(dialect: Dialect, scope: Scope, named: Sequence[tuple[str, str]]) -> Statement:
    """Returns those of the named callers that exist, each given by name and kind."""
    everything = callers(scope, order=())
    return Statement(
        f"select * from ({everything.sql}) as everything where (name, kind) in {dialect.pairs}",
        [*everything.parameters, *_lists(named)],
    )


def last_tasks(dialect: Dialect, scope: Scope, tasks: Sequence[tuple[str, str]]) -> Statement:
    """Returns each function and module of `tasks`, with the last bucket that has one of their tasks."""
    rows, parameters = bucket_rows(scope, ("function", "module", "bucket"), _HAS_FUNCTION)
    return Statement(
        f"select function, module, max(bucket) from ({rows}) as usage where (function, module) in {dialect.pairs}"
        " group by function, module",
        [*parameters, *_lists(tasks)],
    )


def _lists(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def summaries(scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order]) -> Statement:
    """
    Returns each value of the first column with its sums, its combinations, and the number and the first of the values
    of each other column; then the number of values, the combinations, tasks and sums of all.
    """
    names = [f'"{column}"' for column in columns]
    first, others = names[0], columns[1:]
    usage = usage_rows(scope, _with_function(names))
    counts = [
        f', count(distinct "{name}") as "count of {name}", min("{name}") as "first {name}"' for name in others
    ]
    summed = (
        f"select {first}, {', '.join(f'sum(grouped.{name}) as {name}' for name in SUMS)}, count(*) as combinations"
        f"{''.join(counts)} from ({_grouped(names, names, usage).sql}) as grouped group by {first}"
    )
    shown = _shown(first)
    by = {first: shown, **{f'"{name}"': f'"count of {name}"' for name in others}}
    keys = [f"{by.get(name, name)} {direction}" for name, direction in _keys(order)]
    chosen = [f', "count of {name}", "first {name}"' for name in others]
    return Statement(
        f"select {first}, {', '.join(SUMS)}, combinations{''.join(chosen)}, count(*) over () as count,"
        " sum(combinations) over () as all_combinations, sum(integration_tasks) over () as all_tasks,"
        " sum(calls) over () as all_calls, sum(credits) over () as all_credits"
        f" from ({summed}) as summed order by {', '.join([*keys, shown])}",
        usage.parameters,
    )


def top_rows_per_group(
    scope: Scope, columns: Sequence[DimensionName], *, order: Sequence[Order], limit: int
) -> Statement:
    """Returns each combination of `columns` with its sums, of each value of the first column the first `limit`."""
    names = [f'"{column}"' for column in columns]
    usage = usage_rows(scope, _with_function(names))
    ranked = (
        f"select {', '.join(names)}, {', '.join(SUMS)}, row_number() over (partition by {names[0]}"
        f" order by {_order_by(names, order)}) as rank"
        f" from ({_grouped(names, names, usage).sql}) as grouped"
    )
    return Statement(
        f"select {', '.join(names)}, {', '.join(SUMS)} from ({ranked}) as ranked where rank <= ?"
        f" order by rank, {_shown(names[0])}",
        [*usage.parameters, limit],
    )


def related_values(scope: Scope, columns: Sequence[DimensionName], *, limit: int) -> Statement:
    """
    Returns the values of each column with calls, credits and the column's number of values; and one row of all usage.

    The first number of a row has a bit for each column, the last column's the lowest: 0 for the column of its value.
    """
    names = [f'"{column}"' for column in columns]
    usage = usage_rows(scope, names)
    sets = f"(), {', '.join(f'({name})' for name in names)}"
    own = " ".join(f"when grouping({name}) = 0 then {name}" for name in names)
    counted = (
        f"select grouping({', '.join(names)}) as place, case {own} else '' end as value,"
        " coalesce(sum(usage.calls), 0) as calls, coalesce(sum(usage.credits), 0) as credits"
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


def page(whole: Statement, limit: int | None, offset: int) -> Statement:
    """Returns a page of the rows of a statement; None: all of them."""
    if limit is None:
        return whole
    return Statement(f"{whole.sql} limit ? offset ?", [*whole.parameters, limit, offset])


def _with_totals(
    names: Sequence[str], grouped: Statement, order: Sequence[Order], found: str = ""
) -> Statement:
    """Returns the groups in order, each with the number of groups and the sums of all."""
    return Statement(
        f"select {', '.join(names)}, {', '.join(SUMS)},"
        " count(*) over () as count, sum(calls) over () as all_calls, sum(credits) over () as all_credits"
        f" from ({grouped.sql}) as grouped{found} order by {_order_by(names, order)}",
        grouped.parameters,
    )


def _grouped(chosen: Sequence[str], names: Sequence[str], usage: Statement) -> Statement:
    """Returns each combination with its SUMS."""
    return Statement(
        f"select {', '.join(chosen)}, sum(usage.calls) as calls, sum(usage.credits) as credits,"
        f" sum(case when {_HAS_FUNCTION} then usage.calls else 0 end) as integration_tasks,"
        f" sum(usage.estimated) as estimated from ({usage.sql}) as usage group by {', '.join(names)}",
        usage.parameters,
    )


def _group_by(names: Sequence[str] | dict[str, str]) -> str:
    return f" group by {', '.join(names)}" if names else ""


def _with_function(names: Sequence[str]) -> list[str]:
    """Returns the columns with the function, which distinguishes integration tasks."""
    return [*names, *(['"function"'] if '"function"' not in names else [])]


def _shown(name: str) -> str:
    """Returns a column as users see it, which is how it is sorted and searched."""
    return f"case when {name} = '' then '{UNKNOWN}' else {name} end"


def _order_by(names: Sequence[str], order: Sequence[Order]) -> str:
    """Returns the keys of an order, then the names, so that the order of rows is unique."""
    keys = [f"{_shown(name) if name in names else name} {direction}" for name, direction in _keys(order)]
    return ", ".join([*keys, *map(_shown, names)])


def _keys(order: Sequence[Order]) -> list[tuple[str, str]]:
    return [(f'"{key.column}"', "desc" if key.descending else "asc") for key in order]
