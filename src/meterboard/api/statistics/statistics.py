"""GET /v1/statistics/…: a question in, its answer out as JSON, CSV or Parquet."""

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

MOST_ROWS = 10_000
"""Rows of an answer in JSON, and of a page of any."""
PAGE_SIZE = 50
MOST_PARTS = 50
MOST_PAGES = 1_000_000_000
NULLABLE = ("compare", "limit", "page_size")
"""Parameters whose default is None: the framework reads the text null as None, which is refused here."""
Limit = Annotated[
    int | None,
    Parameter(ge=1, le=MOST_ROWS, description="Rows at most. Default: 10,000; all in CSV and Parquet."),
]
Offset = Annotated[int, Parameter(ge=0, le=MOST_PAGES, description="Rows to pass over.")]
LARGEST_FIRST = "Columns separated by commas, a - before one for the largest first."
BreakdownSort = Annotated[
    str,
    Parameter(
        description=f"{LARGEST_FIRST} kind with by=caller alone.",
        schema_extra={"pattern": list_pattern("-?", ("name", "kind", *MEASURES))},
    ),
]
Sort = Annotated[
    str,
    Parameter(description=f"{LARGEST_FIRST} Any of columns, calls, credits and integration_tasks."),
]
Columns = Annotated[
    str,
    Parameter(description="Columns separated by commas, each once; the first is the default column."),
]
FlowColumns = Annotated[str, Parameter(description="Two or three columns separated by commas, each once.")]
Page = Annotated[int, Parameter(ge=1, le=MOST_PAGES)]
PageSize = Annotated[
    int | None, Parameter(ge=1, le=MOST_ROWS, description="Default: 50; all in CSV and Parquet.")
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
    Parameter(description="previous: with the usage of the period of the same length before."),
]
By = Annotated[
    str | None,
    Parameter(
        description="With the usage of the names that have the most calls, and of all others, in each step."
    ),
]
Few = Annotated[int, Parameter(ge=1, le=MOST_PARTS, description="How many names are told apart.")]


class Asked(Struct, frozen=True):
    """What every question has: the period as written, and the filters; and the dimensions that there are."""

    period: str
    filters: Filters
    dimensions: Dimensions


async def provide_asked(
    request: Request[Any, Any, Any], dimensions: Dimensions, period: PeriodText = DEFAULT_PERIOD
) -> Asked:
    """Returns the part that every question has. The API's description adds the filters, one for each dimension."""
    return Asked(period, dimensions.parse_filters(request.query_params.multi_items()), dimensions)


def only(request: Request[Any, Any, Any], asked: Asked, *more: str) -> None:
    """
    Accepts the question's own parameters and no others: a typo must not widen an answer silently.

    Raises: InvalidParameter: there is another.
    """
    allowed = ("period", "format", *asked.dimensions.filters, *more)
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


def described(answer: type[Struct]) -> dict[int, ResponseSpec]:
    """An answer as the API's description has it."""
    return {200: ResponseSpec(answer, description="The answer; CSV and Parquet carry its rows.")}


@get(
    "/summary",
    summary="Totals of a period",
    operation_id="GetSummary",
    responses=described(Summary),
)
@shared
def summary(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    compare: Compare = None,
    format: Format = "json",
) -> Response[bytes]:
    """Calls, credits used and allowed, average calls a day."""
    only(request, asked, "compare")
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        answer = reading.summary(period, asked.filters)
        if compare:
            answer = replace(answer, previous=reading.summary_before(period, asked.filters))
    return respond(answer, format=format, name="summary")


