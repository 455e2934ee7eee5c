"""Running the application: one process, which answers requests, writes, and runs the jobs."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from meterboard.address import FILE, LOOPBACK_OF, Running, address_of, connect, http_address, write_note
from meterboard.app import asgi
from meterboard.service.jobs import run_jobs
from meterboard.services import Services

if sys.platform != "win32":  # which has no such limits
    import resource

LOOK_SECONDS = 0.01
"""How long to wait between two looks whether a starting server answers yet."""
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

    `ready` is called with the address as soon as requests are answered; `meanwhile` runs beside the server.
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
    ip = address_of(host)
    server = Server(
        asgi(services),
        address=ip,
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
    stop: Callable[[], None] = server.stop
    stop_on_signals(loop, stop)
    running = Running(http_address(LOOPBACK_OF.get(ip, ip), port), services.instance_secret, os.getpid())

    announcement = asyncio.create_task(_announce(data, running, lambda: ready(http_address(host, port))))

    def stop_if_unannounced(task: asyncio.Task[None]) -> None:
        if _failed(task):
            stop()

    announcement.add_done_callback(stop_if_unannounced)
    tasks = [asyncio.create_task(run_jobs(services.jobs(), services.clock)), announcement]
    if meanwhile:
        tasks.append(asyncio.create_task(_awaited(meanwhile)))
    # What was built up to here stays until the end. Left to the collector, it would look through all of it again and
    # again, and every request would wait 40 ms for that several times a second.
    gc.collect()
    gc.freeze()
    try:
        with suppress(asyncio.TimeoutError):  # connections that did not end in time
            await server.serve()
        loop.set_exception_handler(_log_unless_cut_off)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (data / FILE).unlink(missing_ok=True)
    if _failed(announcement):
        announcement.result()


async def _announce(data: Path, running: Running, ready: Callable[[], None]) -> None:
    """Waits until the server answers, then tells commands and people where."""
    while not await asyncio.to_thread(_answers, running):
        await asyncio.sleep(LOOK_SECONDS)
    write_note(data, running)
    ready()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _answers(running: Running) -> bool:
    connection = connect(running)
    if connection is None:
        return False
    connection.close()
    return True


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Calls `stop` in the loop on SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def _log_unless_cut_off(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Passes over what Granian reports once it has cut off connections: a result for a future that is cancelled."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
