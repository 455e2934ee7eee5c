"""Time limits for callers that receive responses or send bodies slowly or not at all."""

import asyncio
from typing import NamedTuple, cast

from litestar.types import HTTPReceiveMessage, HTTPResponseBodyEvent, Message, Receive, Send

from meterboard.errors import TooSlow

PIECE_BYTES = 16_384
"""The size of the pieces of a response. The web server holds a piece in memory until the caller has received it."""
SEND_SECONDS = 30
"""How long a caller may take to receive a piece. Waiting longer would hold memory and files for no benefit."""
MAX_UNSENT_BYTES = 64_000_000
"""Bytes of all responses that wait for their callers. Beyond it the oldest wait at most HURRY_SECONDS."""
HURRY_SECONDS = 0.5
"""Callers that receive at all take less."""
FORM_SECONDS = 10
"""How long the body of a request that sends no usage may take to arrive: a form of the pages."""


class _Waiting(NamedTuple):
    since: float
    size: int


class Unsent:
    """The responses that wait for their callers to receive a piece."""

    def __init__(self) -> None:
        self.size = 0
        self._waiting: dict[asyncio.Timeout, _Waiting] = {}

    def in_time(self, send: Send) -> Send:
        """
        Returns a `send` that sends a response in pieces, each of which the caller has to receive in time.

        It raises CancelledError if the caller doesn't, to end the request.
        """

        async def call(message: Message) -> None:
            if message["type"] != "http.response.body":
                return await send(message)
            body, more = message.get("body", b""), message.get("more_body", False)
            if len(body) <= PIECE_BYTES and not more:
                return await send(message)  # the web server waits for the caller and holds only this piece
            for start in range(0, len(body) or 1, PIECE_BYTES):
                end = start + PIECE_BYTES
                piece: HTTPResponseBodyEvent = {
                    "type": "http.response.body",
                    "body": body[start:end],
                    "more_body": more or end < len(body),
                }
                await self._wait(send, piece, len(body))
            return None

        return call

    async def _wait(self, send: Send, piece: HTTPResponseBodyEvent, size: int) -> None:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(SEND_SECONDS) as limit:
                self._waiting[limit] = _Waiting(now, size)
                self.size += size
                try:
                    self._hurry(now)
                    await send(piece)
                finally:
                    del self._waiting[limit]
                    self.size -= size
        except TimeoutError:
            raise asyncio.CancelledError from None

    def _hurry(self, now: float) -> None:
        """Shortens the wait for the oldest responses, until the others are within MAX_UNSENT_BYTES."""
        surplus = self.size - MAX_UNSENT_BYTES
        for limit, waiting in self._waiting.items():  # the oldest first
            if surplus <= 0:
                return
            surplus -= waiting.size
            when = max(now, waiting.since + HURRY_SECONDS)
            if not limit.expired() and cast(float, limit.when()) > when:
                limit.reschedule(when)


def body_in_time(receive: Receive, seconds: float = FORM_SECONDS) -> Receive:
    """Returns a `receive` that raises TooSlow if the body is not complete after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    is_complete = False

    async def call() -> HTTPReceiveMessage:
        nonlocal is_complete
        if is_complete:  # the next message is the end of the connection
            return cast(HTTPReceiveMessage, await receive())
        try:
            async with asyncio.timeout_at(deadline):
                message = cast(HTTPReceiveMessage, await receive())
        except TimeoutError:
            raise TooSlow(f"The request did not arrive in {seconds:g} seconds.") from None
        is_complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return call
