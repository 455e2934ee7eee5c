"""Records the calls of a WSGI application: Flask, or any other."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import CallRecorder, Options, Recorder

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
MAX_LENGTH_DIGITS = 20
"""The digits of the longest valid Content-Length."""


class MeterMiddleware:
    """
    Records each call just before the end of its response is passed to the server, with its status, or 500 if the
    application raised before one. So every complete response was recorded, even if the process is killed directly after.

    In Flask: `app.wsgi_app = MeterMiddleware(app.wsgi_app, meter)`.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Wraps an application. Raises: TypeError, ValueError: an invalid option."""
        self._app = app
        self._calls = CallRecorder(meter, options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        calls = self._calls
        path = path_of(environ)
        if path in calls.skip_paths:
            return self._app(environ, start_response)
        allowance = calls.guard.check() if calls.guard else None
        if allowance is not None and allowance.refused:
            return self._refuse(environ, start_response, path, allowance)
        call = _Call(calls, environ, path)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            call.start_response(status, headers)
            if allowance is not None:
                headers = [*headers, *allowance.headers]
            return start_response(status, headers, *error)

        try:
            return _ResponseBody(self._app(environ, start), call)
        except BaseException:
            call.record()
            raise

    def _refuse(
        self, environ: Environ, start_response: StartResponse, path: str, allowance: Allowance
    ) -> Iterable[bytes]:
        self._calls.record_refused(environ, environ["REQUEST_METHOD"], path, ip_of(environ, self._calls))
        headers = [
            *allowance.headers,
            ("Content-Type", PROBLEM),
            ("Content-Length", str(len(allowance.body))),
        ]
        start_response("429 Too Many Requests", headers)
        return [allowance.body]


class _Call:
    """One call, recorded once."""

    def __init__(self, calls: CallRecorder, environ: Environ, path: str) -> None:
        self._calls = calls
        self._environ = environ
        self._path = path
        self._recorded = False
        self._status = 500
        self._template: str | None = None
        self.length: int | None = None
        """Bytes of the response; None without a Content-Length."""

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        """Notes the status, length and route: Flask discards the route before the end of the response."""
        code = status[:3]
        self._status = int(code) if code.isdecimal() else 0
        lengths = (value for name, value in headers if name.lower() == "content-length")
        length = next(lengths, "")
        self.length = int(length) if length.isdecimal() and len(length) < MAX_LENGTH_DIGITS else None
        self._template = _template(self._environ)

    def record(self) -> None:
        """Records the call, the first time it is called."""
        if self._recorded:
            return
        self._recorded = True
        environ = self._environ
        ip = ip_of(environ, self._calls)
        self._calls.record(environ, environ["REQUEST_METHOD"], self._path, self._template, self._status, ip)


class _ResponseBody:
    """The application's response. Each piece is passed on at once: WSGI forbids waiting for the next one."""

    def __init__(self, body: Iterable[bytes], call: _Call) -> None:
        self._body = body
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._body:
            size += len(piece)
            if self._call.length is not None and size >= self._call.length:
                self._call.record()
            yield piece
        self._call.record()

    def close(self) -> None:
        """Closes the response. The server calls this in any case."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._call.record()


def path_of(environ: Environ) -> str:
    """Returns the path as the client sees it. WSGI passes bytes decoded as Latin-1."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def ip_of(environ: Environ, calls: CallRecorder) -> str:
    """Returns the field with the caller's address. WSGI joins headers of one name by commas."""
    header = "HTTP_" + calls.addresses.header.upper().replace("-", "_")
    return calls.ip(environ.get("REMOTE_ADDR"), environ.get(header, ""))


def _template(environ: Environ) -> str | None:
    """Returns the template of the call's route, if Flask put it into the environ."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else environ.get("SCRIPT_NAME", "") + rule.rule
