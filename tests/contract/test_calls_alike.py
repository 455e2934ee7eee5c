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

from meterboard.domain.event import CallBatch, Combination, EventBatch, identity
from meterboard.domain.period import micros, parse_period
from meterboard.domain.query import DIMENSIONS, MOST_CALLS_FIRST, Scope
from meterboard.usage.duckdb import DuckDBStore
from meterboard.usage.store import Group, UsageStore

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
KINDS = [("maria", 1), ("arjun", 3), ("maria", 3), ("", 0)]


class Call(NamedTuple):
    kind: int
    minutes: int
    id: str


calls = st.builds(Call, st.integers(0, len(KINDS) - 1), st.integers(0, 2_000), st.sampled_from("abcdefgh"))
batches = st.lists(st.lists(calls, min_size=1, max_size=12), min_size=1, max_size=6)


def one_by_one(made: Sequence[Call]) -> EventBatch:
    events = EventBatch()
    for kind, minutes, name in made:
        user, credits = KINDS[kind]
        events.times.append(micros(NOW - timedelta(minutes=minutes)))
        events.ids.append(identity(1, name))
        events.combinations.append(Combination(1, "desk", "", "Leads", "get", "v8", "", user, "200"))
        events.credits.append(credits)
        events.charged.append(credits)
        events.estimated.append(credits % 2)
        events.records.append(-1)
        events.reasons.append(f"reason of {credits}")
    return events


def alike(made: Sequence[Call]) -> CallBatch:
    kinds = one_by_one([Call(kind, 0, "") for kind in range(len(KINDS))])
    events = one_by_one(made)
    return CallBatch(
        kinds,
        array("i", [call.kind for call in made]),
        array("q", events.times),
        array("Q", [int.from_bytes(name[:8], "little") for name in events.ids]),
        array("I", [int.from_bytes(name[8:], "little") for name in events.ids]),
    )


def counted(store: UsageStore) -> list[Group]:
    store.refresh(NOW + timedelta(days=1))
    with store.snapshot() as snapshot:
        period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        return list(
            snapshot.groups(Scope(1, period, {}), DIMENSIONS, order=MOST_CALLS_FIRST, limit=None).rows
        )


@given(batches, st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 6))
@settings(max_examples=30, deadline=None)
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
