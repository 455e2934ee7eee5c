"""Files of earlier versions are brought up to date when they are opened."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from meterboard.domain.period import micros, parse_period
from meterboard.domain.query import Scope
from meterboard.errors import DataFolderError
from meterboard.schedule.reason import GIVEN
from meterboard.usage.duckdb.statements import LAYOUT
from meterboard.usage.duckdb.store import FILE, DuckDBStore
from tests.batches import CALL, batch, encoded

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAMES = "application varchar not null, function varchar not null, module varchar not null, method varchar not null, "
NAMES += 'version varchar not null, ip varchar not null, "user" varchar not null, status varchar not null'
LAYOUT_1 = f"""
create table layout (version integer not null);
create table combination (combination integer not null, digest ubigint not null, organization integer not null, {NAMES});
create table event (
    organization integer not null, received_at bigint not null, time bigint not null, id_low ubigint not null,
    id_high uinteger not null, combination integer not null, credits integer not null, charged integer not null,
    estimated tinyint not null, records integer not null
);
create table rollup (organization integer not null, bucket integer not null, {NAMES},
    calls bigint not null, credits bigint not null, estimated bigint not null);
create table daily (organization integer not null, day integer not null, {NAMES},
    calls bigint not null, credits bigint not null, estimated bigint not null);
create table watermark (moment bigint not null);
insert into layout values (1);
"""
OTHER_DIGEST = 7
"""Until layout 2 it was of BLAKE2b."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder whose file has layout 1 and an event in it."""
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        connection.execute(LAYOUT_1)
        connection.execute(
            "insert into combination values (0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [OTHER_DIGEST, *CALL[:-1]]
        )
        moment = micros(NOW)
        connection.execute("insert into event values (1, ?, ?, 0, 0, 0, 3, 2, 0, -1)", [moment, moment])
        connection.execute("insert into watermark values (?)", [moment + 1])
    return tmp_path


def without_refreshes(connection: duckdb.DuckDBPyConnection) -> None:
    """Until layout 5 rows of statistics did not say which refresh they are of."""
    for table in ("rollup", "daily"):
        connection.execute(f"alter table {table} drop column as_of")


def test_a_file_of_layout_1_keeps_its_events_and_takes_new_ones(old: Path) -> None:
    for number in range(2):  # the second time there is nothing left to do
        store = DuckDBStore(old)
        assert store.append(batch(NOW, ids=["a"]), received_at=NOW) == [number == 0]
        store.close()

    with duckdb.connect(str(old / FILE)) as connection:
        assert connection.execute("select version from layout").fetchall() == [(LAYOUT,)]
        assert connection.execute("select credits, reason from event order by all").fetchall() == [
            (1, 0),
            (3, -1),
        ]
        assert connection.execute("select * from reason").fetchall() == [(0, GIVEN)]
        assert connection.execute("select combination from combination").fetchall() == [(0,)]
        for table in ("rollup", "daily"):
            sums = connection.execute(f"select calls, credits, charged, module from {table}").fetchall()
            assert sums == [(1, 3, 2, "Leads")]


def test_a_file_of_layout_2_knows_its_combinations(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW, ids=["a"]), received_at=NOW)
    store.close()
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        without_refreshes(connection)
        connection.execute("update layout set version = 2")
        connection.execute("update combination set digest = ?", [OTHER_DIGEST])

    store = DuckDBStore(tmp_path)
    store._numbers.combinations.clear()  # as when there are more than are cached
    assert store.append(batch(NOW, ids=["a"]), received_at=NOW) == [False]
    assert store.append(batch(NOW, ids=["b"]), received_at=NOW) == [True]
    store.close()

    with duckdb.connect(str(tmp_path / FILE)) as connection:
        assert connection.execute("select version from layout").fetchall() == [(LAYOUT,)]
        assert connection.execute("select combination from combination").fetchall() == [(0,)]


def test_a_file_of_layout_3_takes_numbers_of_more_than_32_bits(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW, ids=["a"]), received_at=NOW)
    store.close()
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        for table in ("event", "combination"):
            connection.execute(f"update {table} set combination = 2147483647")
            connection.execute(f"alter table {table} alter column combination type integer")
        without_refreshes(connection)
        connection.execute("update layout set version = 3")

    store = DuckDBStore(tmp_path)
    assert store.append(batch(NOW, ids=["b"], user="arjun"), received_at=NOW + MINUTE) == [True]
    assert store.append(encoded(NOW, "c", "d"), received_at=NOW + 2 * MINUTE) == [True, True]
    store.refresh(NOW + 3 * MINUTE)
    with store.snapshot() as snapshot:
        assert snapshot.difference(1) == (4, 0, 0, 0, 0)
    store.close()

    with duckdb.connect(str(tmp_path / FILE)) as connection:
        numbers = connection.execute("select combination from combination order by all").fetchall()
    assert numbers == [(2**31 - 1,), (2**31,), (2**31 + 1,)]


def test_a_file_of_layout_4_keeps_its_statistics_and_goes_on(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    store.append(batch(NOW, NOW - timedelta(days=2)), received_at=NOW)
    store.refresh(NOW + MINUTE)
    store.append(batch(NOW), received_at=NOW + 2 * MINUTE)
    store.close()
    with duckdb.connect(str(tmp_path / FILE)) as connection:
        without_refreshes(connection)
        connection.execute("update layout set version = 4")

    for calls in (2, 3, 3):
        store = DuckDBStore(tmp_path)
        with store.snapshot() as snapshot:
            period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
            assert snapshot.total(Scope(1, period, {}, snapshot.watermark)).calls == calls
            assert snapshot.difference(1) == (calls, 0, 0, 0, 0)
        store.refresh(NOW + timedelta(hours=2))
        while store.maintain():
            pass
        store.close()


def test_an_import_takes_as_many_numbers_as_it_has_new_combinations(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path)
    for number in range(3):
        moment = NOW + number * MINUTE
        assert store.append(encoded(NOW, f"{number}"), received_at=moment) == [True]
    assert store.append(batch(NOW, ids=["a"]), received_at=NOW + 4 * MINUTE) == [True]
    store.close()

    with duckdb.connect(str(tmp_path / FILE)) as connection:
        assert connection.execute("select combination from combination order by all").fetchall() == [
            (0,),
            (1,),
        ]


def test_a_file_of_a_newer_version_is_left_alone(old: Path) -> None:
    with duckdb.connect(str(old / FILE)) as connection:
        connection.execute("update layout set version = 99")

    with pytest.raises(DataFolderError, match="another version of Meterboard"):
        DuckDBStore(old)
