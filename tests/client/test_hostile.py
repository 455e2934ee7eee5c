"""Whatever callers send, each call is one event that Meterboard accepts, and the memory stays bounded."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.client import Meter
from meterboard.client.allowance import Allowance
from meterboard.client.event import Stamper, encode_fields
from meterboard.client.middleware import asgi, wsgi
from meterboard.client.sender import _without_time
from meterboard.client.spool.folder import MIN_SPOOL_BYTES, Spool
from meterboard.client.spool.journal import Journal
from meterboard.client.spool.segment import MAX_EVENT_BYTES
from meterboard.client.text import MAX_TEXT, clean_text, truncate_path
from meterboard.formats.json_events import read_events
from tests.client.conftest import adds_up, counted
from tests.client.test_faults import NOWHERE
from tests.server import Server

SURROGATES = "\ud800\udc00"
characters = st.characters(exclude_categories=[]) | st.sampled_from(f'\0\x01"\\%🧮{SURROGATES}')
texts = st.builds(
    lambda text, times: text * times, st.text(characters, max_size=8), st.sampled_from([1, 500, 7_000])
)
TEXTS = ("organization", "application", "function", "user", "version", "module", "method")


def read(fields: str) -> Any:
    """The event as Meterboard reads it, which must accept it."""
    line = Stamper().stamp(fields)
    assert len(line) <= MAX_EVENT_BYTES
    assert line.count(b"\n") == 1
    sent = read_events(b"[" + line[:-1] + b"]", ndjson=False)
    assert sent.rejected == []
    (event,) = sent.events
    return event


@settings(max_examples=30)
@given(
    values=st.dictionaries(st.sampled_from(TEXTS), texts),
    request=st.none() | st.fixed_dictionaries({"method": texts.filter(bool), "path": texts}),
)
def test_any_text_of_callers_is_accepted(values: dict[str, str], request: dict[str, str] | None) -> None:
    event = read(encode_fields(values | {"request": request}))

    for name, value in values.items():
        assert getattr(event, name) == clean_text(value)[:MAX_TEXT]
    if request:
        assert event.request.method == (clean_text(request["method"])[:32] or "?")
        assert event.request.path == truncate_path(request["path"])


@given(st.text(characters))
def test_a_text_without_refused_characters_stays_as_it_is(text: str) -> None:
    left = clean_text(text)
    left.encode()
    assert "\0" not in left
    if not set(text) & {"\0"} and text.isascii():
        assert left == text


@settings(max_examples=30)
@given(
    path=st.text(max_size=6).map(lambda text: "/" + quote(text)),
    times=st.sampled_from([1, 1_000, 4_000]),
    names=st.lists(st.text("abc", min_size=1, max_size=3) | st.just("x" * 6_000), max_size=12),
)
def test_a_long_path_keeps_its_beginning_and_the_names_that_fit(
    path: str, times: int, names: list[str]
) -> None:
    path *= times
    query = "&".join(f"{name}={'v' * 3_000}" for name in names)
    short = truncate_path(f"{path}?{query}")

    assert len(short) <= MAX_TEXT
    kept, _, kept_query = short.partition("?")
    assert path.startswith(kept)
    unquote(kept, errors="strict")  # whole characters
    assert len(kept) > MAX_TEXT - 12 or kept == path
    if len(path) + len(query) < MAX_TEXT:
        assert kept_query == query
    else:
        assert set(kept_query.split("&")) - {""} <= set(names)
        if len(path) < 5_000:
            assert {name for name in names if len(name) <= 3} <= set(kept_query.split("&"))


def test_the_longest_possible_event_is_counted(meterboard: Server, meter: Meter) -> None:
    texts: Any = {name: "\x01" * 10_000 for name in TEXTS if name not in ("organization", "application")}
    emoji: Any = dict.fromkeys(texts, "🧮" * 20_000)
    meter.record(application="longest", request={"method": "GET", "path": "🧮" * 10_000}, **texts)
    meter.record(application="longest", **emoji)

    assert meter.flush()
    assert counted(meterboard, "longest") == 2
    assert adds_up(meter.stats)


def test_an_event_that_no_file_of_the_spool_can_hold_is_counted_as_dropped(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Meter(NOWHERE, "key", spool=spool) as meter:
        meter.record(application="before")
        meter.record_encoded(f',"application":"{"x" * MAX_EVENT_BYTES}"')
        meter.record(application="after")
        stats = meter.stats
        assert (stats.recorded, stats.spooled, stats.dropped) == (3, 2, 1)
        assert adds_up(stats)
    assert "1 usage events were dropped and will not be counted: an event has 1,000," in caplog.text


def test_what_waits_for_a_stuck_thread_is_limited_in_bytes(spool: Path) -> None:
    journal = Journal(Spool(spool, MIN_SPOOL_BYTES), max_queued_bytes=1_000_000)
    line = b'{"user":"' + b"x" * 100_000 + b'"}\n'
    assert journal._lock.acquire(timeout=10)
    for _ in range(20):
        journal.write(line)
    assert sum(len(lines) for lines, _ in journal._queued) < 1_200_000
    journal._lock.release()
    journal.write(line)
    assert (journal.recorded, journal.waiting(durable=True), journal.dropped) == (21, 11, 10)
    journal.close()


@pytest.mark.parametrize("text", ["🧮" * 10_000, "\x01" * 10_000])
def test_an_event_that_is_sent_again_without_its_time_gets_no_longer(text: str) -> None:
    line = Stamper().stamp(encode_fields(dict.fromkeys(TEXTS, text)))
    again = _without_time(line)

    assert len(again) < len(line)
    assert read_events(again, ndjson=False).events[0].user == text
    assert _without_time(b'{"user":"\\ud800"}\n') == b'{"user":"?"}\n'  # from the spool of an earlier version


class Listening:
    """Takes what a middleware records."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def record_encoded(self, fields: str) -> None:
        self.events.append(read(fields))

    record_batched = record_encoded


