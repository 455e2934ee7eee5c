"""Calls of an ASGI application are recorded at the end of the event loop's turn in which they were answered."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from meterboard.client import AsyncMeter, Meter
from meterboard.client.middleware.asgi import MeterMiddleware, Receive, Scope, Send
from tests.client.test_faults import NOWHERE, fork

T = TypeVar("T")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def send(message: Any) -> None:
    """Nobody listens."""


async def receive() -> Any:
    """Nobody asks anything more."""


def called(middleware: MeterMiddleware) -> Coroutine[Any, Any, None]:
    scope = {"type": "http", "method": "GET", "path": "/v8/Leads", "root_path": "", "headers": []}
    return middleware(scope | {"client": ("203.0.113.7", 5_000)}, receive, send)


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


@pytest.mark.parametrize("calls", [1, 3, 700])
def test_calls_are_in_the_spool_when_their_turn_ends(meter: Meter, spool: Path, calls: int) -> None:
    middleware = MeterMiddleware(answer, meter)

    async def turns() -> list[int]:
        for _ in range(calls):
            await called(middleware)
        at_once = kept(spool)
        await asyncio.sleep(0)
        return [at_once, kept(spool)]

    assert in_a_loop(turns()) == [0, calls]


def test_whoever_asks_before_the_turn_ends_finds_them_recorded(meter: Meter) -> None:
    middleware = MeterMiddleware(answer, meter)

    async def turn() -> int:
        await called(middleware)
        return meter.stats.recorded

    assert in_a_loop(turn()) == 1


def test_an_asynchronous_meter_that_is_closed_in_the_same_turn_keeps_them(spool: Path) -> None:
    async def turn() -> int:
        meter = AsyncMeter(NOWHERE, "key", spool=spool)
        await called(MeterMiddleware(answer, meter))
        await meter.aclose(0)
        return meter.stats.spooled + kept(spool)

    assert in_a_loop(turn()) == 1


def test_another_loop_takes_over_what_one_left_behind(meter: Meter, spool: Path) -> None:
    middleware = MeterMiddleware(answer, meter)

    def leave() -> None:
        left = asyncio.new_event_loop()
        asyncio._set_running_loop(left)  # it never comes to the end of its turn
        with pytest.raises(StopIteration):
            called(middleware).send(None)
        asyncio._set_running_loop(None)
        left.close()

    in_a_thread(leave)

    async def turns() -> None:
        for _ in range(256):
            await called(middleware)

    in_a_loop(turns())
    assert kept(spool) == 257


def test_without_an_event_loop_a_call_is_recorded_at_once(meter: Meter, spool: Path) -> None:
    def by_hand() -> None:
        with pytest.raises(StopIteration):
            called(MeterMiddleware(answer, meter)).send(None)

    in_a_thread(by_hand)
    assert kept(spool) == 1


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_that_is_forked_in_a_turn_leaves_its_calls_to_the_parent(meter: Meter, spool: Path) -> None:
    middleware = MeterMiddleware(answer, meter)

    async def turn() -> int:
        await called(middleware)

        def child() -> None:
            assert meter.stats.recorded == 0

        return fork(child)

    assert in_a_loop(turn()) == 0
    assert kept(spool) == 1
