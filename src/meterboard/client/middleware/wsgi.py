"""Counting the calls of a WSGI application: Flask, or any other."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from meterboard.client.allowance import PROBLEM, Allowance
from meterboard.client.middleware.call import Calls, Options, Recorder

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
MOST_DIGITS = 20
"""Of a Content-Length that is believed."""


class MeterMiddleware:
    """
    Records each call just before the end of its answer is handed to the server, with its status, 500 when it failed
    without one. So whoever has a whole answer was counted, even if the process is killed in the next moment.

    `app.wsgi_app = MeterMiddleware(app.wsgi_app, meter)` in Flask.
    """

    def __init__(self, app: App, meter: Recorder, **options: Unpack[Options]) -> None:
        """Raises: TypeError, ValueError: an option that can't be right."""
        self._app = app
        self._calls = Calls(meter, options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        calls = self._calls
        path = path_of(environ)
        if path in calls.skip:
            return self._app(environ, start_response)
        allowance = calls.guard.now() if calls.guard else None
        if allowance is not None and allowance.refused:
            return self._refuse(environ, start_response, path, allowance)
        call = _Call(calls, environ, path)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            call.answered(status, headers)
            if allowance is not None:
                headers = [*headers, *allowance.headers]
            return start_response(status, headers, *error)

        try:
            return _Answer(self._app(environ, start), call)
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

    def __init__(self, calls: Calls, environ: Environ, path: str) -> None:
        self._calls = calls
        self._environ = environ
        self._path = path
        self._recorded = False
        self._status = 500
        self._template: str | None = None
        self.length: int | None = None
        """Bytes of the answer; None if it does not say."""

    def answered(self, status: str, headers: list[tuple[str, str]]) -> None:
        """The answer begins. Flask forgets the route before the end."""
        code = status[:3]
        self._status = int(code) if code.isdecimal() else 0
        lengths = (value for name, value in headers if name.lower() == "content-length")
        length = next(lengths, "")
        self.length = int(length) if length.isdecimal() and len(length) < MOST_DIGITS else None
        self._template = _template(self._environ)

    def record(self) -> None:
        if self._recorded:
            return
        self._recorded = True
        environ = self._environ
        ip = ip_of(environ, self._calls)
        self._calls.record(environ, environ["REQUEST_METHOD"], self._path, self._template, self._status, ip)


class _Answer:
    """The application's answer. Its pieces are handed on as they come: WSGI forbids to wait for the next one."""

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
        """Called by the server in the end, whether all went well or not."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._call.record()


def path_of(environ: Environ) -> str:
    """The path as the client sees it. WSGI hands on bytes as if they were Latin-1."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def ip_of(environ: Environ, calls: Calls) -> str:
    """The field that says where a call came from. WSGI joins headers of one name by commas."""
    header = "HTTP_" + calls.addresses.header.upper().replace("-", "_")
    return calls.ip(environ.get("REMOTE_ADDR"), environ.get(header, ""))


def _template(environ: Environ) -> str | None:
    """The template of the route that answered, where Flask left it in the environ."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else environ.get("SCRIPT_NAME", "") + rule.rule
