"""Where a name leads: the table of the rows behind it, with the columns that say most about it, and its calls."""

from meterboard.domain.query import Breakdown, value_of
from meterboard.web.page_state import Address


def everything(address: Address, by: Breakdown) -> str:
    """The table of all names."""
    return address.rows(_columns(address, by))


def door(address: Address, by: Breakdown, name: str, kind: str | None = None) -> str:
    """The table of one name."""
    column: Breakdown = by
    if by == "caller":
        column = "function" if kind == "function" else "application"
    return address.rows(_columns(address, column), filters_of(by, name, kind))


def calls_door(address: Address, by: Breakdown, name: str, kind: str | None = None) -> str:
    """The calls of one name."""
    return address.calls(filters_of(by, name, kind))


def _columns(address: Address, by: Breakdown) -> str:
    return ",".join(address.dimensions[by].columns)


def filters_of(by: Breakdown, name: str, kind: str | None = None) -> dict[str, str]:
    """What lets through exactly what a name stands for: an application's calls are those that came from no function."""
    value = value_of(name)
    if by != "caller":
        return {by: value}
    return {"function": value} if kind == "function" else {"application": value, "function": ""}
