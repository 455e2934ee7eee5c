"""
How a person likes the dashboard to show things, remembered by the browser in a cookie.

The address holds the whole state and always wins: what is remembered completes the bare address of the dashboard, and
the links that lead to it from other pages.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from meterboard.domain.dimensions import Dimensions
from meterboard.web.origin import is_own, is_secure
from meterboard.web.page_state import SWITCHES, Address, forms

COOKIE = "meterboard-view"
REMEMBERED = tuple(switch for switch in SWITCHES if switch != "compare")
"""Comparing is a question that somebody asks, not a way of showing."""
YEAR_SECONDS = 31_536_000


def remembered(request: Request[Any, Any, Any], dimensions: Dimensions) -> dict[str, str]:
    """The forms that were chosen before, the usual ones left out. What can't be read is not there."""
    pairs = parse_qsl(request.cookies.get(COOKIE, ""))
    return {
        name: value for name, value in pairs if name in REMEMBERED and value in forms(name, dimensions)[1:]
    }


def remember(response: Response[Any], request: Request[Any, Any, Any], address: Address) -> None:
    """
    Keep the forms that were just chosen.

    A switch was used when the page before, of this very site, showed something else: a link that somebody sent, or
    that leads on from it, changes nobody's preferences.
    """
    before = request.headers.get("referer", "")
    if not is_own(request, before):
        return
    shown = dict(parse_qsl(urlsplit(before).query))
    chosen = {name: address.shows(name) for name in REMEMBERED if address.get(name)}
    used = {name: value for name, value in chosen.items() if value != shown.get(name, SWITCHES[name][0])}
    kept = address.remembered
    unusual = {name: value for name, value in (kept | used).items() if value != SWITCHES[name][0]}
    if unusual != kept:
        response.set_cookie(
            Cookie(
                COOKIE,
                value=urlencode(unusual),
                max_age=YEAR_SECONDS if unusual else 0,
                httponly=True,
                samesite="lax",
                secure=is_secure(request),
            )
        )
