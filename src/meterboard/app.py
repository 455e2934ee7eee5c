"""The ASGI application: the API and the pages on running services."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from meterboard import __version__
from meterboard.api.disconnect import while_connected
from meterboard.api.ingest.body import Bodies
from meterboard.api.ingest.events import PATH as EVENTS_PATH
from meterboard.api.ingest.events import EventsApp
from meterboard.api.ingest.traces import PATH as TRACES_PATH
from meterboard.api.ingest.traces import TracesApp
from meterboard.api.problems import on_http_exception
from meterboard.api.response_count import count_responses
from meterboard.api.routes import PROBLEMS, api
from meterboard.api.schema.document import EventSchema
from meterboard.api.slow_callers import Unsent, body_in_time
from meterboard.services import Services
from meterboard.web.live import Counters
from meterboard.web.origin import PUBLIC_URL
from meterboard.web.routes import on_missing_page, pages

HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every API response: caches must not store usage, and browsers must not guess its type."""


def asgi(services: Services) -> ASGIApp:
    """Returns the application for running services. It doesn't close them."""
    services.meter.run(lambda store, _: store.warm_up()).result()
    bodies, unsent = Bodies(), Unsent()
    direct: dict[str, Callable[[HTTPScope, Receive, Send], Awaitable[None]]] = {
        EVENTS_PATH: EventsApp(services.access, services.ingest, bodies, services.dimension_extensions),
        TRACES_PATH: TracesApp(services.access, services.ingest, bodies, services.dimension_attributes),
    }
    framework = litestar(services)
    turn = asyncio.Lock()

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if "method" not in scope:  # a socket, or the start of the server
            await framework(scope, receive, send)
            return
        http = cast(HTTPScope, scope)
        send = unsent.in_time(send)
        if http["path"].startswith("/v1/"):
            send = _with_headers(send)
        app = direct.get(http["path"])
        # GET /v1/events, which lists events, is a route of the framework.
        if app and (http["method"] != "GET" or http["path"] != EVENTS_PATH):
            await app(http, receive, send)
            return
        # The framework takes a millisecond per request. Only one starts in each turn of the event loop, so that a
        # thousand that arrive together don't delay the next request that sends events.
        async with turn:
            await asyncio.sleep(0)
        if http["method"] == "GET":
            await while_connected(framework, http, receive, send)
        else:
            await framework(http, body_in_time(receive), send)

    return count_responses(route, services.health.answered)


def _with_headers(send: Send) -> Send:
    """Returns a `send` that adds the headers of every API response."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *HEADERS]
        await send(message)

    return add


def litestar(services: Services) -> Litestar:
    """Returns the framework's application: all routes except those that receive events."""
    dependencies = {
        "access": services.access,
        "dimensions": services.dimensions,
        "counters": Counters(services.live_credits, services.reads),
        "exports": services.exports,
        "health": services.health,
        "instance_secret": services.instance_secret,
        "live_credits": services.live_credits,
        "metrics_for": services.settings.metrics,
        "reads": services.reads,
        "statistics": services.statistics,
        "verify": services.verify,
    }
    return Litestar(
        route_handlers=[*api(), *pages(services.dimensions)],
        dependencies={name: _provide(value) for name, value in dependencies.items()},
        exception_handlers={**PROBLEMS, HTTPException: _on_http_exception},
        openapi_config=OpenAPIConfig(
            title="Meterboard",
            version=__version__,
            path="/schema",
            render_plugins=[EventSchema(services.dimensions, paths=("/", "/openapi.json"))],
        ),
        request_max_body_size=None,
        state=State({PUBLIC_URL: services.settings.public_url}),
        logging_config=None,
    )


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Returns an error page to a browser, and a problem document to a program."""
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
        return on_missing_page(request, error)
    return on_http_exception(request, error)


def _provide(value: object) -> Provide:
    return Provide(lambda: value, use_cache=True, sync_to_thread=False)
