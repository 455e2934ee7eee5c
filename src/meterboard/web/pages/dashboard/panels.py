"""The dashboard's panels: breakdowns as rows with names, numbers and links."""

from collections.abc import Mapping

from msgspec import Struct

from meterboard.domain.dimensions import CALLER
from meterboard.domain.period import Period
from meterboard.domain.query import Breakdown, DimensionName, Filters
from meterboard.service.statistics.answers import BreakdownAnswer, Share, Total
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import plural
from meterboard.web.page_state import PageState
from meterboard.web.pages.colours import Name, colours_of
from meterboard.web.pages.dashboard.comparison import Change, change, name_of_previous
from meterboard.web.pages.links import all_link, events_link, link

TOP = 5
TOP_USERS = 3


class Row(Struct, frozen=True):
    """
    A name with its numbers; `width` is that of its bar, as a percentage of the longest; `colour` counts from 1, 0 is
    none.

    `url` leads to its table, `calls_url` to its calls, if filters can select them; `change` compares its calls with
    those of the previous period, if requested.
    """

    name: str
    note: str
    calls: int
    credits: int
    share: float
    width: float
    colour: int
    url: str
    calls_url: str = ""
    change: Change | None = None


class Panel(Struct, frozen=True):
    """A breakdown of the usage."""

    rows: list[Row]
    total: Total
    all_url: str
    of: Breakdown
    label: str


def applications(reading: Reading, period: Period, filters: Filters, state: PageState) -> Panel:
    """Returns the five callers with the most calls, applications and functions together, and the others as one."""
    answer, previous_name = _answer(reading, period, filters, state, "caller", TOP)
    rows = _ranked(answer, state, "caller", previous_name, colours_of(reading, "caller"))
    if answer.others.names:
        share = answer.others.calls / answer.total.calls if answer.total.calls else 0.0
        others = plural(answer.others.names, "other")
        url = all_link(state, "caller")
        rows.append(Row(others, "", answer.others.calls, answer.others.credits, share, 0, 0, url))
    return Panel(rows, answer.total, all_link(state, "caller"), "caller", CALLER.label)


def top(
    reading: Reading,
    period: Period,
    filters: Filters,
    state: PageState,
    by: DimensionName,
    *,
    limit: int = TOP,
) -> Panel:
    """Returns the values of a dimension with the most calls."""
    answer, previous_name = _answer(reading, period, filters, state, by, limit)
    return Panel(
        _ranked(answer, state, by, previous_name),
        answer.total,
        all_link(state, by),
        by,
        state.dimensions[by].label,
    )


def _answer(
    reading: Reading, period: Period, filters: Filters, state: PageState, by: Breakdown, limit: int
) -> tuple[BreakdownAnswer, str]:
    """Returns the breakdown, and the name of the period that it is compared with."""
    answer = reading.breakdown(period, filters, by, limit=limit)
    if state.shows("compare") == "none":
        return answer, ""
    answer = reading.compared(answer, period, filters)
    return answer, name_of_previous(period, answer.previous) if answer.previous else ""


def _ranked(
    answer: BreakdownAnswer,
    state: PageState,
    by: Breakdown,
    previous_name: str,
    colours: Mapping[Name, int] | None = None,
) -> list[Row]:
    longest = max((row.calls for row in answer.rows), default=0)
    return [
        Row(
            name=row.name,
            note="function" if row.kind == "function" else "",
            calls=row.calls,
            credits=row.credits,
            share=row.share,
            width=row.calls * 100 / longest if longest else 0,
            colour=(colours or {}).get((row.kind or "", row.name), 0),
            url=link(state, by, row.name, row.kind),
            calls_url=events_link(state, by, row.name, row.kind),
            change=_change(row, previous_name),
        )
        for row in answer.rows
    ]


def _change(row: Share, previous_name: str) -> Change | None:
    return change(row.calls, row.previous.calls, previous_name) if row.previous else None
