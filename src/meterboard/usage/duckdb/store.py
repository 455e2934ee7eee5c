"""
The embedded usage store: DuckDB, one file, one process.

A commit is durable when it returns: DuckDB writes its log to the disk and waits for it. Events, ids and the rollup
change in transactions, so a crash leaves either all of a step or nothing of it and needs no repair. After an error of the
disk the store is recovered before anything else is done with it, see `_recover`.
Times are stored as microseconds since 1970 UTC, buckets as their number; no statement knows a time zone.
"""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import compress, repeat
from pathlib import Path
from struct import Struct
from typing import Any

import duckdb

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import MAX_AHEAD, CallBatch, EventBatch
from meterboard.domain.period import BUCKETS_A_DAY, EPOCH, INSTANT, bucket_number, micros
from meterboard.errors import DataFolderError, OutcomeUnknown, StoreFailed
from meterboard.usage.duckdb import rollup, statements
from meterboard.usage.duckdb.database import Database
from meterboard.usage.duckdb.ids import KnownIds
from meterboard.usage.duckdb.numbers import Numbers
from meterboard.usage.duckdb.rows import CALL, WHAT, WHENCE, Rows, who_columns
from meterboard.usage.duckdb.snapshot import DuckDBSnapshot, first_line, watermark_of, why_not_opened
from meterboard.usage.duckdb.statements import Statements

FILE = "usage.duckdb"
ONCE, OFTEN = "1MB", "16MB"
"""Blocks that are kept when memory is given back: at start they were read once, at rest they may be asked for again."""
CHECKPOINT_BYTES = 64_000_000
"""The log is folded into the file when it is longer than this, between commits: about 2 million events."""
_HALVES = Struct("<QI")


