"""Addresses of pages. A page's address holds its whole state, so every link is the present state with a change."""

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
QUESTIONS = "/v1/statistics"
EXPORT_CALLS = "/v1/events"
PLACES = ("page", "cursor")
"""Where in a list a page begins; whatever else changes, it begins anew."""
PANELS = ("applications", "time", "modules", "ips", "users")
SWITCHES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(PANELS, ("graph", "list")),
    "measure": ("calls", "credits"),
    "stack": (CALLER.name,),
    "compare": ("none", "previous"),
}
"""How a page shows what: `applications=list` …, `measure=credits`. The first is what is shown unasked; see `forms`."""
FILTER_FIELD, VALUE_FIELD, MODE_FIELD = "filter", "value", "mode"
"""The fields of the form that sets the filters of a column; `settled` makes filters of them."""
EXCLUDE = "exclude"
"""The mode that excludes the values."""
FILTER_FORM = (FILTER_FIELD, VALUE_FIELD, MODE_FIELD, "of", "find", "show")
"""All fields of that form. With `show` it only asks for values to choose from, and no link carries them on."""
RANGE_FIELDS = ("from", "from_time", "to", "to_time")
"""The fields of the form that sets a range; `settled` makes a period of them."""


def forms(switch: str, dimensions: Dimensions) -> Sequence[str]:
    """The forms that a part of a page can be shown in; the time chart is stacked by any dimension."""
    known = SWITCHES[switch]
    return (*known, *dimensions.names, "none") if switch == "stack" else known


