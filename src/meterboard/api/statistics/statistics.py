"""GET /v1/statistics/…: results as JSON, CSV or Parquet."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.openapi import ResponseSpec
from litestar.params import Parameter
from msgspec import Struct
from msgspec.structs import replace

from meterboard.api.problems import expected
from meterboard.api.schema.parts import DAY, TIME, list_pattern
from meterboard.api.statistics.responses import Format, respond, respond_in_full
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.domain.period import DEFAULT_PERIOD, NAMED_PERIODS
from meterboard.domain.query import MEASURES, Filters, parse_order
from meterboard.errors import InvalidParameter
from meterboard.service.export import Exports
from meterboard.service.reads import shared
from meterboard.service.statistics.answers import (
    BreakdownAnswer,
    FlowsAnswer,
    SeriesAnswer,
    Summary,
    TableAnswer,
    TasksAnswer,
)
from meterboard.service.statistics.statistics import Statistics

MAX_ROWS = 10_000
"""Rows of a result in JSON, and of a page in any format."""
PAGE_SIZE = 50
MAX_NAMES = 50
MAX_PAGE = 1_000_000_000
NULLABLE = ("compare", "limit", "page_size")
"""Parameters whose default is None. The framework parses the text null as None, which is refused."""
Limit = Annotated[
    int | None,
    Parameter(ge=1, le=MAX_ROWS, description="Rows at most. Default: 10,000; all in CSV and Parquet."),
]
Offset = Annotated[int, Parameter(ge=0, le=MAX_PAGE, description="Rows to skip.")]
LARGEST_FIRST = "Columns separated by commas, a - before one for the largest first."
BreakdownSort = Annotated[
    str,
    Parameter(
        description=f"{LARGEST_FIRST} kind only with by=caller.",
        schema_extra={"pattern": list_pattern("-?", ("name", "kind", *MEASURES))},
    ),
]
Sort = Annotated[
    str,
    Parameter(description=f"{LARGEST_FIRST} Any of columns, calls, credits and integration_tasks."),
]
Columns = Annotated[
    str,
    Parameter(description="Columns separated by commas, each once; the first is that of the groups."),
]
FlowColumns = Annotated[str, Parameter(description="Two or three columns separated by commas, each once.")]
Page = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
PageSize = Annotated[
    int | None, Parameter(ge=1, le=MAX_ROWS, description="Default: 50; all in CSV and Parquet.")
]
PeriodText = Annotated[
    str,
    Parameter(
        description="last_24_hours, today, yesterday, last_30_days, 2026-11-03, 2026-11-03..2026-11-09, "
        "or local times at multiples of 15 minutes such as 2026-11-03T10:00..2026-11-03T14:00. The end is after the start.",
        schema_extra={
            "format": "period",
            "pattern": rf"^({'|'.join(NAMED_PERIODS)}|{DAY}(\.\.{DAY})?|{TIME}\.\.{TIME})$",
        },
    ),
]
Compare = Annotated[
    Literal["previous"] | None,
    Parameter(description="previous: with the usage of the previous period of the same length."),
]
By = Annotated[
    str | None,
    Parameter(description="In each step the usage of the names with the most calls, and of all others."),
]
TopN = Annotated[
    int, Parameter(ge=1, le=MAX_NAMES, description="How many names are listed. The others are added up.")
]


class QueryParams(Struct, frozen=True):
    """The parameters of every query: the period as written, and the filters; and the dimensions of the installation."""

    period: str
    filters: Filters
    dimensions: Dimensions


async def provide_params(
    request: Request[Any, Any, Any], dimensions: Dimensions, period: PeriodText = DEFAULT_PERIOD
) -> QueryParams:
    """Returns the parameters of every query. The OpenAPI document adds the filters, one for each dimension."""
    return QueryParams(period, dimensions.parse_filters(request.query_params.multi_items()), dimensions)


def reject_unknown_params(request: Request[Any, Any, Any], params: QueryParams, *more: str) -> None:
    """
    Checks that a query has only its own parameters, so that a misspelled filter is not ignored.

    Raises: InvalidParameter: it has another.
    """
    allowed = ("period", "format", *params.dimensions.filters, *more)
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise InvalidParameter(name, f"There is no parameter {name!r} here. Use {', '.join(allowed)}.")
        if name in NULLABLE and value.lower() == "null":
            raise InvalidParameter(name, f"{name} is {value!r}: expected {expected(request, name)}.")


def name_in(request: Request[Any, Any, Any], parameter: str, allowed: Sequence[str]) -> str:
    """Returns the name that a parameter gives. Raises: InvalidParameter: it is missing, or not one that is allowed."""
    value: str | None = request.query_params.get(parameter)
    if value is None or value not in allowed:
        given = "missing" if value is None else repr(value)
        raise InvalidParameter(parameter, f"{parameter} is {given}: expected one of {', '.join(allowed)}.")
    return value


def response_spec(answer: type[Struct]) -> dict[int, ResponseSpec]:
    """Returns the description of a result for the OpenAPI document."""
    return {200: ResponseSpec(answer, description="The result. CSV and Parquet have its rows.")}


@get(
    "/summary",
    summary="Totals of a period",
    operation_id="GetSummary",
    responses=response_spec(Summary),
)
@shared
def summary(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    compare: Compare = None,
    format: Format = "json",
) -> Response[bytes]:
    """Returns calls, credits used and allowed, and the average calls per day."""
    reject_unknown_params(request, params, "compare")
    with statistics.read(organization) as reading:
        period = reading.period(params.period)
        answer = reading.summary(period, params.filters)
        if compare:
            answer = replace(answer, previous=reading.summary_before(period, params.filters))
    return respond(answer, format=format, name="summary")


@get(
    "/breakdown",
    summary="Usage by one dimension",
    operation_id="GetBreakdown",
    responses=response_spec(BreakdownAnswer),
)
@shared
def breakdown(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    exports: Exports,
    by: str = "",
    limit: Limit = None,
    offset: Offset = 0,
    sort: BreakdownSort = "-calls",
    compare: Compare = None,
    format: Format = "json",
) -> Response[Any]:
    """Returns usage by one dimension, most calls first, ties by name. `by=function` counts only integration tasks."""
    reject_unknown_params(request, params, "by", "limit", "offset", "sort", "compare")
    by = name_in(request, "by", params.dimensions.breakdowns)
    name = f"usage-by-{by}"
    names = ("name", "kind") if by == "caller" else ("name",)
    order = parse_order(sort, allowed=(*names, *MEASURES))
    with statistics.read(organization) as reading:
        period = reading.period(params.period)

        def read(limit: int, offset: int, *, in_full: bool = True) -> BreakdownAnswer:
            answer = reading.breakdown(
                period, params.filters, by, limit=limit, offset=offset, order=order, in_full=in_full
            )
            return reading.compared(answer, period, params.filters) if compare else answer

        if format != "json" and limit is None and not offset:
            return respond_in_full(read, format=format, name=name, organization=organization, exports=exports)
        answer = read(limit or MAX_ROWS, offset, in_full=False)
    return respond(answer, format=format, name=name)


@get(
    "/series",
    summary="Usage over time",
    operation_id="GetSeries",
    responses=response_spec(SeriesAnswer),
)
@shared
def series(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    by: By = None,
    limit: TopN = 5,
    format: Format = "json",
) -> Response[bytes]:
    """
    Returns usage by hour for one day, by day for a range, including empty steps.

    With `by`, each step lists the most used names.
    """
    reject_unknown_params(request, params, "by", "limit")
    if "by" in request.query_params:
        by = name_in(request, "by", params.dimensions.breakdowns)
    with statistics.read(organization) as reading:
        answer = reading.series(reading.period(params.period), params.filters, by, limit=limit)
    return respond(answer, format=format, name="usage-over-time")


@get(
    "/flows",
    summary="Flows between the names of columns",
    operation_id="GetFlows",
    responses=response_spec(FlowsAnswer),
)
@shared
def flows(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    columns: FlowColumns = "application,user,module",
    limit: TopN = 8,
    format: Format = "json",
) -> Response[bytes]:
    """Returns the usage that the most used names of each column share, with all other names of a column as one."""
    reject_unknown_params(request, params, "columns", "limit")
    chosen = params.dimensions.parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.flows(reading.period(params.period), params.filters, chosen, limit=limit)
    return respond(answer, format=format, name="flows")


@get(
    "/table",
    summary="Combinations that occurred",
    operation_id="GetTable",
    responses=response_spec(TableAnswer),
)
@shared
def table(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    exports: Exports,
    columns: Columns = "user,ip,application",
    sort: Sort = "-calls",
    page: Page = 1,
    page_size: PageSize = None,
    rows: Literal["flat", "grouped"] = "flat",
    format: Format = "json",
) -> Response[Any]:
    """Returns calls, credits and integration tasks of each combination of the columns, or of each value of the first."""
    reject_unknown_params(request, params, "columns", "sort", "page", "page_size", "rows")
    chosen = params.dimensions.parse_columns(columns)
    order = parse_order(sort, allowed=(*chosen, *MEASURES))
    size = PAGE_SIZE if page_size is None else page_size
    with statistics.read(organization) as reading:
        period = reading.period(params.period)
        read = partial(
            reading.grouped if rows == "grouped" else reading.table,
            period,
            params.filters,
            columns=chosen,
            order=order,
        )
        if format != "json" and page_size is None:
            return respond_in_full(
                lambda limit, offset: read(page=offset // limit + 1, page_size=limit, in_full=True),
                format=format,
                name="usage",
                organization=organization,
                exports=exports,
                with_estimates=reading.has_estimates(period, params.filters),
            )
        answer = read(page=page, page_size=size)
    return respond(answer, format=format, name="usage")


@get(
    "/integration-tasks",
    summary="Integration tasks per function and module",
    operation_id="GetIntegrationTasks",
    responses=response_spec(TasksAnswer),
)
@shared
def integration_tasks(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    params: QueryParams,
    exports: Exports,
    format: Format = "json",
) -> Response[Any]:
    """Returns how many tasks each function ran in each module, and their credits."""
    reject_unknown_params(request, params)
    with statistics.read(organization) as reading:
        period = reading.period(params.period)
        if format != "json":
            return respond_in_full(
                lambda limit, offset: reading.integration_tasks(
                    period, params.filters, limit=limit, offset=offset, in_full=True
                ),
                format=format,
                name="integration-tasks",
                organization=organization,
                exports=exports,
            )
        answer = reading.integration_tasks(period, params.filters, limit=MAX_ROWS)
    return respond(answer, format=format, name="integration-tasks")
