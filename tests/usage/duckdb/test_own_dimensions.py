"""The usage store keeps an installation's own dimensions, whatever its settings name from one start to the next."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.dimensions import Dimensions, parse_dimensions
from meterboard.domain.period import micros, parse_period
from meterboard.domain.query import MOST_CALLS_FIRST, Scope
from meterboard.usage.batch import EncodedBatch, EventBatch
from meterboard.usage.duckdb.numbers import digest
from meterboard.usage.duckdb.store import DuckDBStore
from meterboard.usage.store import Difference
from tests.batches import CALL, batch, joined

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACME = 1
NAMES = ("environment", "region", "order")
"""With a word of SQL."""
CONFIGURED = [
    "",
    "environment",
    "region",
    "environment,region",
    "region,environment",
    "order,region:Place,environment",
]
VALUES = ("", "production", "test", "x")

Said = dict[str, str]
said = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))
users = st.sampled_from(("maria", "arjun"))
call = st.tuples(users, said)
step = st.one_of(
    st.tuples(st.just("append"), st.lists(call, min_size=1, max_size=4)),
    st.tuples(st.just("import"), st.lists(call, min_size=1, max_size=4)),
    st.tuples(st.just("refresh"), st.none()),
    st.tuples(st.just("restart"), st.sampled_from(CONFIGURED)),
    st.tuples(st.just("maintain"), st.none()),
)


def events(calls: Sequence[tuple[str, tuple[str, ...]]]) -> EventBatch:
    return joined(*(batch(NOW, user=user, own=own) for user, own in calls))


def imported(calls: Sequence[tuple[str, tuple[str, ...]]]) -> EncodedBatch:
    count = len(calls)
    return EncodedBatch(
        kinds=batch(NOW, application="", user="", own=("",) * len(calls[0][1])),
        callers=[("desk", user, *own) for user, own in calls],
        origins=[""],
        kind=array("i", [0] * count),
        caller=array("i", range(count)),
        origin=array("i", [0] * count),
        times=array("q", [micros(NOW)] * count),
        id_lows=array("Q", [0] * count),
        id_highs=array("I", [0] * count),
    )


class History:
    """A store that is restarted with other settings, and a plain list of what was sent to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dimensions = Dimensions()
        self.store = DuckDBStore(folder)
        self.sent: list[tuple[str, Said]] = []
        self.moment = NOW

    def restart(self, text: str) -> None:
        self.store.close()
        self.dimensions = parse_dimensions(text)
        self.store = DuckDBStore(self.folder, dimensions=self.dimensions)

    def take(self, calls: Sequence[tuple[str, Said]], *, alike: bool) -> None:
        names = self.dimensions.own_names
        known = [(user, {name: own[name] for name in own if name in names}) for user, own in calls]
        values = [(user, self.dimensions.own_values(own)) for user, own in known]
        self.moment += MINUTE
        if alike:
            new = self.store.append(imported(values), received_at=self.moment)
        else:
            new = self.store.append(events(values), received_at=self.moment)
        assert new == [True] * len(calls)
        self.sent += known

    def refresh(self) -> None:
        self.moment += MINUTE
        self.store.refresh(self.moment)

    def maintain(self) -> None:
        self.moment += timedelta(hours=1)
        self.refresh()
        while self.store.maintain():
            pass

    def check(self) -> None:
        self.refresh()
        names = self.dimensions.own_names
        wanted = Counter((user, *(own.get(name, "") for name in names)) for user, own in self.sent)
        with self.store.snapshot() as snapshot:
            period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
            scope = Scope(ACME, period, {}, snapshot.watermark)
            found = snapshot.groups(scope, ("user", *names), order=MOST_CALLS_FIRST, limit=None)
            assert {group.values: group.calls for group in found.rows} == wanted
            listed = [(row.values[6], *row.values[8:]) for row in snapshot.events(scope, limit=1_000).rows]
            assert Counter(listed) == wanted
            for name in names:
                production = {"environment": ("production",)} if name == "environment" else {name: ("",)}
                chosen = snapshot.total(Scope(ACME, period, production, snapshot.watermark))
                assert chosen.calls == sum(own.get(name, "") in production[name] for _, own in self.sent)
            assert snapshot.difference(ACME) == Difference(len(self.sent), 0, 0, 0, 0)


