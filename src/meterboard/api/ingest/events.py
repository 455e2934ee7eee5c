"""POST /v1/events."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import unquote

import msgspec
from litestar.types import HTTPScope, Receive, Send

from meterboard.api.auth import key_of
from meterboard.api.ingest.body import BRIEF_BYTES, Bodies, Body, Disconnected
from meterboard.api.problems import log_failure, problem, problem_of
from meterboard.domain.access import ApiKey
from meterboard.domain.event import MAX_BODY_BYTES
from meterboard.errors import UnreadableBody
from meterboard.formats.cloudevents import (
    BATCHED,
    NO_SOURCES,
    OTHER_FORMATS,
    PREFIX,
    STRUCTURED,
    Sources,
    read_batch,
    read_binary,
    read_structured,
)
from meterboard.formats.json_events import Sent, read_events, read_valid_events
from meterboard.http.answer import send_answer
from meterboard.http.problem import MEDIA_TYPE
from meterboard.service.access import Access
from meterboard.service.ingest.intake import Ingest, Priced, Receipt, check_may_send

PATH = "/v1/events"

NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


SMALL_BYTES = 4_096
"""A body up to this is read where it arrives, whatever is in it: at worst 2,000 wrong events, each refused in 8 us."""
LOOP_SECONDS = 0.01
"""How long the events of a body are priced where it arrived; what is left then is priced in a thread."""


class EventsApp:
    """
    `POST /v1/events` as an ASGI application of its own.

    It is called thousands of times a second, and routing, injection and the objects of a framework around it would
    take longer than reading, pricing and queueing its event.
    """

    def __init__(self, access: Access, ingest: Ingest, bodies: Bodies, sources: Sources = NO_SOURCES) -> None:
        """`sources` are the extensions of CloudEvents that own dimensions are taken from."""
        self._access = access
        self._ingest = ingest
        self._bodies = bodies
        self._sources = sources

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """One event, an array of them, or NDJSON. Answered when what was accepted is durable on disk."""
        if scope["method"] != "POST":
            found = problem(
                405,
                "HTTPError",
                f"{scope['method']} can't be used at {PATH}: send events with POST, list them with GET.",
            )
            return await send_answer(send, found.status, MEDIA_TYPE, found.body, {"Allow": "GET, POST"})
        try:
            receipt = await self._accept(scope, receive)
        except Disconnected:
            return None
        except Exception as error:  # noqa: BLE001  # whoever sent events must hear what became of them
            found = problem_of(error)
            log_failure("POST", PATH, error)
            await send_answer(send, found.status, MEDIA_TYPE, found.body, found.headers)
        else:
            await send_answer(send, HTTPStatus.ACCEPTED, "application/json", msgspec.json.encode(receipt))

    async def _accept(self, scope: HTTPScope, receive: Receive) -> Receipt:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        key = await key_of(headers.get(b"authorization"), self._access)
        check_may_send(key)
        async with Body(self._bodies, key, MAX_BODY_BYTES) as held:
            body = await held.read(headers, receive)
            content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
            read = _reader(content_type, headers, self._sources)
            sent = self._read_here(key, body, read)
            large = len(body) > BRIEF_BYTES
            priced = await price(self._ingest, held, key, sent or (lambda: read(body)), large=large)
            await held.end_turn()
            return await self._ingest.store(priced)

    def _read_here(self, key: ApiKey, body: bytes, read: Callable[[bytes], Sent]) -> Sent | None:
        """What a brief body carries; None where that takes long to find out."""
        if not self._ingest.needs_no_database(key):
            return None
        if len(body) <= SMALL_BYTES:
            return read(body)
        return read_valid_events(body) if len(body) <= BRIEF_BYTES and read is read_json else None


async def price(
    ingest: Ingest, held: Body, key: ApiKey, sent: Sent | Callable[[], Sent], *, large: bool
) -> Priced:
    """
    What events are and cost: worked out here as far as that is quick, else in a thread.

    `sent` is called in the thread where it is not known yet; it is not known when pricing needs the database.
    """
    if isinstance(sent, Sent):
        pricing = ingest.pricing(key, sent)
        if pricing.price_for(LOOP_SECONDS):
            return pricing.result()
        job = pricing.price_all
    else:
        job = lambda: ingest.price(key, sent())  # noqa: E731
    return await held.run(job, large=large)


def _reader(content_type: str, headers: Mapping[bytes, str], sources: Sources) -> Callable[[bytes], Sent]:
    """How a body is to be read. Raises: UnreadableBody: it can't be, in that format."""
    if content_type == STRUCTURED:
        return partial(read_structured, sources=sources)
    if content_type == BATCHED:
        return partial(read_batch, sources=sources)
    if content_type.startswith(OTHER_FORMATS):
        raise UnreadableBody(
            f"Content-Type is {content_type}: send CloudEvents as {STRUCTURED} or {BATCHED}."
        )
    if b"ce-specversion" in headers:
        attributes = {
            name.decode("latin-1").removeprefix(PREFIX): unquote(value)
            for name, value in headers.items()
            if name.startswith(PREFIX.encode())
        }
        return partial(read_binary, attributes=attributes, sources=sources)
    return read_lines if content_type in NDJSON_TYPES else read_json


read_json = partial(read_events, ndjson=False)
read_lines = partial(read_events, ndjson=True)
