"""The table view: the combinations behind every graph, grouped by the default column or each for itself."""

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
from meterboard.web.page_state import Address
from meterboard.web.pages.empty_states import nothing
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.pages.table.rows import Line, flat, grouped
from meterboard.web.pages.table.sorting import Ordering
from meterboard.web.render import page

DEFAULT_COLUMNS = "user,ip,application"
DEFAULT_SORT = "-calls"
ROWS = ("grouped", "flat")
PAGE_SIZES = ("50", "200")
WITHIN = 50
"""Combinations of a group that is open."""
MOST_IN_JSON = 10_000
"""Rows of a JSON file: the API's pages have no more."""
KNOWN = frozenset({"columns", "sort", "page", "page_size", "rows", "open"})


class TableParams(Struct, frozen=True):
    """What the table's own parameters ask for."""

    columns: tuple[DimensionName, ...]
    sort: str
    order: tuple[Order, ...]
    page: int
    page_size: int
    is_grouped: bool
    opened: frozenset[str]


class TableRows(Struct, frozen=True):
    """A page of lines; the numbers are of all lines that are not within others, and of all combinations."""

    lines: list[Line]
    count: int
    combinations: int
    has_tasks: bool


@get("/table", include_in_schema=False)
@shared
def table(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """The combinations behind every graph."""
    address = address_of(request, dimensions, KNOWN)
    filters = dimensions.parse_filters(address.pairs())
    asked = _asked(address)
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        rows = _rows(reading, period, filters, asked, address)
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address),
        }
    ordering = Ordering(asked.columns, asked.order, dimensions, grouped=asked.is_grouped)
    return page(
        "table.html",
        **values,
        **_turning(rows.count, asked, address),
        **_files(rows, asked, address),
        rows=rows,
        asked=asked,
        columns=asked.columns,
        measures=tuple(measure for measure in MEASURES if rows.has_tasks or measure != "integration_tasks"),
        sorted_by=ordering.in_words(),
        heads=ordering.heads(address),
        further=ordering.further(),
        page_sizes=PAGE_SIZES,
        related=address.related(asked.columns),
    )


def _asked(address: Address) -> TableParams:
    columns = address.dimensions.parse_columns(",".join(address.all("columns")) or DEFAULT_COLUMNS)
    sort = address.get("sort", DEFAULT_SORT)
    return TableParams(
        columns=columns,
        sort=sort,
        order=parse_order(sort, allowed=(*columns, *MEASURES)),
        page=_page_number(address.get("page", "1")),
        page_size=int(address.one_of("page_size", PAGE_SIZES)),
        is_grouped=address.one_of("rows", ROWS) == "grouped",
        opened=frozenset(address.all("open")),
    )


def _rows(
    reading: Reading, period: Period, filters: Filters, asked: TableParams, address: Address
) -> TableRows:
    if asked.is_grouped:
        found = reading.grouped_table(
            period,
            filters,
            columns=asked.columns,
            order=asked.order,
            page=asked.page,
            page_size=asked.page_size,
            open_groups=asked.opened,
            rows_per_group=WITHIN,
        )
        return TableRows(
            grouped(found, address, asked.columns),
            found.count,
            found.combinations,
            has_tasks=found.integration_tasks > 0,
        )
    answer = reading.table(
        period,
        filters,
        columns=asked.columns,
        order=asked.order,
        page=asked.page,
        page_size=asked.page_size,
    )
    tasks = reading.breakdown(period, filters, "function", limit=1).total.calls
    return TableRows(
        flat(answer, address, asked.columns), answer.total_rows, answer.total_rows, has_tasks=tasks > 0
    )


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= 10**9):
        raise InvalidParameter("page", f"page is {text!r}: use a whole number, 1 or more.")
    return int(text)


def _turning(count: int, asked: TableParams, address: Address) -> dict[str, object]:
    """Which rows are on screen, and the links to those before and behind; past the end, back to the last."""
    last = max(1, -(-count // asked.page_size))
    return {
        "first": (asked.page - 1) * asked.page_size + 1,
        "last": min(asked.page * asked.page_size, count),
        "previous": address.change(page=str(min(asked.page - 1, last))) if asked.page > 1 else "",
        "next": address.change(page=str(asked.page + 1)) if asked.page < last else "",
    }


def _files(rows: TableRows, asked: TableParams, address: Address) -> dict[str, object]:
    """The links to all rows as files, as they are grouped: those of JSON are as many as an answer has at most."""
    in_json = min(rows.count, MOST_IN_JSON)
    shape = "grouped" if asked.is_grouped else "flat"
    links = {
        form: address.export(form, asked.columns, asked.sort, shape) for form in ("csv", "parquet", "json")
    }
    what = address.dimensions[asked.columns[0]].plural if asked.is_grouped else "combinations"
    return {"files": links | {"json": f"{links['json']}&page_size={in_json}"}, "in_json": in_json, "of": what}
