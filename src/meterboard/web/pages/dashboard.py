"""The dashboard: where the credits went, and how many are left."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.period import Period
from meterboard.domain.query import Dimension, Filters, parse_filters
from meterboard.service.credits import LiveCredits
from meterboard.service.statistics import Reading, Statistics
from meterboard.web import words
from meterboard.web.address import PANELS, SWITCHES, Address
from meterboard.web.pages import panels
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.pages.returns import coming
from meterboard.web.pages.states import first_call, nothing
from meterboard.web.render import page

KNOWN = frozenset(SWITCHES)


@get("/", include_in_schema=False, sync_to_thread=True)
def dashboard(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, live_credits: LiveCredits
) -> Response[str]:
    """Where the credits went, and how many are left."""
    address = address_of(request, KNOWN)
    forms = {panel: address.shows(panel) for panel in PANELS}
    measure = address.shows("measure")
    filters = parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        credits = live_credits.now(viewer.organization)
        returns = live_credits.returns(viewer.organization)
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        shown = _panels(reading, period, filters, address, forms) if summary.calls else {}
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address, counted=credits.calls),
        }
    return page(
        "dashboard.html",
        **values,
        panels=shown,
        forms=forms,
        measure=measure,
        unit=period.unit,
        counter=words.counter(credits),
        coming=coming(returns),
        zone=viewer.organization.zone.key,
        is_new=not (summary.average_over_days or summary.calls or credits.calls or filters),
        example=first_call(f"{request.url.scheme}://{request.headers.get('host', '')}", viewer),
    )


def _panels(
    reading: Reading, period: Period, filters: Filters, address: Address, forms: dict[str, str]
) -> dict[str, object]:
    """Every panel of the dashboard. The list of the modules' panel is one of methods."""
    by: Dimension = "method" if forms["modules"] == "list" else "module"
    steps = panels.steps(reading.series(period, filters), address)
    return {
        "applications": panels.applications(reading, period, filters, address),
        "steps": steps,
        "peak": panels.peak(steps, address.shows("measure")),
        "modules": panels.top(reading, period, filters, address, by),
        "ips": panels.top(reading, period, filters, address, "ip"),
        "users": panels.top(reading, period, filters, address, "user", limit=panels.TOP_USERS),
    }
