"""Links from a name to the table of its usage and to its calls."""

from meterboard.domain.query import Breakdown, value_of
from meterboard.web.page_state import PageState


def all_link(state: PageState, by: Breakdown) -> str:
    """Returns the link to the table of all values."""
    return state.rows(_columns(state, by))


def link(state: PageState, by: Breakdown, name: str, kind: str | None = None) -> str:
    """Returns the link to the table of one value."""
    column: Breakdown = by
    if by == "caller":
        column = "function" if kind == "function" else "application"
    return state.rows(_columns(state, column), filters_of(by, name, kind))


def events_link(state: PageState, by: Breakdown, name: str, kind: str | None = None) -> str:
    """Returns the link to the calls of one value."""
    return state.calls(filters_of(by, name, kind))


def _columns(state: PageState, by: Breakdown) -> str:
    return ",".join(state.dimensions[by].columns)


def filters_of(by: Breakdown, name: str, kind: str | None = None) -> dict[str, str]:
    """
    Returns the filters that match exactly what a name stands for. An application's calls are those without a function.
    """
    value = value_of(name)
    if by != "caller":
        return {by: value}
    return {"function": value} if kind == "function" else {"application": value, "function": ""}
