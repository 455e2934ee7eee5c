"""View Details: what the integration tasks in a module cost, by function; or those of a function, by module."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import value_of
from meterboard.service.reads import shared
from meterboard.service.statistics.statistics import Statistics
from meterboard.web import formatting as words
from meterboard.web.pages.frame import address_of
from meterboard.web.render import page

MOST_TASKS = 1_000
"""Rows of the page: those with the most tasks. All are in the API's answer."""


@get("/tasks", include_in_schema=False)
@shared
def tasks(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """What the integration tasks cost, by function and module. In a dialog, or as a page of its own."""
    address = address_of(request, dimensions)
    filters = dimensions.parse_filters(address.pairs())
    with statistics.read(viewer.organization) as reading:
        answer = reading.integration_tasks(reading.period(address.period), filters, limit=MOST_TASKS)
    whole = "hx-request" not in request.headers
    modules, functions = filters.get("module", ()), filters.get("function", ())
    return page(
        "tasks_page.html" if whole else "tasks.html",
        whole=whole,
        answer=answer,
        most=MOST_TASKS,
        address=address,
        module=modules[0] if len(modules) == 1 else None,
        function=functions[0] if len(functions) == 1 else None,
        period_name=words.period_name(address.period),
        zone=viewer.organization.zone.key,
        value_of=value_of,
        quarter_of=words.quarter_of,
    )
