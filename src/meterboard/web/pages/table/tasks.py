"""The details of integration tasks: what those in a module cost, by function, or those of a function, by module."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import value_of
from meterboard.service.reads import shared
from meterboard.service.statistics.statistics import Statistics
from meterboard.web import formatting
from meterboard.web.pages.frame import parse_page_state
from meterboard.web.render import page

MAX_TASKS = 1_000
"""The most rows of the page: those with the most tasks. The API returns all of them."""


@get("/tasks", include_in_schema=False)
@shared
def tasks(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """Shows what integration tasks cost, by function and module, in a dialog or as a page."""
    state = parse_page_state(request, dimensions)
    filters = dimensions.parse_filters(state.pairs())
    with statistics.read(viewer.organization) as reading:
        answer = reading.integration_tasks(reading.period(state.period), filters, limit=MAX_TASKS)
    whole = "hx-request" not in request.headers
    modules, functions = filters.get("module", ()), filters.get("function", ())
    return page(
        "tasks_page.html" if whole else "tasks.html",
        whole=whole,
        answer=answer,
        most=MAX_TASKS,
        state=state,
        module=modules[0] if len(modules) == 1 else None,
        function=functions[0] if len(functions) == 1 else None,
        period_name=formatting.period_name(state.period),
        zone=viewer.organization.zone.key,
        value_of=value_of,
        quarter_of=formatting.quarter_of,
    )
