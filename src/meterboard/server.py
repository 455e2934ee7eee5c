"""Runs the application: one process, which answers requests, writes, and runs the jobs."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from meterboard.app import asgi
from meterboard.network.listener import SPARE_FILES, connection_limit, listener, stop_on_signals
from meterboard.network.peers import limit_connections, noting_requests
from meterboard.network.running_server import (
    FILE,
    LOOPBACK_OF,
    Running,
    address_of,
    connect,
    http_address,
    write_note,
)
from meterboard.service.jobs.schedule import run_jobs
from meterboard.services import Services

POLL_SECONDS = 0.01
"""How often a starting server is checked for whether it answers requests."""
GRACE_SECONDS = 3
"""How long open connections, such as live counters, may take to end when the server stops."""


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
    Answers requests until SIGTERM or SIGINT.

    Calls `ready` with the address as soon as requests are answered, and runs `meanwhile` beside the server.
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
    ip = address_of(host)
    logging.getLogger("_granian").setLevel(logging.ERROR)
    active: set[Hashable] = set()
    server = listener(noting_requests(asgi(services), active), ip=ip, port=port, grace_seconds=GRACE_SECONDS)
    loop = asyncio.get_running_loop()
    stop: Callable[[], None] = server.stop
    stop_on_signals(loop, stop)
    running = Running(http_address(LOOPBACK_OF.get(ip, ip), port), services.instance_secret, os.getpid())

    announcement = asyncio.create_task(_announce(data, running, lambda: ready(http_address(host, port))))
    announcement.add_done_callback(lambda task: stop() if _failed(task) else None)
    tasks = [
        announcement,
        asyncio.create_task(run_jobs(services.jobs(), services.clock)),
        asyncio.create_task(limit_connections(port, active, connection_limit(SPARE_FILES))),
    ]
    if meanwhile:
        tasks.append(asyncio.create_task(_awaited(meanwhile)))
    _keep_from_collector()
    try:
        with suppress(asyncio.TimeoutError):  # connections that did not end in time
            await server.serve()
        loop.set_exception_handler(_log_unless_cut_off)
    finally:
        await _cancel(tasks)
        (data / FILE).unlink(missing_ok=True)
    if _failed(announcement):
        announcement.result()


def _keep_from_collector() -> None:
    """
    Excludes all objects that exist from garbage collection: they live until the process ends.

    Otherwise every collection would scan them, and requests would wait 40 ms several times a second.
    """
    gc.collect()
    gc.freeze()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _announce(data: Path, running: Running, ready: Callable[[], None]) -> None:
    """Waits until the server answers requests, then writes its address for commands and calls `ready`."""
    while not await asyncio.to_thread(_accepts_connections, running):
        await asyncio.sleep(POLL_SECONDS)
    write_note(data, running)
    ready()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _accepts_connections(running: Running) -> bool:
    connection = connect(running)
    if connection is None:
        return False
    connection.close()
    return True


def _log_unless_cut_off(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignores the error that Granian causes when it cuts off connections: a result for a cancelled future."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
