"""An installation whose server runs: commands use its API, since only one process can hold the usage store."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import urlencode

import msgspec

from meterboard.client.backoff import Backoff
from meterboard.client.transport import NoResponse, Response
from meterboard.commands.host.keys import TemporaryKeys
from meterboard.commands.host.transport import FolderTransport
from meterboard.domain.event import MAX_BODY_BYTES, UsageEvent
from meterboard.domain.organization import Organization
from meterboard.domain.period import EPOCH, INSTANT
from meterboard.domain.query import DimensionName
from meterboard.errors import MeterboardError, ServerAway, ServerRefused
from meterboard.importers.delivery import BATCH_EVENTS, Delivery, outcome_of
from meterboard.importers.reading.fields import ParseOptions
from meterboard.network.running_server import Running
from meterboard.service.export import FileFormat
from meterboard.service.ingest.calls import Calls, Outcome
from meterboard.service.ingest.intake import Receipt
from meterboard.service.verify import Verification

PATIENCE_SECONDS = 60.0
"""How long the server may take to respond, and how long requests to a busy one are repeated."""
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class RemoteHost:
    """The server that holds a data folder. Each connection begins with its proof: see FolderTransport."""

    def __init__(self, data: Path, running: Running, keys: TemporaryKeys) -> None:
        self._data = data
        self._running = running
        self._keys = keys

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # each request closes its own connection

    @property
    def holds_store(self) -> bool:
        return False

    @property
    def address(self) -> str:
        return self._running.address

    def usage_status(self) -> str:
        return f"held by the server at {self.address}, process {self._running.pid}"

    def port_status(self) -> str:
        return "in use by the server"

    def verify(self, organization: Organization) -> Verification:
        secret = self._keys.secret(organization, "read")
        with closing(self._transport(secret)) as transport:
            answer = self._ask(secret, partial(transport.get, "/v1/verify"))
        return msgspec.json.decode(answer.body, type=Verification)

    def export(
        self,
        organization: Organization,
        *,
        period: str,
        columns: Sequence[DimensionName],
        form: FileFormat,
        output: IO[bytes],
    ) -> None:
        query = urlencode({"period": period, "columns": ",".join(columns), "format": form})
        secret = self._keys.secret(organization, "read")
        with closing(self._transport(secret)) as transport:
            self._ask(secret, partial(transport.download, f"/v1/statistics/table?{query}", output))

    @contextmanager
    def bulk_import(self, organization: Organization) -> Iterator[Delivery]:
        secret = self._keys.secret(organization, "ingest")
        with closing(self._transport(secret)) as transport:
            yield Delivery(partial(self._send_calls, secret, transport), ParseOptions())

    def deliver(self, organization: Organization, calls: Calls) -> Outcome:
        secret = self._keys.secret(organization, "ingest")
        with closing(self._transport(secret)) as transport:
            return self._send_calls(secret, transport, calls)

    def _transport(self, secret: str) -> FolderTransport:
        return FolderTransport(self._data, secret, PATIENCE_SECONDS)

    def _send_calls(self, secret: str, transport: FolderTransport, calls: Calls) -> Outcome:
        events = _as_json(calls)
        outcome = Outcome()
        for start in range(0, len(events), BATCH_EVENTS):
            outcome = outcome.and_then(
                self._send_events(secret, transport, events[start : start + BATCH_EVENTS])
            )
        return outcome

    def _send_events(self, secret: str, transport: FolderTransport, events: Sequence[bytes]) -> Outcome:
        body = b"[" + b",".join(events) + b"]"
        if len(body) > MAX_BODY_BYTES and len(events) > 1:
            half = len(events) // 2
            first = self._send_events(secret, transport, events[:half])
            return first.and_then(self._send_events(secret, transport, events[half:]))
        try:
            answer = self._ask(secret, partial(transport.post, "/v1/events", body))
        except ServerAway as error:
            raise ServerAway(f"{error} Run the import again; nothing is counted twice.") from error
        return outcome_of(msgspec.json.decode(answer.body, type=Receipt))

    def _ask(self, secret: str, send: Callable[[], Response]) -> Response:
        """Sends a request, again while the server is busy. Raises: ServerRefused. ServerAway: it does not respond."""
        backoff = Backoff()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = send()
            except NoResponse as error:
                raise ServerAway(
                    f"The server at {self.address} does not answer: {error.__cause__ or error}."
                ) from error
            if answer.status < HTTPStatus.BAD_REQUEST:
                return answer
            if answer.status not in BUSY or time.monotonic() > deadline:
                raise self._refusal(secret, answer)
            time.sleep(backoff.next_delay(answer.retry_after))

    def _refusal(self, secret: str, answer: Response) -> MeterboardError:
        message = f"The server at {self.address} refused: {_detail(answer)}"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._keys.discard_if_revoked(secret)
            return ServerRefused(message)
        is_away = answer.status in BUSY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return ServerAway(message) if is_away else ServerRefused(message)


def _as_json(calls: Calls) -> list[bytes]:
    """Returns each call as JSON. What calls have in common is encoded once."""
    kinds = [_members(event) for event, _ in calls.kinds]
    callers = [_members(UsageEvent(**caller)) for caller in calls.caller_fields()]
    origins = [_members(UsageEvent(ip=ip)) for ip in calls.origins]
    quoted = msgspec.json.encode
    codes = zip(calls.kind, calls.caller, calls.origin, strict=True)
    return [
        b'{"id":%b,"time":%b%b%b%b}'
        % (quoted(name), quoted(EPOCH + INSTANT * time), kinds[kind], callers[caller], origins[origin])
        for name, time, (kind, caller, origin) in zip(calls.ids(), calls.times, codes, strict=True)
    ]


def _members(event: UsageEvent) -> bytes:
    """Returns the fields of an event that are set, each with a comma in front."""
    fields = msgspec.json.encode(event)[1:-1]
    return b"," + fields if fields else b""


def _detail(answer: Response) -> str:
    try:
        return str(msgspec.json.decode(answer.body)["detail"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return f"status {answer.status}."
