"""
The embedded usage store: DuckDB, one file, one process.

A commit is durable when it returns: DuckDB writes its log to the disk and waits for it. Events, ids and the rollup
change in transactions, so a crash leaves either all of a step or nothing of it and needs no repair.
Times are stored as microseconds since 1970 UTC, buckets as their number; no statement knows a time zone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import compress, repeat
from pathlib import Path
from struct import unpack

import duckdb

from meterboard.domain.event import MAX_AHEAD, Combination, EventBatch
from meterboard.domain.period import BUCKET, EPOCH, INSTANT, bucket_number, micros
from meterboard.domain.query import Dimension, Order, Scope
from meterboard.errors import DataFolderError, StoreFailed
from meterboard.usage import sql
from meterboard.usage.ids import IdFilter
from meterboard.usage.store import Difference, Group, Groups, Usage

FILE = "usage.duckdb"
SCHEMA = """
create table if not exists combination (
    combination integer not null,
    organization integer not null,
    application varchar not null,
    function varchar not null,
    module varchar not null,
    method varchar not null,
    version varchar not null,
    ip varchar not null,
    "user" varchar not null,
    status varchar not null
);
create table if not exists event (
    organization integer not null,
    received_at bigint not null,
    time bigint not null,
    id_low ubigint not null,
    id_high ubigint not null,
    combination integer not null,
    credits integer not null,
    records integer not null
);
create table if not exists rollup (
    organization integer not null,
    bucket integer not null,
    combination integer not null,
    calls bigint not null,
    credits bigint not null
);
create table if not exists watermark (moment bigint not null);
"""
IDS_OF_ROWS = "select id_low, received_at from event where rowid >= ? and rowid < ? and id_low <> 0"
KNOWN_IDS = """
select id_low, id_high from event
semi join (select unnest($1::ubigint[]) as id_low, unnest($2::ubigint[]) as id_high) using (id_low, id_high)
"""
# An event's clock may run ahead of ours, and no period ends after the watermark: such an event waits until the
# watermark has passed its time. It was received at most MAX_AHEAD before that, which keeps the scan to what is new.
ROLL_UP = """
insert into rollup
select organization, time // 900000000 as bucket, combination, count(*), sum(credits)
from event
where received_at >= $since - $ahead and received_at < $until
  and greatest(received_at, time) >= $since and greatest(received_at, time) < $until
group by organization, bucket, combination
order by organization, bucket, combination
"""
PIECES = """
select count(*), count(distinct (organization, bucket, combination)) from rollup where bucket >= ? and bucket < ?
"""
MERGED = """
create or replace temp table merged as
select organization, bucket, combination, sum(calls) as calls, sum(credits) as credits
from rollup where bucket >= ? and bucket < ?
group by organization, bucket, combination order by organization, bucket, combination
"""
MOST_PIECES = 1.25
"""Rows of the rollup to a bucket and combination, on average, past which merging them is worth the writing."""
DIFFERENCE = """
with counted as (
    select bucket, combination, sum(calls) as calls, sum(credits) as credits
    from rollup where organization = $organization group by bucket, combination
), events as (
    select time // 900000000 as bucket, combination, count(*) as calls, sum(credits) as credits
    from event where organization = $organization and greatest(received_at, time) < $watermark
    group by bucket, combination
)
select coalesce(sum(events.calls), 0),
       coalesce(sum(abs(coalesce(counted.calls, 0) - coalesce(events.calls, 0))), 0),
       coalesce(sum(abs(coalesce(counted.credits, 0) - coalesce(events.credits, 0))), 0)
