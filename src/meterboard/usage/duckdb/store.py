"""
The embedded usage store: DuckDB, one file, one process.

A commit is durable when it returns: DuckDB writes its log to the disk and waits for it. Events, ids and the rollup
change in transactions, so a crash leaves either all of a step or none of it and needs no repair. After a disk error the
store recovers before its next operation, see `_recover`.
Times are stored as microseconds since 1970 UTC, buckets as their number; statements don't use time zones.
"""

import logging
from array import array
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import compress, repeat
from pathlib import Path
from struct import Struct

import duckdb

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import MAX_AHEAD
from meterboard.domain.period import BUCKETS_A_DAY, EPOCH, INSTANT, bucket_number, micros
from meterboard.errors import DataFolderError, OutcomeUnknown, StoreFailed
from meterboard.usage.batch import Batch, EncodedBatch, EventBatch
from meterboard.usage.duckdb import rollup, statements
from meterboard.usage.duckdb.columns import CALL, Rows, caller_rows, kind_rows, origin_rows
from meterboard.usage.duckdb.database import Database
from meterboard.usage.duckdb.ids import KnownIds
from meterboard.usage.duckdb.numbers import Numbers
from meterboard.usage.duckdb.snapshot import DuckDBSnapshot, first_line, watermark_of, why_not_opened
from meterboard.usage.duckdb.statements import Statements

log = logging.getLogger("meterboard.usage")

FILE = "usage.duckdb"
ONCE, OFTEN = "1MB", "16MB"
"""
How much of the cache stays when memory is released: after the start blocks are not needed again, later they may be.
"""
CHECKPOINT_BYTES = 64_000_000
"""The size of the log, about 2 million events, from which on it is checkpointed between commits."""
HOUR = 3_600_000_000
"""Microseconds. The rows that the refreshes of an hour added are merged when it is over."""
_HALVES = Struct("<QI")


