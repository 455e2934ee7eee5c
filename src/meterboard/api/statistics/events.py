"""GET /v1/events: the events behind a number, newest first."""

from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import Parameter

from meterboard.api.schema.parts import CURSOR_PATTERN
from meterboard.api.statistics.responses import Format, respond
from meterboard.api.statistics.statistics import Asked, described, only
from meterboard.domain.cursor import parse_cursor
from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.statistics.events import MOST_EVENTS, EventsAnswer
from meterboard.service.statistics.statistics import Statistics

EVENTS = 50
"""Events of an answer that does not say how many."""

Limit = Annotated[
    int | None,
    Parameter(ge=1, le=MOST_EVENTS, description="Events at most. Default: 50; 10,000 in CSV and Parquet."),
]
CursorText = Annotated[
    str | None,
    Parameter(
        description="What another answer has as next or previous; left out: the newest events.",
        schema_extra={"pattern": CURSOR_PATTERN},
    ),
]


@get(
    "/events",
    summary="List usage events",
    operation_id="ListEvents",
    responses=described(EventsAnswer),
)
@shared
def events(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    limit: Limit = None,
    cursor: CursorText = None,
    format: Format = "json",
) -> Response[bytes]:
    """
    Exactly the events that the statistics of the same period and filters count, newest first, each with why it cost
    what it did. `next` leads on; with CSV and Parquet it stands in the header `Link`.
    """
    only(request, asked, "limit", "cursor")
    place = None if cursor is None else parse_cursor(cursor)
    size = limit or (EVENTS if format == "json" else MOST_EVENTS)
    with statistics.read(organization) as reading:
        answer = reading.events(reading.period(asked.period), asked.filters, limit=size, cursor=place)
    response = respond(answer, format=format, name="calls", own=asked.dimensions.own_names)
    links = [
        f'<{_address(request, cursor)}>; rel="{relation}"'
        for relation, cursor in (("next", answer.next), ("prev", answer.previous))
        if cursor
    ]
    if links:
        response.headers["Link"] = ", ".join(links)
    return response


def _address(request: Request[Any, Any, Any], cursor: str) -> str:
    """The address that was asked for, going on from a cursor."""
    kept = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"
