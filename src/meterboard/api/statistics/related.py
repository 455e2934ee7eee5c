"""GET /v1/statistics/related and /values: the values that occur together, and the values of a column."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from meterboard.api.statistics.responses import Format, respond
from meterboard.api.statistics.statistics import (
    MAX_ROWS,
    Columns,
    QueryParams,
    name_in,
    reject_unknown_params,
    response_spec,
)
from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.statistics.related import RelatedAnswer, ValuesAnswer
from meterboard.service.statistics.statistics import Statistics

RELATED = 200
"""Values of each column, or with VALUES of one column, if the request has no limit."""
VALUES = 20

MaxValues = Annotated[
    int, Parameter(ge=1, le=MAX_ROWS, description="Values at most, those with most calls first.")
]
Search = Annotated[str, Parameter(description="Only values that contain this text, ignoring case.")]


@get(
    "/related",
    summary="Values that occur together",
    operation_id="GetRelated",
    responses=response_spec(RelatedAnswer),
)
@shared
def related(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    columns: Columns = "user,ip,application",
    limit: MaxValues = RELATED,
    format: Format = "json",
) -> Response[bytes]:
    """
    Returns the values of each column in the filtered usage, with their calls and credits.

    `ip=10.1.4.7` returns the values that occur with that address; `ip=10.1.4.7&module=Leads` those that occur with both.
    """
    reject_unknown_params(request, params, "columns", "limit")
    chosen = params.dimensions.parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.related(reading.period(params.period), params.filters, chosen, limit=limit)
    return respond(answer, format=format, name="related")


@get(
    "/values",
    summary="Values to choose from",
    operation_id="GetValues",
    responses=response_spec(ValuesAnswer),
)
@shared
def values(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    column: str = "",
    search: Search = "",
    limit: MaxValues = VALUES,
    format: Format = "json",
) -> Response[bytes]:
    """Returns the values of a column, most calls first, under the filters of all other columns."""
    reject_unknown_params(request, params, "column", "search", "limit")
    column = name_in(request, "column", params.dimensions.names)
    with statistics.read(organization) as reading:
        period = reading.period(params.period)
        answer = reading.values(period, params.filters, column, search=search, limit=limit)
    return respond(answer, format=format, name=f"values-of-{column}")
