"""The page that lists the calls behind a number, each with the reason for its cost."""

from typing import Any

from litestar import Request, Response, get

from meterboard.domain.access import Viewer
from meterboard.domain.cursor import parse_cursor
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import DimensionName
from meterboard.service.reads import shared
from meterboard.service.statistics.events import MAX_LISTED_EVENTS, Event
from meterboard.service.statistics.statistics import Statistics
from meterboard.web import formatting
from meterboard.web.pages.empty_states import empty_state
from meterboard.web.pages.frame import frame, parse_page_state
from meterboard.web.render import page

PAGE_SIZE = 50
KNOWN = frozenset({"cursor"})
FIRST = ("user", "ip")
CALLERS = ("application", "function")
"""The dimensions that share the first column."""
FILES = {"csv": "CSV", "parquet": "Parquet", "json": "JSON"}


@get("/calls", include_in_schema=False)
@shared
def calls(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """Shows the calls behind a number, newest first."""
    state = parse_page_state(request, dimensions, KNOWN)
    filters = dimensions.parse_filters(state.pairs())
    given = state.get("cursor")
    cursor = parse_cursor(given) if given else None
    with statistics.read(viewer.organization) as reading:
        period = reading.period(state.period)
        summary = reading.summary(period, filters)
        answer = reading.events(period, filters, limit=PAGE_SIZE, cursor=cursor)
        values = {
            **frame(viewer, state, reading, summary, filters),
            "empty": empty_state(reading, period, summary, state),
        }
    columns = [*FIRST, *(name for name in dimensions.names if name not in (*FIRST, *CALLERS))]
    in_file = min(summary.calls, MAX_LISTED_EVENTS)
    return page(
        "calls.html",
        **values,
        calls=answer.events,
        columns=columns,
        headings=[dimensions[column].label for column in columns],
        text_of=_text_of,
        newest=state.change(),
        newer=state.change(cursor=answer.previous) if answer.previous else "",
        older=state.change(cursor=answer.next) if answer.next else "",
        files={label: state.export_calls(form, MAX_LISTED_EVENTS) for form, label in FILES.items()},
        in_file=formatting.plural(in_file, "call"),
        is_whole=in_file == summary.calls,
        day_of=formatting.day_of,
    )


def _text_of(call: Event, column: DimensionName) -> str:
    """Returns the value of a call in a column, or ""."""
    value = getattr(call, column, None) or call.dimensions.get(column)
    return str(value or "")
