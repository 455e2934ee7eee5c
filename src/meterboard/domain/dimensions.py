"""
The dimensions of usage, with their labels and words.

The event's fields, the store's columns, the parameters of the API, labels, filters, exports and imports are made from this
table. Eight dimensions are built in. An installation may add up to six of its own in its settings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from meterboard.domain.query import NOT, Breakdown, DimensionName, canonical, value_of
from meterboard.errors import InvalidParameter, SettingError

MAX_OWN = 6
MAX_LABEL = 40
_PARAMETERS = """
after against all before by caller column columns compare connections cursor dimensions exclude field filter find format
from from_time history how id include is limit measure mode none nothing of offset open organization out page page_size
period request rows search show sort stack time to to_time unknown value where zone
"""
_ANSWERS = """
average calls charged credits estimated estimated_calls formula integration_tasks kind name names others records refused
result rule share start total value values why
"""
_COLUMNS = """
all_calls all_combinations all_credits all_tasks answer as_of bucket combination combinations count counted daily day
digest event id_high id_low moment number rank reason received_at rollup same step text usage watermark what whence who
"""
RESERVED = frozenset((_PARAMETERS + _ANSWERS + _COLUMNS).split())
"""Names of the API's parameters, of other members of its responses, and of the store's other columns."""
COUNT_SUFFIX = "_count"
"""The suffix of the member that counts a column's values in rows of the table: `ip_count`."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Dimension(Struct, frozen=True):
    """
    A field of usage events that is a column, a filter and a breakdown, under its name in the API.

    `noun` and `plural` are its words in sentences. `absent` is shown where an event has no value. `columns` are the
    columns of the table that a link to one of its values opens.
    """

    name: str
    label: str
    noun: str
    plural: str
    absent: str
    columns: tuple[str, ...]


BUILT_IN = (
    Dimension(
        "application",
        "Application",
        "application",
        "applications",
        "no application",
        ("application", "user", "ip"),
    ),
    Dimension("function", "Function", "function", "functions", "direct call", ("function", "module")),
    Dimension(
        "module", "Module", "module", "modules", "no module", ("module", "method", "application", "user")
    ),
    Dimension(
        "method", "Method", "method", "methods", "no method", ("method", "module", "application", "user")
    ),
    Dimension(
        "version", "Version", "version", "versions", "no version", ("version", "method", "application")
    ),
    Dimension("ip", "IP address", "IP address", "IP addresses", "no address", ("ip", "user", "application")),
    Dimension("user", "User", "user", "users", "no user", ("user", "ip", "method", "module")),
    Dimension("status", "Status", "status", "statuses", "no status", ("status", "method", "application")),
)
CALLER = Dimension(
    "caller",
    "Application or function",
    "application or function",
    "applications and functions",
    "no application",
    ("application", "function", "user"),
)
"""Not a dimension, but a breakdown: the function of an integration task, else the application."""


