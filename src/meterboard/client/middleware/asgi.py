"""Counting the calls of an ASGI application: FastAPI, Starlette, Litestar, or any other."""

from collections.abc import Awaitable, Callable, MutableMapping
from logging import getLogger
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.event import encoded
from meterboard.client.middleware.call import Calls, Options, Recorder, ip_field, known_status
from meterboard.client.middleware.route import is_whole, whole_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = getLogger("meterboard.client")
MOST_KNOWN = 16_384
"""Calls that are alike, by route, verb, root, status and address, which are recorded without another look at them."""
HANDSHAKE = {"websocket.accept": 101, "websocket.close": 403}
"""The status of the answer to a WebSocket's handshake, by the application's first message."""


class MeterMiddleware:
    """
    Records each HTTP call once it has been answered, with the status of its answer, 500 when it failed without one; each
    WebSocket once its handshake is answered, with status 101 if it was accepted.

    `app.add_middleware(MeterMiddleware, meter=meter)`, or around the application: `MeterMiddleware(app, meter)`.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Raises: TypeError, ValueError: an option that can't be right."""
        self._app = app
        self._calls = calls = Calls(meter, options)
        self._write = meter.record_encoded
        # Nearly every middleware has none of these, and its calls take the short way.
        self._is_plain = not (calls.skip or calls.guard or calls.fields or calls.addresses.believes)
        self._write_soon = meter.record_soon
        # The fields of calls whose route is the whole of their path, as nearly always.
        self._known: dict[tuple[str, str, str, int, str | None], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_plain or scope["type"] != "http":
            await self._with_options(scope, receive, send)
            return
        status = 500

        def watch(message: Message) -> Awaitable[None]:
            # Hands on what `send` answers rather than awaiting it: one coroutine less for every message.
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            # Without functions of its own, each of which would cost as much as all of this; and nothing is kept of the
            # scope, which would cost more to keep than to look at.
            try:
                peer = scope["client"]
                ip = peer and peer[0]
                fields = self._known[scope["route"].path, scope["method"], scope["root_path"], status, ip]
            except (KeyError, AttributeError, TypeError):  # the first of its kind, or an unusual scope
                self._record(scope, status)
            else:
                self._write_soon(fields)

    async def _with_options(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = self._calls
        if scope["type"] not in ("http", "websocket") or scope["path"] in calls.skip:
            await self._app(scope, receive, send)
            return
        allowance = calls.guard.now() if calls.guard else None
        if allowance is not None and allowance.refused:
            await self._refuse(scope, send, allowance)
            return
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, allowance)
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

    async def _socket(self, scope: Scope, receive: Receive, send: Send, allowance: Allowance | None) -> None:
        is_answered = False

        async def watch(message: Message) -> None:
            nonlocal is_answered
            answers = not is_answered and message["type"] != "websocket.http.response.body"
            if (
                answers and allowance is not None and message["type"] != "websocket.close"
            ):  # which has no headers
                message["headers"] = [*message.get("headers", ()), *allowance.raw_headers]
            await send(message)
            if answers:
                is_answered = True
                self._record(scope, HANDSHAKE.get(message["type"]) or message.get("status", 500))

        try:
            await self._app(scope, receive, watch)
        finally:
            if not is_answered:
                self._record(scope, 500)

    def _record(self, scope: Scope, status: int) -> None:
        calls = self._calls
        fields = None
        try:
            path, verb, ip = scope["path"], _verb(scope), self._ip(scope)
            template = _template(scope, path)
            shared = calls.shared(verb, template, status)
            fields = calls.fields_of(scope, verb, path, shared, status, ip)
            if self._is_plain and template is not None and shared is not None:
                self._know(scope, template, status, fields)
        except Exception:  # an unusual scope
            log.exception("What a call was could not be found out, so only its status is recorded")
        self._write(fields or encoded({"status": known_status(status)}))

    def _know(self, scope: Scope, template: str, status: int, fields: str) -> None:
        route = getattr(scope.get("route"), "path", None)
        verb, root = _verb(scope), scope.get("root_path", "")
        peer = scope.get("client")
        ip = peer and peer[0]
        is_bounded = self._calls.is_cacheable(verb, f"{template}{root}{ip}")
        if is_bounded and template == route and is_whole(template, scope["path"].count("/")):
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[template, verb, root, status, ip] = fields

    def _ip(self, scope: Scope) -> str:
        peer = scope.get("client")
        addresses = self._calls.addresses
        if not addresses.believes:
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
            if kind not in (scope.get("extensions") or {}):  # this server has no other way to refuse than 403
                await send({"type": "websocket.close"})
                return
        await send({"type": f"{kind}.start", "status": 429, "headers": headers})
        await send({"type": f"{kind}.body", "body": allowance.body})


def _verb(scope: Scope) -> str:
    """The HTTP method. A scope of a WebSocket has none: its handshake is a GET."""
    verb: str = scope.get("method", "GET")
    return verb


def _template(scope: Scope, path: str) -> str | None:
    """The template of the route that answered, where the framework left it in the scope."""
    template = scope.get("path_template")  # Litestar
    if template is None:
        route = scope.get("route")  # Starlette, FastAPI
        if route is None or not hasattr(route, "endpoint"):  # a mount whose inside knew no route
            return None
        template = route.path
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return whole_template(template, path.removeprefix(root) if root else path, scope.get("path_params") or {})
