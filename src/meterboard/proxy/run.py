"""Runs the proxy in one process, which forwards calls until it is stopped."""

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from meterboard.network.listener import listener, stop_on_signals
from meterboard.proxy.app import ProxyApp
from meterboard.proxy.upstream import CONNECTIONS

GRACE_SECONDS = 10
"""How long open calls may take to end when the proxy stops."""


def run_proxy(make: Callable[[], ProxyApp], *, host: str, port: int, ready: Callable[[], None]) -> None:
    """
    Forwards calls until SIGTERM or SIGINT. `ready` is called just before calls are accepted; `host` is an IP address.
    """
    run = asyncio.run if sys.platform == "win32" else import_module("uvloop").run
    run(_serve(make, host, port, ready))


async def _serve(make: Callable[[], ProxyApp], host: str, port: int, ready: Callable[[], None]) -> None:
    # Its log would contain the URLs of failed calls.
    logging.getLogger("_granian").setLevel(logging.CRITICAL)
    app = make()
    server = listener(app, ip=host, port=port, grace_seconds=GRACE_SECONDS, more_files=CONNECTIONS)
    loop = asyncio.get_running_loop()
    stop: Callable[[], None] = server.stop
    stop_on_signals(loop, stop)
    ready()
    try:
        with suppress(asyncio.TimeoutError):  # calls that did not end in time
            await server.serve()
        # The server still reports interrupted calls to the loop, which would log them.
        loop.set_exception_handler(lambda *_: None)
    finally:
        await app.close()
