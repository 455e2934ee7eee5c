"""Connections that hold something without asking for it: they keep nobody else out, and end."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from meterboard.api.slow_callers import FORM_SECONDS
from meterboard.network import peers
from meterboard.network.listener import SPARE_FILES, connection_limit
from meterboard.network.peers import close_surplus, limit_connections
from meterboard.web.live import MAX_STREAMS_PER_SESSION
from tests.server import Server, sign_in
from tests.service.jobs.test_schedule import run
from tests.waiting import eventually

MANY = 1_100
"""More than a server that counts a thousand connections would take."""


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """As many open files as the test needs."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MANY + 500, limits[1]), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def connections(server: Server, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as open_ones:
        made = []
        for _ in range(count):
            made.append(open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), 30)))
            made[-1].sendall(sent)
        yield made


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["silent", "half a request"])
def test_connections_without_a_request_keep_nobody_out(server: Server, sent: bytes) -> None:
    with connections(server, MANY, sent):
        assert server.post(json={"module": "Leads"}).status_code == 202


def test_a_form_that_never_ends_is_given_up(server: Server) -> None:
    head = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    form = head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\nlink="
    with connections(server, 1, form) as (caller,):
        caller.settimeout(FORM_SECONDS + 30)
        assert caller.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_a_session_has_a_limit_of_live_lines(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as browser, ExitStack() as lines:
        sign_in(browser, server.sign_in_link())

        def line() -> httpx.Response:
            return lines.enter_context(browser.stream("GET", "/live"))

        opened = [line() for _ in range(MAX_STREAMS_PER_SESSION)]
        assert {response.status_code for response in opened} == {200}
        refused = line()
        assert (refused.status_code, int(refused.headers["retry-after"]) > 3) == (503, True)
        opened[0].close()
        eventually(lambda: line().status_code == 200)


def test_the_limit_of_connections_leaves_files_for_the_stores() -> None:
    assert connection_limit(SPARE_FILES) < resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_peer_s_surplus_is_closed_but_for_what_is_being_answered() -> None:
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        callers = [sockets.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(10)]
        for _ in callers:
            sockets.enter_context(listener.accept()[0])
        active = {callers[0].getsockname(), callers[1].getsockname()}

        assert close_surplus(port, active, most=10) == 0
        assert close_surplus(port, active, most=4) == 6

        for caller in callers:
            caller.settimeout(0.0)
        closed = [caller.getsockname() for caller in callers if is_closed(caller)]
        assert len(closed) == 6
        assert not active & {*closed}
        assert close_surplus(port, {caller.getsockname() for caller in callers}, most=1) == 0


def is_closed(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except BlockingIOError:
        return False


def test_the_limit_of_connections_outlives_a_shortage_of_files(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[object] = []
    list_files = os.listdir

    def fail_once(path: Path) -> list[str]:
        if path == peers.FILES:
            asked.append(path)
        if len(asked) == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return list_files(path)

    async def main() -> None:
        limiting = asyncio.create_task(limit_connections(1, set(), 64))
        while len(asked) < 2:
            assert not limiting.done()
            await asyncio.sleep(0)
        limiting.cancel()

    monkeypatch.setattr(peers, "COUNT_SECONDS", 0)
    monkeypatch.setattr(os, "listdir", fail_once)
    run(main())

    assert "Too many open files" in caplog.text
