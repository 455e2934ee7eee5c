"""The state of a page, which its URL holds completely, and the links that change it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from meterboard.domain.dimensions import CALLER, Dimensions
from meterboard.domain.period import DEFAULT_PERIOD
from meterboard.domain.query import NOT, DimensionName, Filters
from meterboard.errors import InvalidParameter

DASHBOARD = "/"
TABLE = "/table"
TASKS = "/tasks"
CALLS = "/calls"
FLOWS = "/flows"
STATISTICS_API = "/v1/statistics"
EVENTS_API = "/v1/events"
PAGING_PARAMS = ("page", "cursor")
"""The parameters that say where a page begins in a list; every other change resets them."""
PANELS = ("applications", "time", "modules", "ips", "users")
SWITCHES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PANELS, ("graph", "list")),
    "measure": ("calls", "credits"),
    "stack": (CALLER.name,),
    "compare": ("none", "previous"),
}
"""The options of each part of a page: `applications=list`, `measure=credits`. The first is the default; see `forms`."""
FILTER_FIELD, VALUE_FIELD, MODE_FIELD = "filter", "value", "mode"
"""The fields of the form that sets the filters of a column; `canonical_url` makes filters of them."""
EXCLUDE = "exclude"
"""The mode that excludes the values."""
FILTER_FORM = (FILTER_FIELD, VALUE_FIELD, MODE_FIELD, "of", "find", "show")
"""All fields of that form. With `show` it only requests values to choose from. Links leave these fields out."""
RANGE_FIELDS = ("from", "from_time", "to", "to_time")
"""The fields of the form that sets a range; `canonical_url` makes a period of them."""


def forms(switch: str, dimensions: Dimensions) -> Sequence[str]:
    """Returns the options of a part of a page; the time chart can be stacked by any dimension."""
    known = SWITCHES[switch]
    return (*known, *dimensions.names, "none") if switch == "stack" else known


class PageState:
    """The state of a page, and links to it with changes."""

    def __init__(
        self,
        path: str,
        given: Iterable[tuple[str, str]],
        dimensions: Dimensions,
        *,
        remembered: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.dimensions = dimensions
        self.remembered = dict(remembered or {})
        pairs = list(given)
        self._pairs = [
            (n, value) for n, value in pairs if self._is_filter(n) or (value and n not in FILTER_FORM)
        ]
        self._filter_form = [(name, value) for name, value in pairs if name in FILTER_FORM]

    def _is_filter(self, name: str) -> bool:
        return name in self.dimensions.filters

    def get(self, name: str, default: str = "") -> str:
        """Returns the first value of a parameter."""
        return next((value for key, value in self._pairs if key == name), default)

    def all(self, name: str) -> list[str]:
        """Returns all values of a parameter that are not empty."""
        return [value for key, value in self._pairs if key == name and value]

    def shows(self, switch: str) -> str:
        """Returns the chosen option of a part of the page. Raises: InvalidParameter: there is no such option."""
        return self.one_of(switch, forms(switch, self.dimensions))

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """
        Returns a parameter with a closed set of values; the first is the default. Raises: InvalidParameter: another
        value.
        """
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise InvalidParameter(name, f"{name} is {value!r}: use {' or '.join(allowed)}.")
        return value

    def filter_form(self, name: str) -> list[str]:
        """Returns the values of a field of the open filter form."""
        return [value for key, value in self._filter_form if key == name]

    @property
    def has_filters(self) -> bool:
        return any(self._is_filter(name) for name, _ in self._pairs)

    @property
    def is_bare(self) -> bool:
        """Returns whether the URL has no parameters, so that remembered options apply."""
        return not self._pairs

    def dashboard(self) -> str:
        """
        Returns the link to the dashboard with the remembered options; on the dashboard, the link without parameters.
        """
        if self.path == DASHBOARD:
            return DASHBOARD
        return _link(DASHBOARD, [*self._scope(), *self.remembered.items()])

    @property
    def period(self) -> str:
        return self.get("period", DEFAULT_PERIOD)

    def pairs(self, *names: str) -> list[tuple[str, str]]:
        """Returns the parameters as a form submits them, without those named."""
        return [(name, value) for name, value in self._pairs if name not in names and name != "cursor"]

    def change(self, path: str | None = None, **changes: str | None) -> str:
        """Returns the link to this state with parameters set, or removed by None, from the first page on."""
        remaining = [
            (name, value) for name, value in self._pairs if name not in changes and name not in PAGING_PARAMS
        ]
        return _link(path or self.path, [*remaining, *((n, v) for n, v in changes.items() if v is not None)])

    def toggled(self, name: str, value: str) -> str:
        """Returns the link to this state with one value of a parameter added or removed, on the same page."""
        remaining = [pair for pair in self._pairs if pair != (name, value)]
        return _link(
            self.path, remaining if len(remaining) < len(self._pairs) else [*remaining, (name, value)]
        )

    def choosing(self, dimension: str) -> str:
        """Returns the link to this state with the filter form of a column open."""
        return _link(self.path, [*self._pairs, (FILTER_FIELD, dimension), ("show", "values")])

    def without(self, dimension: str, value: str) -> str:
        """Returns the link to this state without one filter."""
        remaining = [
            pair for pair in self._pairs if pair != (dimension, value) and pair[0] not in PAGING_PARAMS
        ]
        return _link(self.path, remaining)

    def unfiltered(self) -> str:
        """Returns the link to this state without filters."""
        return _link(
            self.path,
            [pair for pair in self._pairs if not self._is_filter(pair[0]) and pair[0] not in PAGING_PARAMS],
        )

    def rows(self, columns: str, filters: Mapping[str, str] | None = None) -> str:
        """Returns the link to the table by `columns`, in this period, with these filters added."""
        return self.filtered_link(columns, (filters or {}).items())

    def calls(
        self,
        filters: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        *,
        period: str | None = None,
    ) -> str:
        """Returns the link to the calls behind a number: of this period or of `period`, with these filters added."""
        added = list(filters.items() if isinstance(filters, Mapping) else filters or ())
        # An included value replaces the other values of its dimension; an excluded value is added to the filters.
        included = {name for name, _ in added if not name.endswith(NOT)}
        remaining = [pair for pair in self._pairs if self._is_filter(pair[0]) and pair[0] not in included]
        chosen = period or self.get("period")
        return _link(CALLS, [*([("period", chosen)] if chosen else []), *remaining, *added])

    def filtered_link(self, columns: str, filters: Iterable[tuple[str, str]], *, path: str = TABLE) -> str:
        """
        Returns the link to the usage that matches these filters and the page's, in this period.

        An included value replaces the other values of its dimension; an excluded value is added to them.
        """
        added = list(filters)
        replaced = [name for name, _ in added if not name.endswith(NOT)]
        remaining = [pair for pair in self._scope(*replaced) if pair not in added]
        return _link(path, [*remaining, *([("columns", columns)] if columns else []), *added])

    def data(self, endpoint: str, form: str, **parameters: str) -> str:
        """
        Returns the link to an endpoint of the statistics API (summary, breakdown, series …) for this period and these
        filters.
        """
        return _link(f"{STATISTICS_API}/{endpoint}", [*self._scope(), *parameters.items(), ("format", form)])

    def tasks(self, dimension: str, value: str) -> str:
        """
        Returns the link to the integration tasks in a module or of a function, in this period and with these filters.
        """
        return _link(TASKS, [*self._scope(dimension), (dimension, value)])

    def related(self, columns: Iterable[DimensionName]) -> str:
        """Returns the link to the related values under these filters; the script adds the value."""
        return _link(f"{STATISTICS_API}/related", [*self._scope(), ("columns", ",".join(columns))])

    def export(self, form: str, columns: Iterable[DimensionName], sort: str, rows: str) -> str:
        """Returns the link to a file with all rows of the table; `rows` is `grouped` or `flat`."""
        return self.data("table", form, columns=",".join(columns), sort=sort, rows=rows)

    def export_calls(self, form: str, limit: int) -> str:
        """Returns the link to a file with the newest calls."""
        return _link(EVENTS_API, [*self._scope(), ("limit", str(limit)), ("format", form)])

    def _scope(self, *without: str) -> list[tuple[str, str]]:
        """Returns the period and the filters, without the filters named."""
        return [
            pair
            for pair in self._pairs
            if pair[0] == "period" or (self._is_filter(pair[0]) and pair[0] not in without)
        ]


def canonical_url(path: str, given: Iterable[tuple[str, str]], dimensions: Dimensions) -> str | None:
    """
    Returns the URL that a submitted form means, in which several fields become one parameter.

    `filter=ip&value=::1` becomes `ip=::1`; `from=2026-11-03&to=2026-11-09` becomes `period=2026-11-03..2026-11-09`.

    Returns None if the request is not such a form, or only requests values to choose from.
    Raises: InvalidParameter: the dimension doesn't exist, or a range lacks one of its ends.
    """
    pairs = list(given)
    names = {name for name, _ in pairs}
    if FILTER_FIELD in names and "show" not in names:
        return _filter_url(path, pairs, dimensions)
    if names & set(RANGE_FIELDS):
        return _range_url(path, pairs)
    return None


def filter_column(given: str, dimensions: Dimensions) -> DimensionName:
    """Returns the column that the form sets filters of. Raises: InvalidParameter: it doesn't exist."""
    if given not in dimensions.names:
        known = ", ".join(dimensions.names)
        raise InvalidParameter(
            FILTER_FIELD, f"filter is {repr(given) if given else 'missing'}: use one of {known}."
        )
    return given


