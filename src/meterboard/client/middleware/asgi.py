"""Records the calls of an ASGI application: FastAPI, Starlette, Litestar, or any other."""

from collections.abc import Awaitable, Callable, MutableMapping
from logging import getLogger
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.event import encode_fields
from meterboard.client.middleware.call import CallRecorder, Options, Recorder, ip_field, valid_status
from meterboard.client.middleware.route import full_template, is_full_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = getLogger("meterboard.client")
MAX_CACHED_CALLS = 16_384
"""Combinations of route, verb, root, status and address whose encoded fields are cached."""
HANDSHAKE = {"websocket.accept": 101, "websocket.close": 403}
"""The status of a WebSocket's handshake, by the application's first message."""


class MeterMiddleware:
    """
    Records each HTTP call after its response, with its status, or 500 if the application raised before one. Records each
    WebSocket after its handshake, with status 101 if it was accepted.

    Use `app.add_middleware(MeterMiddleware, meter=meter)`, or wrap the application: `MeterMiddleware(app, meter)`.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Wraps an application. Raises: TypeError, ValueError: an invalid option."""
        self._app = app
        self._calls = calls = CallRecorder(meter, options)
        self._write = meter.record_encoded
        # Nearly every middleware has none of these: a shorter path for its calls.
        self._is_plain = not (
            calls.skip_paths or calls.guard or calls.fields or calls.addresses.trusts_proxies
        )
        self._record_batched = meter.record_batched
        # Of calls whose route has the full path, as nearly always.
        self._cached_fields: dict[tuple[str, str, str, int, str | None], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_plain or scope["type"] != "http":
            await self._call_with_options(scope, receive, send)
            return
        status = 500

        def watch(message: Message) -> Awaitable[None]:
            # Returns what `send` returns without awaiting it: one coroutine less for every message.
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            # Without further function calls, each of which would cost as much as all of this.
            try:
                peer = scope["client"]
                ip = peer and peer[0]
                fields = self._cached_fields[
                    scope["route"].path, scope["method"], scope["root_path"], status, ip
                ]
            except (KeyError, AttributeError, TypeError):  # the first such call, or an unusual scope
                self._record(scope, status)
            else:
                self._record_batched(fields)

    async def _call_with_options(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = self._calls
        if scope["type"] not in ("http", "websocket") or scope["path"] in calls.skip_paths:
            await self._app(scope, receive, send)
            return
        allowance = calls.guard.check() if calls.guard else None
        if allowance is not None and allowance.refused:
            await self._refuse(scope, send, allowance)
            return
        if scope["type"] == "websocket":
            await self._call_websocket(scope, receive, send, allowance)
            return
        status = 500

        def watch(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if allowance is not None:
                    message["headers"] = [*message.get("headers", ()), *allowance.raw_headers]
            return send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            self._record(scope, status)

    async def _call_websocket(
        self, scope: Scope, receive: Receive, send: Send, allowance: Allowance | None
    ) -> None:
        is_handshake_done = False

        async def watch(message: Message) -> None:
            nonlocal is_handshake_done
            is_handshake = not is_handshake_done and message["type"] != "websocket.http.response.body"
            has_headers = message["type"] != "websocket.close"
            if is_handshake and has_headers and allowance is not None:
                message["headers"] = [*message.get("headers", ()), *allowance.raw_headers]
            await send(message)
            if is_handshake:
                is_handshake_done = True
                self._record(scope, HANDSHAKE.get(message["type"]) or message.get("status", 500))

        try:
            await self._app(scope, receive, watch)
        finally:
            if not is_handshake_done:
                self._record(scope, 500)

    def _record(self, scope: Scope, status: int) -> None:
        calls = self._calls
        fields = None
        try:
            path, verb, ip = scope["path"], _verb(scope), self._ip(scope)
            template = _template(scope, path)
            shared = calls.shared_fields(verb, template, status)
            fields = calls.encode(scope, verb, path, shared, status, ip)
            if self._is_plain and template is not None and shared is not None:
                self._cache(scope, template, status, fields)
        except Exception:  # an unusual scope
            log.exception("A call could not be identified, so only its status is recorded")
        self._write(fields or encode_fields({"status": valid_status(status)}))

    def _cache(self, scope: Scope, template: str, status: int, fields: str) -> None:
        route = getattr(scope.get("route"), "path", None)
        verb, root = _verb(scope), scope.get("root_path", "")
        peer = scope.get("client")
        ip = peer and peer[0]
        is_bounded = self._calls.is_cacheable(verb, f"{template}{root}{ip}")
        if is_bounded and template == route and is_full_template(template, scope["path"].count("/")):
            if len(self._cached_fields) >= MAX_CACHED_CALLS:
                self._cached_fields.clear()
            self._cached_fields[template, verb, root, status, ip] = fields

    def _ip(self, scope: Scope) -> str:
        peer = scope.get("client")
        addresses = self._calls.addresses
        if not addresses.trusts_proxies:
            return ip_field(peer[0]) if peer else ""
        name = addresses.header.lower().encode()
        forwarded = ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)
        return self._calls.ip(peer[0] if peer else None, forwarded)

    async def _refuse(self, scope: Scope, send: Send, allowance: Allowance) -> None:
        headers = [*allowance.raw_headers, (b"content-type", PROBLEM.encode())]
        headers.append((b"content-length", str(len(allowance.body)).encode()))
        self._calls.record_refused(scope, _verb(scope), scope["path"], self._ip(scope))
        kind = "http.response"
        if scope["type"] == "websocket":
            kind = "websocket.http.response"
            if kind not in (scope.get("extensions") or {}):  # this server can refuse only with 403
                await send({"type": "websocket.close"})
                return
        await send({"type": f"{kind}.start", "status": 429, "headers": headers})
        await send({"type": f"{kind}.body", "body": allowance.body})


def _verb(scope: Scope) -> str:
    """Returns the HTTP method. A WebSocket's scope has none: its handshake is a GET."""
    verb: str = scope.get("method", "GET")
    return verb


def _template(scope: Scope, path: str) -> str | None:
    """Returns the template of the call's route, if the framework put it into the scope."""
    template = scope.get("path_template")  # Litestar
    if template is None:
        route = scope.get("route")  # Starlette, FastAPI
        if route is None or not hasattr(route, "endpoint"):  # a mount without a matching route
            return None
        template = route.path
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return full_template(template, path.removeprefix(root) if root else path, scope.get("path_params") or {})
