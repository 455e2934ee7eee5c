"""The calls behind a number, one by one, each with why it cost what it did."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.cursor import parse_cursor
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import DimensionName
from meterboard.service.reads import shared
from meterboard.service.statistics.events import MAX_LISTED_EVENTS, Event
from meterboard.service.statistics.statistics import Statistics
from meterboard.web import formatting as words
from meterboard.web.pages.empty_states import nothing
from meterboard.web.pages.frame import address_of, frame
from meterboard.web.render import page

PAGE_SIZE = 50
KNOWN = frozenset({"cursor"})
FIRST = ("user", "ip")
CALLERS = ("application", "function")
"""What stands in one column, before the others."""
FILES = {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}


@get("/calls", include_in_schema=False)
@shared
def calls(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """The calls behind a number, newest first."""
    address = address_of(request, dimensions, KNOWN)
    filters = dimensions.parse_filters(address.pairs())
    given = address.get("cursor")
    cursor = parse_cursor(given) if given else None
    with statistics.read(viewer.organization) as reading:
        period = reading.period(address.period)
        summary = reading.summary(period, filters)
        answer = reading.events(period, filters, limit=PAGE_SIZE, cursor=cursor)
        values = {
            **frame(viewer, address, reading, summary, filters),
            "nothing": nothing(reading, period, summary, address),
        }
    columns = [*FIRST, *(name for name in dimensions.names if name not in (*FIRST, *CALLERS))]
    in_file = min(summary.calls, MAX_LISTED_EVENTS)
    return page(
        "calls.html",
        **values,
        calls=answer.events,
        columns=columns,
        headings=[dimensions[column].label for column in columns],
        said=_said,
        newest=address.change(),
        newer=address.change(cursor=answer.previous) if answer.previous else "",
        older=address.change(cursor=answer.next) if answer.next else "",
        files={label: address.export_calls(form, MAX_LISTED_EVENTS) for form, label in FILES.items()},
        in_file=words.plural(in_file, "call"),
        is_whole=in_file == summary.calls,
        day_of=words.day_of,
    )


def _said(call: Event, column: DimensionName) -> str:
    """What a call says in a column, or ""."""
    value = getattr(call, column, None) or call.dimensions.get(column)
    return str(value or "")
