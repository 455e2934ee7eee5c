"""A question to the statistics, as a value: whose usage, which period, which filters, by what, in which order."""

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
"""What a filter's name ends with that keeps its values out: `application!`."""

Filters = Mapping[str, tuple[str, ...]]
"""A filter's name -> values, any of which it lets through or all of which it keeps out; empty: "did not say"."""


class Order(Struct, frozen=True):
    """One sort key: a column's name, and whether the largest comes first."""

    column: str
    descending: bool


MOST_CALLS_FIRST = (Order("calls", descending=True),)


class Scope(Struct, frozen=True):
    """
    What every question has: one organisation, one period, the filters, and the watermark of the statistics that it is to
    be answered from. Each read is built from one, so that all answers to questions of one watermark are of one moment.
    """

    organization: int
    period: Period
    filters: Filters
    watermark: datetime


def parse_order(text: str, *, allowed: tuple[str, ...]) -> tuple[Order, ...]:
    """
    `-calls,user` -> by calls, most first, then by user from A to Z.

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
    """A stored or filtered value as statistics name it: what was not said is "(unknown)"."""
    return value or UNKNOWN


def value_of(name: str) -> str:
    """A name of statistics as it is stored and filtered by."""
    return "" if name == UNKNOWN else name


def canonical(dimension: DimensionName, value: str) -> str:
    """Returns a value to filter by as it is stored. Raises: InvalidParameter: an IP address is none."""
    value = value_of(value)
    if dimension == "ip" and value:
        try:
            return canonical_ip(value)
        except ValueError:
            raise InvalidParameter("ip", f"ip is {value!r}: use an IPv4 or IPv6 address.") from None
    return value
