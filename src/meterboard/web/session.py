"""Signing in with a one-time link, and who is looking."""

from datetime import timedelta
from typing import Any

from litestar import Request, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.response import Redirect

from meterboard.domain.access import SESSION_COOKIE, Viewer
from meterboard.errors import Forbidden, Unauthenticated
from meterboard.service.access import Access

SESSION_LIFE = timedelta(days=30)


async def provide_viewer(request: ASGIConnection[Any, Any, Any, Any], access: Access) -> Viewer:
    """The person behind the session cookie. Raises: Unauthenticated: nobody is signed in."""
    session = request.cookies.get(SESSION_COOKIE)
    if session is None:
        raise Unauthenticated("You are not signed in.")
    return await access.viewer(session)


@get("/sign-in", include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any], access: Access, link: str = "") -> Redirect:
    """Use up a one-time link and go to the dashboard."""
    session = await access.sign_in(link)
    cookie = Cookie(
        SESSION_COOKIE,
        value=session,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return Redirect("/", cookies=[cookie], status_code=303)


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], access: Access) -> Redirect:
    """End the session. Another site's form can't do it: browsers say where a form came from."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden("This form was sent from another site.")
    await access.sign_out(request.cookies.get(SESSION_COOKIE, ""))
    return Redirect("/", cookies=[Cookie(SESSION_COOKIE, value="", max_age=0)], status_code=303)