class Address:
    """The state of the page that is being shown, and the links that lead on from it."""

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
        self._finding = [(name, value) for name, value in pairs if name in FILTER_FORM]

    def _is_filter(self, name: str) -> bool:
        return name in self.dimensions.filters

    def get(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return next((value for key, value in self._pairs if key == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a parameter that is not empty."""
        return [value for key, value in self._pairs if key == name and value]

    def shows(self, switch: str) -> str:
        """
        How a part of the page is to be shown.

        Raises: InvalidParameter: it can't be shown like that.
        """
        return self.one_of(switch, forms(switch, self.dimensions))

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """A parameter that is one of a few; the first unasked. Raises: InvalidParameter: it is something else."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            raise InvalidParameter(name, f"{name} is {value!r}: use {' or '.join(allowed)}.")
        return value

    def finding(self, name: str) -> list[str]:
        """The values of a field of the form that sets filters, when that form is open."""
        return [value for key, value in self._finding if key == name]

    @property
    def has_filters(self) -> bool:
        return any(self._is_filter(name) for name, _ in self._pairs)

    @property
    def is_bare(self) -> bool:
        """Does it say nothing, so that what was chosen before may say it?"""
        return not self._pairs

    def dashboard(self) -> str:
        """The link to the dashboard, shown as it was chosen before; from itself, to its beginning."""
        if self.path == DASHBOARD:
            return DASHBOARD
        return _link(DASHBOARD, [*self._asked(), *self.remembered.items()])

    @property
    def period(self) -> str:
        return self.get("period", DEFAULT_PERIOD)

    def pairs(self, *names: str) -> list[tuple[str, str]]:
        """The parameters of the state, without those named: what a form has to carry along."""
        return [(name, value) for name, value in self._pairs if name not in names and name != "cursor"]

    def change(self, path: str | None = None, **changes: str | None) -> str:
        """The link to this state with parameters set, or taken out with None; pages start anew."""
        kept = [(name, value) for name, value in self._pairs if name not in changes and name not in PLACES]
        return _link(path or self.path, [*kept, *((n, v) for n, v in changes.items() if v is not None)])

    def toggled(self, name: str, value: str) -> str:
        """The link to this state with one value of a parameter more, or without it; the page stays."""
        kept = [pair for pair in self._pairs if pair != (name, value)]
        return _link(self.path, kept if len(kept) < len(self._pairs) else [*kept, (name, value)])

    def choosing(self, dimension: str) -> str:
        """The link to this state with the form open that sets the filters of a column."""
        return _link(self.path, [*self._pairs, (FILTER_FIELD, dimension), ("show", "values")])

    def without(self, dimension: str, value: str) -> str:
        """The link to this state without one filter."""
        kept = [pair for pair in self._pairs if pair != (dimension, value) and pair[0] not in PLACES]
        return _link(self.path, kept)

    def unfiltered(self) -> str:
        """The link to this state without any filter."""
        return _link(
            self.path,
            [pair for pair in self._pairs if not self._is_filter(pair[0]) and pair[0] not in PLACES],
        )

    def rows(self, columns: str, filters: Mapping[str, str] | None = None) -> str:
        """The link to the rows behind a mark: the table by `columns`, in this period, with these filters added."""
        return self.among(columns, (filters or {}).items())

    def calls(
        self,
        filters: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        *,
        period: str | None = None,
    ) -> str:
        """The link to the calls behind a number: those of this period, or another, with these filters added."""
        added = list(filters.items() if isinstance(filters, Mapping) else filters or ())
        # A value that is let through is one of those let through before; what is kept out is so in addition.
        let_through = {name for name, _ in added if not name.endswith(NOT)}
        kept = [pair for pair in self._pairs if self._is_filter(pair[0]) and pair[0] not in let_through]
        chosen = period or self.get("period")
        return _link(CALLS, [*([("period", chosen)] if chosen else []), *kept, *added])

    def among(self, columns: str, filters: Iterable[tuple[str, str]], *, path: str = TABLE) -> str:
        """
        The link to what all of several filters let through, in this period: those that are set and these.

        A value that is let through takes the place of others of its dimension; values kept out come on top.
        """
        added = list(filters)
        replaced = [name for name, _ in added if not name.endswith(NOT)]
        kept = [pair for pair in self._asked(*replaced) if pair not in added]
        return _link(path, [*kept, *([("columns", columns)] if columns else []), *added])

    def data(self, question: str, form: str, **parameters: str) -> str:
        """The link to the API's answer about this period with these filters: summary, breakdown, series …"""
        return _link(f"{QUESTIONS}/{question}", [*self._asked(), *parameters.items(), ("format", form)])

    def tasks(self, dimension: str, value: str) -> str:
        """The link to the integration tasks in a module or of a function, in this period and with these filters."""
        return _link(TASKS, [*self._asked(dimension), (dimension, value)])

    def related(self, columns: Iterable[DimensionName]) -> str:
        """Returns the link to the values that occur together, under these filters; the script adds a value."""
        return _link(f"{QUESTIONS}/related", [*self._asked(), ("columns", ",".join(columns))])

    def export(self, form: str, columns: Iterable[DimensionName], sort: str, rows: str) -> str:
        """The link to the rows on screen, all pages of them, as a file; `rows`: how they are grouped."""
        return self.data("table", form, columns=",".join(columns), sort=sort, rows=rows)

    def export_calls(self, form: str, limit: int) -> str:
        """The link to the newest calls of the list as a file."""
        return _link(EXPORT_CALLS, [*self._asked(), ("limit", str(limit)), ("format", form)])

    def _asked(self, *but: str) -> list[tuple[str, str]]:
        """The question of the page: its period and filters, without the filters named."""
        return [
            pair
            for pair in self._pairs
            if pair[0] == "period" or (self._is_filter(pair[0]) and pair[0] not in but)
        ]


def settled(path: str, given: Iterable[tuple[str, str]], dimensions: Dimensions) -> str | None:
    """
    The address that a form means whose fields are parts of a parameter.

    `filter=ip&value=::1` -> `ip=::1`; `from=2026-11-03&to=2026-11-09` -> `period=2026-11-03..2026-11-09`.

    None: it was not such a form, or it only asks for values to choose from.
    Raises: InvalidParameter: there is nothing of that name to filter by, or a range lacks one of its ends.
    """
    pairs = list(given)
    names = {name for name, _ in pairs}
    if FILTER_FIELD in names and "show" not in names:
        return _filter_asked(path, pairs, dimensions)
    if names & set(RANGE_FIELDS):
        return _range_asked(path, pairs)
    return None


def filter_column(given: str, dimensions: Dimensions) -> DimensionName:
    """Returns the column that the form sets filters of. Raises: InvalidParameter: there is none of that name."""
    if given not in dimensions.names:
        known = ", ".join(dimensions.names)
        raise InvalidParameter(
            FILTER_FIELD, f"filter is {repr(given) if given else 'missing'}: use one of {known}."
        )
    return given


def _filter_asked(path: str, pairs: list[tuple[str, str]], dimensions: Dimensions) -> str:
    field = filter_column([value for name, value in pairs if name == FILTER_FIELD][-1], dimensions)
    name = f"{field}{NOT}" if (MODE_FIELD, EXCLUDE) in pairs else field
    chosen = [(name, value.strip()) for key, value in pairs if key == VALUE_FIELD]
    replaced = {*FILTER_FORM, *PLACES, field, f"{field}{NOT}"}
    return _link(path, [*((n, value) for n, value in pairs if n not in replaced), *dict.fromkeys(chosen)])


def _range_asked(path: str, pairs: list[tuple[str, str]]) -> str:
    """Whole days unless a time is given; a missing time is the beginning of the first day or the end of the last."""
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
    kept = [(name, value) for name, value in pairs if name not in (*RANGE_FIELDS, *PLACES, "period")]
    return _link(path, [*kept, ("period", period)])


def chips(filters: Filters, address: Address) -> list[tuple[str, str, str]]:
    """Each filter's dimension and value, and the link that takes it away. Values as they stand in the address."""
    given = [(name, value) for name, value in address.pairs() if name in filters]
    return [(name, value, address.without(name, value)) for name, value in given]


def _link(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs))
    return f"{path}?{query}" if query else path
