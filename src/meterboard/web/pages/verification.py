"""The verification of the numbers."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.service.reads import shared
from meterboard.service.verify import Verify
from meterboard.web.render import page


@get("/verify", include_in_schema=False)
@shared
def verification(request: Request[Any, Any, Any], viewer: Viewer, verify: Verify) -> Response[str]:
    """Recomputes the statistics from the events and shows the difference, in the footer or as a page."""
    whole = "hx-request" not in request.headers
    return page("verify_page.html" if whole else "verify.html", checked=verify.check(viewer.organization))
