"""Bodies arrive at a least pace and within a share of memory, and are read in turn."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event, current_thread
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from meterboard.api.ingest.body import BRIEF_BYTES, MAX_SHARE, Bodies, Body, Disconnected, Pace
from meterboard.api.ingest.events import EventsApp
from meterboard.api.ingest.traces import TracesApp
from meterboard.api.ingest.workers import Workers
from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_BODY_BYTES, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.errors import Overloaded, TooLarge, TooSlow
from meterboard.formats.json_events import Sent
from meterboard.service.ingest.intake import Ingest
from meterboard.services import Services
from tests.server import Server, command_here

T = TypeVar("T")
LONG = b" " * (MAX_BODY_BYTES - 99)
Receive = Callable[[], Awaitable[Any]]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run in a loop of its own; the browser's may be running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result(timeout=60)


def key_of(organization: int | None) -> ApiKey:
    if organization is None:
        return ApiKey(None, "ingest")
    return ApiKey(Organization(organization, f"org {organization}", ZoneInfo("UTC"), "one-per-call"), "all")


def arriving(*chunks: bytes, ends: bool = False) -> Receive:
    """What a server hands on of a body: these parts, and nothing more unless it ends."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or not ends}

    return receive


async def gone() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def read(bodies: Bodies, organization: int | None, receive: Any, **headers: str) -> bytes:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    async with Body(bodies, key_of(organization), MAX_BODY_BYTES) as body:
        return await body.read(named, receive)


@pytest.mark.parametrize(
    ("pace", "chunks"),
    [
        (Pace(0.02, 16_000, 60), ()),
        (Pace(0.02, 1_000_000, 60), (b"[", b"{}")),
        (Pace(0.02, 1, 0.05), (LONG,)),
    ],
    ids=["nothing comes", "too little comes", "it takes too long in all"],
)
def test_a_slow_body_is_given_up(pace: Pace, chunks: tuple[bytes, ...]) -> None:
    bodies = Bodies(pace)

    with pytest.raises(TooSlow, match="Send at least"):
        run(read(bodies, 1, arriving(*chunks)))
    assert bodies.held == 0


def test_a_body_that_comes_fast_enough_is_read_after_its_grace() -> None:
    bodies = Bodies(Pace(grace_seconds=0.02, bytes_per_second=10, most_seconds=60))
    parts = [b"[", b" " * 1_000, b"]"]

    async def receive() -> dict[str, Any]:
        started = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < started + 0.03 and len(parts) == 1:
            await asyncio.sleep(0)
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    assert len(run(read(bodies, 1, receive))) == 1_002


def test_nothing_is_held_of_a_sender_that_has_gone_or_a_request_that_was_cancelled() -> None:
    bodies = Bodies()

    async def cancelled() -> None:
        reading = asyncio.create_task(read(bodies, 1, arriving(LONG)))
        while not bodies.held:
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    run(cancelled())
    with pytest.raises(Disconnected):
        run(read(bodies, 1, gone))
    assert (bodies.held, bodies._shares) == (0, {})


def test_unfinished_uploads_leave_room_for_others() -> None:
    async def check() -> None:
        bodies = Bodies()
        # As many of each organisation as there is room for, and of all together.
        refused = 0
        unfinished: list[asyncio.Task[bytes]] = []
        for owner in (1, 2, 3, 4, None):
            for _ in range(13):
                held = bodies.held
                reading = asyncio.create_task(read(bodies, owner, arriving(LONG)))
                while not reading.done() and bodies.held == held:
                    await asyncio.sleep(0)
                if reading.done():
                    assert isinstance(reading.exception(), Overloaded)
                    refused += 1
                else:
                    unfinished.append(reading)
            assert bodies.held <= MAX_SHARE * (owner or 5)
            assert await read(bodies, 6, arriving(b"{}", ends=True)) == b"{}"
        assert len(unfinished) == 11  # of 112 MB
        assert refused == 65 - 11
        with pytest.raises(Overloaded, match="Too many large requests"):
            await read(bodies, 6, arriving(LONG, ends=True))
        assert len(await read(bodies, 6, arriving(b" " * BRIEF_BYTES, ends=True))) == BRIEF_BYTES
        for reading in unfinished:
            reading.cancel()
        await asyncio.wait(unfinished)
        assert bodies.held == 0

    run(check())


@pytest.mark.parametrize("declared", ["10000001", "9" * 4_000])
def test_a_declared_length_that_is_too_large_is_refused_before_anything_is_read(declared: str) -> None:
    with pytest.raises(TooLarge):
        run(read(Bodies(), 1, arriving(), content_length=declared))


