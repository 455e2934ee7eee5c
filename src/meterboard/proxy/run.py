"""Running the proxy: one process, which passes calls on until it is told to stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from meterboard.proxy.app import ProxyApp
from meterboard.proxy.upstream import CONNECTIONS

SILENT_SECONDS = 10
"""How long a connection may take to send a request's headers, or stay idle between two requests."""
MAX_HEADER_BYTES = 64 * 1024
"""The headers of a request, its address included. With MOST_CONNECTIONS it bounds what unfinished ones hold."""
MOST_CONNECTIONS = 16_384
"""Connections of callers at a time; further ones wait."""
SPARE_FILES = CONNECTIONS + 256
"""Files that the process may open beside those: connections to the API, and the spool."""
GRACE_SECONDS = 10
"""How long calls that are under way may take to end when the proxy stops."""


def most_connections() -> int:
    """Raises the limit of open files as far as the system allows; returns how many connections fit in it."""
    if sys.platform == "win32":  # which has no such limit
        return MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(256, allowed - SPARE_FILES)


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
        # Of HTTP/1 alone Granian limits how long a connection may be silent.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=SILENT_SECONDS * 1_000, max_buffer_size=MAX_HEADER_BYTES
        ),
        websockets=False,
        backlog=1024,
        backpressure=most_connections(),
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
