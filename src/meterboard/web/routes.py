"""The pages' table of addresses, and what a person sees when one can't be shown."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router

from meterboard.errors import MeterboardError, Unauthenticated, Unavailable
from meterboard.web.live import live
from meterboard.web.pages import dashboard, page, table, verification
from meterboard.web.session import provide_viewer, sign_in, sign_out

STATIC = Path(str(files("meterboard.web") / "static"))
HEADERS = {
    # Charts set style attributes; nothing else is inline.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def pages() -> list[Router]:
    """Every address that answers with a page, and the files that pages load."""
    return [
        Router(
            "/",
            route_handlers=[dashboard, table, verification, live, sign_in, sign_out],
            dependencies={"viewer": Provide(provide_viewer)},
            exception_handlers={MeterboardError: on_error},
            after_request=_with_headers,
        ),
        create_static_files_router(path="/static", directories=[STATIC], include_in_schema=False),
    ]


async def _with_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(HEADERS)
    return response


def on_error(_: Request[Any, Any, Any], error: MeterboardError) -> Response[str]:
    """What went wrong and what to do, as a page."""
    if isinstance(error, Unauthenticated):
        return _told(page("signed_out.html", message=str(error)), 401)
    if isinstance(error, Unavailable):
        return _told(page("error.html", title="Not now", message=str(error)), 503)
    return _told(page("error.html", title="This can't be shown", message=str(error)), 400)


def on_missing_page(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    """There is no such page."""
    message = f"There is no page at {request.url.path}." if error.status_code == 404 else error.detail
    return _told(page("error.html", title="Nothing here", message=message), error.status_code)


def _told(response: Response[str], status: int) -> Response[str]:
    response.status_code = status
    response.headers.update(HEADERS)
    return response
