"""Handing imported events on: to this process's own meter, or to the server that holds the data folder."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BytesIO
from shutil import copyfileobj
from typing import IO, NamedTuple

import msgspec

from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_BODY_BYTES, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.domain.schedule import CreditSchedule
from meterboard.domain.wire import Sent
from meterboard.errors import DataFolderError
from meterboard.importers.fields import Wanted
from meterboard.service.calls import Calls, Outcome
from meterboard.service.ingest import Ingest, Receipt
from meterboard.service.refresh import Refresh
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


class FolderServer(NamedTuple):
    """
    The server that holds the data folder.

    `connect` opens a connection on which it has proved itself; None: no server runs. Each request has one of its own,
    since the server may be killed between two, and another program listen on its port.
    """

    connect: Callable[[], HTTPConnection | None]
    secret: str

    @contextmanager
    def ask(self, method: str, path: str, body: bytes | None = None) -> Iterator[HTTPResponse]:
        """Sends a request with the key. Raises: ServerAway: the server does not answer, or not in full."""
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        try:
            connection = self.connect()
            if connection is None:
                raise ConnectionError("no server runs on the data folder")
            with closing(connection):
                connection.sock.settimeout(PATIENCE_SECONDS)
                connection.request(method, path, body, headers)
                yield connection.getresponse()
        except (HTTPException, OSError) as error:
            raise ServerAway(f"The server does not answer: {error}.") from error


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


def calls_to_server(server: FolderServer) -> Delivery:
    """Deliver calls over HTTP, in requests that the server will take."""

    def deliver(calls: Calls) -> Outcome:
        events = _events(calls)
        outcome = Outcome()
        for at in range(0, len(events), _AT_ONCE):
            outcome = outcome.and_then(_send(server, events[at : at + _AT_ONCE]))
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
    whos = [_members(UsageEvent(application=application, user=user)) for application, user in calls.whos]
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


def _send(server: FolderServer, events: Sequence[bytes]) -> Outcome:
    body = b"[" + b",".join(events) + b"]"
    if len(body) > MAX_BODY_BYTES and len(events) > 1:
        half = len(events) // 2
        return _send(server, events[:half]).and_then(_send(server, events[half:]))
    return _outcome(_post(server, body))


def ask_server(server: FolderServer) -> Verification:
    """What the server finds when it checks the organisation of a key."""
    content = BytesIO()
    download(server, "/v1/verify", content)
    return msgspec.json.decode(content.getvalue(), type=Verification)


def download(server: FolderServer, path: str, output: IO[bytes]) -> None:
    """Writes what the server answers. Raises: DataFolderError: it refuses, or does not answer in full."""
    with server.ask("GET", path) as response:
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise DataFolderError(f"The server refused: {_detail(response)}")
        copyfileobj(response, output)
        declared = response.headers["Content-Length"]
        if declared and output.tell() != int(declared):
            raise OSError("the connection was closed before all of it had come")


def _post(server: FolderServer, body: bytes) -> Receipt:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with server.ask("POST", "/v1/events", body) as response:
                if response.status < HTTPStatus.BAD_REQUEST:
                    return msgspec.json.decode(response.read(), type=Receipt)
                status, detail = response.status, _detail(response)
                pause = float(response.headers.get("Retry-After", "1"))
        except ServerAway as error:
            raise ServerAway(f"{error} Run the import again; nothing counts twice.") from error
        if status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > give_up:
            raise _refusal(status)(f"The server refused the events: {detail}")
        time.sleep(pause)


def _refusal(status: int) -> type[DataFolderError]:
    if status == HTTPStatus.UNAUTHORIZED:
        return KeyRefused
    return ServerAway if status >= HTTPStatus.INTERNAL_SERVER_ERROR else DataFolderError


def _detail(response: HTTPResponse) -> str:
    try:
        return str(msgspec.json.decode(response.read())["detail"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return f"status {response.status} {response.reason}"
