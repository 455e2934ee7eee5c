"""Errors as RFC 9457 problem details: the only place that knows which error is which HTTP status."""

import logging
import re
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import ParameterKwarg

from meterboard import errors

log = logging.getLogger("meterboard.api")

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.MeterboardError], int] = {
    errors.UnreadableBody: 400,
    errors.InvalidParameter: 400,
    errors.AnswerTooLong: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooSlow: 408,
    errors.AlreadyExists: 409,
    errors.TooLarge: 413,
    errors.Overloaded: 503,
    errors.StoreFailed: 503,
}

_MISSING = re.compile(r"Missing required query parameter '(?P<name>\w+)'")


def status_of(error: errors.MeterboardError) -> int:
    """The HTTP status of an error: that of its nearest ancestor in the table, else 500."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


class Problem(NamedTuple):
    """An answer of `application/problem+json`."""

    status: int
    body: bytes
    headers: dict[str, str]


def problem_of(error: Exception) -> Problem:
    """What was refused or failed, in the error's own words; a fault of ours is told in brief."""
    if not isinstance(error, errors.MeterboardError):
        return problem(500, "InternalError", "Meterboard failed to answer. The server's log says why.")
    extra = {"parameter": error.parameter} if isinstance(error, errors.InvalidParameter) else {}
    found = problem(status_of(error), type(error).__name__, str(error), **extra)
    if isinstance(error, errors.Unavailable):
        found.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthenticated):
        found.headers["WWW-Authenticate"] = 'Bearer realm="meterboard"'
    return found


def on_meterboard_error(_: Request[Any, Any, Any], error: errors.MeterboardError) -> Response[bytes]:
    """As `problem_of`."""
    return _response(problem_of(error))


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """No such address, a wrong method, a parameter of the wrong type."""
    detail, extra = error.detail, {}
    if isinstance(error, ValidationException):
        name, given = _wrong_parameter(request, error)
        detail = f"{name} is {given}: expected {expected(request, name)}."
        extra = {"parameter": name}
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.url.path}. The API is described at /schema."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} can't be used at {request.url.path}. The API is described at /schema."
    found = problem(error.status_code, "HTTPError", detail, **extra)
    found.headers.update(error.headers or {})
    return _response(found)


def _wrong_parameter(request: Request[Any, Any, Any], error: ValidationException) -> tuple[str, str]:
    """The name of the parameter that the router refused, and its value as a message shows it."""
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


def on_anything_else(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged in full, told in brief."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _response(problem_of(error))


def problem(status: int, kind: str, detail: str, **extra: object) -> Problem:
    """The answer of RFC 9457."""
    body = {
        "type": f"urn:meterboard:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **extra,
    }
    return Problem(status, msgspec.json.encode(body), {})


def _response(found: Problem) -> Response[bytes]:
    return Response(found.body, status_code=found.status, headers=found.headers, media_type=MEDIA_TYPE)