def _filter_url(path: str, pairs: list[tuple[str, str]], dimensions: Dimensions) -> str:
    field = filter_column([value for name, value in pairs if name == FILTER_FIELD][-1], dimensions)
    name = f"{field}{NOT}" if (MODE_FIELD, EXCLUDE) in pairs else field
    chosen = [(name, value.strip()) for key, value in pairs if key == VALUE_FIELD]
    replaced = {*FILTER_FORM, *PAGING_PARAMS, field, f"{field}{NOT}"}
    return _link(path, [*((n, value) for n, value in pairs if n not in replaced), *dict.fromkeys(chosen)])


def _range_url(path: str, pairs: list[tuple[str, str]]) -> str:
    """
    Returns the URL with the period that the range form sets.

    The period is of whole days unless a time is given; a missing time is the start of the first day or the end of the
    last.
    """
    fields = {name: value.strip() for name, value in pairs if name in RANGE_FIELDS}
    first, last = fields.get("from", ""), fields.get("to", "")
    try:
        after = date.fromisoformat(last) + timedelta(days=1)
        date.fromisoformat(first)
    except (ValueError, OverflowError):
        raise InvalidParameter("period", f"The range is from {first!r} to {last!r}: use two dates.") from None
    period = first if first == last else f"{first}..{last}"
    if fields.get("from_time") or fields.get("to_time"):
        end = f"{last}T{fields['to_time']}" if fields.get("to_time") else f"{after}T00:00"
        period = f"{first}T{fields.get('from_time') or '00:00'}..{end}"
    remaining = [
        (name, value) for name, value in pairs if name not in (*RANGE_FIELDS, *PAGING_PARAMS, "period")
    ]
    return _link(path, [*remaining, ("period", period)])


def chips(filters: Filters, state: PageState) -> list[tuple[str, str, str]]:
    """Returns the dimension and value of each filter, as in the URL, with the link that removes it."""
    given = [(name, value) for name, value in state.pairs() if name in filters]
    return [(name, value, state.without(name, value)) for name, value in given]


def _link(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs))
    return f"{path}?{query}" if query else path