@given(st.lists(step, max_size=14))
@settings(max_examples=40)
def test_whatever_is_added_and_removed_every_call_keeps_what_it_said(steps: list[tuple[str, object]]) -> None:
    with TemporaryDirectory() as folder:
        history = History(Path(folder))
        for kind, value in steps:
            if kind in ("append", "import"):
                assert isinstance(value, list)
                history.take(value, alike=kind == "import")
            elif kind == "restart":
                history.restart(str(value))
                history.check()
            elif kind == "maintain":
                history.maintain()
            else:
                history.refresh()
        history.check()
        history.restart(CONFIGURED[-1])
        history.check()
        history.store.close()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path)
    yield made
    made.store.close()


def numbers(history: History) -> list[tuple[int, int]]:
    """The numbers and digests of the combinations that are stored."""
    rows = history.store._database.connection.execute(
        "select combination, digest from combination order by all"
    )
    return rows.fetchall()


def test_other_settings_give_no_combination_another_number(history: History) -> None:
    history.take([("maria", {}), ("arjun", {})], alike=False)
    before = numbers(history)
    history.restart("environment,region")
    history.take([("maria", {}), ("arjun", {"environment": "test"})], alike=False)
    history.take([("arjun", {"environment": "test"}), ("maria", {})], alike=True)
    after = numbers(history)
    assert after[:2] == before
    assert len(after) == 3

    history.restart("region,environment")
    history.take([("arjun", {"environment": "test"})], alike=True)
    history.take([("arjun", {"environment": "test"})], alike=False)
    assert numbers(history) == after
    assert digest(CALL) == digest(CALL._replace(own=("", "")), ("a", "b"))


def test_what_is_hidden_is_kept_apart_from_what_was_not_said(history: History) -> None:
    history.restart("environment")
    history.take([("maria", {"environment": "test"})], alike=False)
    history.restart("")
    for alike in (False, True):
        history.take([("maria", {})], alike=alike)
    history.restart("environment")
    history.check()
    assert len(numbers(history)) == 2


def test_an_event_counts_once_however_its_dimensions_changed(history: History) -> None:
    history.restart("environment")
    assert history.store.append(batch(NOW, ids=["a"], own=("test",)), received_at=NOW) == [True]
    history.restart("")
    assert history.store.append(batch(NOW, ids=["a"]), received_at=NOW + MINUTE) == [False]


def columns(history: History) -> list[str]:
    rows = history.store._database.connection.execute(
        "select distinct column_name from duckdb_columns() where table_name in ('combination', 'rollup', 'daily')"
    )
    return [name for (name,) in rows.fetchall()]


def test_a_column_goes_when_nothing_is_kept_of_it(history: History) -> None:
    history.restart("environment,region")
    history.take([("maria", {"environment": "test"})], alike=False)
    history.refresh()
    history.restart("")
    assert "environment" in columns(history)
    assert "region" not in columns(history)

    history.take([("maria", {})], alike=False)
    history.store.delete_before(NOW + timedelta(days=2))
    history.restart("")
    assert "environment" not in columns(history)


# What is a word of SQL, or what the statements call something of their own.
@pytest.mark.parametrize(
    "name",
    [
        "group",
        "select",
        "count_user",
        "grouped",
        "summed",
        "ranked",
        "numbered",
        "kept",
        "fresh",
        "met",
        "moved",
        "edges",
    ],
)
def test_a_dimension_may_have_any_name_that_is_not_reserved(history: History, name: str) -> None:
    history.restart(name)
    history.take([("maria", {name: "a"}), ("arjun", {name: "b"}), ("maria", {})], alike=False)
    history.take([("maria", {name: "a"})], alike=True)
    history.check()
    history.maintain()
    names = (name, "user")
    with history.store.snapshot() as snapshot:
        period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        scope = Scope(ACME, period, {f"{name}!": ("b",)}, snapshot.watermark)
        for columns in (names, names[::-1]):
            order = [*MOST_CALLS_FIRST]
            assert snapshot.groups(scope, columns, order=order, limit=5).total.calls == 3
            assert snapshot.summaries(scope, columns, order=order, limit=5, offset=0).total.calls == 3
            assert (
                sum(row.calls for row in snapshot.top_rows_per_group(scope, columns, order=order, limit=5))
                == 3
            )
            for grain in (None, 4, 96):
                found = snapshot.sums(scope, columns, limit=5, grain=grain)
                assert sum(bucket.calls for bucket in found.amounts.values()) == 3
        assert snapshot.related_values(scope, names, limit=5)[name].rows == [("a", (2, 2)), ("", (1, 1))]
        searched = snapshot.groups(scope, names, order=MOST_CALLS_FIRST, limit=5, search="A")
        assert [row.values for row in searched.rows] == [("a", "maria")]
