"""Handing imported events on: to this process's own meter, or to the server that holds the data folder."""

import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener
from urllib.request import Request as HttpRequest

import msgspec

from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_BODY_BYTES, UsageEvent
from meterboard.domain.wire import Sent
from meterboard.errors import DataFolderError
from meterboard.service.ingest import Ingest, Receipt
from meterboard.service.verify import Verification

Deliver = Callable[[list[UsageEvent]], Receipt]
"""Takes events, answers when they are durable."""

_open = build_opener(ProxyHandler({})).open  # our own server, on this machine: never through a proxy
PATIENCE_SECONDS = 60
"""How long a busy server is asked again before the import gives up."""


def to_meter(ingest: Ingest, key: ApiKey) -> Deliver:
    """Deliver within this process."""
    return lambda events: ingest.accept_and_wait(key, Sent(events, range(len(events)), []))


def to_server(address: str, secret: str) -> Deliver:
    """Deliver over HTTP, in requests that the server will take."""

    def deliver(events: list[UsageEvent]) -> Receipt:
        body = msgspec.json.encode(events)
        if len(body) <= MAX_BODY_BYTES or len(events) == 1:
            return _post(address, secret, body)
        half = len(events) // 2
        first, second = deliver(events[:half]), deliver(events[half:])
        return Receipt(
            first.accepted + second.accepted,
            first.duplicates + second.duplicates,
            [*first.rejected, *second.rejected],
        )

    return deliver


def ask_server(address: str, secret: str) -> Verification:
    """What the server finds when it checks the organisation of a key."""
    return msgspec.json.decode(fetch(address, "/v1/verify", secret), type=Verification)


def fetch(address: str, path: str, secret: str) -> bytes:
    """What the server answers. Raises: DataFolderError: it refuses, or does not answer."""
    request = HttpRequest(f"{address}{path}", headers={"Authorization": f"Bearer {secret}"})  # noqa: S310
    try:
        with _open(request, timeout=PATIENCE_SECONDS) as response:
            content: bytes = response.read()
            return content
    except HTTPError as error:
        raise DataFolderError(f"The server at {address} refused: {_detail(error)}") from error
    except (URLError, OSError) as error:
        raise DataFolderError(f"The server at {address} does not answer: {error}.") from error


def _post(address: str, secret: str, body: bytes) -> Receipt:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    request = HttpRequest(f"{address}/v1/events", data=body, headers=headers)  # noqa: S310  # our own server
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with _open(request, timeout=PATIENCE_SECONDS) as response:
                return msgspec.json.decode(response.read(), type=Receipt)
        except HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > give_up:
                raise DataFolderError(
                    f"The server at {address} refused the events: {_detail(error)}"
                ) from error
            time.sleep(float(error.headers.get("Retry-After", "1")))
        except (URLError, OSError) as error:
            raise DataFolderError(
                f"The server at {address} does not answer: {error}. Run the import again; nothing counts twice."
            ) from error


def _detail(error: HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["detail"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return str(error)
