"""The pages' table of addresses, and what a person sees when one can't be shown."""

import logging
from collections.abc import Awaitable, Callable
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
from meterboard.errors import Forbidden, MeterboardError, NotFound, Unauthenticated, Unavailable
from meterboard.web.live import live
from meterboard.web.page_state import settled
from meterboard.web.pages.calls import calls
from meterboard.web.pages.connections import connections
from meterboard.web.pages.dashboard.page import dashboard
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
YEAR_SECONDS = 31_536_000
COMPRESSED = DefineMiddleware(
    CompressionMiddleware,
    # A compressed stream would hold the live line's words back.
    config=CompressionConfig(backend="gzip", gzip_compress_level=6, exclude=["^/live$"]),
)


def pages(dimensions: Dimensions) -> list[Router]:
    """Every address that answers with a page, and the files that pages load."""
    return [
        Router(
            "/",
            route_handlers=[
                dashboard,
                table,
                calls,
                connections,
                tasks,
                values,
                verification,
                live,
                sign_in_page,
                sign_in,
                sign_out,
            ],
            dependencies={"viewer": Provide(provide_viewer)},
            exception_handlers={MeterboardError: on_error, Exception: on_fault},
            before_request=_settle(dimensions),
            after_request=_with_headers,
            middleware=[COMPRESSED],
        ),
        create_static_files_router(
            path="/static",
            directories=[STATIC],
            include_in_schema=False,
            # A page asks for a file by what it was made from, so what was got once stays right.
            cache_control=CacheControlHeader(public=True, max_age=YEAR_SECONDS, immutable=True),
            middleware=[COMPRESSED],
        ),
    ]


def _settle(dimensions: Dimensions) -> Callable[[Request[Any, Any, Any]], Awaitable[Redirect | None]]:
    """The form that adds a filter names field and value apart; the address that it leads to has them as one."""

    async def settle(request: Request[Any, Any, Any]) -> Redirect | None:
        path = settled(request.url.path, request.query_params.multi_items(), dimensions)
        return None if path is None else Redirect(path, status_code=303)

    return settle


async def _with_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(HEADERS)
    return response


def on_error(_: Request[Any, Any, Any], error: MeterboardError) -> Response[str]:
    """What went wrong and what to do, as a page."""
    message = str(error)
    match error:
        case Unauthenticated():
            return _told(401, page("signed_out.html", message=message))
        case Unavailable():
            response = _told(503, page("error.html", title="Not now", message=message))
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        case Forbidden():
            status = 403
        case NotFound():
            status = 404
        case _:
            status = 400
    return _told(status, page("error.html", title="This can't be shown", message=message))


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """A fault of ours: logged in full, told in brief."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = "Meterboard failed to make this page. The server's log says why. Try again, or go another way."
    return _told(500, page("error.html", title="This went wrong", message=message))


def on_missing_page(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """There is no such page."""
    message = f"There is no page at {request.url.path}." if error.status_code == 404 else error.detail
    return _told(error.status_code, page("error.html", title="Nothing here", message=message))


def _told(status: int, response: Response[str]) -> Response[str]:
    response.status_code = status
    response.headers.update(HEADERS)
    return response
