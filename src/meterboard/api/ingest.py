"""POST /v1/events."""

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

import msgspec
import zstandard
from litestar.types import HTTPScope, Receive, Send

from meterboard.api.auth import HOW_TO, key_of
from meterboard.api.problems import MEDIA_TYPE, problem, problem_of
from meterboard.domain.cloudevents import (
    BATCHED,
    PREFIX,
    STRUCTURED,
    read_batch,
    read_binary,
    read_structured,
)
from meterboard.domain.event import MAX_BODY_BYTES
from meterboard.domain.wire import Sent, read_events
from meterboard.errors import Overloaded, TooLarge, Unauthenticated, UnreadableBody
from meterboard.service.access import Access
from meterboard.service.ingest import Ingest, Receipt

log = logging.getLogger("meterboard.api")

PATH = "/v1/events"

MAX_HELD_BYTES = 128_000_000
"""Bytes of all bodies that are not answered yet; past it senders are asked to come back."""
BRIEF_BYTES = 300_000
"""A body up to this is read where it arrives; a longer one in a thread, so that short requests need not wait for it."""
NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
ZSTD_WINDOW = 2**24
STEP_BYTES = 512
"""Of a compressed body, expanded at once: 16 MB at worst."""


class EventsApp:
    """
    `POST /v1/events` as an ASGI application of its own.

    It is called thousands of times a second, and routing, injection and the objects of a framework around it would
    take longer than reading, pricing and queueing its event.
    """

    def __init__(self, access: Access, ingest: Ingest) -> None:
        self._access = access
        self._ingest = ingest
        self.held = 0

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """One event, an array of them, or NDJSON. Answered when what was accepted is durable on disk."""
        if scope["method"] != "POST":
            found = problem(
                405,
                "HTTPError",
                f"{scope['method']} can't be used at {PATH}: send events with POST, list them with GET.",
            )
            return await _answer(send, found.status, MEDIA_TYPE, found.body, {"Allow": "GET, POST"})
        try:
            receipt = await self._accept(scope, receive)
        except Exception as error:  # whoever sent events must hear what became of them
            found = problem_of(error)
            if found.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                log.error("POST %s failed", PATH, exc_info=error)
            await _answer(send, found.status, MEDIA_TYPE, found.body, found.headers)
        else:
            await _answer(send, HTTPStatus.ACCEPTED, "application/json", msgspec.json.encode(receipt), {})

    async def _accept(self, scope: HTTPScope, receive: Receive) -> Receipt:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if b"authorization" not in headers:
            raise Unauthenticated(f"No key was sent. {HOW_TO}")
        key = await key_of(headers[b"authorization"], self._access)
        held = _Held(self)
        try:
            body = await self._receive(headers.get(b"content-length", ""), receive, held)
            encoding = headers.get(b"content-encoding", "identity").strip().lower()
            content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
            if encoding != "identity":
                body = await asyncio.to_thread(expand, body, encoding)
                held.more(len(body))
            read = _reader(content_type, headers)
            if len(body) <= BRIEF_BYTES:
                return await self._ingest.accept(key, read(body))
            priced = await asyncio.to_thread(lambda: self._ingest.price(key, read(body)))
            return await self._ingest.store(priced)
        finally:
            held.let_go()

    async def _receive(self, declared: str, receive: Receive, held: "_Held") -> bytes:
        """
        The body as it was sent.

        Raises: TooLarge: this one. Overloaded: all that are being received, together.
        """
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise UnreadableBody("The connection was closed before the whole body had come.")
            chunk = message.get("body", b"")
            chunks.append(chunk)
            held.more(len(chunk))
            if held.size > MAX_BODY_BYTES:
                raise _too_large()
            if not message.get("more_body", False):
                return chunk if len(chunks) == 1 else b"".join(chunks)


class _Held:
    """The bytes that one request holds, counted against those of all together."""

    def __init__(self, app: EventsApp) -> None:
        self._app = app
        self.size = 0

    def more(self, size: int) -> None:
        """Raises: Overloaded: it is too much for all together."""
        self.size += size
        self._app.held += size
        if self._app.held > MAX_HELD_BYTES:
            raise Overloaded("Too many large requests are being received. Send this one again in a second.")

    def let_go(self) -> None:
        self._app.held -= self.size


def _reader(content_type: str, headers: Mapping[bytes, str]) -> Callable[[bytes], Sent]:
    """How a body is to be read."""
    if content_type == STRUCTURED:
        return read_structured
    if content_type == BATCHED:
        return read_batch
    if b"ce-specversion" in headers:
        attributes = {
            name.decode("latin-1").removeprefix(PREFIX): unquote(value)
            for name, value in headers.items()
            if name.startswith(PREFIX.encode())
        }
        return partial(read_binary, attributes=attributes)
    return partial(read_events, ndjson=content_type in NDJSON_TYPES)


async def _answer(send: Send, status: int, media_type: str, body: bytes, more: Mapping[str, str]) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in more.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def expand(body: bytes, encoding: str) -> bytes:
    """
    A compressed body as it was before.

    Raises: UnreadableBody: not compressed that way, or cut off. TooLarge: longer than a body may be.
    """
    match encoding:
        case "gzip" | "x-gzip":
            return _expanded(body, encoding, lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            return _expanded(
                body,
                encoding,
                zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj,
            )
    raise UnreadableBody(f"Content-Encoding is {encoding!r}: use gzip, zstd or none.")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _expanded(body: bytes, encoding: str, start: Callable[[], _Decompressor]) -> bytes:
    """One stream after the other, each to its end, in steps that can't expand to much at once."""
    pieces: list[bytes] = []
    size = 0
    stream: _Decompressor | None = None
    try:
        for position in range(0, len(body), STEP_BYTES):
            step = body[position : position + STEP_BYTES]
            while step:
                stream = stream or start()
                piece = stream.decompress(step)
                pieces.append(piece)
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                step = b""
                if stream.eof:
                    step, stream = stream.unused_data, None
    except (zlib.error, zstandard.ZstdError) as error:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: {error}.") from error
    if stream is not None:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: it is cut off.")
    return b"".join(pieces)


def _too_large() -> TooLarge:
    return TooLarge(
        f"The body is longer than {MAX_BODY_BYTES:,} bytes, expanded or not. Send the events in smaller batches."
    )
