"""The table view: the combinations behind every graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.query import MEASURES, NOT, parse_columns, parse_filters, parse_order
from meterboard.errors import InvalidParameter
from meterboard.service.answers import TableAnswer
from meterboard.service.statistics import Statistics
from meterboard.web import words
from meterboard.web.address import Address
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.pages.states import nothing
from meterboard.web.render import page

DEFAULT_COLUMNS = "user,ip,application"
DEFAULT_SORT = "-calls"
PAGE_SIZE = 50
KNOWN = frozenset({"columns", "sort", "page"})


@get("/table", include_in_schema=False, sync_to_thread=True)
def table(request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics) -> Response[str]:
    """The combinations behind every graph."""
    address = address_of(request, KNOWN)
    filters = parse_filters(address.pairs())
    columns = parse_columns(",".join(address.all("columns")) or DEFAULT_COLUMNS)
    sort = address.get("sort", DEFAULT_SORT)
    order = parse_order(sort, allowed=(*columns, *MEASURES))
    number = _page_number(address.get("page", "1"))
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        answer = reading.table(
            period, filters, columns=columns, order=order, page=number, page_size=PAGE_SIZE
        )
        summary = reading.summary(period, filters)
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address),
        }
    return page(
        "table.html",
        **values,
        **_turning(answer, number, address),
        answer=answer,
        columns=columns,
        measures=MEASURES,
        order=order[0],
        heads={name: _head(address, name, sort, columns) for name in (*columns, *MEASURES)},
        value_of=words.value_of,
        calls_of=lambda row, measure: _calls_of(address, columns, row, measure),
        export=lambda form: address.export(form, columns, sort),
    )


def _calls_of(address: Address, columns: Sequence[str], row: Mapping[str, str | int], measure: str) -> str:
    """The link to the calls behind a number of a row; empty where there is none."""
    if not row["calls"] or (measure == "integration_tasks" and not row[measure]):
        return ""
    filters = {column: words.value_of(str(row[column])) for column in columns}
    if measure == "integration_tasks":
        filters[f"function{NOT}"] = ""
    return address.calls(filters)


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 1 <= int(text) <= 10**9):
        raise InvalidParameter("page", f"page is {text!r}: use a whole number, 1 or more.")
    return int(text)


def _turning(answer: TableAnswer, number: int, address: Address) -> dict[str, object]:
    """Which rows are on screen, and the links to those before and behind; past the end, back to the last."""
    last = max(1, -(-answer.total_rows // PAGE_SIZE))
    return {
        "first": (number - 1) * PAGE_SIZE + 1,
        "last": min(number * PAGE_SIZE, answer.total_rows),
        "previous": address.change(page=str(min(number - 1, last))) if number > 1 else "",
        "next": address.change(page=str(number + 1)) if number < last else "",
    }


def _head(address: Address, name: str, sort: str, columns: tuple[str, ...]) -> dict[str, str]:
    """A column heading: how the table is sorted by it now, where its links lead, and that in words."""
    now = {name: "ascending", f"-{name}": "descending"}.get(sort.split(",")[0], "none")
    is_name = name in columns
    following = f"-{name}" if now == "ascending" or (now == "none" and not is_name) else name
    words_for = {True: ("A to Z", "Z to A"), False: ("fewest first", "most first")}[is_name]
    rest = [column for column in columns if column != name]
    return {
        "sorted": now,
        "url": address.change(sort=following),
        "words": words_for[following.startswith("-")],
        "now": "" if now == "none" else words_for[now == "descending"],
        "first_url": address.change(columns=",".join([name, *rest])) if is_name else "",
    }
