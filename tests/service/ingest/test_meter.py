"""Group commit: who waits together, who is turned away, and what a failure leaves behind."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from meterboard.clock import FixedClock
from meterboard.errors import Overloaded, StoreFailed
from meterboard.service.ingest.meter import Meter
from meterboard.usage.batch import EventBatch
from meterboard.usage.duckdb.columns import Rows
from meterboard.usage.duckdb.id_filter import IdFilter
from meterboard.usage.duckdb.ids import KnownIds
from meterboard.usage.duckdb.store import DuckDBStore
from meterboard.usage.store import UsageStore
from tests.batches import batch_of_ids, encoded

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
SHORT = 30
batch = partial(batch_of_ids, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def meter(store: DuckDBStore, clock: FixedClock) -> Iterator[Meter]:
    running = Meter(store, clock, max_waiting=10)
    yield running
    running.close()


class Busy:
    """Keeps the writing thread busy until it is let go."""

    def __init__(self, meter: Meter) -> None:
        self._go = Event()
        started = Event()

        def wait(store: UsageStore, moment: datetime) -> None:
            started.set()
            assert self._go.wait(SHORT)

        self.done = meter.run(wait)
        assert started.wait(SHORT)

    def let_go(self) -> None:
        self._go.set()
        self.done.result(SHORT)


def test_an_answer_says_which_events_were_new(meter: Meter) -> None:
    assert meter.submit(batch("a", "b", "a")).result(SHORT) == [True, True, False]
    assert meter.submit(batch("b", "c")).result(SHORT) == [False, True]


def test_what_waits_together_is_answered_each_its_own(meter: Meter) -> None:
    busy = Busy(meter)
    answers = [meter.submit(batch(*ids)) for ids in ("ab", "bc", "d")]
    busy.let_go()

    assert [answer.result(SHORT) for answer in answers] == [[True, True], [False, True], [True]]


def test_past_the_bound_senders_are_turned_away_and_nothing_is_lost(meter: Meter) -> None:
    busy = Busy(meter)
    taken = meter.submit(batch(*"abcdefgh"))
    with pytest.raises(Overloaded, match="8 events are waiting") as refused:
        meter.submit(batch(*"ijk"))
    assert refused.value.retry_after >= 1
    busy.let_go()

    assert taken.result(SHORT) == [True] * 8
    assert meter.submit(batch(*"ijk")).result(SHORT) == [True] * 3


def test_closing_stores_what_waits_and_takes_no_more(store: DuckDBStore, clock: FixedClock) -> None:
    meter = Meter(store, clock, max_waiting=10)
    busy = Busy(meter)
    waiting = meter.submit(batch("a"))
    busy.let_go()
    meter.close()

    assert waiting.result(SHORT) == [True]
    with pytest.raises(Overloaded, match="shutting down"):
        meter.submit(batch("b"))


def test_a_failed_commit_counts_nothing_and_the_next_one_works(
    meter: Meter, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the disk is on fire")

    with monkeypatch.context() as broken:
        broken.setattr(store, "_insert", fail)
        with pytest.raises(StoreFailed, match="none of these events was stored"):
            meter.submit(batch("a")).result(SHORT)

    assert meter.submit(batch("a")).result(SHORT) == [True]


def test_a_batch_that_was_stored_before_its_commit_failed_is_taken_back(
    meter: Meter, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert meter.submit(batch("a")).result(SHORT) == [True]
    insert = store._insert

    def insert_and_fail(rows: Rows) -> None:
        insert(rows)  # a statement of its own is committed when it returns
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(store, "_insert", insert_and_fail)
        with pytest.raises(StoreFailed, match="none of these events was stored"):
            meter.submit(batch("b", "c")).result(SHORT)

    with store.snapshot() as snapshot:
        assert snapshot.window(1, after=NOW - timedelta(days=1), until=NOW).calls == 1
    assert meter.submit(batch("b", "c", "a")).result(SHORT) == [True, True, False]


def test_the_thread_outlives_whatever_fails(
    store: DuckDBStore, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    meter = Meter(store, clock, max_waiting=10, committed=fail, failed=fail)
    assert meter.submit(batch("a")).result(SHORT) == [True]
    with monkeypatch.context() as broken:
        broken.setattr(EventBatch, "extend", fail)
        busy = Busy(meter)
        together = [meter.submit(batch(name)) for name in "bc"]
        busy.let_go()
        for answer in together:
            with pytest.raises(StoreFailed):
                answer.result(SHORT)
    with monkeypatch.context() as broken:
        broken.setattr("meterboard.service.ingest.meter._complete", fail)
        lost = meter.submit(batch("e"))
        with pytest.raises(TimeoutError):
            lost.result(0.1)
        meter.run(lambda store, moment: None).result(SHORT)
    with monkeypatch.context() as broken:
        broken.setattr(store._ids._filter, "add", fail)
        assert meter.submit(batch("b")).result(SHORT) == [True]
    busy = Busy(meter)
    gone, job = meter.submit(batch("d")), meter.run(fail)
    assert gone.cancel()
    assert job.cancel()
    busy.let_go()

    assert meter.submit(batch("a", "b", "c", "d")).result(SHORT) == [False, False, True, False]
    meter.close()


def test_an_event_loop_that_has_ended_keeps_nobody_from_an_answer(meter: Meter) -> None:
    busy = Busy(meter)

    async def send_and_leave() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(meter.commit(batch("a")), 0)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, send_and_leave()).result(SHORT)
    other = meter.submit(batch("b"))
    busy.let_go()

    assert other.result(SHORT) == [True]
    assert meter.submit(batch("c")).result(SHORT) == [True]


def test_a_job_that_comes_after_the_end_is_refused(store: DuckDBStore, clock: FixedClock) -> None:
    meter = Meter(store, clock, max_waiting=10)
    meter.close()

    with pytest.raises(Overloaded, match="shutting down"):
        meter.run(lambda store, moment: moment)


def test_a_log_that_can_t_be_folded_leaves_an_import_stored(
    meter: Meter, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreFailed("The disk is full")

    monkeypatch.setattr(store, "_checkpoint_if_large", fail)

    assert meter.submit(encoded(NOW, "a", "b")).result(SHORT) == [True, True]


def test_half_a_filter_of_ids_is_never_used(
    meter: Meter, store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{number}" for number in range(9)]
    meter.submit(batch(*ids)).result(SHORT)
    store._ids = KnownIds()
    monkeypatch.setattr("meterboard.usage.duckdb.ids.ROWS_AT_ONCE", 3)
    added: list[int] = []

    def fail_half_way(self: IdFilter, keys: list[int], **span: datetime) -> None:
        added.extend(keys)
        if len(added) == 6:
            raise MemoryError
        add(self, keys, **span)

    add = IdFilter.add
    with monkeypatch.context() as broken:
        broken.setattr(IdFilter, "add", fail_half_way)
        with pytest.raises(StoreFailed):
            meter.submit(batch(*ids)).result(SHORT)

    assert meter.submit(batch(*ids)).result(SHORT) == [False] * 9


def test_a_failing_job_is_told_to_whoever_waits_for_it(meter: Meter) -> None:
    def fail(store: UsageStore, moment: datetime) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        meter.run(fail).result(SHORT)
    assert meter.submit(batch("a")).result(SHORT) == [True]


def test_receipts_never_go_back_even_when_the_clock_does(meter: Meter, clock: FixedClock) -> None:
    moments = [meter.run(lambda _, moment: moment).result(SHORT)]
    for step in (0, -3600, 5):
        clock.advance(timedelta(seconds=step))
        moments.append(meter.run(lambda _, moment: moment).result(SHORT))

    assert moments == sorted(set(moments))


def test_a_version_moves_with_the_organisation_s_own_events_alone(meter: Meter) -> None:
    before = meter.version(1), meter.version(2)
    meter.submit(batch("a")).result(SHORT)

    assert meter.version(1) > before[0]
    assert meter.version(2) == before[1]


def test_an_import_is_reported_as_a_commit(store: DuckDBStore, clock: FixedClock) -> None:
    """Operators see the events that commands import, and the commits of them that fail."""
    committed, failures = list[int](), list[None]()
    meter = Meter(
        store,
        clock,
        max_waiting=10,
        committed=lambda events, seconds: committed.append(events),
        failed=lambda: failures.append(None),
    )
    assert meter.submit(encoded(NOW, "a", "b")).result() == [True, True]
    store.close()
    with pytest.raises(BaseException, match=r".+"):
        meter.submit(encoded(NOW, "c")).result()
    meter.close()
    assert (committed, len(failures)) == ([2], 1)
