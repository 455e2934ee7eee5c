"""
Statements, and the differences between the SQL of engines.

SQL that all engines read alike needs no dialect: sums are of qualified columns (`sum(usage.calls) as calls`), since
ClickHouse otherwise resolves the alias; ranks count from 1 and are 0 where an outer join finds nothing, which engines
return as null or as 0; columns that a grouping set leaves out are recognised by `grouping`, since engines return them
as null or as ''; numbers are divided by subtracting the remainder, since // begins a comment in ClickHouse.
"""

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from msgspec import Struct

Parameter = int | str | list[str]


class Statement(NamedTuple):
    """SQL with a ? for each parameter, and no other question mark."""

    sql: str
    parameters: Sequence[Parameter]


class Dialect(Struct, frozen=True):
    """
    The SQL of an engine.

    `lower` is the function for lower case. `materialized` is the keyword before a query that is read more than once,
    so that it is executed once; ClickHouse needs its setting `enable_materialized_cte`. `pairs` are the pairs of two
    bound lists, as the right side of `in`.
    """

    lower: str
    materialized: str
    pairs: str


DUCKDB = Dialect(lower="lower", materialized="", pairs="(select unnest(?), unnest(?))")
CLICKHOUSE = Dialect(lower="lowerUTF8", materialized="materialized ", pairs="arrayZip(?, ?)")


class Bound(NamedTuple):
    """A named parameter with its type in ClickHouse."""

    name: str
    type: str
    value: Parameter


def with_names(statement: Statement) -> tuple[str, list[Bound]]:
    """Returns the SQL with `{name:Type}` for each parameter, as ClickHouse binds them, and the parameters."""
    bound = [
        Bound(f"p{number}", _type(value), value)
        for number, value in zip(count(), statement.parameters, strict=False)
    ]
    first, *rest = statement.sql.split("?")
    pieces = [f"{{{name}:{kind}}}{piece}" for (name, kind, _), piece in zip(bound, rest, strict=True)]
    return "".join([first, *pieces]), bound


def _type(value: Parameter) -> str:
    if isinstance(value, int):
        return "Int64"
    return "String" if isinstance(value, str) else "Array(String)"
