"""HTTP to Meterboard over one persistent connection, with the standard library alone."""

import contextlib
import http.client
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

PROBLEM = "application/problem+json"
MAX_RETRY_AFTER_SECONDS = 3600.0
"""A longer `Retry-After` is an error of a proxy in between."""


class NoResponse(Exception):
    """Meterboard could not be reached, or did not respond in time."""


class Response(NamedTuple):
    """A response of Meterboard, or of a proxy. `retry_after` is in seconds, 0 without that header."""

    status: int
    content_type: str
    body: bytes
    retry_after: float


class Transport:
    """One connection, for one thread."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        """
        `timeout` is in seconds, for connecting and for each part of a response.

        Raises: ValueError: an invalid URL or key.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url is {url!r}: expected a URL such as https://usage.example.com.")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("key is not valid: create one with: meterboard key create ORG --scope ingest")
        self._timeout = timeout
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(parts.hostname, parts.port, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "meterboard-client"}

    def post(self, path: str, body: bytes) -> Response:
        """Sends a body and returns the response. Raises: NoResponse."""
        return self._request("POST", path, body)

    def get(self, path: str) -> Response:
        """Returns the response to a GET. Raises: NoResponse."""
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, body: bytes | None) -> Response:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        is_reused = self._connection.sock is not None
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # The other side may have closed an idle connection: that alone is not a failure.
            if not is_reused or isinstance(error, TimeoutError):
                raise NoResponse(f"{type(error).__name__}: {error}") from error
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoResponse(f"{type(error).__name__}: {error}") from error

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        return self._read(self._send(method, path, body, headers))

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, self._path + path, body, headers)
        return self._connection.getresponse()

    def _read(self, response: http.client.HTTPResponse) -> Response:
        content = response.read()
        content_type = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        return Response(
            response.status,
            content_type,
            content,
            _seconds(response.getheader("Retry-After"), datetime.now(UTC)),
        )

    def close(self) -> None:
        """Closes the connection. The next request opens another."""
        self._connection.close()


def _seconds(retry_after: str | None, now: datetime) -> float:
    """Returns the seconds of a Retry-After header, which has a number or a date."""
    if not retry_after:
        return 0.0
    seconds = 0.0
    with contextlib.suppress(ValueError, TypeError):
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            seconds = (parsedate_to_datetime(retry_after) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
