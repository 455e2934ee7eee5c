"""The dashboard's panels: answers of the statistics as rows with names, numbers and the links behind them."""

from collections.abc import Mapping

from msgspec import Struct

from meterboard.domain.dimensions import CALLER
from meterboard.domain.period import Period
from meterboard.domain.query import Breakdown, DimensionName, Filters
from meterboard.service.statistics.answers import BreakdownAnswer, Share, Total
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import plural
from meterboard.web.page_state import Address
from meterboard.web.pages.colours import Name, colours_of
from meterboard.web.pages.dashboard.comparison import Change, change, than
from meterboard.web.pages.links import calls_door, door, everything

TOP = 5
TOP_USERS = 3


class Row(Struct, frozen=True):
    """
    A name with its numbers; `width` is its bar's, in per cent of the longest; `colour` counts from 1, 0: none of its own.

    `url` leads to the rows behind it, `calls_url` to the calls, if filters can say which; `change` is how its calls
    compare with the period before, when that was asked.
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
    """One classification of the usage."""

    rows: list[Row]
    total: Total
    all_url: str
    of: Breakdown
    label: str


def applications(reading: Reading, period: Period, filters: Filters, address: Address) -> Panel:
    """The five callers with the most calls, applications and functions together, and the others as one."""
    answer, versus = _answer(reading, period, filters, address, "caller", TOP)
    rows = _ranked(answer, address, "caller", versus, colours_of(reading, "caller"))
    if answer.others.names:
        share = answer.others.calls / answer.total.calls if answer.total.calls else 0.0
        others = plural(answer.others.names, "other")
        url = everything(address, "caller")
        rows.append(Row(others, "", answer.others.calls, answer.others.credits, share, 0, 0, url))
    return Panel(rows, answer.total, everything(address, "caller"), "caller", CALLER.label)


def top(
    reading: Reading,
    period: Period,
    filters: Filters,
    address: Address,
    by: DimensionName,
    *,
    limit: int = TOP,
) -> Panel:
    """The names of a dimension with the most calls."""
    answer, versus = _answer(reading, period, filters, address, by, limit)
    return Panel(
        _ranked(answer, address, by, versus),
        answer.total,
        everything(address, by),
        by,
        address.dimensions[by].label,
    )


def _answer(
    reading: Reading, period: Period, filters: Filters, address: Address, by: Breakdown, limit: int
) -> tuple[BreakdownAnswer, str]:
    """The answer, and what it is compared with in words."""
    answer = reading.breakdown(period, filters, by, limit=limit)
    if address.shows("compare") == "none":
        return answer, ""
    answer = reading.compared(answer, period, filters)
    return answer, than(period, answer.previous) if answer.previous else ""


def _ranked(
    answer: BreakdownAnswer,
    address: Address,
    by: Breakdown,
    versus: str,
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
            url=door(address, by, row.name, row.kind),
            calls_url=calls_door(address, by, row.name, row.kind),
            change=_change(row, versus),
        )
        for row in answer.rows
    ]


def _change(row: Share, versus: str) -> Change | None:
    return change(row.calls, row.previous.calls, versus) if row.previous else None
