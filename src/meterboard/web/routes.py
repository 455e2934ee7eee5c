"""The routes of the pages, and the error pages."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from meterboard.domain.dimensions import Dimensions
from meterboard.errors import MeterboardError
from meterboard.http.status import headers_of, is_logged, status_of
from meterboard.web.live import live
from meterboard.web.page_state import canonical_url
from meterboard.web.pages.calls import calls
from meterboard.web.pages.dashboard.page import dashboard
from meterboard.web.pages.flows import earlier_url, flows
from meterboard.web.pages.picker import values
from meterboard.web.pages.table.page import table
from meterboard.web.pages.table.tasks import tasks
from meterboard.web.pages.verification import verification
from meterboard.web.render import STATIC, page
from meterboard.web.session import provide_viewer, sign_in, sign_in_page, sign_out

log = logging.getLogger("meterboard.web")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
INTERNAL_ERROR = (
    "Meterboard could not show this page. The server's log has the details. Try again or go back."
)
TITLES = {
    HTTPStatus.FORBIDDEN: "Not allowed",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.REQUEST_TIMEOUT: "Request timed out",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service unavailable",
}
YEAR_SECONDS = 31_536_000
COMPRESSED = DefineMiddleware(
    CompressionMiddleware,
    # Compression would buffer the messages of the live counter.
    config=CompressionConfig(backend="gzip", gzip_compress_level=6, exclude=["^/live$"]),
)


def pages(dimensions: Dimensions) -> list[Router]:
    """Returns the routes of all pages and of the files that they load."""
    return [
        Router(
            "/",
            route_handlers=[
                dashboard,
                table,
                calls,
                flows,
                earlier_url,
                tasks,
                values,
                verification,
                live,
                sign_in_page,
                sign_in,
                sign_out,
            ],
            dependencies={"viewer": Provide(provide_viewer)},
            exception_handlers={Exception: on_error},
            before_request=_redirect_forms(dimensions),
            after_request=_with_headers,
            middleware=[COMPRESSED],
        ),
        create_static_files_router(
            path="/static",
            directories=[STATIC],
            include_in_schema=False,
            # The URL of a file changes with its content, so a cached response is never stale.
            cache_control=CacheControlHeader(public=True, max_age=YEAR_SECONDS, immutable=True),
            middleware=[COMPRESSED],
        ),
    ]


def _redirect_forms(dimensions: Dimensions) -> Callable[[Request[Any, Any, Any]], Awaitable[Redirect | None]]:
    """Returns the hook that redirects a submitted form to its canonical URL."""

    async def redirect(request: Request[Any, Any, Any]) -> Redirect | None:
        path = canonical_url(request.url.path, request.query_params.multi_items(), dimensions)
        return None if path is None else Redirect(path, status_code=303)

    return redirect


async def _with_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(HEADERS)
    return response


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """Returns the error page, and logs errors of the server."""
    if is_logged(error):
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    status = status_of(error)
    if status == HTTPStatus.UNAUTHORIZED:
        return _with_status(status, page("signed_out.html", message=str(error)))
    known = isinstance(error, MeterboardError)
    response = page("error.html", title=_title(status), message=str(error) if known else INTERNAL_ERROR)
    response.headers.update(headers_of(error))
    return _with_status(status, response)


def _title(status: HTTPStatus) -> str:
    return TITLES.get(status, "Bad request" if status < 500 else "Something went wrong")


def on_missing_page(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """Returns the error page for a URL without a route."""
    is_missing = error.status_code == 404
    message = f"There is no page at {request.url.path}." if is_missing else error.detail
    title = "Page not found" if is_missing else "Bad request"
    return _with_status(error.status_code, page("error.html", title=title, message=message))


def _with_status(status: int, response: Response[str]) -> Response[str]:
    response.status_code = status
    response.headers.update(HEADERS)
    return response
