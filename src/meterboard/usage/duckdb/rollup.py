"""The steps that maintain the statistics, within the caller's transaction. They may raise DuckDB's errors."""

import duckdb

from meterboard.domain.event import MAX_AHEAD
from meterboard.domain.period import BUCKETS_A_DAY, INSTANT
from meterboard.usage.duckdb import statements
from meterboard.usage.duckdb.statements import Statements

AHEAD = MAX_AHEAD // INSTANT
MAX_PIECES = 1.25
"""The average number of rows per step and combination from which on merging them is worth the writing."""


def roll_up(connection: duckdb.DuckDBPyConnection, naming: Statements, since: int, until: int) -> list[int]:
    """
    Adds the events received from `since` to `until`, in microseconds since 1970 UTC, to the statistics.

    Returns the days that they are of.
    """
    execute = connection.execute
    execute(statements.FRESH, {"since": since, "until": until, "ahead": AHEAD}).fetchall()
    execute(naming.roll_up, {"as_of": until}).fetchall()
    execute(naming.roll_up_days, {"as_of": until}).fetchall()
    days = [day for (day,) in execute(statements.DAYS_OF_FRESH).fetchall()]
    execute("drop table fresh").fetchall()  # it would stay in memory until the next refresh
    return days


def set_watermark(connection: duckdb.DuckDBPyConnection, moment: int) -> None:
    """Stores the watermark, in microseconds since 1970 UTC."""
    connection.execute("delete from watermark").fetchall()
    connection.execute("insert into watermark values (?)", [moment]).fetchall()


def move_back(connection: duckdb.DuckDBPyConnection, moment: int) -> None:
    """
    Moves the watermark back to a moment, in microseconds since 1970 UTC, with the statistics of all later refreshes.
    """
    for table in ("rollup", "daily"):
        connection.execute(f"update {table} set as_of = $1 where as_of > $1", [moment]).fetchall()
    set_watermark(connection, moment)


def delete_before(connection: duckdb.DuckDBPyConnection, naming: Statements, bucket: int) -> int:
    """Deletes the events and statistics of the buckets before one. Returns how many events were deleted."""
    execute = connection.execute
    day = bucket // BUCKETS_A_DAY
    ((deleted,),) = execute(statements.DELETE_EVENTS_BEFORE, [bucket]).fetchall()
    if deleted:  # otherwise the rollups, which are derived from the events, have nothing so old either
        execute("delete from rollup where bucket < ?", [bucket]).fetchall()
        execute("delete from daily where day <= ?", [day]).fetchall()
        execute(naming.day_of_buckets, [day]).fetchall()
        execute(statements.UNUSED_COMBINATIONS).fetchall()
    return int(deleted)


def merge_rows(
    connection: duckdb.DuckDBPyConnection, naming: Statements, table: str, step: str, first: int, last: int
) -> None:
    """Merges the rows of statistics that refreshes added, from the step `first` to `last`."""
    execute, span = connection.execute, [first, last]
    execute(naming.merged.format(table=table, step=step), span).fetchall()
    ((pieces, whole),) = execute(statements.PIECES.format(table=table, step=step), span).fetchall()
    if pieces > whole * MAX_PIECES:
        execute(f"delete from {table} where {step} between ? and ?", span).fetchall()
        execute(f"insert into {table} by name select * from merged").fetchall()
    execute("drop table merged").fetchall()
