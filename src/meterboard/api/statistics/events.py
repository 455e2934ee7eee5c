"""GET /v1/events: the events that statistics count, newest first."""

from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import Parameter

from meterboard.api.schema.parts import CURSOR_PATTERN
from meterboard.api.statistics.responses import Format, respond
from meterboard.api.statistics.statistics import QueryParams, reject_unknown_params, response_spec
from meterboard.domain.cursor import parse_cursor
from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.statistics.events import MAX_LISTED_EVENTS, EventsAnswer
from meterboard.service.statistics.statistics import Statistics

EVENTS = 50
"""Events of a response if the request has no limit."""

Limit = Annotated[
    int | None,
    Parameter(
        ge=1, le=MAX_LISTED_EVENTS, description="Events at most. Default: 50; 10,000 in CSV and Parquet."
    ),
]
CursorText = Annotated[
    str | None,
    Parameter(
        description="The value of next or previous in another response. Default: the newest events.",
        schema_extra={"pattern": CURSOR_PATTERN},
    ),
]


@get(
    "/events",
    summary="List usage events",
    operation_id="ListEvents",
    responses=response_spec(EventsAnswer),
)
@shared
def events(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    limit: Limit = None,
    cursor: CursorText = None,
    format: Format = "json",
) -> Response[bytes]:
    """
    Returns the events that statistics of the same period and filters count, newest first, each with the reason for its
    price. `next` is the cursor of the next page; with CSV and Parquet it is in the header `Link`.
    """
    reject_unknown_params(request, params, "limit", "cursor")
    start = None if cursor is None else parse_cursor(cursor)
    size = limit or (EVENTS if format == "json" else MAX_LISTED_EVENTS)
    with statistics.read(organization) as reading:
        answer = reading.events(reading.period(params.period), params.filters, limit=size, cursor=start)
    response = respond(answer, format=format, name="calls", own=params.dimensions.own_names)
    links = [
        f'<{_address(request, cursor)}>; rel="{relation}"'
        for relation, cursor in (("next", answer.next), ("prev", answer.previous))
        if cursor
    ]
    if links:
        response.headers["Link"] = ", ".join(links)
    return response


def _address(request: Request[Any, Any, Any], cursor: str) -> str:
    """Returns the address of the request with another cursor."""
    others = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
    return f"{request.url.path}?{urlencode([*others, ('cursor', cursor)])}"
