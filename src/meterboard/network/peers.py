"""
A limit of connections for each peer, so that one can't take all that the server accepts.

The web server has no such limit and gives no access to its connections, so they are found among the open files of the
process. That works on Linux; elsewhere there is no limit. Behind a reverse proxy all connections are the proxy's.
"""

import asyncio
import logging
import os
import socket
from collections import defaultdict
from collections.abc import Container, Hashable, MutableSet
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from litestar.types import ASGIApp, Receive, Scope, Send

from meterboard.domain.caller.ip import canonical_ip

log = logging.getLogger("meterboard.network.peers")

PEERS = 4
"""A peer may have one part in so many of the connections that the server accepts."""
LOOK_SECONDS = 1.0
"""How often connections are counted, once a peer may have too many: 16,000 take 0.2 seconds of a processor."""
NETWORK_BITS = 64
"""Of an IPv6 address: what one subscriber has."""
FILES = Path("/proc/self/fd")


def noting_requests(app: ASGIApp, active: MutableSet[Hashable]) -> ASGIApp:
    """The same application; `active` has the address of every connection that a request is being answered on."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        client = cast(Hashable, scope.get("client"))
        active.add(client)
        try:
            await app(scope, receive, send)
        finally:
            active.discard(client)

    return call


async def limit_connections(port: int, active: Container[Hashable], accepted: int) -> None:
    """Closes, until cancelled, what a peer has beyond its part of the connections that are accepted."""
    if not FILES.exists():
        return
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await asyncio.to_thread(close_surplus, port, active, accepted // PEERS)
        except Exception:  # when files or memory are short, the limit is needed most
            log.exception("Connections could not be counted; it is tried again")


def close_surplus(port: int, active: Container[Hashable], most: int) -> int:
    """
    Closes connections to a port, of each peer that has more than `most`, until it has no more.

    Those that a request is being answered on are left. Returns how many were closed.
    """
    files = os.listdir(FILES)  # thousands of paths for nothing
    if len(files) <= most:
        return 0
    peers: defaultdict[str, list[tuple[int, Hashable]]] = defaultdict(list)
    for file in map(int, files):
        with suppress(OSError):  # closed meanwhile, or not a connection
            address = _peer(file, port)
            if address is not None:
                peers[_network(address[0])].append((file, address))
    closed = 0
    for connections in peers.values():
        surplus = len(connections) - most
        idle = [one for one in connections if one[1] not in active] if surplus > 0 else []
        for file, known in idle[: max(0, surplus)]:
            with suppress(OSError):
                closed += _shut_down(file, port, known)
    return closed


def _peer(file: int, port: int) -> tuple[str, int] | None:
    """Who is at the other end of a file, if it is a connection to the port."""
    with socket.socket(fileno=os.dup(file)) as connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
            return None
        host, peer_port = connection.getpeername()[:2]
        return host, peer_port


def _shut_down(file: int, port: int, address: Hashable) -> bool:
    if _peer(file, port) != address:  # the number is another file's by now
        return False
    with socket.socket(fileno=os.dup(file)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
    return True


def _network(host: str) -> str:
    address = ip_address(canonical_ip(host))
    return str(int(address) >> (128 - NETWORK_BITS)) if address.version == 6 else str(address)
