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
    Address,
    filter_column,
)
from meterboard.web.render import page

VALUES = 20


class Choice(Struct, frozen=True):
    """A value that may be ticked; `calls` None: it is not among those found."""

    name: str
    value: str
    calls: int | None
    is_ticked: bool


class Picker(Struct, frozen=True):
    """The form as it stands. `choices` None: the values are not there yet; `count` is how many there are of them."""

    column: DimensionName
    search: str
    is_out: bool
    choices: list[Choice] | None
    count: int


def picker(reading: Reading, period: Period, filters: Filters, address: Address) -> Picker:
    """
    The form of a page: with values when it is asked for a column's, else with none.

    Raises: InvalidParameter: there is nothing of that name to filter by.
    """
    given = address.finding(FILTER_FIELD)
    if not given:
        return Picker(address.dimensions.names[0], "", False, None, 0)
    column = filter_column(given[-1], address.dimensions)
    search = "".join(address.finding("find"))
    if column in address.finding("of"):  # ticks of another column mean nothing here
        ticked, is_out = address.finding(VALUE_FIELD), EXCLUDE in address.finding(MODE_FIELD)
    else:
        ticked = [*(filters.get(column) or filters.get(f"{column}{NOT}") or ())]
        is_out = column not in filters and f"{column}{NOT}" in filters
    found = reading.values(period, filters, column, search=search, limit=VALUES)
    calls = {row.name: row.calls for row in found.rows}
    names = list(dict.fromkeys([*map(name_of, ticked), *calls]))
    choices = [Choice(name, value_of(name), calls.get(name), value_of(name) in ticked) for name in names]
    return Picker(column, search, is_out, choices, found.value_count)


@get("/values", include_in_schema=False)
@shared
def values(
    request: Request[Any, Any, Any], viewer: Viewer, statistics: Statistics, dimensions: Dimensions
) -> Response[str]:
    """
    The values to choose from, for the form while it is filled in.

    It comes with every field of the page that the form is on; those that are of no account here are passed over.
    """
    known = {"period", *dimensions.filters, *FILTER_FORM}
    given = [(name, value) for name, value in request.query_params.multi_items() if name in known]
    address = Address(request.url.path, given, dimensions)
    if not address.finding(FILTER_FIELD):
        filter_column("", dimensions)
    with statistics.read(viewer.organization) as reading:
        filters = dimensions.parse_filters(address.pairs())
        found = picker(reading, reading.period(address.period), filters, address)
    return page("values.html", picker=found, address=address)
