"""The URL of a server: hosts, ports, and the note that a running server writes to its data folder."""

import errno
import os
import socket
from contextlib import suppress
from hmac import compare_digest
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from meterboard.domain.instance import PATH, proof
from meterboard.errors import AddressError, DataFolderError

FILE = "server.json"
ANSWER_SECONDS = 10
"""How long a server may take to connect and to prove itself: a busy one takes a second, a stopped one for ever."""
LONGEST_PROOF_BYTES = 1_000
"""How much is read of the response to the challenge. A proof has 64 bytes."""
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # read, not bound
"""The loopback address of a server that listens on all addresses."""


class Running(Struct, frozen=True):
    """The server that holds a data folder: its URL on this machine, its process, and the secret of its proof."""

    address: str
    secret: str
    pid: int


def write_note(data: Path, running: Running) -> None:
    """
    Writes the URL and the secret of the server to the data folder, readable for its owner only.

    Raises: DataFolderError: it can't be written.
    """
    fresh = data / f"{FILE}.new"
    try:
        with open(fresh, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(msgspec.json.encode(running))
        fresh.replace(data / FILE)
    except OSError as error:
        raise DataFolderError(f"{data / FILE} can't be written: {error.strerror or error}.") from error


def running_server(data: Path) -> Running | None:
    """
    Returns the server that holds a data folder, after it has proved itself; None when none runs.

    A server that was killed leaves its note behind, and something else may listen on its port by now.
    """
    note = _note(data)
    connection = connect(note) if note else None
    if connection is None:
        return None
    connection.close()
    return note


def address_of_running(data: Path) -> str | None:
    """Returns the address of the server that holds a data folder; None when none runs."""
    running = running_server(data)
    return running.address if running else None


def connection_to_running(data: Path) -> HTTPConnection | None:
    """Returns an open connection to the server that holds a data folder; None when none runs."""
    note = _note(data)
    return connect(note) if note else None


def connect(running: Running) -> HTTPConnection | None:
    """
    Returns an open connection to a server that has proved over it that it is the one of the note; None otherwise.

    Nothing secret is sent before. The connection doesn't reopen automatically: what listens then may be another.
    """
    with suppress(OSError, HTTPException, ValueError):
        parts = urlsplit(running.address)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        challenge = token_hex(32)
        try:
            connection.request("GET", f"{PATH}?challenge={challenge}")
            answer = connection.getresponse().read(LONGEST_PROOF_BYTES)
            if connection.sock and compare_digest(answer, proof(running.secret, challenge).encode()):
                connection.auto_open = 0
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
    return None


def _note(data: Path) -> Running | None:
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def sign_in_address(address: str, link: str) -> str:
    """Returns the URL that signs in once."""
    return f"{address}/sign-in?link={link}"


def http_address(host: str, port: int) -> str:
    """Returns the URL of a host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def address_of(host: str) -> str:
    """
    Returns the IP address of a host name.

    Raises: AddressError: it has none on this machine.
    """
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM)
    except OSError as error:
        found = []
        reason = error.strerror or str(error)
    else:
        reason = "it is empty"
    if not found or not host:
        raise AddressError(
            f"The host is {host!r}: {reason}. Use an address of this machine, such as 127.0.0.1."
        )
    return str(found[0][4][0])


def free_port(host: str, port: int) -> int:
    """
    Returns the port to listen on: `port`, or a free one for 0.

    Raises: AddressError: it is in use or not allowed.
    """
    host = address_of(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise AddressError(
                f"Can't listen on {host}:{port}: {reason}. Choose another with --port."
            ) from error
        return int(probe.getsockname()[1])
