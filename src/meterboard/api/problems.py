"""Errors as RFC 9457 problem details: the only place that knows which error is which HTTP status."""

import logging
import re
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from meterboard import errors
from meterboard.domain.query import BREAKDOWNS

log = logging.getLogger("meterboard.api")

STATUS: dict[type[errors.MeterboardError], int] = {
    errors.UnreadableBody: 400,
    errors.InvalidParameter: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.TooLarge: 413,
    errors.Overloaded: 503,
    errors.StoreFailed: 503,
}


EXPECTED = {
    "by": f"one of {', '.join(BREAKDOWNS)}",
    "format": "json, csv or parquet",
    "limit": "a whole number from 1 to 10,000",
    "offset": "a whole number, 0 or more",
    "page": "a whole number, 1 or more",
    "page_size": "a whole number from 1 to 10,000",
}
"""What the parameters that the router checks may be."""
_MISSING = re.compile(r"Missing required query parameter '(?P<name>\w+)'")


def status_of(error: errors.MeterboardError) -> int:
    """The HTTP status of an error: that of its nearest ancestor in the table, else 500."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def on_meterboard_error(_: Request[Any, Any, Any], error: errors.MeterboardError) -> Response[bytes]:
    """What was refused or failed, in the error's own words."""
    extra = {"parameter": error.parameter} if isinstance(error, errors.InvalidParameter) else {}
    response = problem(status_of(error), type(error).__name__, str(error), **extra)
    if isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="meterboard"'
    return response


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """No such address, a wrong method, a parameter of the wrong type."""
    detail, extra = error.detail, {}
    if isinstance(error, ValidationException):
        name, given = _wrong_parameter(request, error)
        detail = f"{name} is {given}: expected {EXPECTED.get(name, 'another value')}."
        extra = {"parameter": name}
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.url.path}. The API is described at /schema."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} can't be used at {request.url.path}. The API is described at /schema."
    response = problem(error.status_code, "HTTPError", detail, **extra)
    response.headers.update(error.headers or {})
    return response


def _wrong_parameter(request: Request[Any, Any, Any], error: ValidationException) -> tuple[str, str]:
    """The name of the parameter that the router refused, and its value as a message shows it."""
    missing = _MISSING.search(error.detail)
    if missing:
        return missing["name"], "missing"
    wrong = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    name = str(wrong.get("key", "a parameter"))
    return name, repr(request.query_params.get(name))


def on_anything_else(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged in full, told in brief."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "InternalError", "Meterboard failed to answer. The server's log says why.")


def problem(status: int, kind: str, detail: str, **extra: object) -> Response[bytes]:
    """An `application/problem+json` answer."""
    body = {
        "type": f"urn:meterboard:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **extra,
    }
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json")