class DuckDBStore:
    """See `meterboard.usage.store.UsageStore`, whose contract this class keeps."""

    def __init__(self, folder: Path, *, memory: str = "512MB", dimensions: Dimensions | None = None) -> None:
        """
        `dimensions`: those of the installation; without, those built in.

        Raises: DataFolderError: the file is in use by another process, damaged, or can't be written.
        """
        # DuckDB takes the start of a relative path such as s3: for a protocol.
        path = folder.absolute() / FILE
        self._database = Database(path, memory)
        self._sound = True
        """False from a failure until the store has recovered from it."""
        self._given_up = False
        """True when the database must be closed and opened again before it can be used."""
        self._refused: list[int] = []
        """The receipts, in microseconds, of batches that failed and may be in the store all the same."""
        self._touched: set[int] = set()
        try:
            self._check_layout()
            self._database.set_dimensions(dimensions or Dimensions())
            self._numbers = self._stored_numbers()
            self._ids = KnownIds()
            self._database.allow_reading()
            self._database.release_memory(ONCE)
        except (duckdb.Error, StoreFailed) as error:
            self._database.close()
            raise DataFolderError(why_not_opened(path, error)) from error

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._database.connection

    @property
    def _naming(self) -> Statements:
        return self._database.naming

    def _stored_numbers(self) -> Numbers:
        return Numbers(self._connection, self._naming)

    def _check_layout(self) -> None:
        """Brings an older file up to date. Raises: DataFolderError: it was written by a newer version of Meterboard."""
        found = self._connection.execute("select version from layout").fetchall()
        if not found:
            self._connection.execute("insert into layout values (?)", [statements.LAYOUT]).fetchall()
        elif found == [(1,)]:
            self._connection.begin()
            self._run(statements.FROM_LAYOUT_1)
            self._connection.execute(statements.SCHEMA).fetchall()
            rollup.roll_up(self._connection, self._naming, 0, watermark_of(self._connection))
            self._connection.commit()
            self.checkpoint()  # what the log holds, memory holds
        elif found in ([(2,)], [(3,)]):
            self._connection.begin()
            self._run(statements.FROM_LAYOUT_2 if found == [(2,)] else statements.FROM_LAYOUT_3)
            self._connection.commit()
            self.checkpoint()
        elif found != [(statements.LAYOUT,)]:
            self._database.close()
            raise DataFolderError(
                f"{self._database.path} was written by another version of Meterboard (layout {found[0][0]}, this one reads "
                f"{statements.LAYOUT}). Use that version, or move the file away to start anew."
            )

    def _run(self, steps: Iterable[str]) -> None:
        for statement in steps:
            self._connection.execute(statement).fetchall()

    def _scalar(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchall()[0][0])

    # -- writing, from one thread ---------------------------------------------------------------------------------

    def latest(self) -> datetime:
        received = self._scalar("select coalesce(max(received_at), 0) from event")
        return EPOCH + INSTANT * max(received, watermark_of(self._connection))

    def receipt_hours(self) -> list[datetime]:
        rows = self._connection.execute(statements.RECEIPT_HOURS).fetchall()
        return [EPOCH + timedelta(hours=hour) for (hour,) in rows]

    def expect_events(self) -> None:
        with self._transaction(single=True):
            if self._ids.make_filter(self._connection):
                self._database.release_memory(ONCE)

    def append(self, batch: EventBatch, *, received_at: datetime) -> list[bool]:
        lows, highs = zip(*_HALVES.iter_unpack(b"".join(batch.ids)), strict=True)
        with self._transaction(single=True):
            new = self._ids.new_events(self._connection, lows, highs)
        if not any(new):
            return new
        kept = list if all(new) else lambda column: list(compress(column, new))
        received = micros(received_at)
        numbers = [self._numbers.combinations.get(combination, -1) for combination in batch.combinations]
        reasons = [self._numbers.reasons.get(reason, -1) for reason in batch.reasons]
        all_known = -1 not in numbers and -1 not in reasons
        # A statement alone is a transaction of its own: one call instead of three, each of which may have to wait for
        # the interpreter.
        with self._transaction(single=all_known, storing=received):
            new_lows = kept(lows)
            columns = {
                "organization": [combination[0] for combination in batch.combinations],
                "received_at": repeat(received, len(batch)),
                "time": _at_most(received + rollup.AHEAD, batch.times),
                "id_low": lows,
                "id_high": highs,
                "combination": numbers if all_known else self._numbers.of_combinations(batch.combinations),
                "credits": batch.credits,
                "charged": batch.charged,
                "estimated": batch.estimated,
                "records": batch.records,
                "reason": reasons if all_known else self._numbers.of_reasons(batch.reasons),
            }
            self._insert(Rows({name: kept(column) for name, column in columns.items()}))
        self._ids.add(new_lows, received_at=received_at)
        return new

    def append_calls(self, batch: CallBatch, *, received_at: datetime) -> list[bool]:
        if not len(batch):
            return []
        lows, highs = batch.id_lows, batch.id_highs
        own: dict[str, Sequence[int]] = {"what": batch.what, "who": batch.who, "whence": batch.whence}
        received = micros(received_at)
        own |= {"time": _at_most(received + rollup.AHEAD, batch.times), "id_low": lows, "id_high": highs}
        calls = Rows(own, CALL)
        with self._transaction(single=True):
            new = self._ids.new_calls(self._connection, calls, lows, highs)
        if not any(new):
            return new
        if not all(new):
            calls = Rows({name: compress(column, new) for name, column in own.items()}, CALL)
        new_lows = lows if all(new) else list(compress(lows, new))
        with self._transaction(storing=received):
            whats, whos, whences = self._parts(batch)
            self._insert_calls(calls, whats, whos, whences, received)
        self._ids.add(new_lows, received_at=received_at)
        return new

    def _insert_calls(self, calls: Rows, whats: Rows, whos: Rows, whences: Rows, received: int) -> None:
        # DuckDB finds `calls`, `whats`, `whos` and `whences` by their names in this frame.
        execute = self._connection.execute
        execute(self._naming.met).fetchall()
        execute(self._naming.numbered, {"next": self._numbers.next}).fetchall()
        ((added,),) = execute(self._naming.add_combinations).fetchall()
        execute(statements.ADD_CALLS, {"received": received}).fetchall()
        self._run(statements.FORGET_MET)
        self._numbers.next += added

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
            "reason": self._numbers.of_reasons(events.reasons),
        }
        yield Rows({"what": range(len(events)), "same": _firsts(combinations), **whats}, WHAT)
        columns = who_columns(self._naming.own_shown)
        who = (range(len(batch.whos)), _firsts(batch.whos), *zip(*batch.whos, strict=True))
        yield Rows(dict(zip(columns, who, strict=True)), columns)
        yield Rows({"whence": range(len(batch.ips)), "same": _firsts(batch.ips), "ip": batch.ips}, WHENCE)

    def _insert(self, rows: Rows) -> None:
        # DuckDB finds `rows` by its name in this frame.
        self._connection.execute("insert into event select * from rows").fetchall()

    @contextmanager
    def _transaction(self, *, single: bool = False, storing: int | None = None) -> Iterator[None]:
        """
        All of the block or nothing of it; `single`: it is one statement, or writes nothing.

        `storing`: it stores the events of that receipt, in microseconds.
        Raises: StoreFailed: nothing of it is stored. OutcomeUnknown: it may be.
        """
        self._ensure_sound()
        try:
            if not single:
                self._connection.begin()
            yield
            if not single:
                self._connection.commit()
        except BaseException as error:
            self._take_back(error, storing)
            if isinstance(error, duckdb.Error):
                raise _not_written(error) from error
            raise

    def _take_back(self, error: BaseException, storing: int | None) -> None:
        with suppress(duckdb.Error):
            self._connection.rollback()
        if storing is not None:
            self._refused.append(storing)
        # When the log could not be cut off after an earlier failure, DuckDB would append to what is behind its end.
        self._given_up |= "truncate" in str(error)
        try:
            self._recover()
        except StoreFailed as lost:
            if storing is None:
                raise
            raise OutcomeUnknown(
                f"The usage store failed while these events were written, and can't be opened again yet ({lost}) "
                "Whether they count is not known. Send them again with the same ids: none counts twice."
            ) from error

    def _ensure_sound(self) -> None:
        """Recover from an earlier failure, if that was not possible yet. Raises: StoreFailed: it still is not."""
        if not self._sound:
            self._recover()

    def _recover(self) -> None:
        """
        Make the store hold exactly what was acknowledged, and open it again if DuckDB has given it up.

        A batch whose commit failed may be in the log, and will be replayed, if the log could not be cut off before it;
        its events are deleted. After a failure nobody knows what of the log is on the disk, whatever a read shows, and
        the next commit may be appended to half an entry. So everything is written to the file, and another log begun.
        Raises: StoreFailed: it is not possible yet. It is tried again before whatever is asked of the store next, and
        meanwhile the store can be read if it can be opened.
        """
        self._sound = False
        try:
            if not self._given_up:
                with suppress(duckdb.Error):
                    self._start_over()
                    self._sound = True
                    return
            self._given_up = True
            self._database.reopen()
            self._start_over()
            self._connection.execute("checkpoint").fetchall()
        except Exception as error:  # whatever it is, the next attempt may succeed
            with suppress(duckdb.Error, DataFolderError, StoreFailed):
                self._database.reopen()
                self._database.allow_reading()
            raise StoreFailed(f"The usage store can't be opened again yet: {first_line(error)}") from error
        self._database.allow_reading()
        self._ids = KnownIds()
        self._sound, self._given_up = True, False

    def _start_over(self) -> None:
        """Delete the events of refused batches, and read the numbers that are stored."""
        if self._refused:
            self._connection.execute(statements.DELETE_RECEIVED, [self._refused]).fetchall()
            self._refused = []
        self._numbers = self._stored_numbers()

    def refresh(self, watermark: datetime) -> None:
        until = micros(watermark)
        with self._transaction():
            since = watermark_of(self._connection)
            if since < until:
                self._touched.update(rollup.roll_up(self._connection, self._naming, since, until))
                rollup.set_watermark(self._connection, until)

    def take_back_watermark(self, moment: datetime) -> bool:
        until = micros(moment)
        if watermark_of(self._connection) <= until or self._scalar(statements.LATEST) >= until:
            return False
        with self._transaction():
            rollup.set_watermark(self._connection, until)
        return True

    def forget(self, before: datetime) -> int:
        bucket = bucket_number(before)
        with self._transaction():
            gone = rollup.delete_before(self._connection, self._naming, bucket)
            if not gone:
                return 0
            self._numbers = self._stored_numbers()
            self._touched = {day for day in self._touched if day >= bucket // BUCKETS_A_DAY}
        # An event may be kept whose receipt is a little older than its time.
        self._ids.forget(before - MAX_AHEAD)
        return gone

    def merge(self) -> bool:
        if not self._touched:
            return False
        day = next(iter(self._touched))
        first = day * BUCKETS_A_DAY
        with self._transaction():
            rollup.merge(self._connection, self._naming, "rollup", "bucket", first, first + BUCKETS_A_DAY - 1)
            rollup.merge(self._connection, self._naming, "daily", "day", day, day)
        self._touched.remove(day)
        return bool(self._touched)

    def tidy(self) -> None:
        path = self._database.path
        log = path.with_name(path.name + ".wal")
        if log.exists() and log.stat().st_size > CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        self._ensure_sound()
        try:
            self._connection.execute("checkpoint").fetchall()
        except duckdb.TransactionException:
            return  # a reader is at work: the next turn will do
        except duckdb.Error as error:
            self._given_up = True
            self._recover()
            raise _not_written(error) from error

    def rest(self) -> None:
        with self._transaction(single=True):
            self._database.release_memory(OFTEN)

    def close(self) -> None:
        with suppress(duckdb.Error, StoreFailed):
            self.checkpoint()
        self._database.close()

    # -- reading, from any thread ---------------------------------------------------------------------------------

    def snapshot(self) -> AbstractContextManager[DuckDBSnapshot]:
        return self._database.snapshot()

    def interrupt(self, thread: int) -> None:
        self._database.interrupt(thread)


def _not_written(error: duckdb.Error) -> StoreFailed:
    return StoreFailed(f"The usage store could not write, so nothing of this counts: {first_line(error)}")


def _at_most(newest: int, times: Sequence[int]) -> Sequence[int]:
    """
    The times, none of them later than `newest`.

    A time is checked when its event arrives. If the clock is set back before the commit, the receipt may be so much
    earlier than the time that no refresh would look for the event.
    """
    if max(times) <= newest:
        return times
    return array("q", (min(time, newest) for time in times))


def _firsts(values: Sequence[Hashable]) -> list[int]:
    """The place of the first that is equal, for each."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(value, place) for place, value in enumerate(values)]