@get(
    "/breakdown",
    summary="Usage by one dimension",
    operation_id="GetBreakdown",
    responses=described(BreakdownAnswer),
)
@shared
def breakdown(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    exports: Exports,
    by: str = "",
    limit: Limit = None,
    offset: Offset = 0,
    sort: BreakdownSort = "-calls",
    compare: Compare = None,
    format: Format = "json",
) -> Response[Any]:
    """Most calls first, ties by name. `by=function` counts integration tasks alone."""
    only(request, asked, "by", "limit", "offset", "sort", "compare")
    by = name_in(request, "by", asked.dimensions.breakdowns)
    name = f"usage-by-{by}"
    names = ("name", "kind") if by == "caller" else ("name",)
    order = parse_order(sort, allowed=(*names, *MEASURES))
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)

        def ask(limit: int, offset: int, *, in_full: bool = True) -> BreakdownAnswer:
            answer = reading.breakdown(
                period, asked.filters, by, limit=limit, offset=offset, order=order, in_full=in_full
            )
            return reading.compared(answer, period, asked.filters) if compare else answer

        if format != "json" and limit is None and not offset:
            return respond_in_full(ask, format=format, name=name, organization=organization, exports=exports)
        answer = ask(limit or MOST_ROWS, offset, in_full=False)
    return respond(answer, format=format, name=name)


@get(
    "/series",
    summary="Usage over time",
    operation_id="GetSeries",
    responses=described(SeriesAnswer),
)
@shared
def series(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    by: By = None,
    limit: Few = 5,
    format: Format = "json",
) -> Response[bytes]:
    """By hour for one day, by day for a range; empty steps included. `by` tells the most used names apart."""
    only(request, asked, "by", "limit")
    if "by" in request.query_params:
        by = name_in(request, "by", asked.dimensions.breakdowns)
    with statistics.read(organization) as reading:
        answer = reading.series(reading.period(asked.period), asked.filters, by, limit=limit)
    return respond(answer, format=format, name="usage-over-time")


@get(
    "/flows",
    summary="Flows between the names of columns",
    operation_id="GetFlows",
    responses=described(FlowsAnswer),
)
@shared
def flows(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    columns: FlowColumns = "application,user,module",
    limit: Few = 8,
    format: Format = "json",
) -> Response[bytes]:
    """What the most used names of each column have in common, all other names of a column as one."""
    only(request, asked, "columns", "limit")
    chosen = asked.dimensions.parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.flows(reading.period(asked.period), asked.filters, chosen, limit=limit)
    return respond(answer, format=format, name="flows")


@get(
    "/table",
    summary="Combinations that occurred",
    operation_id="GetTable",
    responses=described(TableAnswer),
)
@shared
def table(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    exports: Exports,
    columns: Columns = "user,ip,application",
    sort: Sort = "-calls",
    page: Page = 1,
    page_size: PageSize = None,
    rows: Literal["flat", "grouped"] = "flat",
    format: Format = "json",
) -> Response[Any]:
    """Calls, credits and integration tasks of each combination of the columns, or of each value of the first."""
    only(request, asked, "columns", "sort", "page", "page_size", "rows")
    chosen = asked.dimensions.parse_columns(columns)
    order = parse_order(sort, allowed=(*chosen, *MEASURES))
    size = PAGE_SIZE if page_size is None else page_size
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        ask = partial(
            reading.grouped if rows == "grouped" else reading.table,
            period,
            asked.filters,
            columns=chosen,
            order=order,
        )
        if format != "json" and page_size is None:
            return respond_in_full(
                lambda limit, offset: ask(page=offset // limit + 1, page_size=limit, in_full=True),
                format=format,
                name="usage",
                organization=organization,
                exports=exports,
                with_estimates=reading.has_estimates(period, asked.filters),
            )
        answer = ask(page=page, page_size=size)
    return respond(answer, format=format, name="usage")


@get(
    "/integration-tasks",
    summary="Integration tasks per function and module",
    operation_id="GetIntegrationTasks",
    responses=described(TasksAnswer),
)
@shared
def integration_tasks(
    request: Request[Any, Any, Any],
    organization: Organization,
    statistics: Statistics,
    asked: Asked,
    exports: Exports,
    format: Format = "json",
) -> Response[Any]:
    """How many tasks each function ran in each module, and their credits."""
    only(request, asked)
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        if format != "json":
            return respond_in_full(
                lambda limit, offset: reading.integration_tasks(
                    period, asked.filters, limit=limit, offset=offset, in_full=True
                ),
                format=format,
                name="integration-tasks",
                organization=organization,
                exports=exports,
            )
        answer = reading.integration_tasks(period, asked.filters, limit=MOST_ROWS)
    return respond(answer, format=format, name="integration-tasks")
