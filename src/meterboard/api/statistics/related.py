"""GET /v1/statistics/connections and /values: what goes together, and what there is to choose from."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from meterboard.api.statistics.responses import Format, respond
from meterboard.api.statistics.statistics import MOST_ROWS, Asked, Columns, described, name_in, only
from meterboard.domain.organization import Organization
from meterboard.service.reads import shared
from meterboard.service.statistics.linked import ConnectionsAnswer, ValuesAnswer
from meterboard.service.statistics.statistics import Statistics

CONNECTIONS = 200
"""Values of each column, and VALUES of one, in an answer that was not asked for more."""
VALUES = 20

Most = Annotated[
    int, Parameter(ge=1, le=MOST_ROWS, description="Values at most, those with most calls first.")
]
Search = Annotated[str, Parameter(description="Values that have this within alone, whatever the case.")]


@get(
    "/connections",
    summary="What values are connected with",
    operation_id="GetConnections",
    responses=described(ConnectionsAnswer),
)
@shared
def connections(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    columns: Columns = "user,ip,application",
    limit: Most = CONNECTIONS,
    format: Format = "json",
) -> Response[bytes]:
    """
    The values of each column that occur in the usage which the filters let through, and how much of it is theirs.

    `ip=10.1.4.7` asks what that address is connected with; `ip=10.1.4.7&module=Leads` what both together are.
    """
    only(request, asked, "columns", "limit")
    chosen = asked.dimensions.parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.connections(reading.period(asked.period), asked.filters, chosen, limit=limit)
    return respond(answer, form=format, name="connections")


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
    """The values of a column, most calls first, under the filters of all other columns."""
    only(request, asked, "column", "search", "limit")
    column = name_in(request, "column", asked.dimensions.names)
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        answer = reading.values(period, asked.filters, column, search=search, limit=limit)
    return respond(answer, form=format, name=f"values-of-{column}")
