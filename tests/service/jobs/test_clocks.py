"""Random histories on a clock that is set back and forward: nothing is lost, and statistics equal a plain count."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.event import MAX_AHEAD
from meterboard.domain.period import INSTANT, Period
from meterboard.domain.query import Scope
from meterboard.service.ingest.meter import Meter
from meterboard.service.jobs.refresh import Refresh
from meterboard.usage.batch import EventBatch
from meterboard.usage.duckdb.store import DuckDBStore
from tests.batches import batch

START = datetime(2026, 11, 24, 10, 52, 30, tzinfo=UTC)
EVER = timedelta(days=400)
QUARTER = timedelta(minutes=15)
steps = st.one_of(
    st.timedeltas(timedelta(0), timedelta(minutes=20)),
    st.timedeltas(-timedelta(hours=3), timedelta(hours=3)),
    st.sampled_from([-timedelta(minutes=20), timedelta(hours=1), -timedelta(hours=1), timedelta(days=90)]),
)
agos = st.one_of(
    st.timedeltas(-MAX_AHEAD, timedelta(minutes=20)), st.timedeltas(timedelta(0), timedelta(days=29))
)
events = st.lists(st.tuples(agos, st.one_of(st.none(), st.integers(0, 20))), min_size=1, max_size=5)
actions = st.one_of(
    st.tuples(st.just("set the clock"), steps),
    st.tuples(st.just("send"), events),
    st.tuples(st.just("send across a step"), events),
    st.tuples(st.sampled_from(["refresh when due", "refresh now", "restart"]), st.none()),
)


def sent_at(now: datetime, sent: list[tuple[timedelta, int | None]]) -> EventBatch:
    ids = [None if name is None else str(name) for _, name in sent]
    return batch(*(now - ago for ago, _ in sent), ids=ids)


class History:
    """A store in a folder, and what it must hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FixedClock(START)
        self.known: set[int] = set()
        self.count = 0
        self.latest = START
        self.open()

    def open(self) -> None:
        self.store = DuckDBStore(self.folder, memory="128MB")
        self.meter = Meter(self.store, self.clock, max_waiting=1_000)
        self.refresh = Refresh(self.meter, self.clock, QUARTER)

    def close(self) -> None:
        self.meter.close()
        self.store.close()

    def set_clock(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.latest = max(self.latest, self.clock.now())

    def send(self, sent: list[tuple[timedelta, int | None]], between: Callable[[], None]) -> None:
        priced = sent_at(self.clock.now(), sent)
        between()
        new = self.meter.submit(priced).result(30)
        for (_, name), is_new in zip(sent, new, strict=True):
            assert is_new == (name is None or name not in self.known)
            self.count += is_new
            if name is not None:
                self.known.add(name)

    def do(self, action: str, value: object) -> None:
        if action == "set the clock":
            assert isinstance(value, timedelta)
            self.set_clock(value)
        elif action == "restart":
            self.close()
            self.open()
        elif action == "refresh now":
            self.refresh.now()
            assert self.covered() <= self.count
        elif action == "refresh when due":
            self.refresh.run(self.refresh.last_due(self.clock.now()))
            assert self.covered() <= self.count
        else:
            assert isinstance(value, list)
            self.send(value, lambda: self.set_clock(-2 * QUARTER) if "step" in action else None)

    def covered(self) -> int:
        """The calls in the statistics, which agree with the events."""
        with self.store.snapshot() as snapshot:
            found = snapshot.difference(1)
            zone = ZoneInfo("UTC")
            ever = Period("ever", START - EVER, snapshot.watermark, zone, "day", 1)
            assert snapshot.total(Scope(1, ever, {}, snapshot.watermark)).calls == found.events
        assert found[1:] == (0, 0, 0, 0)
        return found.events


@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(actions, max_size=12))
def test_nothing_is_lost_and_statistics_are_right_whatever_the_clock_does(
    history: list[tuple[str, object]],
) -> None:
    with TemporaryDirectory() as folder:
        run = History(Path(folder))
        try:
            for action, value in history:
                run.do(action, value)
            run.clock.set(run.latest + MAX_AHEAD + timedelta(days=1))
            run.refresh.run(run.refresh.last_due(run.clock.now()))
            assert run.covered() == run.count
        finally:
            with suppress(Exception):
                run.close()


def test_an_event_priced_before_the_clock_was_set_back_is_in_the_statistics(tmp_path: Path) -> None:
    run = History(tmp_path)
    run.send([(-MAX_AHEAD, 1)], lambda: run.set_clock(-2 * QUARTER))
    run.set_clock(QUARTER)
    run.refresh.run(run.refresh.last_due(run.clock.now()))
    run.set_clock(QUARTER + MAX_AHEAD + INSTANT)
    run.refresh.now()

    assert run.covered() == 1
    run.close()
