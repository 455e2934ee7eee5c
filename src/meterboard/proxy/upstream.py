"""The API behind the proxy: its URL, the connections to it, and the headers of requests and responses."""

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import httpcore

from meterboard.errors import SettingError

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
"""Headers that apply to one connection only (RFC 9110, 7.6.1)."""
OURS = frozenset((b"host", b"expect", b"content-length", b"cookie"))
"""Headers of a request that the proxy sets."""
VIA = b"1.1 meterboard"
KEPT_SECONDS = 5.0
"""How long an idle connection is kept: less than the time after which servers close it, so that no call fails."""
CONNECTIONS = 2_000
"""Concurrent calls; further ones wait for `connect_timeout`."""


class Failure(NamedTuple):
    """Why there was no response. `error` is of RFC 9209; `carried_out`: the API may have received the call."""

    status: HTTPStatus
    error: str
    message: str
    carried_out: bool


class UpstreamFailed(Exception):
    """The API did not respond."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Upstream:
    """An API. All calls share its connections."""

    def __init__(self, url: str, *, timeout: float, connect_timeout: float = 10.0) -> None:
        """
        Configures an API; `timeout`, in seconds, is for each wait for the API to send or accept something.

        Raises: SettingError: not the URL of an API.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingError(f"The upstream is {url!r}: {error}.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SettingError(f"The upstream is {url!r}: use an address such as https://www.zohoapis.com.")
        if parts.username is not None:
            raise SettingError("The upstream's URL has a password: callers send their own credentials.")
        self.name = f"{parts.scheme}://{parts.netloc}"
        self.base = parts.path.rstrip("/")
        self.timeout = timeout
        self._timeouts = {
            "connect": connect_timeout,
            "read": timeout,
            "write": timeout,
            "pool": connect_timeout,
        }
        self._host = parts.netloc.encode("ascii")
        self._scheme, self._hostname = parts.scheme.encode(), parts.hostname.encode("ascii")
        self._port = port
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=100,
            keepalive_expiry=KEPT_SECONDS,
        )

    async def send(
        self, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None
    ) -> httpcore.Response:
        """
        Sends a request and returns the response before its body; the caller closes it.

        `target` is path and query string, byte for byte. Raises: UpstreamFailed.
        """
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=self._scheme, host=self._hostname, port=self._port, target=target),
            headers=[(b"Host", self._host), *headers, (b"Via", VIA)],
            content=body,
            extensions={"timeout": self._timeouts},
        )
        try:
            return await self._pool.handle_async_request(request)
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise UpstreamFailed(self._failure(error)) from error

    def _failure(self, error: Exception) -> Failure:
        where, why = self.name, str(error) or type(error).__name__
        match error:
            case httpcore.LocalProtocolError():  # raised before the first byte
                return Failure(
                    HTTPStatus.BAD_REQUEST, "http_request_error", f"It can't be sent: {why}.", False
                )
            case httpcore.ConnectTimeout() | httpcore.PoolTimeout():
                message = f"{where} did not accept a connection within {self._timeouts['connect']:g} s."
                return Failure(HTTPStatus.GATEWAY_TIMEOUT, "connection_timeout", message, False)
            case httpcore.ConnectError():
                message = f"{where} can't be reached: {why}."
                return Failure(HTTPStatus.BAD_GATEWAY, "destination_unavailable", message, False)
            case httpcore.TimeoutException():
                message = (
                    f"{where} did not answer within {self.timeout:g} s. It may have carried out the call."
                )
                return Failure(HTTPStatus.GATEWAY_TIMEOUT, "http_response_timeout", message, True)
        message = f"{where} broke the connection off: {why}. It may have carried out the call."
        return Failure(HTTPStatus.BAD_GATEWAY, "connection_terminated", message, True)

    async def close(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()


def request_headers(headers: Iterable[tuple[bytes, bytes]], *, has_body: bool) -> Headers:
    """Returns the headers of a request to the API. Names are in lower case."""
    given = list(headers)
    kept = [pair for pair in _end_to_end(given) if pair[0] not in OURS]
    cookies = [value for name, value in given if name == b"cookie"]
    if cookies:
        kept.append((b"cookie", b"; ".join(cookies)))  # HTTP/2 splits it, HTTP/1.1 must not
    if not has_body:
        return kept
    length = next((value for name, value in given if name == b"content-length"), None)
    chunked = any(name == b"transfer-encoding" for name, _ in given)
    if length is None or chunked:
        return [*kept, (b"Transfer-Encoding", b"chunked")]
    return [*kept, (b"Content-Length", length)]


def response_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Returns the headers of the response to the client; names in lower case, as ASGI has them."""
    given = [(name.lower(), value) for name, value in headers]
    chunked = any(name == b"transfer-encoding" for name, _ in given)
    return [pair for pair in _end_to_end(given) if not (chunked and pair[0] == b"content-length")]


def _end_to_end(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    """Returns the headers without those of one connection, including those that `Connection` names."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    return (pair for pair in headers if pair[0] not in HOP_BY_HOP and pair[0] not in named)
