"""Counting the calls of an ASGI application: FastAPI, Starlette, Litestar, or any other."""

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from logging import getLogger
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import Calls, Options, Recorder, ip_field
from meterboard.client.middleware.route import is_whole, whole_template

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
log = getLogger("meterboard.client")
MOST_KNOWN = 4_096
"""Routes, by verb, root and status, whose calls are recorded without another look at them."""

IN_A_TURN = 256
"""Calls that are recorded together at most, should a loop end before the end of its turn."""


class MeterMiddleware:
    """
    Records each HTTP call once it has been answered, with the status of its answer, 500 when it failed without one.

    `app.add_middleware(MeterMiddleware, meter=meter)`, or around the application: `MeterMiddleware(app, meter)`.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Raises: TypeError, ValueError: an option that can't be right."""
        self._app = app
        self._calls = calls = Calls(meter, options)
        self._write = meter.record_encoded
        # Nearly every middleware has none of these, and its calls take the short way.
        self._is_plain = not (calls.skip or calls.guard or calls.fields or calls.addresses.believes)
        self._answered: deque[tuple[Scope, int]] = deque()
        self._record_soon = meter.recorder_of(self._fields)
        # The fields of calls whose route is the whole of their path, as nearly always, by its template, their verb, root
        # and status: but for the address nothing else needs to be looked at then.
        self._known: dict[tuple[str, str, str, int], str] = {}

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
            answered = self._answered
            answered.append((scope, status))
            if len(answered) % IN_A_TURN == 1:
                self._record_soon()

    def _fields(self) -> list[str]:
        """The fields of the calls that were answered and not recorded yet."""
        answered, known = self._answered, self._known
        fields: list[str] = []
        while answered:
            try:
                scope, status = answered.popleft()
            except IndexError:  # another thread took it
                break
            try:
                # Without functions of its own, each of which would cost as much as all of this.
                peer = scope["client"]
                fields.append(
                    known[scope["route"].path, scope["method"], scope["root_path"], status]
                    + ip_field(peer and peer[0])
                )
            except (KeyError, AttributeError):
                try:
                    fields.append(self._looked_up(scope, status))
                except Exception:  # names are the provider's own code
                    log.exception("A call could not be recorded")
        return fields

    async def _with_options(self, scope: Scope, receive: Receive, send: Send) -> None:
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
                self._write(self._looked_up(scope, status))
            except Exception:  # as above
                log.exception("A call could not be recorded")

    def _looked_up(self, scope: Scope, status: int) -> str:
        calls, path, verb = self._calls, scope["path"], scope["method"]
        template = _template(scope, path)
        shared = calls.shared(verb, template, status) if template is not None else None
        if (
            template is not None
            and shared is not None
            and template == getattr(scope.get("route"), "path", None)
            and is_whole(template, path.count("/"))
            and len(self._known) < MOST_KNOWN
        ):
            self._known[template, verb, scope.get("root_path", ""), status] = shared
        return calls.fields_of(scope, verb, path, template, status, self._ip(scope))

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
