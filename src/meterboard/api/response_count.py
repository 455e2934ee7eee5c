"""An ASGI application whose responses are counted by status."""

from collections.abc import Callable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


def count_responses(app: ASGIApp, answered: Callable[[int], None]) -> ASGIApp:
    """Returns an application that calls `answered` with the status of each HTTP response."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered(message["status"])
            await send(message)

        await app(scope, receive, watch if scope["type"] == ScopeType.HTTP else send)

    return call
