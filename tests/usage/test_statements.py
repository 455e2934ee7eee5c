"""Every statement that DuckDB runs is run on ClickHouse's engine too, over the same rows: the answers are equal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from inspect import getmembers, isfunction
from pathlib import Path
from random import Random
from types import FrameType, ModuleType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.cursor import Cursor
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import parse_period
from meterboard.domain.query import NOT, Breakdown, DimensionName, Filters, Order, Scope
from meterboard.usage import dialect, events_sql, scope_sql, sql
from meterboard.usage.batch import EventBatch
from meterboard.usage.dialect import Statement, with_names
from meterboard.usage.duckdb.store import FILE, DuckDBStore
from meterboard.usage.snapshot import SqlSnapshot
from meterboard.usage.store import Snapshot
from tests.batches import CALL, batch, joined
from tests.usage.clickhouse import ClickHouse, ClickHouseSnapshot

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
WATERMARK = NOW - timedelta(minutes=1)
ZONES = ("UTC", "Asia/Kolkata", "America/Chicago", "Pacific/Kiritimati")
ORGANIZATIONS = (1, 2, 3)
VALUES: dict[str, Sequence[str]] = {
    "application": ("desk", "", "Büro", "büro", "O'Neil \\ \t\u2028", "Δέλτα", "zz"),
    "function": ("", "", "", "sync", "Élan", "élan"),
    "module": ("Leads", "Deals", "", "ÄPFEL"),
    "method": ("get", "insert", ""),
    "version": ("v8", ""),
    "ip": ("203.0.113.7", "2001:db8::1", ""),
    "user": ("maria", "arjun", "zoe", "", "MARIA", "Ωmega"),
    "status": ("200", "429", ""),
}

DIMENSIONS = Dimensions().names


def random_batch(random: Random, organization: int, received_at: datetime) -> EventBatch:
    made = []
    for _ in range(60):
        values: dict[str, Any] = {name: random.choice(values) for name, values in VALUES.items()}
        time = received_at - timedelta(seconds=random.choice((0, 40, 900, 86_400 * 6)) * random.random())
        credits = random.choice((0, 1, 1, 25))
        made += [
            batch(
                *[time] * random.choice((1, 1, 3)),
                combination=CALL._replace(**values),
                organization=organization,
                credits=credits,
                charged=0 if values["function"] else credits,
                estimated=random.random() < 0.2,
                records=random.choice((-1, 0, 200)),
                reason=random.choice(("one", "two")),
            )
        ]
    return joined(*made)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshot, SqlSnapshot]]:
    """The same rows in both engines: several refreshes of events, and some that none covers yet."""
    folder: Path = tmp_path_factory.mktemp("usage")
    random = Random(20261124)
    store = DuckDBStore(folder)
    for hours in (50, 20, 3, 1, 0):
        for organization in ORGANIZATIONS:
            moment = NOW - timedelta(hours=hours)
            store.append(random_batch(random, organization, moment), received_at=moment)
        store.refresh(NOW - timedelta(hours=hours, minutes=1))
    store.close()
    engine = ClickHouse()
    with duckdb.connect(str(folder / FILE), read_only=True) as connection:
        engine.copy(connection)
    store = DuckDBStore(folder)
    with store.snapshot() as snapshot:
        yield snapshot, ClickHouseSnapshot(engine)
    store.close()
    engine.close()


class Question(NamedTuple):
    """What every question is made of; each takes what it needs."""

    scope: Scope
    columns: Sequence[DimensionName]
    by: Sequence[Breakdown]
    order: Sequence[Order]
    limit: int
    offset: int
    grain: int | None
    is_set: bool
    search: str
    cursor: Cursor | None


def _pairs(first: str, second: str) -> list[tuple[str, str]]:
    return [(one, other) for one in VALUES[first] for other in VALUES[second]]


QUESTIONS: dict[str, Callable[[Snapshot, Question], object]] = {
    "total": lambda s, q: s.total(q.scope),
    "estimated": lambda s, q: s.estimated(q.scope),
    "groups": lambda s, q: s.groups(
        q.scope,
        q.columns,
        order=q.order,
        limit=q.limit,
        offset=q.offset,
        tasks_only=q.is_set,
        search=q.search,
    ),
    "callers": lambda s, q: s.callers(q.scope, order=_by_sums(q), limit=q.limit, offset=q.offset),
    "callers_named": lambda s, q: sorted(
        s.callers_named(q.scope, [("desk", "application"), ("élan", "function"), ("", "application")])
    ),
    "summaries": lambda s, q: s.summaries(
        q.scope, q.columns, order=q.order, limit=None if q.is_set else q.limit, offset=q.offset
    ),
    "top_rows_per_group": lambda s, q: s.top_rows_per_group(q.scope, q.columns, order=q.order, limit=q.limit),
    "related_values": lambda s, q: s.related_values(q.scope, q.columns, limit=q.limit),
    "last_tasks": lambda s, q: s.last_tasks(q.scope, _pairs("function", "module")[:: q.limit]),
    "sums": lambda s, q: s.sums(q.scope, q.by, limit=q.limit, grain=q.grain, tasks_only=q.is_set),
    "events": lambda s, q: s.events(q.scope, limit=q.limit, cursor=q.cursor),
}
"""Of each member of a snapshot that is a question, what is asked."""


def _by_sums(question: Question) -> list[Order]:
    return [key for key in question.order if key.column not in DIMENSIONS]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    texts = ("last_24_hours", "today", "yesterday", "last_30_days", "2026-11-20..2026-11-23", "2026-11-24")
    period = parse_period(draw(st.sampled_from(texts)), zone=zone, now=NOW, as_of=WATERMARK)
    filtered = st.sampled_from([*DIMENSIONS, *(f"{name}{NOT}" for name in DIMENSIONS)])
    filters: Filters = {
        name: tuple(draw(st.lists(st.sampled_from(VALUES[name.removesuffix(NOT)]), min_size=1, max_size=3)))
        for name in draw(st.lists(filtered, max_size=2, unique=True))
    }
    columns = draw(st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=4, unique=True))
    keys = st.sampled_from([*columns, "calls", "credits", "integration_tasks"])
    moment = NOW - timedelta(seconds=draw(st.integers(-100, 90_000)))
    return Question(
        Scope(draw(st.sampled_from(ORGANIZATIONS)), period, filters, WATERMARK),
        columns,
        draw(st.lists(st.sampled_from([*DIMENSIONS, "caller"]), max_size=3, unique=True)),
        draw(st.lists(st.builds(Order, keys, st.booleans()), max_size=3)),
        draw(st.integers(1, 12)),
        draw(st.integers(0, 9)),
        draw(st.sampled_from([None, 1, 4, 96, 192])),
        draw(st.booleans()),
        draw(st.sampled_from(["", "É", "mari", "ä", "δ", "(UN", "\\", "'"])),
        draw(
            st.none()
            | st.builds(
                Cursor, st.just(int(moment.timestamp() * 1_000_000)), st.integers(0, 3), st.booleans()
            )
        ),
    )


@pytest.mark.parametrize("name", QUESTIONS)
@given(question=questions())
@settings(max_examples=25, deadline=None)
def test_both_engines_answer_alike(
    snapshots: tuple[Snapshot, SqlSnapshot], name: str, question: Question
) -> None:
    duckdb_snapshot, clickhouse_snapshot = snapshots
    ask = QUESTIONS[name]

    assert ask(clickhouse_snapshot, question) == ask(duckdb_snapshot, question)


@pytest.mark.parametrize("engine", [0, 1], ids=["duckdb", "clickhouse"])
@pytest.mark.parametrize(
    ("column", "search", "found"), [("function", "É", {"Élan", "élan"}), ("user", "ω", {"Ωmega"})]
)
def test_a_search_finds_letters_of_any_alphabet_in_either_case(
    snapshots: tuple[Snapshot, SqlSnapshot], engine: int, column: str, search: str, found: set[str]
) -> None:
    period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=WATERMARK)
    scope = Scope(1, period, {}, WATERMARK)
    groups = snapshots[engine].groups(scope, [column], order=[], limit=None, search=search)

    assert {value for (value,) in (row.values for row in groups.rows)} == found


def test_every_question_is_asked() -> None:
    own = {"ask", "ask_page", "window", "window_buckets", "difference"}
    members = {name for name, _ in getmembers(SqlSnapshot, isfunction) if not name.startswith("_")}

    assert members - own == set(QUESTIONS)


MODULES: tuple[ModuleType, ...] = (sql, scope_sql, events_sql, dialect)


def test_the_questions_run_every_function_that_makes_statements(
    snapshots: tuple[Snapshot, SqlSnapshot],
) -> None:
    files = {module.__file__ for module in MODULES}
    ran: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename in files:
            ran.add(frame.f_code.co_name)

    period = parse_period("last_30_days", zone=ZoneInfo("Asia/Kolkata"), now=NOW, as_of=NOW)
    scope = Scope(1, period, {f"user{NOT}": ("zoe",)}, WATERMARK)
    orders = [Order("user", True)]
    newer = Cursor(int((NOW - timedelta(hours=2)).timestamp() * 1_000_000), 0, newer=True)
    question = Question(scope, ["user", "ip"], ["caller", "user"], orders, 2, 0, 96, False, "a", newer)
    sys.setprofile(note)
    try:
        for ask in QUESTIONS.values():
            ask(snapshots[1], question)
    finally:
        sys.setprofile(None)

    functions = {
        function.__name__
        for module in MODULES
        for _, function in getmembers(module, isfunction)
        if function.__module__ == module.__name__
    }
    assert functions - ran == set()


def test_parameters_have_names_and_types_for_clickhouse() -> None:
    statement = Statement("select ? + 1, ? where x in ?", [3, "it's", ["a", "b"]])

    assert with_names(statement) == (
        "select {p0:Int64} + 1, {p1:String} where x in {p2:Array(String)}",
        [("p0", "Int64", 3), ("p1", "String", "it's"), ("p2", "Array(String)", ["a", "b"])],
    )
