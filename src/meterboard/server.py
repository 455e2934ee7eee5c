"""Running the application: one process, which answers requests, writes, and runs the jobs."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from meterboard.address import FILE, Running, address_of
from meterboard.app import asgi
from meterboard.peers import limit_connections, noting_requests
from meterboard.service.jobs import run_jobs
from meterboard.services import Services

if sys.platform != "win32":  # which has no such limits
    import resource

GRACE_SECONDS = 3
"""How long open connections, such as live counters, may take to end when the server stops."""

SILENT_SECONDS = 10
"""How long a connection may take to send a request's headers, or stay idle between two requests."""
MAX_HEADER_BYTES = 64 * 1024
"""The headers of a request, its address included. With MOST_CONNECTIONS it bounds what unfinished ones hold."""
MOST_CONNECTIONS = 16_384
SPARE_FILES = 256
"""Files that the process may open beside connections: the stores, their logs, exports."""


def most_connections() -> int:
    """Raises the limit of open files as far as the system allows; answers how many connections fit in it."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(SPARE_FILES, allowed - SPARE_FILES)


def serve(
    services: Services,
    data: Path,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """
    Answer requests until SIGTERM or SIGINT.

    `ready` is called with the address when requests are about to be answered; `meanwhile` runs beside the server.
    """
    # uvloop wakes for a request in a third of the time; it does not exist for Windows.
    run = asyncio.run if sys.platform == "win32" else import_module("uvloop").run
    run(_serve(services, data, host, port, ready, meanwhile))


async def _serve(
    services: Services,
    data: Path,
    host: str,
    port: int,
    ready: Callable[[str], None],
    meanwhile: Callable[[], Awaitable[None]] | None,
) -> None:
    logging.getLogger("_granian").setLevel(logging.ERROR)
    active: set[Hashable] = set()
    server = Server(
        noting_requests(asgi(services), active),
        address=address_of(host),
        port=port,
        interface=Interfaces.ASGI,
        # Of HTTP/1 alone Granian limits how long a connection may be silent.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=SILENT_SECONDS * 1_000, max_buffer_size=MAX_HEADER_BYTES
        ),
        backlog=1024,
        backpressure=most_connections(),
        log_enabled=False,
    )
    server.workers_kill_timeout = GRACE_SECONDS
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    (data / FILE).write_bytes(msgspec.json.encode(Running(address)))
    tasks = [
        asyncio.create_task(run_jobs(services.jobs(), services.clock)),
        asyncio.create_task(limit_connections(port, active)),
    ]
    if meanwhile:
        tasks.append(asyncio.create_task(_awaited(meanwhile)))
    # What was built up to here stays until the end. Left to the collector, it would look through all of it again and
    # again, and every request would wait 40 ms for that several times a second.
    gc.collect()
    gc.freeze()
    ready(address)
    try:
        with suppress(asyncio.TimeoutError):
            await server.serve()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (data / FILE).unlink(missing_ok=True)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
