"""The HTTP server of a process, with limits on what one peer can hold."""

import asyncio
import signal
import sys
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar.types import ASGIApp

if sys.platform != "win32":  # which has no such limits
    import resource

SILENT_SECONDS = 10
"""How long a connection may take to send a request's headers, or stay idle between two requests."""
MAX_HEADER_BYTES = 64 * 1024
"""The longest headers of a request, including its URL. With MAX_CONNECTIONS it bounds the memory of unfinished ones."""
MAX_CONNECTIONS = 16_384
"""Concurrent connections; further ones wait."""
SPARE_FILES = 256
"""Files that the process may open besides connections: the stores, their logs, exports."""


def listener(app: ASGIApp, *, ip: str, port: int, grace_seconds: int, more_files: int = 0) -> Server:
    """
    Returns a server that is not started yet.

    When it stops, open connections have `grace_seconds` to end. The process opens `more_files` besides SPARE_FILES.
    """
    server = Server(
        app,
        address=ip,
        port=port,
        interface=Interfaces.ASGI,
        # Granian limits the idle time of connections for HTTP/1 only.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=SILENT_SECONDS * 1_000, max_buffer_size=MAX_HEADER_BYTES
        ),
        websockets=False,
        backlog=1024,
        backpressure=connection_limit(SPARE_FILES + more_files),
        log_enabled=False,
    )
    server.workers_kill_timeout = grace_seconds
    return server


def connection_limit(spare_files: int) -> int:
    """Raises the limit of open files as far as the system allows; returns how many connections fit in it."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + spare_files
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(SPARE_FILES, allowed - spare_files)


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Calls `stop` in the loop on SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
