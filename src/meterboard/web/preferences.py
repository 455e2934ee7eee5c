"""
The options of the dashboard that a user chose, which the browser remembers in a cookie.

The URL holds the whole state and takes precedence: remembered options apply to the dashboard's URL without parameters,
and to the links that lead to it from other pages.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie

from meterboard.domain.dimensions import Dimensions
from meterboard.web.origin import is_own, is_secure
from meterboard.web.page_state import SWITCHES, PageState, forms

COOKIE = "meterboard-view"
REMEMBERED = tuple(switch for switch in SWITCHES if switch != "compare")
"""All switches but the comparison, which is not a preference."""
YEAR_SECONDS = 31_536_000


def remembered(request: Request[Any, Any, Any], dimensions: Dimensions) -> dict[str, str]:
    """Returns the options that were chosen before, except defaults. Invalid ones are ignored."""
    pairs = parse_qsl(request.cookies.get(COOKIE, ""))
    return {
        name: value for name, value in pairs if name in REMEMBERED and value in forms(name, dimensions)[1:]
    }


def remember(response: Response[Any], request: Request[Any, Any, Any], state: PageState) -> None:
    """
    Stores the options that the user just chose.

    An option counts as chosen if the page before, on this site, showed another one. Opening a link that someone sent
    doesn't change preferences.
    """
    before = request.headers.get("referer", "")
    if not is_own(request, before):
        return
    shown = dict(parse_qsl(urlsplit(before).query))
    chosen = {name: state.shows(name) for name in REMEMBERED if state.get(name)}
    used = {name: value for name, value in chosen.items() if value != shown.get(name, SWITCHES[name][0])}
    saved = state.remembered
    unusual = {name: value for name, value in (saved | used).items() if value != SWITCHES[name][0]}
    if unusual != saved:
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