class Dimensions:
    """The dimensions of an installation: those built in, then its own in the order of its settings."""

    def __init__(self, own: Sequence[Dimension] = ()) -> None:
        self.own = tuple(own)
        self.all = (*BUILT_IN, *own)
        self.own_names = tuple(dimension.name for dimension in own)
        self.names: tuple[DimensionName, ...] = tuple(dimension.name for dimension in self.all)
        self.breakdowns: tuple[Breakdown, ...] = (*self.names, CALLER.name)
        self.filters: tuple[str, ...] = (*self.names, *(f"{name}{NOT}" for name in self.names))
        """The names of filters: `application` includes values, `application!` excludes them."""
        self.no_values = ("",) * len(own)
        """The values of an event without own dimensions."""
        self._by_name = {dimension.name: dimension for dimension in (*self.all, CALLER)}

    def __getitem__(self, name: Breakdown) -> Dimension:
        return self._by_name[name]

    def own_values(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """
        Returns an event's values of the installation's own dimensions, as they are stored.

        Raises: KeyError: a name is not one of theirs.
        """
        for name in given:
            if name not in self.own_names:
                raise KeyError(name)
        return tuple(value_of(given.get(name, "")) for name in self.own_names)

    def parse_columns(self, text: str) -> tuple[DimensionName, ...]:
        """
        Returns the columns of a list such as `user,ip`, in its order.

        Raises: InvalidParameter: there is none, one doesn't exist, or one is listed twice.
        """
        columns = tuple(text.split(","))
        wrong = [column for column in columns if column not in self.names]
        if wrong or len(set(columns)) < len(columns):
            raise InvalidParameter(
                "columns",
                f"columns is {text!r}: use some of {', '.join(self.names)}, comma-separated, each once.",
            )
        return columns

    def parse_filters(self, given: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        """
        Returns the filters of pairs of name and value. Pairs of other names are ignored.

        An empty value and "(unknown)" both mean that the event has no value; an IP address may be in any spelling.
        Raises: InvalidParameter: a value for `ip` is not an IP address.
        """
        filters: dict[str, tuple[str, ...]] = {}
        for name, value in given:
            if name in self.filters:
                filters[name] = (*filters.get(name, ()), canonical(name.removesuffix(NOT), value))
        return filters


def parse_dimensions(text: str) -> Dimensions:
    """
    Returns the built-in dimensions and those of a setting: `environment,region:Region` has the labels Environment and
    Region.

    Raises: SettingError: a name or label can't be used.
    """
    if not text.strip():
        return Dimensions()
    own: list[Dimension] = []
    for part in text.split(","):
        name, colon, label = (piece.strip() for piece in part.partition(":"))
        _check_name(name, [dimension.name for dimension in own])
        if colon and not (0 < len(label) <= MAX_LABEL and label.isprintable()):
            raise SettingError(
                f"dimensions has the label {label!r} for {name}: use 1 to {MAX_LABEL} characters, such as {name}:Region."
            )
        own.append(_own(name, label or name.replace("_", " ").capitalize()))
    if len(own) > MAX_OWN:
        raise SettingError(f"dimensions has {len(own)} names: use at most {MAX_OWN}.")
    return Dimensions(own)


def parse_sources(setting: str, text: str, dimensions: Dimensions) -> dict[str, str]:
    """
    Returns which attribute of another format each own dimension is read from: `environment=env,region=cloud.region`.

    Raises: SettingError: a part doesn't have that form, or doesn't name an own dimension.
    """
    found: dict[str, str] = {}
    for part in text.split(",") if text.strip() else ():
        name, equals, source = (piece.strip() for piece in part.partition("="))
        if not equals or not source:
            raise SettingError(f"{setting} has {part.strip()!r}: write name=source, such as environment=env.")
        if name not in dimensions.own_names:
            own = f"use one of {', '.join(dimensions.own_names)}" if dimensions.own else "none are set"
            raise SettingError(f"{setting} names {name!r}, which is not an own dimension: {own}.")
        if name in found:
            raise SettingError(f"{setting} names {name!r} twice: name it once.")
        found[name] = source
    return found


def _check_name(name: str, before: Sequence[str]) -> None:
    """Checks the name of an own dimension. Raises: SettingError: the name can't be used."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"dimensions has the name {name!r}: use lower-case letters, digits and _, a letter first, at most 40, "
            "such as environment,region:Region."
        )
    taken = name in RESERVED or name.endswith(COUNT_SUFFIX) or any(name == each.name for each in BUILT_IN)
    if taken:
        raise SettingError(f"dimensions has the name {name!r}, which is reserved: use another.")
    if name in before:
        raise SettingError(f"dimensions has the name {name!r} twice: name it once.")


def _own(name: str, label: str) -> Dimension:
    noun = label if label[1:2].isupper() else label[:1].lower() + label[1:]
    return Dimension(name, label, noun, _plural(noun), f"no {noun}", (name, "application", "user"))


def _plural(noun: str) -> str:
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|ch|sh)$", noun) else f"{noun}s"
