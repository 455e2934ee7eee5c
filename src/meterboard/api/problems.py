"""Errors as problem documents (RFC 9457)."""

import logging
import re
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, get_args, get_origin

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg

from meterboard import errors
from meterboard.http.problem import MEDIA_TYPE, problem_document
from meterboard.http.status import headers_of, is_logged, status_of

log = logging.getLogger("meterboard.api")

_MISSING = re.compile(r"Missing required query parameter '(?P<name>\w+)'")


class Problem(NamedTuple):
    """A response of type `application/problem+json`."""

    status: int
    detail: str
    body: bytes
    headers: dict[str, str]


def problem_of(error: Exception) -> Problem:
    """Returns the response to an error: its message, or "Internal error" if it is not one of Meterboard's errors."""
    if not isinstance(error, errors.MeterboardError):
        return problem(500, "InternalError", "Internal error. The server's log has the details.")
    extra = {"parameter": error.parameter} if isinstance(error, errors.InvalidParameter) else {}
    found = problem(status_of(error), type(error).__name__, str(error), **extra)
    found.headers.update(headers_of(error))
    if isinstance(error, errors.Unauthenticated):
        found.headers["WWW-Authenticate"] = 'Bearer realm="meterboard"'
    return found


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Responds as `problem_of` does, and logs errors of the server."""
    log_failure(request.method, request.url.path, error)
    return _response(problem_of(error))


def log_failure(method: str, path: str, error: Exception) -> None:
    """Logs an error of the server, with its traceback."""
    if is_logged(error):
        log.error("%s %s failed", method, path, exc_info=error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Responds to errors of the framework: unknown paths, wrong methods, and parameters of a wrong type."""
    detail, extra = error.detail, {}
    if isinstance(error, ValidationException):
        name, given = _wrong_parameter(request, error)
        detail = f"{name} is {given}: expected {expected(request, name)}."
        extra = {"parameter": name}
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"Not found: {request.url.path}. The API is described at /schema."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = (
            f"Method {request.method} not allowed for {request.url.path}. The API is described at /schema."
        )
    found = problem(error.status_code, "HTTPError", detail, **extra)
    found.headers.update(error.headers or {})
    return _response(found)


def _wrong_parameter(request: Request[Any, Any, Any], error: ValidationException) -> tuple[str, str]:
    """Returns the name of the parameter that the router refused, and its value as messages show it."""
    missing = _MISSING.search(error.detail)
    if missing:
        return missing["name"], "missing"
    wrong = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    name = str(wrong.get("key", "a parameter"))
    return name, repr(request.query_params.get(name))


def expected(request: Request[Any, Any, Any], name: str) -> str:
    """Describes the values that a query parameter accepts, from the type and bounds that its handler declares."""
    parameter = request.route_handler.parsed_fn_signature.parameters.get(name)
    if parameter is None:
        return "another value"
    allowed = [
        str(value)
        for kind in (parameter.annotation, *get_args(parameter.annotation))
        if get_origin(kind) is Literal
        for value in get_args(kind)
    ]
    if allowed:
        return allowed[0] if len(allowed) == 1 else f"one of {', '.join(allowed)}"
    bounds = parameter.kwarg_definition
    if isinstance(bounds, ParameterKwarg) and bounds.ge is not None and bounds.le is not None:
        return f"a whole number from {bounds.ge:,} to {bounds.le:,}"
    return "one value"


def problem(status: int, kind: str, detail: str, **extra: object) -> Problem:
    """Returns a problem with no headers of its own."""
    return Problem(status, detail, problem_document(status, kind, detail, **extra), {})


def _response(found: Problem) -> Response[bytes]:
    return Response(found.body, status_code=found.status, headers=found.headers, media_type=MEDIA_TYPE)
