"""The dashboard: what used the credits, and how many are left."""

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
from meterboard.web import formatting
from meterboard.web.page_state import SWITCHES, PageState
from meterboard.web.pages.dashboard import panels
from meterboard.web.pages.dashboard.comparison import change, name_of_previous, nothing_to_compare
from meterboard.web.pages.dashboard.credit_recovery import recovery_chart
from meterboard.web.pages.dashboard.time_chart import peak, time_chart
from meterboard.web.pages.empty_states import empty_state, first_call
from meterboard.web.pages.frame import frame, parse_page_state
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
    """Shows what used the credits, and how many are left."""
    state = parse_page_state(request, dimensions, KNOWN)
    forms = {switch: state.shows(switch) for switch in SWITCHES}
    if state.is_bare and state.remembered:
        return Redirect(state.change(**state.remembered), status_code=303)
    filters = dimensions.parse_filters(state.pairs())
    with statistics.read(viewer.organization) as reading:
        credits = live_credits.now(viewer.organization)
        returns = live_credits.returns(viewer.organization)
        period = reading.period(state.period)
        summary = reading.summary(period, filters)
        values = {
            **frame(viewer, state, reading, summary, filters),
            "empty": empty_state(reading, period, summary, state, live_calls=credits.calls),
            "panels": _panels(reading, period, filters, state) if summary.calls else {},
            "changes": _changes(reading, period, filters, state, summary),
        }
    response = page(
        "dashboard.html",
        **values,
        forms=forms,
        compare_params={"compare": "previous"} if forms["compare"] == "previous" else {},
        measure=forms["measure"],
        stacks=[CALLER.name, *dimensions.names],
        unit=formatting.UNITS[period.unit],
        counter=formatting.counter(credits),
        recovery_chart=recovery_chart(returns),
        zone=viewer.organization.zone.key,
        is_new=not (summary.average_over_days or summary.calls or credits.calls or filters),
        example=first_call(f"{request.url.scheme}://{request.headers.get('host', '')}", viewer),
    )
    remember(response, request, state)
    return response


def _panels(reading: Reading, period: Period, filters: Filters, state: PageState) -> dict[str, object]:
    """Returns the dashboard's panels. The list of the modules panel is one of methods."""
    by: DimensionName = "method" if state.shows("modules") == "list" else "module"
    time = time_chart(reading, period, filters, state)
    return {
        "applications": panels.applications(reading, period, filters, state),
        "time": time,
        "peak": peak(time, state.shows("measure")),
        "modules": panels.top(reading, period, filters, state, by),
        "ips": panels.top(reading, period, filters, state, "ip"),
        "users": panels.top(reading, period, filters, state, "user", limit=panels.TOP_USERS),
    }


def _changes(
    reading: Reading, period: Period, filters: Filters, state: PageState, summary: Summary
) -> dict[str, object]:
    """
    Returns how the period's numbers compare with the previous ones, or why they can't be compared; empty unless
    requested.
    """
    if state.shows("compare") == "none":
        return {}
    before = reading.summary_before(period, filters)
    if before.calls is None or before.credits_used is None:
        return {"why_not": nothing_to_compare(reading.first_day)}
    previous_name = name_of_previous(period, before)
    return {
        "calls": change(summary.calls, before.calls, previous_name),
        "credits": change(summary.credits_used, before.credits_used, previous_name),
        "previous_name": previous_name,
        "url": state.change(period=before.period.name),
    }
