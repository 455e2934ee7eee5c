"""Where a server answers: hosts, ports, and the note that a running server leaves in its data folder."""

import errno
import socket
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from meterboard.errors import DataFolderError

FILE = "server.json"
ANSWERS_WITHIN_SECONDS = 5


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
