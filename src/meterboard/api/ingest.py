"""POST /v1/events."""

import asyncio
import zlib
from io import BytesIO
from typing import Any

import msgspec
import zstandard
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec

from meterboard.api.auth import provide_key
from meterboard.domain.event import MAX_BODY_BYTES
from meterboard.domain.wire import read_events
from meterboard.errors import Overloaded, TooLarge, UnreadableBody
from meterboard.service.access import Access
from meterboard.service.ingest import Ingest, Receipt

MAX_HELD_BYTES = 128_000_000
"""Bytes of all bodies that are being received or read; past it senders are asked to come back."""
BRIEF_BYTES = 300_000
"""A body up to this is read where it arrives; a longer one in a thread, so that short requests need not wait for it."""
NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
ZSTD_WINDOW = 2**24


class Bodies:
    """Receives bodies within the limits of each and of all together."""

    def __init__(self) -> None:
        self._held = 0

    async def receive(self, request: Request[Any, Any, Any]) -> bytes:
        """
        The request's body as it was sent.

        Raises: TooLarge: this one. Overloaded: all of them together.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                self._held += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                if self._held > MAX_HELD_BYTES:
                    raise Overloaded(
                        "Too many large requests are being received. Send this one again in a second."
                    )
        finally:
            self._held -= size
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def events_route(access: Access, ingest: Ingest) -> HTTPRouteHandler:
    """
    The route on its services, which it holds itself: it is called thousands of times a second, and looking the same
    services up for every request by injection takes longer than reading, pricing and queueing its event.
    """
    bodies = Bodies()

    @post(
        "/v1/events",
        status_code=202,
        summary="Send usage events",
        tags=["Events"],
        responses={202: ResponseSpec(Receipt, description="What was accepted is durable on disk.")},
    )
    async def send_events(request: Request[Any, Any, Any]) -> Response[bytes]:
        """One event, an array of them, or NDJSON. Answered when what was accepted is durable on disk."""
        key = await provide_key(request, access)
        body = await bodies.receive(request)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if encoding != "identity":
            body = await asyncio.to_thread(expand, body, encoding)
        ndjson = content_type in NDJSON_TYPES
        if len(body) <= BRIEF_BYTES:
            receipt = await ingest.accept(key, read_events(body, ndjson=ndjson))
        else:
            receipt = await ingest.accept(key, await asyncio.to_thread(read_events, body, ndjson=ndjson))
        return Response(msgspec.json.encode(receipt), media_type="application/json", status_code=202)

    return send_events


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
