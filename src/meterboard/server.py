"""Running the application: one process, which answers requests, writes, and runs the jobs."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server
from msgspec import Struct

from meterboard.app import Services, asgi
from meterboard.errors import DataFolderError
from meterboard.service.jobs import run_jobs

FILE = "server.json"
ANSWERS_WITHIN_SECONDS = 5
GRACE_SECONDS = 3
"""How long open connections, such as live counters, may take to end when the server stops."""


class Running(Struct, frozen=True):
    """Where the server that holds a data folder can be reached."""

    address: str


def address_of_running(data: Path) -> str | None:
    """
    The address of the server that holds a data folder; None: none runs.

    A server that was killed leaves its note behind, so whoever is named there must also answer.
    """
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        address = msgspec.json.decode((data / FILE).read_bytes(), type=Running).address
        host, _, port = address.removeprefix("http://").rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_WITHIN_SECONDS).close()
        return address
    return None


def sign_in_address(address: str, link: str) -> str:
    """The address that signs its bearer in once."""
    return f"{address}/sign-in?link={link}"


def address_of(host: str) -> str:
    """
    The IP address of a host's name.

    Raises: DataFolderError: it has none on this machine.
    """
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM)
    except OSError as error:
        found = []
        reason = error.strerror or str(error)
    else:
        reason = "it is empty"
    if not found or not host:
        raise DataFolderError(
            f"The host is {host!r}: {reason}. Use an address of this machine, such as 127.0.0.1."
        )
    return str(found[0][4][0])


def free_port(host: str, port: int) -> int:
    """
    The port to listen on: `port`, or a free one for 0.

    Raises: DataFolderError: it is taken or may not be used.
    """
    host = address_of(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise DataFolderError(
                f"Can't listen on {host}:{port}: {reason}. Choose another with --port."
            ) from error
        return int(probe.getsockname()[1])


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
    server = Server(
        asgi(services),
        address=address_of(host),
        port=port,
        interface=Interfaces.ASGI,
        backlog=1024,
        backpressure=1024,
        log_enabled=False,
    )
    server.workers_kill_timeout = GRACE_SECONDS
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    (data / FILE).write_bytes(msgspec.json.encode(Running(address)))
    tasks = [asyncio.create_task(run_jobs(services.jobs(), services.clock))]
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