def test_jobs_of_one_owner_take_turns_and_one_large_job_runs_at_a_time() -> None:
    async def check() -> None:
        workers = Workers()
        running: list[str] = []
        ends = {name: Event() for name in ("first", "same owner", "large")}

        def job(name: str) -> str:
            running.append(name)
            assert ends[name].wait(30)
            running.remove(name)
            return name

        async def turn(owner: int, name: str, *, large: bool) -> str:
            async with workers.turn(owner):
                return await workers.run(lambda: job(name), large=large)

        async def until(*names: str) -> None:
            while sorted(running) != sorted(names):
                await asyncio.sleep(0)

        first = asyncio.create_task(turn(1, "first", large=True))
        await until("first")
        second = asyncio.create_task(turn(1, "same owner", large=False))
        third = asyncio.create_task(turn(2, "large", large=True))
        async with workers.turn(3):
            assert await workers.run(lambda: current_thread().name, large=False) != current_thread().name
        await until("first")
        ends["first"].set()
        await until("same owner", "large")
        ends["same owner"].set()
        ends["large"].set()
        assert list(await asyncio.gather(first, second, third)) == ["first", "same owner", "large"]
        assert not workers._turns

    run(check())


async def never_asked_for() -> dict[str, Any]:
    raise AssertionError("The body was read.")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/traces"])
def test_who_may_only_read_is_refused_before_the_body(
    services: Services, acme: Organization, path: str
) -> None:
    secret = services.accounts.keys.create(acme, name="reader", scope="read")
    app = (EventsApp if path == "/v1/events" else TracesApp)(services.access, services.ingest, Bodies())
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {secret}".encode()), (b"content-type", b"application/json")]
    scope: Any = {"type": "http", "method": "POST", "path": path, "headers": headers}
    run(app(scope, never_asked_for, send))  # type: ignore[arg-type]

    assert sent[0]["status"] == 403


def test_the_names_of_a_provider_s_events_are_looked_up_once_and_not_in_the_loop(
    services: Services, acme: Organization
) -> None:
    secret = services.accounts.keys.create(None, name="provider", scope="ingest")
    looked_up: list[tuple[int, str]] = []
    look_up = services.accounts.organizations.with_names

    def watched(names: Collection[str]) -> dict[str, Organization]:
        looked_up.append((len(names), current_thread().name))
        return look_up(names)

    ingest = Ingest(
        services.meter,
        services.clock,
        retention=timedelta(days=30),
        schedule=services.schedules.of,
        organizations=watched,
        dimensions=services.dimensions,
    )
    app = EventsApp(services.access, ingest, Bodies())
    names = ["acme", *(f"nobody {number}" for number in range(2_000)), "x" * 9_000]
    body = b"\n".join(b'{"organization": "%s"}' % name.encode() for name in names)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def post() -> str:
        headers = [(b"authorization", f"Bearer {secret}".encode())]
        scope: Any = {"type": "http", "method": "POST", "path": "/v1/events", "headers": headers}
        await app(scope, arriving(body, ends=True), send)
        return current_thread().name

    loop = run(post())

    assert sent[0]["status"] == 202
    assert sent[1]["body"].startswith(b'{"accepted":1,')
    ((count, thread),) = looked_up
    assert (count, thread != loop) == (2_002, True)


def test_pricing_in_pieces_is_pricing_at_once(services: Services, acme_key: ApiKey) -> None:
    events = [UsageEvent(organization="other" if number % 7 == 0 else None) for number in range(100)]
    sent = Sent(events, range(100), [])
    pricing = services.ingest.pricing(acme_key, sent)

    pieces = 0
    while not pricing.price_for(0):
        pieces += 1
    found, at_once = pricing.result(), services.ingest.price(acme_key, sent)
    assert pieces == 3
    assert (found.rejected, len(found.batch)) == (at_once.rejected, len(at_once.batch))
    assert [refused.index for refused in found.rejected] == list(range(0, 100, 7))


@pytest.mark.parametrize("path", ["/v1/events", "/v1/traces"])
def test_a_sender_that_goes_away_or_lies_about_the_length_leaves_no_trace_in_the_log(
    server: Server, path: str
) -> None:
    secret = command_here("key", "create", "acme", data=server.data).stdout.strip()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
        "Content-Type: application/json\r\n"
    ).encode()
    for rest in (
        b"Content-Length: 100\r\n\r\n{}",
        b"Content-Length: 1\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n[{},",
        b"Transfer-Encoding: chunked\r\n\r\nffff\r\n[{},\r\n0\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(head + rest)
            line.shutdown(socket.SHUT_WR)
            while line.recv(65_536):
                pass
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(head + rest)
    for _ in range(3):
        assert server.post(json={}).status_code == 202
    assert not [line for line in server.said if "Traceback" in line or "rror" in line]
