"""
One API in every framework, counted by the middleware, behind a real server.

    GET  /health                            not counted
    GET  /crm/v8/Leads                      carries 3 records
    GET  /crm/v8/Leads/{id}
    POST /crm/v8/Leads/{id}/actions/convert 201
    GET  /crm/v8/broken                     fails
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import uvicorn
import waitress.server

from meterboard.client.middleware import asgi, wsgi
from meterboard.client.middleware.call import Recorder
from tests.server import free_port
from tests.waiting import eventually

Api = Callable[..., Any]
"""Makes the application from a meter and the middleware's options."""


def header(scope: Any, name: str) -> str | None:
    for key, value in scope["headers"]:
        if key == name.encode():
            return str(value.decode())
    return None


ASGI_FIELDS: dict[str, Any] = {
    "application": lambda scope: header(scope, "x-application"),
    "user": lambda scope: header(scope, "x-user"),
    "records": lambda scope: scope.get("records"),
}
WSGI_FIELDS: dict[str, Any] = {
    "application": lambda environ: environ.get("HTTP_X_APPLICATION"),
    "user": lambda environ: environ.get("HTTP_X_USER"),
    "records": lambda environ: environ.get("records"),
}
DJANGO_FIELDS: dict[str, Any] = {
    "application": lambda request: request.headers.get("X-Application"),
    "user": lambda request: request.headers.get("X-User"),
    "records": lambda request: getattr(request, "records", None),
}


class Broken(Exception):
    """What the handlers fail with."""


def starlette(meter: Recorder, **options: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    def some(request: Request) -> PlainTextResponse:
        request.scope["records"] = 3
        return PlainTextResponse("some")

    def one(request: Request) -> PlainTextResponse:
        return PlainTextResponse("one")

    def convert(request: Request) -> PlainTextResponse:
        return PlainTextResponse("converted", 201)

    def broken(request: Request) -> PlainTextResponse:
        raise Broken

    leads = [
        Route("/", some),
        Route("/{id:int}", one),
        Route("/{id:int}/actions/convert", convert, methods=["POST"]),
    ]
    return Starlette(
        routes=[
            Route("/health", one),
            Route("/crm/v8/Leads", some),
            Mount("/crm/v8", routes=[Mount("/Leads", routes=leads), Route("/broken", broken)]),
        ],
        middleware=[Middleware(asgi.MeterMiddleware, meter=meter, **ASGI_FIELDS | options)],
    )


def fastapi(meter: Recorder, **options: Any) -> Any:
    from fastapi import APIRouter, FastAPI, Request

    app, version, leads = FastAPI(), APIRouter(prefix="/v8"), APIRouter(prefix="/Leads")

    @app.get("/health")
    def health() -> str:
        return "well"

    @leads.get("")
    async def some(request: Request) -> str:
        request.scope["records"] = 3
        return "some"

    @leads.get("/{id}")
    def one(id: int) -> str:
        return "one"

    @leads.post("/{id}/actions/convert", status_code=201)
    def convert(id: int) -> str:
        return "converted"

    @version.get("/broken")
    async def broken() -> str:
        raise Broken

    version.include_router(leads)
    app.include_router(version, prefix="/crm")
    app.add_middleware(asgi.MeterMiddleware, meter=meter, **ASGI_FIELDS | options)
    return app


def litestar(meter: Recorder, **options: Any) -> Any:
    from litestar import Litestar, Request, Router, get, post
    from litestar.params import FromPath

    @get("/health", sync_to_thread=False)
    def health() -> str:
        return "well"

    @get("/", sync_to_thread=False)
    def some(request: Request[Any, Any, Any]) -> str:
        request.scope["records"] = 3  # type: ignore[typeddict-unknown-key]
        return "some"

    @get("/{record_id:int}", sync_to_thread=False)
    def one(record_id: FromPath[int]) -> str:
        return "one"

    @post("/{record_id:int}/actions/convert", sync_to_thread=False)
    def convert(record_id: FromPath[int]) -> str:
        return "converted"

    @get("/crm/v8/broken", sync_to_thread=False)
    def broken() -> str:
        raise Broken

    leads = Router("/crm/v8/Leads", route_handlers=[some, one, convert])
    app = Litestar([health, leads, broken], openapi_config=None, logging_config=None)
    return asgi.MeterMiddleware(app, meter, **ASGI_FIELDS | options)  # type: ignore[arg-type]


def flask(meter: Recorder, **options: Any) -> Any:
    from flask import Blueprint, Flask, request

    app, leads = Flask("api"), Blueprint("leads", "leads")

    @app.get("/health")
    def health() -> str:
        return "well"

    @leads.get("")
    def some() -> str:
        request.environ["records"] = 3
        return "some"

    @leads.get("/<int:record_id>")
    def one(record_id: int) -> str:
        return "one"

    @leads.post("/<int:record_id>/actions/convert")
    def convert(record_id: int) -> tuple[str, int]:
        return "converted", 201

    @app.get("/crm/v8/broken")
    def broken() -> str:
        raise Broken

    app.register_blueprint(leads, url_prefix="/crm/v8/Leads")
    app.wsgi_app = wsgi.MeterMiddleware(app.wsgi_app, meter, **WSGI_FIELDS | options)  # type: ignore[method-assign]
    return app


def _django(meter: Recorder, options: dict[str, Any]) -> None:
    """A project whose settings name the middleware, as all do."""
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import include, path, re_path

    from meterboard.client.middleware.django import meter_middleware

    def some(request: HttpRequest) -> HttpResponse:
        request.records = 3
        return HttpResponse("some")

    def one(request: HttpRequest, record_id: int | str = 0) -> HttpResponse:
        return HttpResponse("one")

    def convert(request: HttpRequest, record_id: int) -> HttpResponse:
        return HttpResponse("converted", status=201)

    def broken(request: HttpRequest) -> HttpResponse:
        raise Broken

    leads = [
        path("", some),
        path("/<int:record_id>/actions/convert", convert),
        re_path("^/(?P<record_id>[0-9]+)$", one),
    ]
    project = ModuleType("tests.client.project")
    project.__dict__["urlpatterns"] = [
        path("health", one),
        path("crm/v8/Leads", include(leads)),
        path("crm/v8/broken", broken),
    ]
    project.__dict__["metering"] = meter_middleware(meter, **DJANGO_FIELDS | options)
    import sys

    sys.modules["tests.client.project"] = project
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="tests.client.project",
            MIDDLEWARE=["tests.client.project.metering"],
            ALLOWED_HOSTS=["127.0.0.1"],
            SECRET_KEY="for tests",
            LOGGING_CONFIG=None,
        )
        import django

        django.setup()
    from django.urls import clear_url_caches

    clear_url_caches()


