"""
Statements, and how engines differ in reading them.

What can be said in SQL that every engine reads alike is said so, and needs no dialect: sums are of qualified columns
(`sum(usage.calls) as calls`), since ClickHouse otherwise takes the new name for the column; ranks count from 1 and are 0
where an outer join finds nothing, which engines give as null or as 0; columns that a grouping leaves out are recognised by
`grouping`, since engines give them as null or as ''; numbers are divided by subtracting the rest, since // begins a comment
in ClickHouse.
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
    The words of an engine.

    `lower`: the function that makes any letter small. `materialized`: what is said before a query that is read more than
    once, so that it is run once; ClickHouse does so with its setting `enable_materialized_cte`. `pairs`: the pairs of two
    lists that are bound, as the right side of `in`.
    """

    lower: str
    materialized: str
    pairs: str


DUCKDB = Dialect(lower="lower", materialized="", pairs="(select unnest(?), unnest(?))")
CLICKHOUSE = Dialect(lower="lowerUTF8", materialized="materialized ", pairs="arrayZip(?, ?)")


class Bound(NamedTuple):
    """A parameter by name, with ClickHouse's type of it."""

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