class Route:
    endpoint = "leads"

    def __init__(self, path: str) -> None:
        self.path = path


statuses = st.integers(0, 999) | st.sampled_from([200, 404])
verbs = st.sampled_from(["GET", "POST", "X" * 40, ""]) | texts
peers = st.none() | st.tuples(
    st.sampled_from(["203.0.113.7", "fe80::1%eth0", "unknown", "9" * 70_000]) | texts, st.just(1)
)


def in_a_loop(work: Any) -> None:
    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser's loop running
        pool.submit(asyncio.run, work).result()


async def nothing(*_: Any) -> Any:
    """Ignores the response."""


@settings(max_examples=30)
@given(
    verb=verbs,
    path=texts,
    route=st.none() | texts,
    root=texts,
    status=statuses,
    peer=peers,
    forwarded=texts | st.just("10.0.0.1," * 5_000 + "203.0.113.9,10.0.0.1"),
    said=texts | st.integers() | st.none(),
    trusts=st.booleans(),
)
def test_every_call_of_an_asgi_application_is_one_event(
    verb: str,
    path: str,
    route: str | None,
    root: str,
    status: int,
    peer: Any,
    forwarded: str,
    said: Any,
    trusts: bool,
) -> None:
    meter = Listening()

    async def api(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if route is not None:
            scope["route"] = Route(route)
        await send({"type": "http.response.start", "status": status, "headers": []})

    options: Any = (
        {"user": lambda _: said, "credits": lambda _: said, "trusted_proxies": ["10.0.0.0/8"]}
        if trusts
        else {}
    )
    middleware = asgi.MeterMiddleware(api, meter, **options)
    headers = [(b"x-forwarded-for", forwarded.encode("utf-8", "replace"))]
    scope = {
        "type": "http",
        "method": verb,
        "path": path,
        "root_path": root,
        "client": peer,
        "headers": headers,
    }
    for _ in range(2):
        in_a_loop(middleware(dict(scope), nothing, nothing))

    assert len(meter.events) == 2
    assert meter.events[0].status == (status if 100 <= status <= 599 else None)


@settings(max_examples=30)
@given(
    verb=verbs,
    path=texts,
    status=st.sampled_from(["200 OK", "999 No", "42", "", "x"]),
    peer=texts,
    said=texts,
)
def test_every_call_of_a_wsgi_application_is_one_event(
    verb: str, path: str, status: str, peer: str, said: str
) -> None:
    meter = Listening()

    def api(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(status, [("Content-Length", said)])
        yield b"some"

    environ = {"REQUEST_METHOD": verb, "PATH_INFO": path, "REMOTE_ADDR": peer}
    answer = wsgi.MeterMiddleware(api, meter, user=lambda _: said)(environ, lambda *_: None)
    assert list(answer) == [b"some"]
    answer.close()  # type: ignore[attr-defined]

    assert len(meter.events) == 1


def test_what_callers_make_up_does_not_fill_the_memory() -> None:
    """Methods, mounted paths and forwarded addresses without end: 40 MB of them, of which nothing is kept."""

    class Silent:
        def record_encoded(self, fields: str) -> None: ...

        record_batched = record_encoded

    async def api(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        scope["route"] = Route("/Leads")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    plain = asgi.MeterMiddleware(api, Silent())
    behind = asgi.MeterMiddleware(api, Silent(), trusted_proxies=["10.0.0.0/8"])

    async def calls() -> None:
        for number in range(1_000):
            long = f"{number}" + "x" * 10_000
            scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/Leads", "root_path": ""}
            scope |= {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", long.encode())]}
            await behind(dict(scope), nothing, nothing)
            for change in (
                {"method": long},
                {"path": f"/{long}/Leads"},
                {"root_path": long},
                {"client": (long, 1)},
            ):
                await plain(scope | change, nothing, nothing)

    tracemalloc.start()
    in_a_loop(calls())
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4_000_000


def handshake(middleware: Any, path: str, **scope: Any) -> list[Any]:
    """Returns the messages that the server gets when a caller opens a WebSocket, sends nothing, and leaves."""
    sent: list[Any] = []
    said = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}]

    async def receive() -> Any:
        return said.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path, "root_path": "", "headers": [], "subprotocols": []} | scope
    in_a_loop(middleware(scope | {"client": ("203.0.113.7", 1)}, receive, send))
    return sent


def sockets() -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def accept(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.receive()

    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    async def leave(socket: WebSocket) -> None:
        """Says nothing."""

    paths = {"/v8/live": accept, "/v8/closed": refuse, "/v8/silent": leave}
    return Starlette(routes=[WebSocketRoute(path, answer) for path, answer in paths.items()])


def test_a_websocket_is_one_call_with_the_status_of_its_handshake(meterboard: Server, meter: Meter) -> None:
    counted_by_name = asgi.MeterMiddleware(
        sockets(), meter, application=lambda _: "sockets", skip_paths=["/health"]
    )
    for middleware in (counted_by_name, counted_by_name, asgi.MeterMiddleware(sockets(), meter)):
        assert [message["type"] for message in handshake(middleware, "/v8/live")] == [
            "websocket.accept",
            "websocket.send",
        ]
    handshake(counted_by_name, "/v8/closed")
    handshake(counted_by_name, "/v8/silent")
    handshake(counted_by_name, "/health")
    assert meter.flush()

    assert meter.stats.recorded == 5
    rows = meterboard.get(
        "/v1/statistics/table",
        params={"columns": "module,method,status", "application": "sockets", "sort": "module"},
    ).json()["rows"]
    assert [(row["module"], row["method"], row["status"], row["calls"]) for row in rows] == [
        ("closed", "get", "403", 1),
        ("live", "get", "101", 2),
        ("silent", "get", "500", 1),
    ]


class Guard:
    """Returns one allowance, as an `AllowanceGuard` does that has read it from a server."""

    def __init__(self, *, refused: bool) -> None:
        header = (b"x-api-credits-remaining", b"0")
        self._allowance = Allowance(refused, [], [header], b"{}")

    def check(self) -> Allowance:
        return self._allowance


def test_a_websocket_is_refused_and_has_the_headers_like_any_call() -> None:
    meter = Listening()
    open_to_all: Any = Guard(refused=False)
    closed: Any = Guard(refused=True)

    (accepted, _) = handshake(asgi.MeterMiddleware(sockets(), meter, guard=open_to_all), "/v8/live")
    assert accepted["headers"] == [(b"x-api-credits-remaining", b"0")]
    (refused,) = handshake(asgi.MeterMiddleware(sockets(), meter, guard=closed), "/v8/live")
    assert refused["type"] == "websocket.close"
    can_answer: Any = {"extensions": {"websocket.http.response": {}}}
    start, _ = handshake(asgi.MeterMiddleware(sockets(), meter, guard=closed), "/v8/live", **can_answer)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
    assert [(event.status, event.credits) for event in meter.events] == [(101, None), (429, 0), (429, 0)]
