"""The dashboard: where the credits went, and how many are left."""

from typing import Any

from litestar import Request, Response, get
from litestar.response import Redirect

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import CALLER, Dimensions
from meterboard.domain.period import Period
from meterboard.domain.query import DimensionName, Filters
from meterboard.service.credits import LiveCredits
from meterboard.service.reads import shared
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading, Statistics
from meterboard.web import formatting as words
from meterboard.web.page_state import SWITCHES, Address
from meterboard.web.pages.dashboard import panels
from meterboard.web.pages.dashboard.comparison import change, nothing_to_compare, than
from meterboard.web.pages.dashboard.credit_recovery import coming
from meterboard.web.pages.dashboard.time_chart import peak, time_chart
from meterboard.web.pages.empty_states import first_call, nothing
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.preferences import remember
from meterboard.web.render import page

KNOWN = frozenset(SWITCHES)


@get("/", include_in_schema=False)
@shared
def dashboard(
    request: Request[Any, Any, Any],
    viewer: Viewer,
    statistics: Statistics,
    live_credits: LiveCredits,
    dimensions: Dimensions,
) -> Response[Any]:
    """Where the credits went, and how many are left."""
    address = address_of(request, dimensions, KNOWN)
    forms = {switch: address.shows(switch) for switch in SWITCHES}
    if address.is_bare and address.remembered:
        return Redirect(address.change(**address.remembered), status_code=303)
    filters = dimensions.parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        credits = live_credits.now(viewer.organization)
        returns = live_credits.returns(viewer.organization)
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address, counted=credits.calls),
            "panels": _panels(reading, period, filters, address) if summary.calls else {},
            "changes": _changes(reading, period, filters, address, summary),
        }
    response = page(
        "dashboard.html",
        **values,
        forms=forms,
        asked_more={"compare": "previous"} if forms["compare"] == "previous" else {},
        measure=forms["measure"],
        stacks=[CALLER.name, *dimensions.names],
        unit=words.UNITS[period.unit],
        counter=words.counter(credits),
        coming=coming(returns),
        zone=viewer.organization.zone.key,
        is_new=not (summary.average_over_days or summary.calls or credits.calls or filters),
        example=first_call(f"{request.url.scheme}://{request.headers.get('host', '')}", viewer),
    )
    remember(response, request, address)
    return response


def _panels(reading: Reading, period: Period, filters: Filters, address: Address) -> dict[str, object]:
    """Every panel of the dashboard. The list of the modules' panel is one of methods."""
    by: DimensionName = "method" if address.shows("modules") == "list" else "module"
    time = time_chart(reading, period, filters, address)
    return {
        "applications": panels.applications(reading, period, filters, address),
        "time": time,
        "peak": peak(time, address.shows("measure")),
        "modules": panels.top(reading, period, filters, address, by),
        "ips": panels.top(reading, period, filters, address, "ip"),
        "users": panels.top(reading, period, filters, address, "user", limit=panels.TOP_USERS),
    }


def _changes(
    reading: Reading, period: Period, filters: Filters, address: Address, summary: Summary
) -> dict[str, object]:
    """How the period's figures compare with those before, or why they can't be; empty when nobody asked."""
    if address.shows("compare") == "none":
        return {}
    before = reading.summary_before(period, filters)
    if before.calls is None or before.credits_used is None:
        return {"why_not": nothing_to_compare(reading.first_day)}
    versus = than(period, before)
    return {
        "calls": change(summary.calls, before.calls, versus),
        "credits": change(summary.credits_used, before.credits_used, versus),
        "than": versus,
        "url": address.change(period=before.period.name),
    }