def django_wsgi(meter: Recorder, **options: Any) -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    _django(meter, options)
    return WSGIHandler()


def django_asgi(meter: Recorder, **options: Any) -> Any:
    from django.core.handlers.asgi import ASGIHandler

    _django(meter, options)
    return ASGIHandler()


ASGI: list[Api] = [starlette, fastapi, litestar, django_asgi]
WSGI: list[Api] = [flask, django_wsgi]


@contextmanager
def served(api: Api, meter: Recorder, **options: Any) -> Iterator[str]:
    """An API behind uvicorn or waitress: its address."""
    with served_as("asgi" if api in ASGI else "wsgi", api(meter, **options)) as url:
        yield url


@contextmanager
def served_as(kind: str, app: Any) -> Iterator[str]:
    """An application of a kind behind a real server: its address."""
    with _uvicorn(app) if kind == "asgi" else _waitress(app) as url:
        yield url


@contextmanager
def _uvicorn(app: Any) -> Iterator[str]:
    port = free_port()
    config = uvicorn.Config(
        app, port=port, log_config=None, lifespan="off", proxy_headers=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _waitress(app: Any) -> Iterator[str]:
    server = waitress.server.create_server(
        app, host="127.0.0.1", port=0, threads=4, clear_untrusted_proxy_headers=False
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        with suppress(OSError):  # another wake-up came first, so that it is closed already
            server.trigger.pull_trigger(lambda: [each.close() for each in list(server._map.values())])
        thread.join()
        server.task_dispatcher.shutdown()
