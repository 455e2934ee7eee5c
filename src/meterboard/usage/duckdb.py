"""
The embedded usage store: DuckDB, one file, one process.

A commit is durable when it returns: DuckDB writes its log to the disk and waits for it. Events, ids and the rollup
change in transactions, so a crash leaves either all of a step or nothing of it and needs no repair.
Times are stored as microseconds since 1970 UTC, buckets as their number; no statement knows a time zone.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from itertools import compress, repeat
from pathlib import Path
from struct import Struct
from typing import Any

import duckdb

from meterboard.domain.event import MAX_AHEAD, CallBatch, Combination, EventBatch
from meterboard.domain.period import BUCKET, BUCKETS_A_DAY, EPOCH, INSTANT, bucket_number, micros
from meterboard.errors import DataFolderError, StoreFailed
from meterboard.usage import duckdb_statements as statements
from meterboard.usage.duckdb_ids import KnownIds
from meterboard.usage.duckdb_rows import CALL, WHAT, WHENCE, WHO, Rows
from meterboard.usage.duckdb_snapshot import DuckDBSnapshot, Readers, first_line, watermark_of, why_not_opened

FILE = "usage.duckdb"
MOST_PIECES = 1.25
"""Rows to a step of time and combination, on average, past which merging them is worth the writing."""
ONCE, OFTEN = "1MB", "16MB"
"""Blocks that are kept when memory is given back: at start they were read once, at rest they may be asked for again."""
CHECKPOINT_BYTES = 64_000_000
"""The log is folded into the file when it is longer than this, between commits: about 2 million events."""
CACHED_CHARACTERS = 16_000_000
"""The text of the combinations whose numbers are kept at hand, with OVERHEAD for each."""
OVERHEAD = 600
RECALLED = 2_000
"""The newest combinations, which are at hand from the start."""
_HALVES = Struct("<QI")


class DuckDBStore:
    """See `meterboard.usage.store.UsageStore`, whose contract this class keeps."""

    def __init__(self, folder: Path, *, memory: str = "512MB") -> None:
        """Raises: DataFolderError: the file is in use by another process, damaged, or can't be written."""
        self._path = (
            folder.absolute() / FILE
        )  # DuckDB takes the start of a relative path such as s3: for a protocol
        self._memory = memory
        self._connection = self._connect()
        self._readers = Readers()
        self._touched: set[int] = set()
        try:
            self._check_layout()
            self._reader = self._connection.cursor()
            self._recall_numbers()
            self._ids = KnownIds()
            self._let_go(ONCE)
        except duckdb.Error as error:
            self._connection.close()
            raise DataFolderError(why_not_opened(self._path, error)) from error

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # A checkpoint stalls the commits behind it, so `tidy` chooses its moment, not DuckDB.
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._memory,
            "checkpoint_threshold": "1TB",
        }
        try:
            connection = duckdb.connect(str(self._path), config=config)
            connection.execute(statements.SCHEMA)
        except duckdb.Error as error:
            raise DataFolderError(why_not_opened(self._path, error)) from error
        return connection

    def _check_layout(self) -> None:
        """Brings an older file up to date. Raises: DataFolderError: it was written by a newer version of Meterboard."""
        found = self._connection.execute("select version from layout").fetchall()
        if not found:
            self._connection.execute("insert into layout values (?)", [statements.LAYOUT]).fetchall()
        elif found == [(1,)]:
            self._connection.begin()
            self._run(statements.FROM_LAYOUT_1)
            self._connection.execute(statements.SCHEMA).fetchall()
            self._roll_up(0, watermark_of(self._connection))
            self._connection.commit()
            self.checkpoint()  # what the log holds, memory holds
        elif found == [(2,)]:
            self._connection.begin()
            self._run(statements.FROM_LAYOUT_2)
            self._connection.commit()
        elif found != [(statements.LAYOUT,)]:
            self._connection.close()
            raise DataFolderError(
                f"{self._path} was written by another version of Meterboard (layout {found[0][0]}, this one reads "
                f"{statements.LAYOUT}). Use that version, or move the file away to start anew."
            )

    def _run(self, steps: Iterable[str]) -> None:
        for statement in steps:
            self._connection.execute(statement).fetchall()

    def _scalar(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchall()[0][0])

    def _recall_numbers(self) -> None:
        self._next_number = self._scalar("select coalesce(max(combination), -1) + 1 from combination")
        self._numbers: dict[Combination, int] = {}
        self._cached_characters = 0
        rows = self._connection.execute(statements.NEWEST_COMBINATIONS, [RECALLED]).fetchall()
        self._keep_at_hand((number, Combination(*values)) for number, *values in rows)
        self._reasons = dict(self._connection.execute("select text, number from reason").fetchall())

    def _let_go(self, kept: str) -> None:
        """Give back the memory of blocks that were read and may not be asked for again, unless somebody is reading."""
        with self._readers.changed:
            if self._readers.count:
                return
            with suppress(duckdb.OutOfMemoryException):  # it gave back what it could
                self._connection.execute(f"set memory_limit = '{kept}'").fetchall()
            self._connection.execute(f"set memory_limit = '{self._memory}'").fetchall()

    # -- writing, from one thread ---------------------------------------------------------------------------------

    def latest(self) -> datetime:
        received = self._scalar("select coalesce(max(received_at), 0) from event")
        return EPOCH + INSTANT * max(received, watermark_of(self._connection))

    def expect_events(self) -> None:
        with self._transaction(single=True):
            if self._ids.make_filter(self._connection):
                self._let_go(ONCE)

    def append(self, batch: EventBatch, *, received_at: datetime) -> list[bool]:
        lows, highs = zip(*_HALVES.iter_unpack(b"".join(batch.ids)), strict=True)
        with self._transaction(single=True):
            new = self._ids.new_events(self._connection, lows, highs)
        if not any(new):
            return new
        kept = list if all(new) else lambda column: list(compress(column, new))
        numbers = [self._numbers.get(combination, -1) for combination in batch.combinations]
        reasons = [self._reasons.get(reason, -1) for reason in batch.reasons]
        all_known = -1 not in numbers and -1 not in reasons
        # A statement alone is a transaction of its own: one call instead of three, each of which may have to wait for
        # the interpreter.
        with self._transaction(single=all_known):
            columns = {
                "organization": [combination[0] for combination in batch.combinations],
                "received_at": repeat(micros(received_at), len(batch)),
                "time": batch.times,
                "id_low": lows,
                "id_high": highs,
                "combination": numbers if all_known else self._numbers_of(batch.combinations),
                "credits": batch.credits,
                "charged": batch.charged,
                "estimated": batch.estimated,
                "records": batch.records,
                "reason": reasons if all_known else self._numbers_of_reasons(batch.reasons),
            }
            self._insert(Rows({name: kept(column) for name, column in columns.items()}))
        self._ids.add(kept(lows), received_at=received_at)
        return new

    def append_calls(self, batch: CallBatch, *, received_at: datetime) -> list[bool]:
        if not len(batch):
            return []
        lows, highs = batch.id_lows, batch.id_highs
        own = {"what": batch.what, "who": batch.who, "whence": batch.whence}
        own |= {"time": batch.times, "id_low": lows, "id_high": highs}
        calls = Rows(own, CALL)
        with self._transaction(single=True):
            new = self._ids.new_calls(self._connection, calls, lows, highs)
        if not any(new):
            return new
        if not all(new):
            calls = Rows({name: compress(column, new) for name, column in own.items()}, CALL)
        with self._transaction():
            whats, whos, whences = self._parts(batch)
            self._insert_calls(calls, whats, whos, whences, micros(received_at))
        self._ids.add(lows if all(new) else list(compress(lows, new)), received_at=received_at)
        return new

    def _insert_calls(self, calls: Rows, whats: Rows, whos: Rows, whences: Rows, received: int) -> None:
        # DuckDB finds `calls`, `whats`, `whos` and `whences` by their names in this frame.
        execute = self._connection.execute
        ((met,),) = execute(statements.MET).fetchall()
        execute(statements.NUMBERED, {"next": self._next_number}).fetchall()
        execute(statements.ADD_COMBINATIONS).fetchall()
        execute(statements.ADD_CALLS, {"received": received}).fetchall()
        self._run(statements.FORGET_MET)
        self._next_number += met  # some of them may never be given

    def _parts(self, batch: CallBatch) -> Iterator[Rows]:
        """What the calls did, who called and from where."""
        events, combinations = batch.whats, batch.whats.combinations
        texts = ("function", "module", "method", "version", "status")
        whats: dict[str, Iterable[Any]] = {
            **{name: [getattr(values, name) for values in combinations] for name in texts},
            "organization": [values.organization for values in combinations],
            "credits": events.credits,
            "charged": events.charged,
            "estimated": events.estimated,
            "records": events.records,
            "reason": self._numbers_of_reasons(events.reasons),
        }
        yield Rows({"what": range(len(events)), "same": _firsts(combinations), **whats}, WHAT)
        applications, users = zip(*batch.whos, strict=True)
        who = {"who": range(len(users)), "same": _firsts(batch.whos)}
        yield Rows({**who, "application": applications, "user": users}, WHO)
        yield Rows({"whence": range(len(batch.ips)), "same": _firsts(batch.ips), "ip": batch.ips}, WHENCE)

    def _insert(self, rows: Rows) -> None:
        # DuckDB finds `rows` by its name in this frame.
        self._connection.execute("insert into event select * from rows").fetchall()

    def _append(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        appender = self._connection.appender(table)
        appender.append_rows(list(rows))
        appender.flush()

    def _numbers_of(self, combinations: Sequence[Combination]) -> list[int]:
        """The number of each combination. What is at hand is bounded; the rest is looked up, and numbered if new."""
        missing = {combination for combination in combinations if combination not in self._numbers}
        if self._cached_characters > CACHED_CHARACTERS:
            self._numbers, self._cached_characters = {}, 0
            missing = set(combinations)
        digests = {combination: combination.digest() for combination in missing}
        known = self._connection.execute(statements.KNOWN_COMBINATIONS, [list(digests.values())]).fetchall()
        self._keep_at_hand((number, Combination(*values)) for number, *values in known)
        new = sorted(combination for combination in missing if combination not in self._numbers)
        numbered = list(enumerate(new, self._next_number))
        self._append("combination", [(number, digests[values], *values) for number, values in numbered])
        self._next_number += len(new)
        self._keep_at_hand(numbered)
        return [self._numbers[combination] for combination in combinations]

    def _numbers_of_reasons(self, reasons: Sequence[str]) -> list[int]:
        """The number of each reason. They are as few as the rows of price lists, so all are at hand and none is deleted."""
        new = sorted(set(reasons) - self._reasons.keys())
        numbered = list(enumerate(new, len(self._reasons)))
        self._append("reason", numbered)
        self._reasons.update((text, number) for number, text in numbered)
        return [self._reasons[reason] for reason in reasons]

    def _keep_at_hand(self, numbered: Iterable[tuple[int, Combination]]) -> None:
        for number, combination in numbered:
            self._numbers[combination] = number
            self._cached_characters += OVERHEAD + sum(map(len, combination[1:]))

    @contextmanager
    def _transaction(self, *, single: bool = False) -> Iterator[None]:
        """All of the block or nothing of it; `single`: it is one statement, or writes nothing."""
        try:
            if not single:
                self._connection.begin()
            yield
            if not single:
                self._connection.commit()
        except duckdb.Error as error:
            raise self._failed(error) from error
        except BaseException as error:
            self._take_back(error)
            raise

    def _failed(self, error: duckdb.Error) -> StoreFailed:
        self._take_back(error)
        return StoreFailed(f"The usage store could not write, so nothing of this counts: {first_line(error)}")

    def _take_back(self, error: BaseException) -> None:
        """Undo the step that failed, and forget what was numbered in it."""
        with suppress(duckdb.Error):
            self._connection.rollback()
        if isinstance(error, duckdb.FatalException):
            self._reopen()
        else:
            self._recall_numbers()

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
            since = watermark_of(self._connection)
            if since < until:
                execute = self._connection.execute
                self._touched.update(self._roll_up(since, until))
                execute("delete from watermark").fetchall()
                execute("insert into watermark values (?)", [until]).fetchall()

    def _roll_up(self, since: int, until: int) -> list[int]:
        """
        Add the events received from `since` to `until`, in microseconds since 1970 UTC, to the statistics.

        Answers the days that they are of.
        """
        execute = self._connection.execute
        execute(statements.FRESH, {"since": since, "until": until, "ahead": MAX_AHEAD // INSTANT}).fetchall()
        execute(statements.ROLL_UP).fetchall()
        execute(statements.ROLL_UP_DAYS).fetchall()
        days = [day for (day,) in execute(statements.TOUCHED_DAYS).fetchall()]
        execute("drop table fresh").fetchall()  # it would be held in memory until the next time
        return days

    def forget(self, before: datetime) -> int:
        bucket = bucket_number(before)
        day = bucket // BUCKETS_A_DAY
        with self._transaction():
            execute = self._connection.execute
            gone = execute("delete from event where time < ?", [bucket * (BUCKET // INSTANT)]).fetchall()
            if gone == [(0,)]:
                return 0  # then the rollups, which are made of the events, hold nothing so old either
            execute("delete from rollup where bucket < ?", [bucket]).fetchall()
            execute("delete from daily where day <= ?", [day]).fetchall()
            execute(statements.DAY_OF_BUCKETS, [day]).fetchall()
            execute(statements.UNUSED_COMBINATIONS).fetchall()
            self._touched = {touched for touched in self._touched if touched >= day}
        # An event may be kept whose receipt is a little older than its time.
        self._ids.forget(before - MAX_AHEAD)
        self._recall_numbers()
        return int(gone[0][0])

    def merge(self) -> bool:
        if not self._touched:
            return False
        day = self._touched.pop()
        self._merge("rollup", "bucket", [day * BUCKETS_A_DAY, (day + 1) * BUCKETS_A_DAY - 1])
        self._merge("daily", "day", [day, day])
        return bool(self._touched)

    def _merge(self, table: str, step: str, span: list[int]) -> None:
        with self._transaction():
            execute = self._connection.execute
            execute(statements.MERGED.format(table=table, step=step), span).fetchall()
            ((pieces, whole),) = execute(statements.PIECES.format(table=table, step=step), span).fetchall()
            if pieces > whole * MOST_PIECES:
                execute(f"delete from {table} where {step} between ? and ?", span).fetchall()
                execute(f"insert into {table} select * from merged").fetchall()
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

    def rest(self) -> None:
        self._let_go(OFTEN)

    def close(self) -> None:
        with suppress(duckdb.Error, StoreFailed):
            self.checkpoint()
        self._connection.close()

    # -- reading, from any thread ---------------------------------------------------------------------------------

    def snapshot(self) -> AbstractContextManager[DuckDBSnapshot]:
        return self._readers.snapshot(lambda: self._reader)

    def interrupt(self, thread: int) -> None:
        self._readers.interrupt(thread)


def _firsts(values: Sequence[Hashable]) -> list[int]:
    """The place of the first that is equal, for each."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(value, place) for place, value in enumerate(values)]
