"""The parts of a request that are forwarded and counted, and the requests that can't be forwarded."""

import re
from http import HTTPStatus

from litestar.types import HTTPScope

from meterboard.domain.caller.ip import ip_or_none
from meterboard.proxy.upstream import Failure

_beyond_ascii = re.compile(rb"[\x80-\xff]")


def refusal(scope: HTTPScope) -> Failure | None:
    """Returns why a request is not forwarded; None if it is."""
    if scope["method"] == "CONNECT":
        return _refused(HTTPStatus.NOT_IMPLEMENTED, "CONNECT is not forwarded: the proxy opens no tunnels.")
    if _asks_for_websocket(scope):
        return _refused(HTTPStatus.NOT_IMPLEMENTED, "WebSockets are not forwarded.")
    is_of_server = scope["method"] == "OPTIONS" and scope["raw_path"] == b"*"
    if not scope["raw_path"].startswith(b"/") and not is_of_server:
        return _refused(HTTPStatus.BAD_REQUEST, "The address has no path.")
    return None


def _refused(status: HTTPStatus, message: str) -> Failure:
    return Failure(status, "http_request_error", message, carried_out=False)


def _asks_for_websocket(scope: HTTPScope) -> bool:
    tokens = [(name, part.strip().lower()) for name, value in scope["headers"] for part in value.split(b",")]
    return (b"upgrade", b"websocket") in tokens and (b"connection", b"upgrade") in tokens


def path_of(base: str, scope: HTTPScope) -> str:
    """Returns the path at the API, in ASCII: invalid bytes are escaped, as browsers do."""
    if scope["raw_path"] == b"*":  # the server itself, or all below the base
        return base or "*"
    return _escaped(base.encode() + scope["raw_path"]).decode("ascii")


def query_of(scope: HTTPScope) -> str:
    """Returns the query string, in ASCII like the path."""
    return _escaped(scope["query_string"]).decode("ascii")


def parameters_of(query: str) -> str:
    """
    Returns the names of a query's parameters, which prices may depend on. Values, and parts without a name, may be
    secrets.
    """
    return "&".join(part.partition("=")[0] for part in query.split("&") if "=" in part)


def header_text(value: bytes) -> str:
    """Returns a header's value as text: UTF-8, or otherwise Latin-1, as an older standard has it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def ip_of(scope: HTTPScope) -> str | None:
    """Returns the IP address of the client; None if it is unknown."""
    client = scope["client"]
    return ip_or_none(client[0]) if client else None


def _escaped(text: bytes) -> bytes:
    return text if text.isascii() else _beyond_ascii.sub(lambda byte: b"%%%02X" % byte[0][0], text)
