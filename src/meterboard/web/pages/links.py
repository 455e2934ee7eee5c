"""Where a name leads: the table of the rows behind it, with the columns that say most about it, and its calls."""

from meterboard.domain.query import Breakdown, value_of
from meterboard.web.page_state import Address

COLUMNS: dict[Breakdown, str] = {
    "caller": "application,function,user",
    "application": "application,user,ip",
    "function": "function,module",
    "module": "module,method,application,user",
    "method": "method,module,application,user",
    "version": "version,method,application",
    "ip": "ip,user,application",
    "user": "user,ip,method,module",
    "status": "status,method,application",
}


def everything(address: Address, by: Breakdown) -> str:
    """The table of all names."""
    return address.rows(COLUMNS[by])


def door(address: Address, by: Breakdown, name: str, kind: str | None = None) -> str:
    """The table of one name."""
    column: Breakdown = by
    if by == "caller":
        column = "function" if kind == "function" else "application"
    return address.rows(COLUMNS[column], filters_of(by, name, kind))


def calls_door(address: Address, by: Breakdown, name: str, kind: str | None = None) -> str:
    """The calls of one name."""
    return address.calls(filters_of(by, name, kind))


def filters_of(by: Breakdown, name: str, kind: str | None = None) -> dict[str, str]:
    """What lets through exactly what a name stands for: an application's calls are those that came from no function."""
    value = value_of(name)
    if by != "caller":
        return {by: value}
    return {"function": value} if kind == "function" else {"application": value, "function": ""}
