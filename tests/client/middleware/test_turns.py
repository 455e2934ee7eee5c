"""Calls of an ASGI application are recorded when the event loop's turn ends, those of a busy loop together."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from meterboard.client import AsyncMeter, Meter
from meterboard.client.meter import MAX_BATCHED_CALLS
from meterboard.client.middleware.asgi import MeterMiddleware, Receive, Scope, Send
from tests.client.test_faults import NOWHERE, fork
from tests.waiting import eventually_in_loop

T = TypeVar("T")


class Route:
    """As Starlette leaves it in the scope. The first call of a route is recorded at once, and its names are kept."""

    path = "/v8/Leads"
    endpoint = "leads"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = Route
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def send(message: Any) -> None:
    """Ignores the response."""


async def receive() -> Any:
    """Receives nothing."""


def called(middleware: MeterMiddleware) -> Coroutine[Any, Any, None]:
    scope = {"type": "http", "method": "GET", "path": "/v8/Leads", "root_path": "", "headers": []}
    return middleware(scope | {"client": ("203.0.113.7", 5_000)}, receive, send)


def known_route(meter: Meter | AsyncMeter) -> MeterMiddleware:
    """One that has recorded a call before."""
    middleware = MeterMiddleware(answer, meter)
    in_a_loop(called(middleware))
    return middleware


@pytest.fixture
def meter(spool: Path) -> Iterator[Meter]:
    with Meter(NOWHERE, "key", spool=spool) as meter:
        yield meter


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: in this one another test may have left a loop."""
    return in_a_thread(lambda: asyncio.run(work))


def in_a_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def kept(spool: Path) -> int:
    """Calls that would survive the end of the process."""
    return sum(file.read_bytes().count(b'"ip":"203.0.113.7"') for file in spool.glob("*.events"))


def test_a_call_is_in_the_spool_when_its_turn_ends(meter: Meter, spool: Path) -> None:
    middleware = known_route(meter)

    async def turn() -> list[int]:
        await called(middleware)
        at_once = kept(spool)
        await asyncio.sleep(0)
        return [at_once, kept(spool)]

    assert in_a_loop(turn()) == [1, 2]


@pytest.mark.parametrize("calls", [2, 3, 700])
def test_calls_of_one_turn_are_there_soon(meter: Meter, spool: Path, calls: int) -> None:
    middleware = known_route(meter)

    async def turn() -> int:
        for _ in range(calls):
            await called(middleware)
        at_once = kept(spool)
        await eventually_in_loop(lambda: kept(spool) == 1 + calls)
        return at_once

    assert in_a_loop(turn()) == 1
    assert kept(spool) == 1 + calls


def test_not_many_wait_however_busy_a_loop_is(meter: Meter, spool: Path) -> None:
    middleware = known_route(meter)

    async def busy() -> int:
        most = 0
        for _ in range(2_000):
            for _ in range(3):
                await called(middleware)
            await asyncio.sleep(0)
            most = max(most, len(meter._pending))
        return most

    assert in_a_loop(busy()) <= MAX_BATCHED_CALLS + 3
    assert meter.stats.recorded == 6_001 == kept(spool)


def test_stats_before_the_turn_ends_include_pending_calls(meter: Meter) -> None:
    middleware = known_route(meter)

    async def turn() -> int:
        await called(middleware)
        return meter.stats.recorded

    assert in_a_loop(turn()) == 2


def test_an_asynchronous_meter_that_is_closed_in_the_same_turn_keeps_them(spool: Path) -> None:
    meter = AsyncMeter(NOWHERE, "key", spool=spool)
    middleware = known_route(meter)

    async def turn() -> int:
        await called(middleware)
        await meter.aclose(0)
        return meter.stats.spooled + kept(spool)

    assert in_a_loop(turn()) == 2


def test_another_loop_takes_over_what_one_left_behind(meter: Meter, spool: Path) -> None:
    middleware = known_route(meter)

    def leave() -> None:
        left = asyncio.new_event_loop()
        asyncio._set_running_loop(left)  # it never comes to the end of its turn
        with pytest.raises(StopIteration):
            called(middleware).send(None)
        asyncio._set_running_loop(None)
        left.close()

    in_a_thread(leave)

    async def turns() -> None:
        for _ in range(MAX_BATCHED_CALLS):
            await called(middleware)
        await asyncio.sleep(0)

    in_a_loop(turns())
    assert kept(spool) == 1 + 1 + MAX_BATCHED_CALLS


def test_without_an_event_loop_a_call_is_recorded_at_once(meter: Meter, spool: Path) -> None:
    middleware = known_route(meter)

    def by_hand() -> None:
        with pytest.raises(StopIteration):
            called(middleware).send(None)

    in_a_thread(by_hand)
    assert kept(spool) == 2


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_that_is_forked_in_a_turn_leaves_its_calls_to_the_parent(meter: Meter, spool: Path) -> None:
    middleware = known_route(meter)

    async def turn() -> int:
        await called(middleware)

        def child() -> None:
            assert meter.stats.recorded == 0

        return fork(child)

    assert in_a_loop(turn()) == 0
    assert kept(spool) == 2