class DuckDBStore:
    """The embedded implementation of `meterboard.usage.store.UsageStore`."""

    def __init__(
        self,
        folder: Path,
        *,
        memory: str = "512MB",
        dimensions: Dimensions | None = None,
        now: datetime | None = None,
    ) -> None:
        """
        Opens the store.

        `dimensions` are those of the installation; by default the built-in ones. `now`: an earlier run may have had a
        clock that was ahead; its watermark is moved back to this moment, unless an event was received or happened
        since.

        Raises: DataFolderError: the file is in use by another process, damaged, or can't be written.
        """
        # DuckDB reads a relative path that begins with s3: as a URL.
        path = folder.absolute() / FILE
        self._database = Database(path, memory)
        self._is_sound = True
        """False from a failure until the store has recovered from it."""
        self._invalidated = False
        """Whether DuckDB has invalidated the database, which must be opened again before use."""
        self._failed_receipts: list[int] = []
        """The receipts, in microseconds, of batches that failed and may still be in the store."""
        self._dirty_days: set[int] = set()
        """Days in which the refreshes of this hour, by the watermark, added rows of statistics."""
        self._due_days: set[int] = set()
        """Days of earlier hours, whose rows are to be merged."""
        self._has_deleted = False
        """Whether deleted space is to be reclaimed."""
        try:
            self._prepare(dimensions or Dimensions(), now)
        except DataFolderError:
            self._database.close()
            raise
        except (duckdb.Error, StoreFailed) as error:
            self._database.close()
            raise DataFolderError(why_not_opened(path, error)) from error

    def _prepare(self, dimensions: Dimensions, now: datetime | None) -> None:
        self._database.update_layout()
        self._database.set_dimensions(dimensions)
        self._numbers = self._stored_numbers()
        self._ids = KnownIds()
        if now is not None:
            self._move_watermark_back(micros(now))
        self._database.allow_reading()
        self._database.release_memory(ONCE)

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._database.connection

    @property
    def _naming(self) -> Statements:
        return self._database.naming

    def _stored_numbers(self) -> Numbers:
        return Numbers(self._connection, self._naming)

    def _scalar(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchall()[0][0])

    # -- writing, from one thread ---------------------------------------------------------------------------------

    def last_timestamp(self) -> datetime:
        received = self._scalar("select coalesce(max(received_at), 0) from event")
        return EPOCH + INSTANT * max(received, watermark_of(self._connection))

    def receipt_hours(self) -> list[datetime]:
        rows = self._connection.execute(statements.RECEIPT_HOURS).fetchall()
        return [EPOCH + timedelta(hours=hour) for (hour,) in rows]

    def warm_up(self) -> None:
        with self._transaction(single=True):
            if self._ids.build_filter(self._connection):
                self._database.release_memory(ONCE)

    def append(self, batch: Batch, *, received_at: datetime) -> list[bool]:
        if not len(batch):
            return []
        if isinstance(batch, EventBatch):
            return self._append_events(batch, received_at)
        new = self._append_encoded(batch, received_at)
        try:
            self._checkpoint_if_large()
        except StoreFailed:  # the events are stored anyway
            log.exception("The log of the usage store could not be written to its file")
        return new

    def _append_events(self, batch: EventBatch, received_at: datetime) -> list[bool]:
        lows, highs = zip(*_HALVES.iter_unpack(b"".join(batch.ids)), strict=True)
        with self._transaction(single=True):
            new = self._ids.new_events(self._connection, lows, highs)
        if not any(new):
            return new
        chosen = list if all(new) else lambda column: list(compress(column, new))
        received = micros(received_at)
        numbers = [self._numbers.combinations.get(combination, -1) for combination in batch.combinations]
        reasons = [self._numbers.reasons.get(reason, -1) for reason in batch.reasons]
        all_known = -1 not in numbers and -1 not in reasons
        # A single statement is its own transaction: one call instead of three, each of which may wait for the
        # interpreter.
        with self._transaction(single=all_known, storing=received):
            new_lows = chosen(lows)
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
            self._insert(Rows({name: chosen(column) for name, column in columns.items()}))
        self._ids.add(new_lows, received_at=received_at)
        return new

    def _append_encoded(self, batch: EncodedBatch, received_at: datetime) -> list[bool]:
        lows, highs = batch.id_lows, batch.id_highs
        own: dict[str, Sequence[int]] = {"kind": batch.kind, "caller": batch.caller, "origin": batch.origin}
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
            kinds = kind_rows(batch.kinds, self._numbers.of_reasons(batch.kinds.reasons))
            callers = caller_rows(batch.callers, self._naming.own_shown)
            self._insert_encoded(calls, kinds, callers, origin_rows(batch.origins), received)
        self._ids.add(new_lows, received_at=received_at)
        return new

    def _insert_encoded(self, calls: Rows, kinds: Rows, callers: Rows, origins: Rows, received: int) -> None:
        # DuckDB finds `calls`, `kinds`, `callers` and `origins` by their names in this frame.
        execute = self._connection.execute
        execute(self._naming.batch_combinations).fetchall()
        execute(self._naming.numbered, {"next": self._numbers.next}).fetchall()
        ((added,),) = execute(self._naming.add_combinations).fetchall()
        execute(statements.ADD_CALLS, {"received": received}).fetchall()
        for statement in statements.DROP_BATCH_COMBINATIONS:
            execute(statement).fetchall()
        self._numbers.next += added

    def _insert(self, rows: Rows) -> None:
        # DuckDB finds `rows` by its name in this frame.
        self._connection.execute("insert into event select * from rows").fetchall()

    @contextmanager
    def _transaction(self, *, single: bool = False, storing: int | None = None) -> Iterator[None]:
        """
        Executes the block as one transaction. `single`: the block is one statement, or writes nothing.

        `storing` is the receipt, in microseconds, of the events that it stores.
        Raises: StoreFailed: nothing is stored. OutcomeUnknown: it may be stored.
        """
        self._ensure_sound()
        try:
            if not single:
                self._connection.begin()
            yield
            if not single:
                self._connection.commit()
        except BaseException as error:
            self._roll_back(error, storing)
            if isinstance(error, duckdb.Error):
                raise _not_written(error) from error
            raise

    def _roll_back(self, error: BaseException, storing: int | None) -> None:
        with suppress(duckdb.Error):
            self._connection.rollback()
        if storing is not None:
            self._failed_receipts.append(storing)
        # If the log could not be truncated after an earlier failure, DuckDB would append after the incomplete entry.
        self._invalidated |= "truncate" in str(error)
        try:
            self._recover()
        except StoreFailed as lost:
            if storing is None:
                raise
            raise OutcomeUnknown(
                f"The usage store failed while these events were written, and can't be opened again yet ({lost}) "
                "Whether they are stored is not known. Send them again with the same ids: duplicates are not counted."
            ) from error

    def _ensure_sound(self) -> None:
        """Recovers from an earlier failure, if that was not possible yet. Raises: StoreFailed: it still is not."""
        if not self._is_sound:
            self._recover()

    def _recover(self) -> None:
        """
        Restores exactly what was acknowledged, and opens the database again if DuckDB has invalidated it.

        A batch whose commit failed may be in the log, and would be replayed, if the log could not be truncated before
        it; its events are deleted. After a failure the part of the log that is on the disk is unknown, whatever a
        read shows, and the next commit may be appended to half an entry. So everything is written to the file, and a
        new log begun.
        Raises: StoreFailed: it is not possible yet. It is tried again before the next operation; meanwhile the store
        can be read if it can be opened.
        """
        self._is_sound = False
        try:
            if not self._invalidated:
                with suppress(duckdb.Error):
                    self._delete_failed_batches()
                    self._is_sound = True
                    return
            self._invalidated = True
            self._database.reopen()
            self._delete_failed_batches()
            self._connection.execute("checkpoint").fetchall()
        except Exception as error:  # whatever the cause, the next attempt may succeed
            with suppress(duckdb.Error, DataFolderError, StoreFailed):
                self._database.reopen()
                self._database.allow_reading()
            raise StoreFailed(f"The usage store can't be opened again yet: {first_line(error)}") from error
        self._database.allow_reading()
        self._ids = KnownIds()
        self._is_sound, self._invalidated = True, False

    def _delete_failed_batches(self) -> None:
        """Deletes the events of failed batches, and reads the stored numbers."""
        if self._failed_receipts:
            self._connection.execute(statements.DELETE_RECEIVED, [self._failed_receipts]).fetchall()
            self._failed_receipts = []
        self._numbers = self._stored_numbers()

    def refresh(self, watermark: datetime) -> None:
        until = micros(watermark)
        with self._transaction():
            since = watermark_of(self._connection)
            if since >= until:
                return
            days = rollup.roll_up(self._connection, self._naming, since, until)
            rollup.set_watermark(self._connection, until)
        self._dirty_days.update(days)
        if until // HOUR > since // HOUR:
            self._due_days |= self._dirty_days
            self._dirty_days = set()

    def _move_watermark_back(self, moment: int) -> None:
        """
        Moves a watermark that is later than `moment` back to it, unless an event was received or happened since.

        Statistics cover the same events as before.
        """
        if watermark_of(self._connection) <= moment or self._scalar(statements.LATEST) >= moment:
            return
        with self._transaction():
            rollup.move_back(self._connection, moment)

    def delete_before(self, moment: datetime) -> int:
        bucket = bucket_number(moment)
        with self._transaction():
            deleted = rollup.delete_before(self._connection, self._naming, bucket)
            if not deleted:
                return 0
            self._numbers = self._stored_numbers()
        first = bucket // BUCKETS_A_DAY
        self._dirty_days = {day for day in self._dirty_days if day >= first}
        self._due_days = {day for day in self._due_days if day >= first}
        self._has_deleted = True
        # The receipt of a retained event may be a little earlier than its time.
        self._ids.remove_before(moment - MAX_AHEAD)
        return deleted

    def maintain(self) -> bool:
        if self._due_days:
            self._compact_one_day(min(self._due_days))
            return True
        if self._has_deleted:
            self._has_deleted = not self.checkpoint()
        else:
            self._checkpoint_if_large()
        with self._transaction(single=True):
            self._database.release_memory(OFTEN)
        return False

    def _compact_one_day(self, day: int) -> None:
        """Merges the rows of statistics that refreshes added in a day."""
        first = day * BUCKETS_A_DAY
        with self._transaction():
            for table, step, span in (
                ("rollup", "bucket", (first, first + BUCKETS_A_DAY - 1)),
                ("daily", "day", (day, day)),
            ):
                rollup.merge_rows(self._connection, self._naming, table, step, *span)
        self._due_days.remove(day)

    def _checkpoint_if_large(self) -> None:
        path = self._database.path
        log_file = path.with_name(path.name + ".wal")
        if log_file.exists() and log_file.stat().st_size > CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> bool:
        """Writes the log to the file, so that deleted space can be reused; False: an open read prevents it."""
        self._ensure_sound()
        try:
            self._connection.execute("checkpoint").fetchall()
        except duckdb.TransactionException:
            return False
        except duckdb.Error as error:
            self._invalidated = True
            self._recover()
            raise _not_written(error) from error
        return True

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
    return StoreFailed(f"The write failed; none of these events was stored: {first_line(error)}")


def _at_most(newest: int, times: Sequence[int]) -> Sequence[int]:
    """
    Returns the times, limited to `newest`.

    A time is checked when its event arrives. If the clock is set back before the commit, the receipt may be so much
    earlier than the time that no refresh would find the event.
    """
    if max(times) <= newest:
        return times
    return array("q", (min(time, newest) for time in times))
