"""HTTP to Meterboard over one kept connection, with the standard library alone."""

import contextlib
import http.client
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

PROBLEM = "application/problem+json"
MOST_RETRY_AFTER = 3600.0
"""Seconds. A longer wait than this is taken for a mistake of whatever stands in between."""


class NoAnswer(Exception):
    """Meterboard could not be reached, or did not answer in time."""


class Answer(NamedTuple):
    """`retry_after` is in seconds, 0 when the answer did not say."""

    status: int
    content_type: str
    body: bytes
    retry_after: float


class Transport:
    """One connection, used by one thread."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        """
        `timeout` is in seconds, for connecting and for each piece of an answer.

        Raises: ValueError: the address or the key can't be one.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"url is {url!r}: expected an address such as https://usage.example.com.")
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("key is not a key: make one with: meterboard key create ORG --scope ingest")
        self._timeout = timeout
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(parts.hostname, parts.port, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "User-Agent": "meterboard-client"}

    def post(self, path: str, body: bytes) -> Answer:
        """Raises: NoAnswer."""
        return self._ask("POST", path, body)

    def get(self, path: str) -> Answer:
        """Raises: NoAnswer."""
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        kept = self._connection.sock is not None
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may have been closed by the other side while it was idle: that says nothing yet.
            if not kept or isinstance(error, TimeoutError):
                raise NoAnswer(f"{type(error).__name__}: {error}") from error
        try:
            return self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        return self._read(self._send(method, path, body, headers))

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, self._path + path, body, headers)
        return self._connection.getresponse()

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        content = response.read()
        content_type = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        return Answer(
            response.status,
            content_type,
            content,
            _seconds(response.getheader("Retry-After"), datetime.now(UTC)),
        )

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()


def _seconds(retry_after: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, given as a number or as a date."""
    if not retry_after:
        return 0.0
    seconds = 0.0
    with contextlib.suppress(ValueError, TypeError):
        if retry_after.strip().isdecimal():
            seconds = float(retry_after)
        else:
            seconds = (parsedate_to_datetime(retry_after) - now).total_seconds()
    return min(max(seconds, 0.0), MOST_RETRY_AFTER)
