"""The body of a request that sends usage, received and expanded within bounds."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import zstandard
from litestar.types import Receive

from meterboard.errors import Overloaded, TooLarge, UnreadableBody

MAX_HELD_BYTES = 128_000_000
"""Bytes of all bodies that are not answered yet; past it senders are asked to come back."""
BRIEF_BYTES = 300_000
"""A body up to this is read where it arrives; a longer one in a thread, so that short requests need not wait for it."""
ZSTD_WINDOW = 2**24
STEP_BYTES = 512
"""Of a compressed body, expanded at once: 16 MB at worst."""


class Bodies:
    """Those of all requests that are not answered yet, together; `held` is their bytes."""

    def __init__(self) -> None:
        self.held = 0


class Body:
    """One of them, of `most` bytes at most, expanded or not. To be let go of when the request is answered."""

    def __init__(self, together: Bodies, most: int) -> None:
        self._together = together
        self._most = most
        self._size = 0

    async def read(self, headers: Mapping[bytes, str], receive: Receive) -> bytes:
        """
        The body as it was before any compression.

        Raises: UnreadableBody. TooLarge: this one. Overloaded: all that are being received, together.
        """
        body = await self._receive(headers.get(b"content-length", ""), receive)
        encoding = headers.get(b"content-encoding", "identity").strip().lower()
        if encoding != "identity":
            body = await asyncio.to_thread(expand, body, encoding, self._most)
            self._hold(len(body))
        return body

    async def _receive(self, declared: str, receive: Receive) -> bytes:
        if declared.isdecimal() and int(declared) > self._most:
            raise _too_large(self._most)
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise UnreadableBody("The connection was closed before the whole body had come.")
            chunk = message.get("body", b"")
            chunks.append(chunk)
            self._hold(len(chunk))
            if self._size > self._most:
                raise _too_large(self._most)
            if not message.get("more_body", False):
                return chunk if len(chunks) == 1 else b"".join(chunks)

    def _hold(self, size: int) -> None:
        self._size += size
        self._together.held += size
        if self._together.held > MAX_HELD_BYTES:
            raise Overloaded("Too many large requests are being received. Send this one again in a second.")

    def let_go(self) -> None:
        """Its bytes are not needed any more."""
        self._together.held -= self._size


def expand(body: bytes, encoding: str, most: int) -> bytes:
    """
    A compressed body as it was before, of `most` bytes at most.

    Raises: UnreadableBody: not compressed that way, or cut off. TooLarge: longer than a body may be.
    """
    match encoding:
        case "gzip" | "x-gzip":
            return _expanded(body, encoding, most, lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            return _expanded(
                body,
                encoding,
                most,
                zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj,
            )
    raise UnreadableBody(f"Content-Encoding is {encoding!r}: use gzip, zstd or none.")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _expanded(body: bytes, encoding: str, most: int, start: Callable[[], _Decompressor]) -> bytes:
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
                if size > most:
                    raise _too_large(most)
                step = b""
                if stream.eof:
                    step, stream = stream.unused_data, None
    except (zlib.error, zstandard.ZstdError) as error:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: {error}.") from error
    if stream is not None:
        raise UnreadableBody(f"The body can't be expanded as {encoding}: it is cut off.")
    return b"".join(pieces)


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"The body is longer than {most:,} bytes, expanded or not. Send the events in smaller batches."
    )
