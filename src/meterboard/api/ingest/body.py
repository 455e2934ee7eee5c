"""Bodies of requests that send usage, received within limits of size, time and memory."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple, TypeVar

from litestar.types import Receive

from meterboard.api.ingest.workers import Workers
from meterboard.domain.access import ApiKey
from meterboard.errors import Overloaded, TooLarge, TooSlow
from meterboard.formats.compression import expand, too_large

MAX_HELD_BYTES = 128_000_000
"""Bytes of all bodies whose requests are not answered yet. Beyond it senders have to try again."""
SMALL_BODY_BYTES = 16_000_000
"""Of those, the bytes that are reserved for bodies of up to BRIEF_BYTES, so that long ones can't block them."""
MAX_SHARE = MAX_HELD_BYTES // 4
"""Bytes of the bodies of one organisation, or of all provider-wide keys: enough for the longest body, expanded."""
BRIEF_BYTES = 300_000
"""A body up to this size may be read in the event loop; a longer one in a thread, so that it doesn't delay others."""
MAX_PACKED_BYTES = 4_096
MAX_UNPACKED_BYTES = 65_536
"""A body in gzip up to these sizes, as sent and as expanded, is expanded in the event loop: it takes 1 ms at most."""

T = TypeVar("T")
MAX_LENGTH_DIGITS = 20
"""Digits of a Content-Length that are parsed as a number."""


class Pace(NamedTuple):
    """
    How fast a body has to arrive.

    Ten megabytes take 80 seconds at one megabit per second. Mobile networks are faster than the minimum rate.
    """

    grace_seconds: float = 5
    bytes_per_second: int = 16_000
    max_seconds: float = 120


class Disconnected(Exception):
    """The sender disconnected before the body was complete: no response is needed."""


class Bodies:
    """The bodies of all requests that are not answered yet. `held` is their size in bytes."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.held = 0
        self.workers = Workers()
        self.pace = pace or Pace()
        self._shares: dict[int | None, int] = {}

    def hold(self, owner: int | None, size: int, *, brief: bool) -> None:
        """Counts bytes. Raises: Overloaded: there are too many in total or of this owner."""
        self.held += size
        self._shares[owner] = self._shares.get(owner, 0) + size
        if self.held > MAX_HELD_BYTES - (0 if brief else SMALL_BODY_BYTES):
            raise Overloaded("Too many large requests at once. Try again in a second.")
        if self._shares[owner] > MAX_SHARE:
            raise Overloaded(
                f"Pending requests of this organisation exceed {MAX_SHARE:,} bytes. Try again in a second."
            )

    def release(self, owner: int | None, size: int) -> None:
        """Subtracts bytes that were counted by `hold`."""
        self.held -= size
        left = self._shares.pop(owner, 0) - size
        if left:
            self._shares[owner] = left


class Body:
    """The body of one request: a context that ends when the request is answered."""

    def __init__(self, bodies: Bodies, key: ApiKey, max_bytes: int) -> None:
        """A body of more than `max_bytes`, as sent or as expanded, is refused."""
        self._bodies = bodies
        self._owner = None if key.organization is None else key.organization.id
        self._max_bytes = max_bytes
        self._size = 0
        self._turn: AsyncExitStack | None = None

    async def __aenter__(self) -> "Body":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end_turn()
        self._bodies.release(self._owner, self._size)

    async def run(self, job: Callable[[], T], *, large: bool = False) -> T:
        """
        Runs a job in a thread, in turn with other requests of the same owner, and returns its result.

        A turn lasts from a request's first job until `end_turn`, so that only one request of an owner at a time holds
        an expanded body.
        """
        if self._turn is None:
            turn = AsyncExitStack()
            await turn.enter_async_context(self._bodies.workers.turn(self._owner))
            self._turn = turn
        return await self._bodies.workers.run(job, large=large)

    async def end_turn(self) -> None:
        """Ends the turn, so that the next request of the same owner can run jobs."""
        if self._turn is not None:
            turn, self._turn = self._turn, None
            await turn.aclose()

    async def read(self, headers: Mapping[bytes, str], receive: Receive) -> bytes:
        """
        Receives the body and returns it without compression.

        Raises: UnreadableBody. TooLarge: this body is too large. TooSlow. Overloaded: all bodies together are too large.
        Disconnected.
        """
        declared = headers.get(b"content-length", "").lstrip("0")
        # Python refuses to parse thousands of digits as a number.
        if declared.isdecimal() and (len(declared) > MAX_LENGTH_DIGITS or int(declared) > self._max_bytes):
            raise too_large(self._max_bytes)
        body = await self._receive(receive)
        encoding = headers.get(b"content-encoding", "identity").strip().lower()
        if encoding != "identity":
            packed, body = self._size, await self._expanded(body, encoding)
            self._hold(len(body))
            self._bodies.release(self._owner, packed)
            self._size -= packed
        return body

    async def _expanded(self, body: bytes, encoding: str) -> bytes:
        if encoding == "gzip" and len(body) <= MAX_PACKED_BYTES:
            try:
                return expand(body, encoding, MAX_UNPACKED_BYTES)
            except TooLarge:
                pass
        return await self.run(lambda: expand(body, encoding, self._max_bytes))

    async def _receive(self, receive: Receive) -> bytes:
        now = asyncio.get_running_loop().time
        pace, started = self._bodies.pace, now()
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout_at(started + pace.grace_seconds) as deadline:
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Disconnected
                    chunk = message.get("body", b"")
                    chunks.append(chunk)
                    self._hold(len(chunk))
                    if self._size > self._max_bytes:
                        raise too_large(self._max_bytes)
                    if not message.get("more_body", False):
                        return chunk if len(chunks) == 1 else b"".join(chunks)
                    in_time = pace.grace_seconds + self._size / pace.bytes_per_second
                    deadline.reschedule(started + min(in_time, pace.max_seconds))
        except TimeoutError:
            raise TooSlow(
                f"{self._size:,} bytes of the body arrived in {now() - started:.0f} seconds. Send at least "
                f"{pace.bytes_per_second:,} bytes a second, and the whole body in {pace.max_seconds:.0f} seconds."
            ) from None

    def _hold(self, size: int) -> None:
        self._size += size
        self._bodies.hold(self._owner, size, brief=self._size <= BRIEF_BYTES)