from counted full join events using (bucket, combination)
"""
WINDOW = """
select count(*), coalesce(sum(credits), 0) from event where organization = ? and time > ? and time <= ?
"""
ROWS_AT_ONCE = 500_000
"""Rows read at once when the filter of ids is made at start: 8 MB."""
CHECKPOINT_BYTES = 64_000_000
"""The log is folded into the file when it is longer than this, between commits: about 2 million events."""
CACHED_CHARACTERS = 16_000_000
"""The text of the combinations whose numbers are kept at hand, with OVERHEAD for each."""
OVERHEAD = 400


class DuckDBStore:
    """See `meterboard.usage.store.UsageStore`, whose contract this class keeps."""

    def __init__(self, folder: Path, *, memory: str = "512MB") -> None:
        """Raises: DataFolderError: the file is in use by another process, damaged, or can't be written."""
        self._path = folder / FILE
        self._memory = memory
        self._connection = self._connect()
        self._reader = self._connection.cursor()
        self._recall_numbers()
        self._ids = self._filter_of_ids()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # A checkpoint stalls the commits behind it, so `tidy` chooses its moment, not DuckDB.
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._memory,
            "checkpoint_threshold": "1TB",
        }
        try:
            connection = duckdb.connect(str(self._path), config=config)
            connection.execute(SCHEMA)
        except duckdb.Error as error:
            raise DataFolderError(_why_not_opened(self._path, error)) from error
        return connection

    def _scalar(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchall()[0][0])

    def _recall_numbers(self) -> None:
        self._next_number = self._scalar("select coalesce(max(combination), -1) + 1 from combination")
        self._numbers: dict[Combination, int] = {}
        self._cached_characters = 0
        newest = (
            f"select * from combination order by combination desc limit {CACHED_CHARACTERS // OVERHEAD // 2}"
        )
        rows = self._connection.execute(newest).fetchall()
        self._keep_at_hand((number, Combination(*values)) for number, *values in rows)

    def _filter_of_ids(self) -> IdFilter:
        known = IdFilter(self._scalar("select count(*) from event where id_low <> 0"))
        rows = self._scalar("select coalesce(max(rowid), -1) + 1 from event")
        for first in range(0, rows, ROWS_AT_ONCE):
            found = self._connection.execute(IDS_OF_ROWS, [first, first + ROWS_AT_ONCE]).fetchnumpy()
            if len(found["id_low"]):
                newest = EPOCH + INSTANT * (int(found["received_at"].max()))
                known.add(found["id_low"].tolist(), count=len(found["id_low"]), received_at=newest)
        return known

    # -- writing, from one thread ---------------------------------------------------------------------------------

    def latest(self) -> datetime:
        received = self._scalar("select coalesce(max(received_at), 0) from event")
        return EPOCH + INSTANT * max(received, _watermark(self._connection))

    def append(self, batch: EventBatch, *, received_at: datetime) -> list[bool]:
        halves = unpack(f"<{2 * len(batch)}Q", b"".join(batch.ids))
        lows, highs = halves[::2], halves[1::2]
        new = self._which_are_new(lows, highs)
        if not any(new):
            return new
        with self._transaction():
            rows = zip(
                [combination[0] for combination in batch.combinations],
                repeat(micros(received_at)),
                batch.times,
                lows,
                highs,
                self._numbers_of(batch.combinations),
                batch.credits,
                batch.records,
                strict=False,
            )
            self._append("event", rows if all(new) else compress(rows, new))
        added = [low for low, is_new in zip(lows, new, strict=True) if is_new and low]
        self._ids.add(added, count=len(added), received_at=received_at)
        return new

    def _append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        appender = self._connection.appender(table)
        appender.append_rows(list(rows))
        appender.flush()

    def _which_are_new(self, lows: Sequence[int], highs: Sequence[int]) -> list[bool]:
        seen = self._stored_among(lows, highs)
        new: list[bool] = []
        for identity in zip(lows, highs, strict=True):
            if identity == (0, 0):
                new.append(True)
            else:
                new.append(identity not in seen)
                seen.add(identity)
        return new

    def _stored_among(self, lows: Sequence[int], highs: Sequence[int]) -> set[tuple[int, int]]:
        possible = self._ids.possible(lows)
        if not possible:
            return set()
        candidates = [[half[position] for position in possible] for half in (lows, highs)]
        try:
            return set(self._connection.execute(KNOWN_IDS, candidates).fetchall())
        except duckdb.Error as error:
            raise self._failed(error) from error

    def _numbers_of(self, combinations: Sequence[Combination]) -> list[int]:
        """
        The number of each combination; new ones are stored.

        What is at hand is bounded: past the bound it is forgotten, and a combination that comes again gets a second
        number. That is harmless, as statistics group by values.
        """
        if self._cached_characters > CACHED_CHARACTERS:
            self._numbers, self._cached_characters = {}, 0
        missing = sorted({combination for combination in combinations if combination not in self._numbers})
        if missing:
            numbered = list(enumerate(missing, self._next_number))
            self._append("combination", [(number, *values) for number, values in numbered])
            self._next_number += len(missing)
            self._keep_at_hand(numbered)
        return [self._numbers[combination] for combination in combinations]

    def _keep_at_hand(self, numbered: Iterable[tuple[int, Combination]]) -> None:
        for number, combination in numbered:
            self._numbers[combination] = number
            self._cached_characters += OVERHEAD + sum(map(len, combination[1:]))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.begin()
            yield
            self._connection.commit()
        except duckdb.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: duckdb.Error) -> StoreFailed:
        """Take back the step that failed, and forget what was numbered in it."""
        with suppress(duckdb.Error):
            self._connection.rollback()
        if isinstance(error, duckdb.FatalException):
            self._reopen()
        else:
            self._recall_numbers()
        return StoreFailed(f"The usage store could not write, so nothing of this counts: {first_line(error)}")

    def _reopen(self) -> None:
        """DuckDB gives a database up after a failed write to its log; its file is whole and opens again."""
        with suppress(duckdb.Error):
            self._connection.close()
        with suppress(DataFolderError):
            self._connection = self._connect()
            self._reader = self._connection.cursor()
            self._recall_numbers()

    def refresh(self, watermark: datetime) -> None:
        until = micros(watermark)
        with self._transaction():
            since = _watermark(self._connection)
            if since < until:
                moved = {"since": since, "until": until, "ahead": MAX_AHEAD // INSTANT}
                self._connection.execute(ROLL_UP, moved).fetchall()
                self._connection.execute("delete from watermark").fetchall()
                self._connection.execute("insert into watermark values (?)", [until]).fetchall()

    def forget(self, before: datetime) -> int:
        bucket = bucket_number(before)
        with self._transaction():
            execute = self._connection.execute
            gone = execute("delete from event where time < ?", [bucket * (BUCKET // INSTANT)]).fetchall()
            execute("delete from rollup where bucket < ?", [bucket]).fetchall()
            execute(
                "delete from combination where combination not in (select combination from event)"
            ).fetchall()
        self._ids.forget(before)
        self._recall_numbers()
        return int(gone[0][0])

    def merge(self, start: datetime, end: datetime) -> None:
        span = [bucket_number(start), bucket_number(end)]
        with self._transaction():
            execute = self._connection.execute
            ((pieces, whole),) = execute(PIECES, span).fetchall()
            if pieces > whole * MOST_PIECES:
                execute(MERGED, span).fetchall()
                execute("delete from rollup where bucket >= ? and bucket < ?", span).fetchall()
                execute("insert into rollup select * from merged").fetchall()
                execute("drop table merged").fetchall()

    def tidy(self) -> None:
        log = self._path.with_name(self._path.name + ".wal")
        if log.exists() and log.stat().st_size > CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        try:
            self._connection.execute("checkpoint").fetchall()
        except duckdb.TransactionException:
            return  # a reader is at work: the next turn will do
        except duckdb.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        with suppress(duckdb.Error, StoreFailed):
            self.checkpoint()
        self._connection.close()

    # -- reading, from any thread ---------------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator["DuckDBSnapshot"]:
        try:
            connection = self._reader.cursor()
            connection.begin()
        except duckdb.Error as error:
            raise StoreFailed(f"The usage store can't be read: {first_line(error)}") from error
        try:
            yield DuckDBSnapshot(connection)
        finally:
            connection.close()


class DuckDBSnapshot:
    """See `meterboard.usage.store.Snapshot`. One connection in one transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.watermark = EPOCH + INSTANT * _watermark(connection)
        self._parts: dict[tuple[int, int, int], str] = {}

    def _rows(self, statement: str, parameters: Sequence[sql.Parameter]) -> list[tuple[object, ...]]:
        return self._connection.execute(statement, parameters).fetchall()

    def _part(self, scope: Scope) -> str:
        """The temporary table of a scope's usage by combination, made once for all the questions about it."""
        key = (scope.organization, *sql.bucket_range(scope))
        if key not in self._parts:
            self._parts[key] = f"part_{len(self._parts)}"
            statement = sql.part(scope)
            self._rows(f"create temp table {self._parts[key]} as {statement.sql}", statement.parameters)
        return self._parts[key]

    def total(self, scope: Scope) -> Usage:
        ((calls, credits),) = self._rows(*sql.total(scope, source=self._part(scope)))
        return Usage(_int(calls), _int(credits))

    def groups(
        self,
        scope: Scope,
        columns: Sequence[Dimension],
        *,
        order: Sequence[Order],
        limit: int | None,
        offset: int = 0,
        tasks_only: bool = False,
    ) -> Groups:
        def page(limit: int | None, offset: int) -> sql.Statement:
            return sql.groups(
                scope,
                columns,
                source=self._part(scope),
                order=order,
                limit=limit,
                offset=offset,
                tasks_only=tasks_only,
            )

        return self._page(page, limit, offset)

    def callers(self, scope: Scope, *, order: Sequence[Order], limit: int | None, offset: int = 0) -> Groups:
        def page(limit: int | None, offset: int) -> sql.Statement:
            return sql.callers(scope, source=self._part(scope), order=order, limit=limit, offset=offset)

        return self._page(page, limit, offset)

    def _page(
        self, page: Callable[[int | None, int], sql.Statement], limit: int | None, offset: int
    ) -> Groups:
        rows = self._rows(*page(limit, offset))
        if not rows and offset:
            beyond = self._page(page, 1, 0)  # a page past the last has no row to carry the sums
            return Groups([], beyond.count, beyond.total)
        if not rows:
            return Groups([], 0, Usage(0, 0))
        width = len(rows[0]) - 6
        *_, count, calls, credits = rows[0]
        found = [Group(tuple(map(str, row[:width])), *map(_int, row[width : width + 3])) for row in rows]
        return Groups(found, _int(count), Usage(_int(calls), _int(credits)))

    def buckets(self, scope: Scope) -> dict[int, Usage]:
        rows = self._rows(*sql.buckets(scope))
        return {_int(bucket): Usage(_int(calls), _int(credits)) for bucket, calls, credits in rows}

    def window(self, organization: int, *, after: datetime, until: datetime) -> Usage:
        ((calls, credits),) = self._rows(WINDOW, [organization, micros(after), micros(until)])
        return Usage(_int(calls), _int(credits))

    def difference(self, organization: int) -> Difference:
        parameters = {"organization": organization, "watermark": micros(self.watermark)}
        (row,) = self._connection.execute(DIFFERENCE, parameters).fetchall()
        return Difference(*map(_int, row))


def _int(value: object) -> int:
    """DuckDB answers sums as wide integers; the driver gives them as Python's."""
    assert isinstance(value, int)
    return value


def _watermark(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("select moment from watermark").fetchall()
    return int(found[0][0]) if found else 0


def first_line(error: Exception) -> str:
    """The part of a driver's message that a person can use."""
    return str(error).split("\n", 1)[0]


def _why_not_opened(path: Path, error: Exception) -> str:
    text = first_line(error)
    if "lock" in text.lower():
        return f"{path.parent} is in use by another Meterboard server. Stop that one, or choose another --data folder."
    return f"{path} can't be opened: {text}"
