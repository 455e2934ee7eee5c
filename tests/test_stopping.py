"""The server stops when it is told to, whatever is under way, and says nothing of it."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from meterboard.network.listener import stop_on_signals
from tests.server import Server


def test_an_unfinished_upload_leaves_no_traceback(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").prepare().start()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\nContent-Length: 99\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert b"100" in connection.recv(100)  # the body is being read
        connection.sendall(b"[")
        assert server.stop() == 0

    assert [line.split(" ")[0] for line in server.said] == ["Listening", "For"]


class LoopOfWindows(asyncio.SelectorEventLoop):
    """A loop that can't watch for signals."""

    def add_signal_handler(self, *_: object) -> NoReturn:
        raise NotImplementedError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", [asyncio.SelectorEventLoop, LoopOfWindows])
def test_signals_stop_the_server_where_loops_can_not_watch_for_them_too(
    number: signal.Signals, kind: type[asyncio.SelectorEventLoop]
) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    loop = kind()
    try:
        stopped = asyncio.Event()
        stop_on_signals(loop, stopped.set)
        loop.call_soon(os.kill, os.getpid(), number)
        loop.run_until_complete(asyncio.wait_for(stopped.wait(), timeout=30))
    finally:
        loop.close()
        for each, handler in before.items():
            signal.signal(each, handler)
