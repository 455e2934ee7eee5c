"""Whatever a caller sends: what the API answers is counted once, and what never reached the API is not."""

import asyncio
import json
import re
import socket
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.proxy.app import ProxyApp
from meterboard.proxy.fingerprints import Applications, OwnDimensions
from meterboard.proxy.records import BodyCopies, BodyCopy
from meterboard.proxy.upstream import Upstream as UpstreamApi
from tests.proxy.conftest import Proxy
from tests.proxy.test_counting import events
from tests.proxy.test_passing_on import connect, talk
from tests.proxy.upstream import Upstream
from tests.server import Server
from tests.waiting import eventually

OF_PROXY = b"\r\nproxy-status: meterboard; error="


@pytest.fixture(scope="module")
def naming(server: Server, upstream: Upstream) -> Iterator[Proxy]:
    """A proxy whose callers name their application and user."""
    running = Proxy(server, upstream.url, "--user-header", "X-User", "--application-header", "X-Client")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module", autouse=True)
def silent(naming: Proxy) -> Iterator[list[socket.socket]]:
    """More connections than a usual backlog, which say nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(naming.port)) for _ in range(1_100)]


def said_to(proxy: Proxy, method: bytes, target: bytes, *headers: bytes) -> bytes:
    """The answer to a request that is sent byte by byte as it is; nothing if the connection is closed without one."""
    request = b"\r\n".join(
        [method + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""]
    )
    with connect(proxy.port) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionError:
            pass
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def calls(server: Server) -> int:
    return int(server.get("/v1/credits").json()["calls"])


long_or_short = st.sampled_from([1, 1, 200, 4_000])
raw = st.builds(
    lambda text, times: text.encode() * times,
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x2FFF) | st.sampled_from('%?&=#"<é€🧮\x01\x7f '),
        max_size=4,
    ),
    long_or_short,
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from([b"GET", b"POST", b"X" * 40, b"Y" * 9_000, b"connect", b"CONNECT", b"OPTIONS"]),
        "start": st.sampled_from([b"/", b"/crm/v8/Leads/", b"/a?", b"", b"*", b"http://u@x/", b"//"]),
        "target": raw,
        "query": st.none() | raw,
        "names": st.sampled_from([b"", b"?a=1&" + b"n" * 11_000 + b"=1", b"?" + b"&".join(b"p%d=1" % n for n in range(5_000))]),
        "user": raw | st.sampled_from([b"\xff\xfe", b"u" * 12_000]),
        "client": raw | st.sampled_from([b"\xe9", b"c" * 12_000]),
        "more": st.sampled_from([b"X: 1", b"Upgrade: websocket", b"Connection: Upgrade\r\nUpgrade: websocket", b"Content-Length: x"]),
    }
)  # fmt: skip


@settings(max_examples=100)
@given(requests)
def answered_calls_of(sent: list[bool], naming: Proxy, request: dict[str, Any]) -> None:
    target = request["start"] + request["target"]
    if request["query"] is not None:
        target += b"?" + request["query"]
    headers = [b"X-User: " + request["user"], b"X-Client: " + request["client"], request["more"]]
    answer = said_to(naming, request["method"], target + request["names"], *headers)
    # What is no HTTP is refused by Granian, at the proxy or at the API; only what went through the proxy has its header.
    sent.append(b"\r\nserver: granian\r\n" in answer and OF_PROXY not in answer)
    assert sent[-1] or OF_PROXY in answer or status(answer) in (400, 414, 431)


def test_every_call_that_the_api_answers_is_counted_and_no_other(
    server: Server, upstream: Upstream, naming: Proxy
) -> None:
    counted, answered = calls(server), upstream.state()["answered"]
    sent: list[bool] = []
    answered_calls_of(sent, naming)

    passed_on = sum(sent)
    assert 20 < passed_on < len(sent)
    assert 20 < upstream.state()["answered"] - answered <= passed_on
    eventually(lambda: calls(server) >= counted + passed_on)
    naming.get("/last", headers={"X-User": "last"})
    events(server, "last")  # events are sent in order, so that no other is on its way
    assert calls(server) == counted + passed_on + 1
    assert not naming.said[1:]


def test_what_is_too_long_to_count_is_cut(server: Server, naming: Proxy) -> None:
    query = b"&".join([b"fields=x", b"p" * 10_000 + b"=1", b"page=2"])
    said_to(
        naming,
        b"X" * 40,
        b"/crm/v8/Leads?" + query,
        b"X-User: " + b"w" * 12_000,
        b"X-Client: Gr\xc3\xbc\xc3\x9fe",
    )

    (event,) = events(server, "w" * 10_000)
    assert (event["application"], event["module"], event["status"]) == ("Grüße", "Leads", 200)


def test_raw_bytes_in_an_address_go_on_as_a_browser_escapes_them(server: Server, naming: Proxy) -> None:
    answer = said_to(naming, b"GET", "/crm/v8/é?ü=€&x".encode(), b"X-User: raw bytes")

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["target"] == "/crm/v8/%C3%A9?%C3%BC=%E2%82%AC&x"
    (event,) = events(server, "raw bytes")
    assert event["status"] == 200


@pytest.mark.parametrize(
    ("method", "target", "header", "code", "why"),
    [
        (b"CONNECT", b"x:443", b"X: 1", 501, "CONNECT is not forwarded"),
        (b"CONNECT", b"/x", b"X: 1", 501, "CONNECT is not forwarded"),
        (
            b"GET",
            b"/live",
            b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket",
            501,
            "WebSockets are not forwarded",
        ),
        (b"GET", b"*", b"X: 1", 400, "The address has no path"),
        (b"GET", b"x:443", b"X: 1", 400, "The address has no path"),
    ],
)
def test_what_can_not_be_passed_on_is_refused_and_costs_nothing(
    server: Server,
    upstream: Upstream,
    naming: Proxy,
    method: bytes,
    target: bytes,
    header: bytes,
    code: int,
    why: str,
) -> None:
    counted, answered = calls(server), upstream.state()["answered"]
    answer = said_to(naming, method, target, header)
    problem = json.loads(re.split(rb"\r\n\r\n", answer)[1])

    assert (status(answer), problem["status"]) == (code, code)
    assert OF_PROXY + b"http_request_error" in answer
    assert why in problem["detail"]
    assert "carried out" not in problem["detail"]
    user = f"after {method.decode()} {target.decode()}"
    naming.get("/x", headers={"X-User": user})
    events(server, user)
    assert (calls(server) - counted, upstream.state()["answered"] - answered) == (1, 1)


def test_an_upgrade_to_anything_else_is_an_ordinary_call(naming: Proxy) -> None:
    answer = said_to(
        naming, b"GET", b"/x", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
    )
    assert status(answer) == 200


def test_a_status_that_http_does_not_have_is_counted_without_it(server: Server) -> None:
    port, close = talk(b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n")
    proxy = Proxy(server, f"http://127.0.0.1:{port}", "--user-header", "u")
    try:
        assert proxy.get("/x", headers={"u": "999"}).status_code == 999
        assert events(server, "999")[0]["status"] is None
    finally:
        proxy.stop()
        close()


def test_a_body_in_small_pieces_takes_no_more_memory_than_in_one() -> None:
    copy = BodyCopy(BodyCopies(), "application/json", "")
    tracemalloc.start()
    for _ in range(10_000):
        copy.add(b"".join((b"1", b",")))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 50_000


def test_whoever_sends_or_reads_too_slowly_holds_no_call(server: Server, upstream: Upstream) -> None:
    proxy = Proxy(server, upstream.url, "--timeout", "0.3", "--user-header", "u")
    left = upstream.state()["left"]
    try:
        with connect(proxy.port) as sends, connect(proxy.port) as reads:
            sends.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nu: slow\r\nContent-Length: 9\r\n\r\nbegun")
            reads.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\nu: slow\r\n\r\n")
            assert status(sends.recv(65_536)) == 408
            eventually(lambda: upstream.state()["left"] > left)
        assert {event["status"] for event in events(server, "slow", 2)} == {None, 200}
    finally:
        proxy.stop()


def test_one_peer_never_holds_all_connections_to_the_api(upstream: Upstream) -> None:
    """Two calls at a time, here."""
    told: dict[str, list[int]] = {}

    class Meter:
        recorded = 0

        def record(self, **event: Any) -> None:
            self.recorded += 1

    async def call(app: ProxyApp, peer: str, path: bytes) -> None:
        sent = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return sent.pop() if sent else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.setdefault(peer, []).append(message["status"])

        scope: Any = {"type": "http", "method": "GET", "raw_path": path, "query_string": b"", "headers": []}
        await app(scope | {"client": (peer, 1)}, receive, send)

    async def calls() -> int:
        meter: Any = Meter()
        before = upstream.state()["waiting"]
        api = UpstreamApi(upstream.url, timeout=30)
        app = ProxyApp(api, meter, Applications(b"", names={}), OwnDimensions({}, {}), calls_of_one_peer=2)
        waiting = [asyncio.create_task(call(app, "203.0.113.7", b"/wait")) for _ in range(2)]
        await asyncio.to_thread(eventually, lambda: upstream.state()["waiting"] == before + 2)
        await call(app, "203.0.113.7", b"/x")
        await call(app, "203.0.113.8", b"/x")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await call(app, "203.0.113.7", b"/x")
        await app.close()
        return int(meter.recorded)

    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser's loop running
        assert pool.submit(asyncio.run, calls()).result() == 4
    assert told == {"203.0.113.7": [503, 200], "203.0.113.8": [200]}


def test_silent_connections_keep_nobody_out_and_are_closed(
    naming: Proxy, silent: list[socket.socket]
) -> None:
    """They were opened before the first of these tests."""
    assert naming.get("/x").status_code == 200
    assert silent[0].recv(1) == silent[-1].recv(1) == b""
