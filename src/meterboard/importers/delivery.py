"""Handing imported events on: to this process's own meter, or to the server that holds the data folder."""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException
from io import BytesIO
from shutil import copyfileobj
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener
from urllib.request import Request as HttpRequest

import msgspec

from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_BODY_BYTES, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.errors import DataFolderError
from meterboard.formats.json_events import Sent
from meterboard.importers.reading.fields import Wanted
from meterboard.schedule.credit_schedule import CreditSchedule
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.ingest.intake import Ingest, Receipt
from meterboard.service.jobs.refresh import Refresh
from meterboard.service.verify import Verification


class ServerAway(DataFolderError):
    """The server does not answer, or has no time; what was sent to it may have counted."""


class KeyRefused(DataFolderError):
    """The server does not know the key."""


Deliver = Callable[[list[UsageEvent]], Receipt]
"""Takes events, answers when they are durable."""


class Delivery(NamedTuple):
    """
    Takes calls of an organisation, answers when they are durable.

    `wanted` says what is to be made of lines: what no price depends on may be left out of them.
    """

    calls: Callable[[Calls], Outcome]
    wanted: Wanted


_open = build_opener(ProxyHandler({})).open  # our own server, on this machine: never through a proxy
PATIENCE_SECONDS = 60
"""How long a busy server is asked again before the import gives up."""
REFRESH_EVERY = 500_000
"""Calls."""
_AT_ONCE = 5_000
"""Events in a request: half of what it may carry, so that others' are not kept waiting."""


def to_meter(ingest: Ingest, key: ApiKey) -> Deliver:
    """Deliver events within this process."""
    return lambda events: ingest.accept_and_wait(key, Sent(events, range(len(events)), []))


def calls_to_meter(
    ingest: Ingest, refresh: Refresh, organization: Organization, schedule: CreditSchedule
) -> Delivery:
    """Deliver calls within this process; statistics follow, so that no refresh has more to do than memory holds."""
    intake = ingest.calls_of(ApiKey(organization, "ingest"))
    fresh = 0

    def deliver(calls: Calls) -> Outcome:
        nonlocal fresh
        outcome = intake.accept(calls)
        fresh += outcome.accepted
        if fresh >= REFRESH_EVERY:
            refresh.now()
            fresh = 0
        return outcome

    wanted = Wanted(
        organization=organization.id,
        fold=schedule.ids_are_alike,
        parameters=bool(schedule.parameters),
        changes=schedule.changes,
    )
    return Delivery(deliver, wanted)


def calls_to_server(address: str, secret: str) -> Delivery:
    """Deliver calls over HTTP, in requests that the server will take."""

    def deliver(calls: Calls) -> Outcome:
        events = _events(calls)
        outcome = Outcome()
        for at in range(0, len(events), _AT_ONCE):
            outcome = outcome.and_then(_send(address, secret, events[at : at + _AT_ONCE]))
        return outcome

    return Delivery(deliver, Wanted())


def calls_as_events(ingest: Ingest, key: ApiKey) -> Callable[[Calls], Outcome]:
    """
    Deliver calls within this process as a server takes them: each is priced as its organisation prices it then.

    What was read need not know the prices, and so may be delivered later, or elsewhere.
    """
    deliver = to_meter(ingest, key)

    def calls_one_by_one(calls: Calls) -> Outcome:
        events = calls.events()
        outcome = Outcome()
        for at in range(0, len(events), _AT_ONCE):
            outcome = outcome.and_then(_outcome(deliver(events[at : at + _AT_ONCE])))
        return outcome

    return calls_one_by_one


def _outcome(receipt: Receipt) -> Outcome:
    first = receipt.rejected[0].message if receipt.rejected else ""
    return Outcome(receipt.accepted, receipt.duplicates, len(receipt.rejected), first)


def _events(calls: Calls) -> list[bytes]:
    """Each call as JSON. What calls have in common is encoded once."""
    whats = [_members(event) for event, _ in calls.whats]
    whos = [_members(UsageEvent(**caller)) for caller in calls.callers()]
    ips = [_members(UsageEvent(ip=ip)) for ip in calls.ips]
    quoted = msgspec.json.encode
    codes = zip(calls.what, calls.who, calls.whence, strict=True)
    return [
        b'{"id":%b,"time":%b%b%b%b}'
        % (quoted(name), quoted(EPOCH + INSTANT * time), whats[what], whos[who], ips[whence])
        for name, time, (what, who, whence) in zip(calls.ids(), calls.times, codes, strict=True)
    ]


def _members(event: UsageEvent) -> bytes:
    """The fields of an event that are said, each with a comma in front."""
    fields = msgspec.json.encode(event)[1:-1]
    return b"," + fields if fields else b""


def _send(address: str, secret: str, events: Sequence[bytes]) -> Outcome:
    body = b"[" + b",".join(events) + b"]"
    if len(body) > MAX_BODY_BYTES and len(events) > 1:
        half = len(events) // 2
        return _send(address, secret, events[:half]).and_then(_send(address, secret, events[half:]))
    return _outcome(_post(address, secret, body))


def ask_server(address: str, secret: str) -> Verification:
    """What the server finds when it checks the organisation of a key."""
    return msgspec.json.decode(fetch(address, "/v1/verify", secret), type=Verification)


def fetch(address: str, path: str, secret: str) -> bytes:
    """What the server answers. Raises: DataFolderError: it refuses, or does not answer."""
    content = BytesIO()
    download(address, path, secret, content)
    return content.getvalue()


def download(address: str, path: str, secret: str, output: IO[bytes]) -> None:
    """Writes what the server answers. Raises: DataFolderError: it refuses, or does not answer in full."""
    request = HttpRequest(f"{address}{path}", headers={"Authorization": f"Bearer {secret}"})  # noqa: S310
    try:
        with _open(request, timeout=PATIENCE_SECONDS) as response:
            copyfileobj(response, output)
            declared = response.headers["Content-Length"]
            if declared and output.tell() != int(declared):
                raise OSError("the connection was closed before all of it had come")
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
                message = f"The server at {address} refused the events: {_detail(error)}"
                raise _refusal(error.code)(message) from error
            time.sleep(float(error.headers.get("Retry-After", "1")))
        except (URLError, HTTPException, OSError) as error:
            raise ServerAway(
                f"The server at {address} does not answer: {error}. Run the import again; nothing counts twice."
            ) from error


def _refusal(status: int) -> type[DataFolderError]:
    if status == HTTPStatus.UNAUTHORIZED:
        return KeyRefused
    return ServerAway if status >= HTTPStatus.INTERNAL_SERVER_ERROR else DataFolderError


def _detail(error: HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["detail"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return str(error)
