"""POST /v1/events."""

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from io import BytesIO
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
"""Bytes of all bodies that are being received or read; past it senders are asked to come back."""
BRIEF_BYTES = 300_000
"""A body up to this is read where it arrives; a longer one in a thread, so that short requests need not wait for it."""
NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
ZSTD_WINDOW = 2**24


class EventsApp:
    """
    `POST /v1/events` as an ASGI application of its own.

    It is called thousands of times a second, and routing, injection and the objects of a framework around it would
    take longer than reading, pricing and queueing its event.
    """

    def __init__(self, access: Access, ingest: Ingest) -> None:
        self._access = access
        self._ingest = ingest
        self._held = 0

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """One event, an array of them, or NDJSON. Answered when what was accepted is durable on disk."""
        if scope["method"] != "POST":
            found = problem(
                405, "HTTPError", f"{scope['method']} can't be used at {PATH}: send events with POST."
            )
            return await _answer(send, found.status, MEDIA_TYPE, found.body, {"Allow": "POST"})
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
        body = await self._receive(headers.get(b"content-length", ""), receive)
        encoding = headers.get(b"content-encoding", "identity").strip().lower()
        content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if encoding != "identity":
            body = await asyncio.to_thread(expand, body, encoding)
        read = _reader(content_type, headers)
        sent = read(body) if len(body) <= BRIEF_BYTES else await asyncio.to_thread(read, body)
        return await self._ingest.accept(key, sent)

    async def _receive(self, declared: str, receive: Receive) -> bytes:
        """
        The body as it was sent.

        Raises: TooLarge: this one. Overloaded: all that are being received, together.
        """
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise UnreadableBody("The connection was closed before the whole body had come.")
                chunk = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                self._held += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                if self._held > MAX_HELD_BYTES:
                    raise Overloaded(
                        "Too many large requests are being received. Send this one again in a second."
                    )
                if not message.get("more_body", False):
                    return chunk if len(chunks) == 1 else b"".join(chunks)
        finally:
            self._held -= size


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
    try:
        match encoding:
            case "gzip" | "x-gzip":
                expanded = _gunzip(body)
            case "zstd":
                reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
                expanded = reader.stream_reader(BytesIO(body), read_across_frames=True).read(
                    MAX_BODY_BYTES + 1
                )
            case _:
                raise UnreadableBody(f"Content-Encoding is {encoding!r}: use gzip, zstd or none.")
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: {error}.") from error
    if len(expanded) > MAX_BODY_BYTES:
        raise _too_large()
    return expanded


def _gunzip(body: bytes) -> bytes:
    expanded = b""
    while body:
        member = zlib.decompressobj(wbits=31)
        expanded += member.decompress(body, MAX_BODY_BYTES + 1 - len(expanded))
        if len(expanded) > MAX_BODY_BYTES:
            break
        if not member.eof:
            raise EOFError("it is cut off")
        body = member.unused_data
    return expanded


def _too_large() -> TooLarge:
    return TooLarge(
        f"The body is longer than {MAX_BODY_BYTES:,} bytes, expanded or not. Send the events in smaller batches."
    )
