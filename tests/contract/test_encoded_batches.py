"""A store takes an encoded batch exactly as it takes the same events one by one."""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import MOST_CALLS_FIRST
from meterboard.usage.batch import EncodedBatch, EventBatch, id_halves
from meterboard.usage.store import Group, UsageStore
from tests.batches import batch, joined
from tests.contract.conftest import Stores, scope

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
KINDS = [("Leads", 1), ("Deals", 3), ("Leads", 3), ("", 0)]
CALLERS = [("desk", "maria"), ("", "arjun"), ("desk", "maria"), ("Büro\u2028", "")]
ORIGINS = ["203.0.113.7", "", "2001:db8::1", "203.0.113.7"]
"""With some that are equal, as what a log writes in two ways is."""


class Call(NamedTuple):
    kind: int
    caller: int
    origin: int
    minutes: int
    id: str


index = st.integers(0, 3)
calls = st.builds(Call, index, index, index, st.integers(0, 2_000), st.sampled_from("abcdefgh"))
batches = st.lists(st.lists(calls, min_size=1, max_size=12), min_size=1, max_size=6)


def one_by_one(made: Sequence[Call]) -> EventBatch:
    events = []
    for kind, caller, origin, minutes, name in made:
        (module, credits), (application, user) = KINDS[kind], CALLERS[caller]
        values: dict[str, Any] = {
            "module": module,
            "application": application,
            "user": user,
            "ip": ORIGINS[origin],
        }
        time = NOW - timedelta(minutes=minutes)
        reason = f"reason of {credits}"
        events += [batch(time, ids=[name], credits=credits, estimated=credits == 3, reason=reason, **values)]
    return joined(*events)


def encoded(made: Sequence[Call]) -> EncodedBatch:
    kinds = one_by_one([Call(kind, 1, 1, 0, "") for kind in range(len(KINDS))])
    kinds.combinations = [values._replace(application="", user="", ip="") for values in kinds.combinations]
    events = one_by_one(made)
    halves = [id_halves(name) for name in events.ids]
    return EncodedBatch(
        kinds=kinds,
        callers=CALLERS,
        origins=ORIGINS,
        kind=array("i", [call.kind for call in made]),
        caller=array("i", [call.caller for call in made]),
        origin=array("i", [call.origin for call in made]),
        times=array("q", events.times),
        id_lows=array("Q", [low for low, _ in halves]),
        id_highs=array("I", [high for _, high in halves]),
    )


def counted(store: UsageStore) -> list[Group]:
    store.refresh(NOW + timedelta(days=1))
    with store.snapshot() as snapshot:
        whole = scope(snapshot, now=NOW)
        return snapshot.groups(whole, Dimensions().names, order=MOST_CALLS_FIRST, limit=None).rows


@given(st.lists(calls, min_size=1, max_size=12))
def test_decoding_gives_each_event_its_combination(made: list[Call]) -> None:
    decoded, events = encoded(made).decoded(), one_by_one(made)

    for name in EventBatch.__slots__:
        assert getattr(decoded, name) == getattr(events, name)


@given(batches, st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 6))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_encoded_batch_counts_as_its_events_do(
    stores: Stores, made: list[list[Call]], ways: list[bool], restart: int
) -> None:
    plain, mixed = stores.new_name(), stores.new_name()
    wanted, store = stores.open(plain), stores.open(mixed)
    for number, (several, is_encoded) in enumerate(zip(made, ways, strict=False)):
        if number == restart:
            store = stores.open(mixed)
        received = NOW + timedelta(minutes=number)
        new = wanted.append(one_by_one(several), received_at=received)
        assert store.append((encoded if is_encoded else one_by_one)(several), received_at=received) == new
    assert counted(store) == counted(wanted)
    stores.close(plain)
    stores.close(mixed)
