"""Counting the calls of an ASGI application: FastAPI, Starlette, Litestar, or any other."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import Calls, Options, Recorder, ip_field
from meterboard.client.middleware.route import is_whole, whole_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
MOST_KNOWN = 4_096
"""Routes, by verb and status, whose calls are recorded without another look at them."""


class MeterMiddleware:
    """
    Records each HTTP call once it has been answered, with the status of its answer, 500 when it failed without one.

    `app.add_middleware(MeterMiddleware, meter=meter)`, or around the application: `MeterMiddleware(app, meter)`.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Raises: TypeError, ValueError: an option that can't be right."""
        self._app = app
        self._calls = Calls(meter, options)
        self._write = meter.record_encoded
        self._bare = not (self._calls.addresses.believes or self._calls.fields)
        # The fields that calls share whose route is the whole of the path, by template, verb, status and slashes: nearly
        # all calls are such, and nothing else needs to be looked at then.
        self._known: dict[tuple[str, str, int, int], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        calls = self._calls
        if scope["type"] != "http" or scope["path"] in calls.skip:
            await self._app(scope, receive, send)
            return
        allowance = calls.guard.now() if calls.guard else None
        if allowance is not None and allowance.refused:
            await self._refuse(scope, send, allowance)
            return
        status = 500

        def watch(message: Message) -> Awaitable[None]:
            # Hands on what `send` answers rather than awaiting it: one coroutine less for every message.
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if allowance is not None:
                    message["headers"] = [*message.get("headers", ()), *allowance.raw_headers]
            return send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            try:
                fields = self._known[scope["route"].path, scope["method"], status, scope["path"].count("/")]
            except (KeyError, AttributeError):
                self._record(scope, status)
            else:
                if self._bare and (peer := scope.get("client")):
                    self._write(fields + ip_field(peer[0]))
                else:
                    calls.write(scope, fields, self._ip(scope))

    def _record(self, scope: Scope, status: int) -> None:
        calls, path, verb = self._calls, scope["path"], scope["method"]
        template = _template(scope, path)
        calls.record(scope, verb, path, template, status, self._ip(scope))
        depth = path.count("/")
        if template is None or not is_whole(template, depth) or len(self._known) >= MOST_KNOWN:
            return
        route = getattr(scope.get("route"), "path", None)
        fields = calls.shared(verb, template, status)
        if route is not None and route.rstrip("/") == template and fields is not None:
            self._known[route, verb, status, depth] = fields

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
        self._calls.record_refused(scope, scope["method"], scope["path"], self._ip(scope))
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": allowance.body})


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
