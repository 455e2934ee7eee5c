"""The form that sets the filters of a column: its most used values to choose from, and a search among them."""

from typing import Any

from litestar import Request, Response, get
from msgspec import Struct

from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.period import Period
from meterboard.domain.query import NOT, DimensionName, Filters, name_of, value_of
from meterboard.service.reads import shared
from meterboard.service.statistics.statistics import Reading, Statistics
from meterboard.web.page_state import (
    EXCLUDE,
    FILTER_FIELD,
    FILTER_FORM,
    MODE_FIELD,
    VALUE_FIELD,
    PageState,
    filter_column,
)
from meterboard.web.render import page

VALUES = 20


class Choice(Struct, frozen=True):
    """A value to choose; `calls` is None if the search didn't find it."""

    name: str
    value: str
    calls: int | None
    is_ticked: bool


class Picker(Struct, frozen=True):
    """
    The state of the filter form. `choices` is None before values are requested; `count` is the number of matching
    values.
    """

    column: DimensionName
    search: str
    is_excluded: bool
    choices: list[Choice] | None
    count: int


def picker(reading: Reading, period: Period, filters: Filters, state: PageState) -> Picker:
    """
    Returns the state of a page's filter form, with values if it is open.

    Raises: InvalidParameter: the dimension doesn't exist.
    """
    given = state.filter_form(FILTER_FIELD)
    if not given:
        return Picker(state.dimensions.names[0], "", False, None, 0)
    column = filter_column(given[-1], state.dimensions)
    search = "".join(state.filter_form("find"))
    if column in state.filter_form("of"):  # ticks of another column mean nothing here
        ticked, is_excluded = state.filter_form(VALUE_FIELD), EXCLUDE in state.filter_form(MODE_FIELD)
    else:
        ticked = [*(filters.get(column) or filters.get(f"{column}{NOT}") or ())]
        is_excluded = column not in filters and f"{column}{NOT}" in filters
    found = reading.values(period, filters, column, search=search, limit=VALUES)
    calls = {row.name: row.calls for row in found.rows}
    names = list(dict.fromkeys([*map(name_of, ticked), *calls]))
    choices = [Choice(name, value_of(name), calls.get(name), value_of(name) in ticked) for name in names]
    return Picker(column, search, is_excluded, choices, found.value_count)


@get("/values", include_in_schema=False)
@shared
def values(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """
    Shows the values to choose from while the filter form is filled in.

    The request has all fields of the page with the form; the others are ignored.
    """
    known = {"period", *dimensions.filters, *FILTER_FORM}
    given = [(name, value) for name, value in request.query_params.multi_items() if name in known]
    state = PageState(request.url.path, given, dimensions)
    if not state.filter_form(FILTER_FIELD):
        filter_column("", dimensions)
    with statistics.read(viewer.organization) as reading:
        filters = dimensions.parse_filters(state.pairs())
        found = picker(reading, reading.period(state.period), filters, state)
    return page("values.html", picker=found, state=state)
