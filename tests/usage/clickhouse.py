"""ClickHouse's engine within the test's process, holding copies of a DuckDB store's tables."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import duckdb
import msgspec
from chdb.session import Session

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import EPOCH
from meterboard.usage.dialect import CLICKHOUSE, Bound, Parameter, Statement, with_names
from meterboard.usage.snapshot import SqlSnapshot
from meterboard.usage.store import Difference, Usage

TYPES = {"VARCHAR": "String", "INTEGER": "Int32", "BIGINT": "Int64", "TINYINT": "Int8"}
TYPES |= {"UBIGINT": "UInt64", "UINTEGER": "UInt32"}
TABLES = ("rollup", "daily", "event", "combination", "reason", "watermark")


class ClickHouse:
    """The engine. One process can have one."""

    def __init__(self) -> None:
        self._session = Session()
        self.run("set enable_materialized_cte = 1")
        self.version: str = self.rows("select version()")[0][0]

    def run(self, sql: str) -> None:
        """Runs a statement that answers nothing."""
        self._session.query(sql)

    def rows(self, sql: str, bound: Sequence[Bound] = ()) -> list[list[Any]]:
        """Returns the rows of a statement."""
        values = {name: _written(value) for name, _, value in bound}
        answer = self._session.query(sql, "JSONCompactEachRow", params=values)
        return [cast(list[Any], msgspec.json.decode(line)) for line in str(answer).split("\n") if line]

    def copy(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Makes tables that hold what those of DuckDB hold."""
        for table in TABLES:
            described = connection.execute(f"describe {table}").fetchall()
            columns = {str(name): TYPES[str(kind)] for name, kind, *_ in described}
            made = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            self.run(f"create or replace table {table} ({made}) engine = MergeTree order by tuple()")
            found = connection.execute(f"select * from {table}").fetchall()
            if found:
                lines = [msgspec.json.encode(dict(zip(columns, row, strict=True))).decode() for row in found]
                self.run(f"insert into {table} format JSONEachRow\n" + "\n".join(lines))

    def close(self) -> None:
        """Ends the session."""
        self._session.close()


class ClickHouseSnapshot(SqlSnapshot):
    """The statements of every engine, asked of ClickHouse's. There is no store behind it."""

    dialect = CLICKHOUSE
    dimensions = Dimensions().names

    def __init__(self, engine: ClickHouse) -> None:
        self._engine = engine
        ((moment,),) = engine.rows("select moment from watermark")
        self.watermark = EPOCH + timedelta(microseconds=moment)

    def ask(self, statement: Statement) -> list[list[Any]]:
        return self._engine.rows(*with_names(statement))

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        raise NotImplementedError

    def window_buckets(self, organization: int, *, after: datetime, until: datetime) -> dict[int, Usage]:
        raise NotImplementedError

    def difference(self, organization: int) -> Difference:
        raise NotImplementedError


_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "'": "\\'"}


def _written(value: Parameter) -> str:
    """Returns a parameter as ClickHouse reads it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return _escaped(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return f"'{_escaped(text)}'"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
