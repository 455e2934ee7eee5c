"""Running the proxy: one process, which passes calls on until it is told to stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from meterboard.proxy.app import ProxyApp

GRACE_SECONDS = 10
"""How long calls that are under way may take to end when the proxy stops."""


def run_proxy(make: Callable[[], ProxyApp], *, host: str, port: int, ready: Callable[[], None]) -> None:
    """Pass calls on until SIGTERM or SIGINT. `ready` is called when they are about to be taken; `host` is an address."""
    run = asyncio.run if sys.platform == "win32" else import_module("uvloop").run
    run(_serve(make, host, port, ready))


async def _serve(make: Callable[[], ProxyApp], host: str, port: int, ready: Callable[[], None]) -> None:
    logging.getLogger("_granian").setLevel(
        logging.CRITICAL
    )  # its log would show the addresses of failed calls
    app = make()
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=1024,
        backpressure=1024,
        log_enabled=False,
    )
    server.workers_kill_timeout = GRACE_SECONDS
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    ready()
    try:
        with suppress(asyncio.TimeoutError):  # calls that did not end in time
            await server.serve()
        # The server goes on to tell the loop of calls that were cut off, who does not want to know any more.
        loop.set_exception_handler(lambda *_: None)
    finally:
        await app.close()
