"""GET /v1/statistics/…: a question in, its answer out as JSON, CSV or Parquet."""

from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.openapi import ResponseSpec
from litestar.params import Parameter
from msgspec import Struct
from msgspec.structs import replace

from meterboard.api.problems import expected
from meterboard.api.schema.parts import DAY, TIME, address_schema, list_pattern
from meterboard.api.statistics.responses import Format, respond, respond_in_full
from meterboard.domain.organization import Organization
from meterboard.domain.period import DEFAULT_PERIOD, NAMED_PERIODS
from meterboard.domain.query import (
    DIMENSIONS,
    FILTERS,
    MEASURES,
    Breakdown,
    Dimension,
    Filters,
    parse_columns,
    parse_filters,
    parse_order,
)
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
NULLABLE = ("by", "compare", "limit", "page_size")
"""Parameters whose default is None: the framework reads the text null as None, which is refused here."""
FILTERED = "Only usage with this value; may be repeated. Empty: where the event did not say."

Values = Annotated[list[str] | None, Parameter(description=FILTERED)]
Addresses = Annotated[
    list[str] | None, Parameter(description=FILTERED, schema_extra={"items": address_schema()})
]
Limit = Annotated[
    int | None,
    Parameter(ge=1, le=MOST_ROWS, description="Rows at most. Default: 10,000; all in CSV and Parquet."),
]
Offset = Annotated[int, Parameter(ge=0, le=MOST_PAGES, description="Rows to pass over.")]
LARGEST_FIRST = "Columns with commas between, a - before one for the largest first."
BreakdownSort = Annotated[
    str,
    Parameter(
        description=f"{LARGEST_FIRST} kind with by=caller alone.",
        schema_extra={"pattern": list_pattern("-?", ("name", "kind", *MEASURES))},
    ),
]
Sort = Annotated[
    str,
    Parameter(
        description=f"{LARGEST_FIRST} Any of columns, calls, credits and integration_tasks.",
        schema_extra={"pattern": list_pattern("-?", (*DIMENSIONS, *MEASURES))},
    ),
]
Columns = Annotated[
    str,
    Parameter(
        description="Columns with commas between, each once; the first is the default column.",
        schema_extra={"pattern": list_pattern("", DIMENSIONS, once=True)},
    ),
]
FlowColumns = Annotated[
    str,
    Parameter(
        description="Two or three columns with commas between, each once.",
        schema_extra={"pattern": list_pattern("", DIMENSIONS, once=True, count="{1,2}")},
    ),
]
Page = Annotated[int, Parameter(ge=1, le=MOST_PAGES)]
PageSize = Annotated[
    int | None, Parameter(ge=1, le=MOST_ROWS, description="Default: 50; all in CSV and Parquet.")
]
PeriodText = Annotated[
    str,
    Parameter(
        description="last_24_hours, today, yesterday, last_30_days, 2026-11-03, 2026-11-03..2026-11-09, "
        "or local times on quarters of an hour such as 2026-11-03T10:00..2026-11-03T14:00. The end is after the start.",
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
    Breakdown | None,
    Parameter(
        description="With the usage of the names that have the most calls, and of all others, in each step."
    ),
]
Few = Annotated[int, Parameter(ge=1, le=MOST_PARTS, description="How many names are told apart.")]


class Asked(Struct, frozen=True):
    """What every question has: the period as written, and the filters."""

    period: str
    filters: Filters


async def provide_asked(
    request: Request[Any, Any, Any],
    period: PeriodText = DEFAULT_PERIOD,
    application: Values = None,
    function: Values = None,
    module: Values = None,
    method: Values = None,
    version: Values = None,
    ip: Addresses = None,
    user: Values = None,
    status: Values = None,
) -> Asked:
    """The part that every question has. The parameters are named here for the API's description."""
    return Asked(period, parse_filters(request.query_params.multi_items()))


def only(request: Request[Any, Any, Any], *more: str) -> None:
    """
    Let the question's own parameters through and no others: a typo must not widen an answer silently.

    Raises: InvalidParameter: there is another.
    """
    allowed = ("period", "format", *FILTERS, *more)
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise InvalidParameter(name, f"There is no parameter {name!r} here. Use {', '.join(allowed)}.")
        if name in NULLABLE and value.lower() == "null":
            raise InvalidParameter(name, f"{name} is {value!r}: expected {expected(request, name)}.")


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
    only(request, "compare")
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        answer = reading.summary(period, asked.filters)
        if compare:
            answer = replace(answer, previous=reading.summary_before(period, asked.filters))
    return respond(answer, form=format, name="summary")


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
    by: Breakdown,
    limit: Limit = None,
    offset: Offset = 0,
    sort: BreakdownSort = "-calls",
    compare: Compare = None,
    format: Format = "json",
) -> Response[Any]:
    """Most calls first, ties by name. `by=function` counts integration tasks alone."""
    only(request, "by", "limit", "offset", "sort", "compare")
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
            return respond_in_full(ask, form=format, name=name, organization=organization, exports=exports)
        answer = ask(limit or MOST_ROWS, offset, in_full=False)
    return respond(answer, form=format, name=name)


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
    only(request, "by", "limit")
    with statistics.read(organization) as reading:
        answer = reading.series(reading.period(asked.period), asked.filters, by, limit=limit)
    return respond(answer, form=format, name="usage-over-time")


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
    only(request, "columns", "limit")
    chosen = parse_columns(columns)
    with statistics.read(organization) as reading:
        answer = reading.flows(reading.period(asked.period), asked.filters, chosen, limit=limit)
    return respond(answer, form=format, name="flows")


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
    only(request, "columns", "sort", "page", "page_size", "rows")
    chosen: tuple[Dimension, ...] = parse_columns(columns)
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
                form=format,
                name="usage",
                organization=organization,
                exports=exports,
                with_estimates=reading.has_estimates(period, asked.filters),
            )
        answer = ask(page=page, page_size=size)
    return respond(answer, form=format, name="usage")


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
    only(request)
    with statistics.read(organization) as reading:
        period = reading.period(asked.period)
        if format != "json":
            return respond_in_full(
                lambda limit, offset: reading.integration_tasks(
                    period, asked.filters, limit=limit, offset=offset, in_full=True
                ),
                form=format,
                name="integration-tasks",
                organization=organization,
                exports=exports,
            )
        answer = reading.integration_tasks(period, asked.filters, limit=MOST_ROWS)
    return respond(answer, form=format, name="integration-tasks")
