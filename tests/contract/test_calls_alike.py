"""The usage store takes calls of which many are alike exactly as it takes them one by one."""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.event import CallBatch, Combination, EventBatch, identity
from meterboard.domain.period import micros, parse_period
from meterboard.domain.query import MOST_CALLS_FIRST, Scope
from meterboard.usage.duckdb.store import DuckDBStore
from meterboard.usage.store import Group, UsageStore

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
WHATS = [("Leads", 1), ("Deals", 3), ("Leads", 3), ("", 0)]
WHOS = [("desk", "maria"), ("", "arjun"), ("desk", "maria"), ("Büro\u2028", "")]
IPS = ["203.0.113.7", "", "2001:db8::1", "203.0.113.7"]
"""With some that are equal, as what a log writes in two ways is."""


class Call(NamedTuple):
    what: int
    who: int
    whence: int
    minutes: int
    id: str


place = st.integers(0, 3)
calls = st.builds(Call, place, place, place, st.integers(0, 2_000), st.sampled_from("abcdefgh"))
batches = st.lists(st.lists(calls, min_size=1, max_size=12), min_size=1, max_size=6)


def one_by_one(made: Sequence[Call]) -> EventBatch:
    events = EventBatch()
    for what, who, whence, minutes, name in made:
        (module, credits), (application, user) = WHATS[what], WHOS[who]
        events.times.append(micros(NOW - timedelta(minutes=minutes)))
        events.ids.append(identity(1, name))
        events.combinations.append(
            Combination(1, application, "", module, "get", "v8", IPS[whence], user, "200")
        )
        events.credits.append(credits)
        events.charged.append(credits)
        events.estimated.append(credits % 2)
        events.records.append(-1)
        events.reasons.append(f"reason of {credits}")
    return events


def alike(made: Sequence[Call]) -> CallBatch:
    whats = one_by_one([Call(what, 1, 1, 0, "") for what in range(len(WHATS))])
    whats.combinations = [values._replace(application="", user="", ip="") for values in whats.combinations]
    events = one_by_one(made)
    return CallBatch(
        whats,
        WHOS,
        IPS,
        array("i", [call.what for call in made]),
        array("i", [call.who for call in made]),
        array("i", [call.whence for call in made]),
        array("q", events.times),
        array("Q", [int.from_bytes(name[:8], "little") for name in events.ids]),
        array("I", [int.from_bytes(name[8:], "little") for name in events.ids]),
    )


def counted(store: UsageStore) -> list[Group]:
    store.refresh(NOW + timedelta(days=1))
    with store.snapshot() as snapshot:
        period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        return list(
            snapshot.groups(Scope(1, period, {}), Dimensions().names, order=MOST_CALLS_FIRST, limit=None).rows
        )


@given(batches, st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 6))
@settings(max_examples=20, deadline=None)
def test_calls_that_are_alike_count_as_one_by_one(
    made: list[list[Call]], ways: list[bool], restart: int
) -> None:
    with TemporaryDirectory() as plain, TemporaryDirectory() as mixed:
        wanted, store = DuckDBStore(Path(plain)), DuckDBStore(Path(mixed))
        for number, (batch, is_alike) in enumerate(zip(made, ways, strict=False)):
            if number == restart:
                store.close()
                store = DuckDBStore(Path(mixed))
            received = NOW + timedelta(minutes=number)
            new = wanted.append(one_by_one(batch), received_at=received)
            append = store.append_calls(alike(batch), received_at=received) if is_alike else None
            assert (append or store.append(one_by_one(batch), received_at=received)) == new
        assert counted(store) == counted(wanted)
        wanted.close()
        store.close()
