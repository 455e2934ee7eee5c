"""The parts of a query of statistics: its organisation, period, filters, breakdown and order."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from msgspec import Struct

from meterboard.domain.caller.ip import canonical_ip
from meterboard.domain.event import UNKNOWN
from meterboard.domain.period import Period
from meterboard.errors import InvalidParameter

DimensionName = str
"""A name of `meterboard.domain.dimensions`."""
Breakdown = str
"""One of those, or caller: applications and functions together."""

Measure = Literal["calls", "credits", "integration_tasks"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

NOT = "!"
"""The suffix of a filter's name that excludes its values: `application!`."""

Filters = Mapping[str, tuple[str, ...]]
"""A filter's name -> the values that it includes, or excludes. An empty value stands for events without one."""


class Order(Struct, frozen=True):
    """One sort key: a column's name, and whether the largest comes first."""

    column: str
    descending: bool


MOST_CALLS_FIRST = (Order("calls", descending=True),)


class Scope(Struct, frozen=True):
    """
    What every query has: one organisation, one period, the filters, and the watermark of the statistics to read.

    Every read is built from one, so that all results with the same watermark are of the same moment.
    """

    organization: int
    period: Period
    filters: Filters
    watermark: datetime


def parse_order(text: str, *, allowed: tuple[str, ...]) -> tuple[Order, ...]:
    """
    Returns the sort keys of a list: `-calls,user` sorts by calls, largest first, then by user from A to Z.

    Raises: InvalidParameter: a column is not among `allowed`.
    """
    orders: list[Order] = []
    for key in text.split(","):
        column = key.removeprefix("-")
        if column not in allowed:
            raise InvalidParameter(
                "sort",
                f"sort is {text!r}: there is no column {column!r}. "
                f"Use {', '.join(allowed)}, with a - before it for the largest first.",
            )
        orders.append(Order(column, key.startswith("-")))
    return tuple(orders)


def name_of(value: str) -> str:
    """Returns the name that statistics show for a stored value: "(unknown)" for an empty one."""
    return value or UNKNOWN


def value_of(name: str) -> str:
    """Returns the stored value of a name that statistics show."""
    return "" if name == UNKNOWN else name


def canonical(dimension: DimensionName, value: str) -> str:
    """Returns the stored form of a value to filter by. Raises: InvalidParameter: an IP address is not valid."""
    value = value_of(value)
    if dimension == "ip" and value:
        try:
            return canonical_ip(value)
        except ValueError:
            raise InvalidParameter("ip", f"ip is {value!r}: use an IPv4 or IPv6 address.") from None
    return value
