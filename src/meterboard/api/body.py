"""The body of a request that sends usage, received within bounds."""

import asyncio
from collections.abc import Mapping

from litestar.types import Receive

from meterboard.domain.compression import expand, too_large
from meterboard.errors import Overloaded, UnreadableBody

MAX_HELD_BYTES = 128_000_000
"""Bytes of all bodies that are not answered yet; past it senders are asked to come back."""
BRIEF_BYTES = 300_000
"""A body up to this is read where it arrives; a longer one in a thread, so that short requests need not wait for it."""


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
            raise too_large(self._most)
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise UnreadableBody("The connection was closed before the whole body had come.")
            chunk = message.get("body", b"")
            chunks.append(chunk)
            self._hold(len(chunk))
            if self._size > self._most:
                raise too_large(self._most)
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
