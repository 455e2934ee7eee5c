"""
POST /v1/traces: OpenTelemetry's protocol over HTTP (OTLP/HTTP), in protobuf and JSON.

Every response, including errors, has the encoding of the request, as the protocol requires.
"""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from litestar.types import HTTPScope, Receive, Send
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from meterboard.api.auth import key_of
from meterboard.api.ingest.body import BRIEF_BYTES, Bodies, Body, Disconnected
from meterboard.api.ingest.events import price
from meterboard.api.problems import log_failure, problem_of
from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_EVENTS
from meterboard.formats.json_events import Fault, each
from meterboard.formats.otlp import JSON, PROTOBUF, read_spans
from meterboard.formats.spans import NO_SOURCES, Sources, SpanCalls
from meterboard.http.answer import send_answer
from meterboard.service.access import Access
from meterboard.service.ingest.intake import Ingest, Priced, check_may_send

PATH = "/v1/traces"
MAX_BYTES = 20 * 2**20
"""The size of a body, expanded or not, that the protocol recommends: senders drop spans that are refused for size."""
CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.INVALID_ARGUMENT,
    415: Code.INVALID_ARGUMENT,
    503: Code.UNAVAILABLE,
}


SMALL_BYTES = 8_192
"""A body up to this size is read in the event loop. At worst it has 1,000 spans in JSON, which take 15 ms."""
FEW_CALLS = 100
"""Up to this many calls are priced in the event loop, which takes 2 ms."""
MANY_CALLS = 1_000
"""More calls are priced in turn with other large bodies: they take 20 ms or more."""


class Refusal(NamedTuple):
    """A response to a request of which nothing was stored."""

    status: int
    message: str
    headers: dict[str, str]


class TracesApp:
    """`POST /v1/traces` as an ASGI application of its own, like EventsApp."""

    def __init__(self, access: Access, ingest: Ingest, bodies: Bodies, sources: Sources = NO_SOURCES) -> None:
        """`sources` are the attributes that own dimensions are read from."""
        self._access = access
        self._ingest = ingest
        self._bodies = bodies
        self._sources = sources

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Accepts spans. Responds when the calls among them are durable on disk."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        encoding = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        outcome: ExportTraceServiceResponse | Refusal
        if scope["method"] != "POST":
            message = f"Method {scope['method']} not allowed for {PATH}: send traces with POST."
            outcome = Refusal(405, message, {"Allow": "POST"})
        elif encoding not in (PROTOBUF, JSON):
            outcome = Refusal(415, f"Content-Type is {encoding!r}: use {PROTOBUF} or {JSON}.", {})
        else:
            try:
                outcome = await self._accept(headers, encoding, receive)
            except Disconnected:
                return
            except Exception as error:  # noqa: BLE001  # every sender gets a response
                outcome = _refusal(error)
        await _respond(send, outcome, encoding)

    async def _accept(
        self, headers: dict[bytes, str], encoding: str, receive: Receive
    ) -> ExportTraceServiceResponse:
        key = await key_of(headers.get(b"authorization"), self._access)
        check_may_send(key)
        async with Body(self._bodies, key, MAX_BYTES) as held:
            body = await held.read(headers, receive)
            if len(body) <= SMALL_BYTES:
                calls = read_spans(body, encoding, self._sources)
            else:
                read = partial(read_spans, body, encoding, self._sources)
                calls = await held.run(read, large=len(body) > BRIEF_BYTES)
            return await self._store(key, calls, held)

    async def _store(self, key: ApiKey, calls: SpanCalls, held: Body) -> ExportTraceServiceResponse:
        """Stores calls in batches as large as a request of events may be. Duplicates of a repeated request don't count."""
        refused: list[tuple[str, str]] = []
        events = iter(calls.events)
        done = 0
        while step := list(islice(events, MAX_EVENTS)):
            priced = await self._priced(key, step, held)
            await self._ingest.store(priced)
            refused += [(calls.spans[done + each.index], each.message) for each in priced.rejected]
            done += len(step)
        response = ExportTraceServiceResponse()
        if refused:
            span, message = refused[0]
            response.partial_success.rejected_spans = len(refused)
            response.partial_success.error_message = f"{len(refused):,} of {done:,} HTTP server spans were refused; the first, span {span}: {message}"
        return response

    async def _priced(self, key: ApiKey, step: Sequence[dict[str, object] | Fault], held: Body) -> Priced:
        few = len(step) <= FEW_CALLS and self._ingest.needs_no_database(key)
        sent = each(step) if few else lambda: each(step)
        return await price(self._ingest, held, key, sent, large=len(step) > MANY_CALLS)


def _refusal(error: Exception) -> Refusal:
    """Returns the refusal for an error, with the status of the rest of the API."""
    log_failure("POST", PATH, error)
    problem = problem_of(error)
    return Refusal(problem.status, problem.detail, problem.headers)


async def _respond(send: Send, outcome: ExportTraceServiceResponse | Refusal, encoding: str) -> None:
    message: Message
    status, headers = 200, dict[str, str]()
    if isinstance(outcome, Refusal):
        status, text, headers = outcome
        message = Status(code=CODES.get(status, Code.INTERNAL), message=text)
    else:
        message = outcome
    if encoding == PROTOBUF:
        await send_answer(send, status, PROTOBUF, message.SerializeToString(), headers)
    else:
        body = json_format.MessageToJson(message, indent=None).encode()
        await send_answer(send, status, JSON, body, headers)
