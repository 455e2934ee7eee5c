"""What the embedded store keeps in its file."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from meterboard.usage.duckdb.store import FILE, DuckDBStore
from tests.batches import batch
from tests.contract.conftest import scope

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path)
    yield opened
    opened.close()


def in_file(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """Runs a statement in the file of a store that is closed."""
    with duckdb.connect(str(folder / FILE)) as connection:
        return connection.execute(statement).fetchall()


def test_a_combination_keeps_its_number_across_restarts(tmp_path: Path) -> None:
    for users in (["maria"], ["arjun", "maria"]):
        store = DuckDBStore(tmp_path)
        for user in users:
            store.append(batch(NOW, user=user), received_at=NOW)
        store.close()

    assert in_file(tmp_path, 'select combination, "user" from combination order by all') == [
        (0, "maria"),
        (1, "arjun"),
    ]
    assert in_file(tmp_path, "select combination from event order by rowid") == [(0,), (1,), (0,)]


def test_what_is_deleted_gives_its_disk_back(store: DuckDBStore, tmp_path: Path) -> None:
    def day(number: int) -> None:
        for _ in range(5):
            events = batch(*[NOW + number * DAY] * 20_000, ids=[os.urandom(8).hex() for _ in range(20_000)])
            store.append(events, received_at=NOW + number * DAY)
        store.refresh(NOW + number * DAY + MINUTE)
        store.delete_before(NOW + (number - 2) * DAY)
        while store.maintain():
            pass

    for number in range(3):
        day(number)
    store.checkpoint()
    full = (tmp_path / FILE).stat().st_size
    for number in range(3, 9):
        day(number)

    assert (tmp_path / FILE).stat().st_size <= 1.6 * full


def test_the_pieces_of_an_hour_are_joined(store: DuckDBStore, tmp_path: Path) -> None:
    for minute in range(0, 80, 2):
        store.append(batch(NOW - timedelta(hours=minute / 2)), received_at=NOW + minute * MINUTE)
        store.append(batch(NOW - 3 * DAY), received_at=NOW + minute * MINUTE)
        store.refresh(NOW + minute * MINUTE + MINUTE)
        while store.maintain():
            pass
    store.refresh(NOW + timedelta(hours=3))
    steps = 1
    while store.maintain():
        steps += 1
    store.close()

    assert steps > 1
    assert in_file(tmp_path, "select max(n) from (select count(*) as n from daily group by day)") == [(1,)]
    assert in_file(tmp_path, "select sum(calls), count(*) = count(distinct bucket) from rollup") == [
        (80, True)
    ]


def test_a_watermark_of_a_clock_that_was_ahead_is_taken_back(tmp_path: Path) -> None:
    """Rows of the refreshes that it was of count as before."""
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW - DAY), received_at=NOW - MINUTE)
    store.refresh(NOW + 400 * DAY)
    store.close()

    store = DuckDBStore(tmp_path, now=NOW + MINUTE)
    with store.snapshot() as snapshot:
        assert snapshot.watermark == NOW + MINUTE
        assert snapshot.total(scope(snapshot, now=NOW)).calls == 1
        assert snapshot.difference(1) == (1, 0, 0, 0, 0)
    store.close()


def test_a_watermark_that_events_came_after_stays(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW), received_at=NOW)
    store.refresh(NOW + MINUTE)
    store.close()

    store = DuckDBStore(tmp_path, now=NOW - DAY)
    assert store.last_timestamp() == NOW + MINUTE
    store.close()


def test_a_difference_is_found_where_there_is_one(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW, NOW - DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)
    store.close()
    in_file(tmp_path, "update rollup set calls = calls + 2, credits = credits - 1 where bucket % 96 = 43")

    store = DuckDBStore(tmp_path)
    with store.snapshot() as snapshot:
        found = snapshot.difference(1)
    store.close()

    assert (found.events, found.calls, found.credits) == (2, 4, 2)
