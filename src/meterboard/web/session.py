"""Signing in with a one-time link, signing out, and the viewer of a request."""

from datetime import timedelta
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from msgspec import Struct

from meterboard.domain.access import SESSION_COOKIE, SESSION_LIFE, Viewer
from meterboard.errors import Forbidden, Unauthenticated
from meterboard.service.access import Access
from meterboard.web.origin import is_own, is_secure
from meterboard.web.render import page

FORM_COOKIE = "meterboard_sign_in"
"""Holds the token of the sign-in form. A form of another site can't know it, so it can't sign a user in."""
FORM_LIFE = timedelta(hours=1)
"""How long a sign-in form is valid."""
MAX_FORM_BYTES = 10_000
"""A sign-in form has 150 bytes; a longer one is rejected."""


class SignInForm(Struct):
    """The fields of the sign-in form."""

    link: str = ""
    token: str = ""


async def provide_viewer(request: ASGIConnection[Any, Any, Any, Any], access: Access) -> Viewer:
    """Returns the user of the session cookie. Raises: Unauthenticated: there is no valid session."""
    session = request.cookies.get(SESSION_COOKIE)
    if session is None:
        raise Unauthenticated("You are not signed in.")
    return await access.viewer(session)


@get("/sign-in", include_in_schema=False)
async def sign_in_page(request: Request[Any, Any, Any], link: str = "") -> Response[str]:
    """
    Shows a button that signs in. Opening the link doesn't use it up, because mail scanners and chats open links, too.
    """
    if not link:
        raise Unauthenticated("This address has no sign-in link.")
    token = request.cookies.get(FORM_COOKIE) or token_urlsafe(32)  # one token for links in several tabs
    response = page("sign_in.html", link=link, token=token)
    response.set_cookie(_cookie(request, FORM_COOKIE, token, FORM_LIFE, path="/sign-in", samesite="strict"))
    return response


@post("/sign-in", include_in_schema=False, request_max_body_size=MAX_FORM_BYTES)
async def sign_in(
    request: Request[Any, Any, Any],
    access: Access,
    data: Annotated[SignInForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    """Uses a one-time link and redirects to the dashboard. Raises: Forbidden: the form is not from this site's page."""
    _check_origin(request)
    token = request.cookies.get(FORM_COOKIE, "")
    if not token or not compare_digest(token.encode(), data.token.encode()):
        raise Forbidden("This form is too old, or the browser keeps no cookies. Open the sign-in link again.")
    session = await access.sign_in(data.link)
    cookie = _cookie(request, SESSION_COOKIE, session, SESSION_LIFE)
    return Redirect("/", cookies=[cookie], status_code=303)


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], access: Access) -> Redirect:
    """Ends the session. Raises: Forbidden: another site's form asks for it."""
    _check_origin(request)
    await access.sign_out(request.cookies.get(SESSION_COOKIE, ""))
    return Redirect("/", cookies=[_cookie(request, SESSION_COOKIE, "", timedelta(0))], status_code=303)


def _check_origin(request: Request[Any, Any, Any]) -> None:
    """Checks the Origin header, where the browser sends it. Raises: Forbidden: the form is from another site."""
    origin = request.headers.get("origin")
    if origin is not None and not is_own(request, origin):
        raise Forbidden(
            "This form was sent from another site. If Meterboard is behind a reverse proxy, set public_url "
            "to the address in the browser."
        )


def _cookie(request: Request[Any, Any, Any], name: str, value: str, life: timedelta, **where: Any) -> Cookie:
    """Returns a cookie that scripts can't read, and that is limited to HTTPS where the site is."""
    options = {"samesite": "lax"} | where
    return Cookie(
        name,
        value=value,
        max_age=int(life.total_seconds()),
        httponly=True,
        secure=is_secure(request),
        **options,
    )
