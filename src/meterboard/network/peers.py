"""
Limits the connections of each peer, so that one can't use all that the server accepts.

The web server has no such limit and gives no access to its connections, so they are found among the open files of the
process. This works on Linux; elsewhere there is no limit. Behind a reverse proxy all connections are the proxy's.
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
"""A peer may have one in this many of the connections that the server accepts."""
COUNT_SECONDS = 1.0
"""How often connections are counted, once a peer may have too many: 16,000 take 0.2 seconds of a processor."""
NETWORK_BITS = 64
"""The prefix of an IPv6 address that one subscriber has."""
FILES = Path("/proc/self/fd")


def noting_requests(app: ASGIApp, active: MutableSet[Hashable]) -> ASGIApp:
    """Returns the application with tracking: `active` has the address of each connection with an open request."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        client = cast(Hashable, scope.get("client"))
        active.add(client)
        try:
            await app(scope, receive, send)
        finally:
            active.discard(client)

    return call


async def limit_connections(port: int, active: Container[Hashable], accepted: int) -> None:
    """Closes, until cancelled, the connections of each peer beyond its share."""
    if not FILES.exists():
        return
    while True:
        await asyncio.sleep(COUNT_SECONDS)
        try:
            await asyncio.to_thread(close_surplus, port, active, accepted // PEERS)
        except Exception:  # when files or memory are short, the limit is needed most
            log.exception("Connections could not be counted; it is tried again")


def close_surplus(port: int, active: Container[Hashable], most: int) -> int:
    """
    Closes connections to a port, of each peer that has more than `most`, until it has that many.

    Connections with an open request are kept. Returns how many were closed.
    """
    files = os.listdir(FILES)  # faster than Path objects for thousands of files
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
    """Returns the remote address of a file, if it is a connection to the port."""
    with socket.socket(fileno=os.dup(file)) as connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
            return None
        host, peer_port = connection.getpeername()[:2]
        return host, peer_port


def _shut_down(file: int, port: int, address: Hashable) -> bool:
    if _peer(file, port) != address:  # the number belongs to another file now
        return False
    with socket.socket(fileno=os.dup(file)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
    return True


def _network(host: str) -> str:
    address = ip_address(canonical_ip(host))
    return str(int(address) >> (128 - NETWORK_BITS)) if address.version == 6 else str(address)
