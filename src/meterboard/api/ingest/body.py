"""The body of a request that sends usage, received within bounds."""

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
"""Bytes of all bodies that are not answered yet; past it senders are asked to come back."""
SMALL_BODY_BYTES = 16_000_000
"""Of those, the bytes that only bodies of up to BRIEF_BYTES may use, so that long ones leave room for them."""
MAX_SHARE = MAX_HELD_BYTES // 4
"""Bytes of the bodies of one organisation, or of all provider-wide keys: the longest body, expanded, and some more."""
BRIEF_BYTES = 300_000
"""A body up to this may be read where it arrives; a longer one in a thread, so that short requests need not wait."""
MAX_PACKED_BYTES = 4_096
MAX_UNPACKED_BYTES = 65_536
"""A body in gzip that is not longer, as sent and as expanded, is expanded where it arrives: it takes 1 ms at most."""

T = TypeVar("T")
LONGEST_NUMBER = 20
"""Digits of a Content-Length that are read as a number."""


class Pace(NamedTuple):
    """
    How fast a body has to come.

    Ten megabytes over a line of one megabit a second take 80 seconds; a mobile phone manages more than the least rate.
    """

    grace_seconds: float = 5
    bytes_per_second: int = 16_000
    most_seconds: float = 120


class Disconnected(Exception):
    """The sender has gone before the whole body had come: nobody waits for an answer."""


class Bodies:
    """Those of all requests that are not answered yet; `held` is their bytes."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.held = 0
        self.workers = Workers()
        self.pace = pace or Pace()
        self._shares: dict[int | None, int] = {}

    def hold(self, owner: int | None, size: int, *, brief: bool) -> None:
        """Count bytes. Raises: Overloaded: there are too many, of everybody or of this owner."""
        self.held += size
        self._shares[owner] = self._shares.get(owner, 0) + size
        if self.held > MAX_HELD_BYTES - (0 if brief else SMALL_BODY_BYTES):
            raise Overloaded("Too many large requests at once. Try again in a second.")
        if self._shares[owner] > MAX_SHARE:
            raise Overloaded(
                f"Pending requests of this organisation exceed {MAX_SHARE:,} bytes. Try again in a second."
            )

    def release(self, owner: int | None, size: int) -> None:
        """Bytes that were counted are not needed any more."""
        self.held -= size
        left = self._shares.pop(owner, 0) - size
        if left:
            self._shares[owner] = left


class Body:
    """One of them, of `most` bytes at most, expanded or not: a context that ends when the request is answered."""

    def __init__(self, together: Bodies, key: ApiKey, most: int) -> None:
        self._together = together
        self._owner = None if key.organization is None else key.organization.id
        self._most = most
        self._size = 0
        self._turn: AsyncExitStack | None = None

    async def __aenter__(self) -> "Body":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end_turn()
        self._together.release(self._owner, self._size)

    async def run(self, job: Callable[[], T], *, large: bool = False) -> T:
        """
        Run a job in a thread, in turn with the requests of the same owner.

        They wait from a request's first job on until its turn ends, so that only one at a time holds what it expanded.
        """
        if self._turn is None:
            turn = AsyncExitStack()
            await turn.enter_async_context(self._together.workers.turn(self._owner))
            self._turn = turn
        return await self._together.workers.run(job, large=large)

    async def end_turn(self) -> None:
        """The next request of the same owner may have its jobs run."""
        if self._turn is not None:
            turn, self._turn = self._turn, None
            await turn.aclose()

    async def read(self, headers: Mapping[bytes, str], receive: Receive) -> bytes:
        """
        The body as it was before any compression.

        Raises: UnreadableBody. TooLarge: this one. TooSlow. Overloaded: all that are being received, together.
        Disconnected.
        """
        declared = headers.get(b"content-length", "").lstrip("0")
        # Python refuses to read thousands of digits as a number.
        if declared.isdecimal() and (len(declared) > LONGEST_NUMBER or int(declared) > self._most):
            raise too_large(self._most)
        body = await self._receive(receive)
        encoding = headers.get(b"content-encoding", "identity").strip().lower()
        if encoding != "identity":
            packed, body = self._size, await self._expanded(body, encoding)
            self._hold(len(body))
            self._together.release(self._owner, packed)
            self._size -= packed
        return body

    async def _expanded(self, body: bytes, encoding: str) -> bytes:
        if encoding == "gzip" and len(body) <= MAX_PACKED_BYTES:
            try:
                return expand(body, encoding, MAX_UNPACKED_BYTES)
            except TooLarge:
                pass
        return await self.run(lambda: expand(body, encoding, self._most))

    async def _receive(self, receive: Receive) -> bytes:
        now = asyncio.get_running_loop().time
        pace, started = self._together.pace, now()
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
                    if self._size > self._most:
                        raise too_large(self._most)
                    if not message.get("more_body", False):
                        return chunk if len(chunks) == 1 else b"".join(chunks)
                    in_time = pace.grace_seconds + self._size / pace.bytes_per_second
                    deadline.reschedule(started + min(in_time, pace.most_seconds))
        except TimeoutError:
            raise TooSlow(
                f"{self._size:,} bytes of the body came in {now() - started:.0f} seconds. Send at least "
                f"{pace.bytes_per_second:,} bytes a second, and the whole body in {pace.most_seconds:.0f} seconds."
            ) from None

    def _hold(self, size: int) -> None:
        self._size += size
        self._together.hold(self._owner, size, brief=self._size <= BRIEF_BYTES)
