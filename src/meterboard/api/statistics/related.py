"""GET /v1/statistics/related and /values: the values that occur together, and the values of a column."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from meterboard.api.statistics.responses import Format, respond
from meterboard.api.statistics.statistics import MOST_ROWS, Asked, Columns, described, name_in, only
from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.statistics.linked import RelatedAnswer, ValuesAnswer
from meterboard.service.statistics.statistics import Statistics

RELATED = 200
"""Values of each column, and VALUES of one, if the request has no limit."""
VALUES = 20

Most = Annotated[
    int, Parameter(ge=1, le=MOST_ROWS, description="Values at most, those with most calls first.")
]
Search = Annotated[str, Parameter(description="Values that have this within alone, whatever the case.")]


@get(
    "/related",
    summary="Values that occur together",
    operation_id="GetRelated",
    responses=described(RelatedAnswer),
)
@shared
def related(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    columns: Columns = "user,ip,application",
    limit: Most = RELATED,
    format: Format = "json",
) -> Response[bytes]:
    """
    Returns the values of each column that occur in the filtered usage, and how much of it is theirs.

    `ip=10.1.4.7` returns the values that occur with that address; `ip=10.1.4.7&module=Leads` those that occur with both.
    """
    only(request, asked, "columns", "limit")
    chosen = asked.dimensions.parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.related(reading.period(asked.period), asked.filters, chosen, limit=limit)
    return respond(answer, format=format, name="related")


@get(
    "/values",
    summary="Values to choose from",
    operation_id="GetValues",
    responses=described(ValuesAnswer),
)
@shared
def values(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    column: str = "",
    search: Search = "",
    limit: Most = VALUES,
    format: Format = "json",
) -> Response[bytes]:
    """Returns the values of a column, most calls first, under the filters of all other columns."""
    only(request, asked, "column", "search", "limit")
    column = name_in(request, "column", asked.dimensions.names)
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        answer = reading.values(period, asked.filters, column, search=search, limit=limit)
    return respond(answer, format=format, name=f"values-of-{column}")
