"""Cancellation of requests whose caller has disconnected."""

import asyncio
from contextlib import suppress

from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Send


async def while_connected(app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """
    Runs a request without a body, and cancels it when the caller disconnects.

    Requests that change something must not be run by it: they are completed even if their caller disconnects.
    """
    is_complete = False
    left = asyncio.Event()
    begun = False

    async def receive_nothing() -> HTTPReceiveMessage:
        nonlocal begun
        if begun:
            await left.wait()
            return {"type": "http.disconnect"}
        begun = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send_and_note(message: Message) -> None:
        nonlocal is_complete
        await send(message)
        is_complete = message["type"] == "http.response.body" and not message.get("more_body")

    answering: asyncio.Task[None] = asyncio.create_task(app(scope, receive_nothing, send_and_note))  # type: ignore[arg-type]
    leaving = asyncio.create_task(_wait_until_left(receive))
    try:
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not is_complete and not answering.done():
            answering.cancel()
        left.set()
        with suppress(asyncio.CancelledError):
            await answering
    finally:
        leaving.cancel()
        answering.cancel()


async def _wait_until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # a body that the request should not have
