"""The table page: the combinations behind every graph, grouped by the first column or as a flat list."""

from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import Period
from meterboard.domain.query import MEASURES, DimensionName, Filters, Order, parse_order
from meterboard.errors import InvalidParameter
from meterboard.service.reads import shared
from meterboard.service.statistics.statistics import Reading, Statistics
from meterboard.web.page_state import PageState
from meterboard.web.pages.empty_states import empty_state
from meterboard.web.pages.frame import frame, parse_page_state
from meterboard.web.pages.table.rows import Line, flat, grouped
from meterboard.web.pages.table.sorting import Ordering
from meterboard.web.render import page

DEFAULT_COLUMNS = "user,ip,application"
DEFAULT_SORT = "-calls"
ROWS = ("grouped", "flat")
PAGE_SIZES = ("50", "200")
WITHIN = 50
"""How many combinations of an open group are shown."""
MAX_JSON_ROWS = 10_000
"""The most rows of a JSON file, which is the largest page of the API."""
KNOWN = frozenset({"columns", "sort", "page", "page_size", "rows", "open"})


class TableParams(Struct, frozen=True):
    """The table's own parameters."""

    columns: tuple[DimensionName, ...]
    sort: str
    order: tuple[Order, ...]
    page: int
    page_size: int
    is_grouped: bool
    opened: frozenset[str]


class TableRows(Struct, frozen=True):
    """A page of lines; the numbers are of all groups or rows, and of all combinations."""

    lines: list[Line]
    count: int
    combinations: int
    has_tasks: bool


@get("/table", include_in_schema=False)
@shared
def table(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """Shows the combinations behind every graph."""
    state = parse_page_state(request, dimensions, KNOWN)
    filters = dimensions.parse_filters(state.pairs())
    params = _params(state)
    with statistics.read(viewer.organization) as reading:
        period = reading.period(state.period)
        summary = reading.summary(period, filters)
        rows = _rows(reading, period, filters, params, state)
        values = {
            **frame(viewer, state, reading, summary, filters),
            "empty": empty_state(reading, period, summary, state),
        }
    ordering = Ordering(params.columns, params.order, dimensions, grouped=params.is_grouped)
    return page(
        "table.html",
        **values,
        **_paging(rows.count, params, state),
        **_files(rows, params, state),
        rows=rows,
        params=params,
        columns=params.columns,
        measures=tuple(measure for measure in MEASURES if rows.has_tasks or measure != "integration_tasks"),
        sorted_by=ordering.describe(),
        heads=ordering.heads(state),
        next_keys=ordering.next_keys(),
        page_sizes=PAGE_SIZES,
        related=state.related(params.columns),
    )


def _params(state: PageState) -> TableParams:
    columns = state.dimensions.parse_columns(",".join(state.all("columns")) or DEFAULT_COLUMNS)
    sort = state.get("sort", DEFAULT_SORT)
    return TableParams(
        columns=columns,
        sort=sort,
        order=parse_order(sort, allowed=(*columns, *MEASURES)),
        page=_page_number(state.get("page", "1")),
        page_size=int(state.one_of("page_size", PAGE_SIZES)),
        is_grouped=state.one_of("rows", ROWS) == "grouped",
        opened=frozenset(state.all("open")),
    )


def _rows(
    reading: Reading, period: Period, filters: Filters, params: TableParams, state: PageState
) -> TableRows:
    if params.is_grouped:
        found = reading.grouped_table(
            period,
            filters,
            columns=params.columns,
            order=params.order,
            page=params.page,
            page_size=params.page_size,
            open_groups=params.opened,
            rows_per_group=WITHIN,
        )
        return TableRows(
            grouped(found, state, params.columns),
            found.count,
            found.combinations,
            has_tasks=found.integration_tasks > 0,
        )
    answer = reading.table(
        period,
        filters,
        columns=params.columns,
        order=params.order,
        page=params.page,
        page_size=params.page_size,
    )
    tasks = reading.breakdown(period, filters, "function", limit=1).total.calls
    return TableRows(
        flat(answer, state, params.columns), answer.total_rows, answer.total_rows, has_tasks=tasks > 0
    )


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= 10**9):
        raise InvalidParameter("page", f"page is {text!r}: use a whole number, 1 or more.")
    return int(text)


def _paging(count: int, params: TableParams, state: PageState) -> dict[str, object]:
    """Returns the range of rows shown, and the links to the pages before and after; past the end, to the last page."""
    last = max(1, -(-count // params.page_size))
    return {
        "first": (params.page - 1) * params.page_size + 1,
        "last": min(params.page * params.page_size, count),
        "previous": state.change(page=str(min(params.page - 1, last))) if params.page > 1 else "",
        "next": state.change(page=str(params.page + 1)) if params.page < last else "",
    }


def _files(rows: TableRows, params: TableParams, state: PageState) -> dict[str, object]:
    """Returns the links to all rows as files, grouped as shown; a JSON file has at most as many as the API returns."""
    in_json = min(rows.count, MAX_JSON_ROWS)
    shape = "grouped" if params.is_grouped else "flat"
    links = {
        form: state.export(form, params.columns, params.sort, shape) for form in ("csv", "parquet", "json")
    }
    what = state.dimensions[params.columns[0]].plural if params.is_grouped else "combinations"
    return {"files": links | {"json": f"{links['json']}&page_size={in_json}"}, "in_json": in_json, "of": what}
