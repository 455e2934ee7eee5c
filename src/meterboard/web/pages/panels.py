"""The dashboard's panels: answers of the statistics as rows with names, numbers and the links behind them."""

from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

from msgspec import Struct

from meterboard.domain.event import REFUSED
from meterboard.domain.period import Period
from meterboard.domain.query import Dimension, Filters
from meterboard.service.answers import BreakdownAnswer, SeriesAnswer, SeriesPoint, Share, Total
from meterboard.service.statistics import Reading
from meterboard.web.address import Address
from meterboard.web.words import date_of, plural, value_of

COLOURS = 8
TOP = 5
TOP_USERS = 3
COLUMNS: dict[Dimension, str] = {
    "module": "module,method,application,user",
    "method": "method,module,application,user",
    "ip": "ip,user,application",
    "user": "user,ip,method,module",
}


class Row(Struct, frozen=True):
    """
    A name with its numbers; `width` is its bar's, in per cent of the longest; `colour` counts from 1, 0: none of its own.

    `url` leads to the rows behind it, `calls_url` to the calls, if filters can say which.
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


class Panel(Struct, frozen=True):
    """One classification of the usage."""

    rows: list[Row]
    total: Total
    all_url: str
    of: str = ""


class Step(Struct, frozen=True):
    """A step of the time chart. `refused` are those of the calls that were; `url` is the day's own dashboard, or empty; the others lead to the calls."""

    label: str
    long_label: str
    calls: int
    credits: int
    refused: int
    url: str
    calls_url: str = ""
    refused_url: str = ""


def applications(reading: Reading, period: Period, filters: Filters, address: Address) -> Panel:
    """The five callers with the most calls, applications and functions together, and the others as one."""
    answer = reading.breakdown(period, filters, "caller", limit=TOP)
    colours = caller_colours(reading)
    longest = max((row.calls for row in answer.rows), default=0)
    rows = [_caller(row, longest, colours, address) for row in answer.rows]
    everyone = address.rows("application,function,user")
    if answer.others.names:
        share = answer.others.calls / answer.total.calls if answer.total.calls else 0.0
        others = f"{answer.others.names} others" if answer.others.names > 1 else "1 other"
        rows.append(Row(others, "", answer.others.calls, answer.others.credits, share, 0, 0, everyone))
    return Panel(rows, answer.total, everyone)


def _caller(row: Share, longest: int, colours: Mapping[tuple[str, str], int], address: Address) -> Row:
    kind = row.kind or ""
    value = value_of(row.name)
    # Calls that came from no function, or all of one: exactly those that the mark stands for.
    filters = {"function": value} if kind == "function" else {"application": value, "function": ""}
    url = address.rows("function,module" if kind == "function" else "application,user,ip", filters)
    width = row.calls * 100 / longest if longest else 0
    note = "function" if kind == "function" else ""
    colour = colours.get((kind, row.name), 0)
    calls_url = address.calls(filters)
    return Row(row.name, note, row.calls, row.credits, row.share, width, colour, url, calls_url)


def caller_colours(reading: Reading) -> Mapping[tuple[str, str], int]:
    """
    A colour for each of the callers, by name: the same in every panel and period.

    The eight most used of the retained days never share one. Kept until the statistics move, which is when they change.
    """
    return reading.kept("caller_colours", lambda: _coloured(reading))


def _coloured(reading: Reading) -> dict[tuple[str, str], int]:
    month = reading.breakdown(reading.period("last_30_days"), {}, "caller", limit=200)
    callers = [(row.kind or "", row.name) for row in month.rows]
    return dict(
        [*_distinct(sorted(callers[:COLOURS])), *((caller, _hue(caller)) for caller in callers[COLOURS:])]
    )


def _distinct(callers: Iterable[tuple[str, str]]) -> Iterable[tuple[tuple[str, str], int]]:
    free = set(range(1, COLOURS + 1))
    for caller in callers:
        wanted = _hue(caller)
        colour = next(c for c in [*range(wanted, COLOURS + 1), *range(1, wanted)] if c in free)
        free.discard(colour)
        yield caller, colour


def _hue(caller: tuple[str, str]) -> int:
    return crc32("/".join(caller).encode()) % COLOURS + 1


def top(
    reading: Reading, period: Period, filters: Filters, address: Address, by: Dimension, *, limit: int = TOP
) -> Panel:
    """The names of a dimension with the most calls."""
    answer = reading.breakdown(period, filters, by, limit=limit)
    return Panel(_ranked(answer, address, by), answer.total, address.rows(COLUMNS[by]), by)


def _ranked(answer: BreakdownAnswer, address: Address, by: Dimension) -> list[Row]:
    longest = max((row.calls for row in answer.rows), default=0)
    return [
        Row(
            name=row.name,
            note="",
            calls=row.calls,
            credits=row.credits,
            share=row.share,
            width=row.calls * 100 / longest if longest else 0,
            colour=0,
            url=address.rows(COLUMNS[by], {by: value_of(row.name)}),
            calls_url=address.calls({by: value_of(row.name)}),
        )
        for row in answer.rows
    ]


def steps(series: SeriesAnswer, address: Address) -> list[Step]:
    """The steps of the time chart; a day leads to its own dashboard."""
    return [_step(point, series.points, series.unit == "day", address) for point in series.points]


def peak(steps: Sequence[Step], measure: str) -> str:
    """The time chart in a phrase: when there was most."""
    most = max(steps, key=lambda step: step.credits if measure == "credits" else step.calls)
    value = most.credits if measure == "credits" else most.calls
    return f"most at {most.long_label}: {plural(value, measure.removesuffix('s'))}"


def _step(point: SeriesPoint, points: Sequence[SeriesPoint], daily: bool, address: Address) -> Step:
    start = point.start
    if daily:
        label, long_label = f"{start.day} {start:%b}", f"{start:%A}, {date_of(start)}"
        day = f"{start:%Y-%m-%d}"
        calls = address.calls(period=day) if point.calls else ""
        refused = address.calls({"status": REFUSED}, period=day) if point.refused else ""
        url = address.change(period=day)
        return Step(label, long_label, point.calls, point.credits, point.refused, url, calls, refused)
    # A repeated hour, when clocks go back, is told apart by its offset.
    twice = (
        sum(
            f"{other.start:%d%H}" == f"{start:%d%H}" for other in points if other.start.minute == start.minute
        )
        > 1
    )
    label = f"{start:%H:%M} {start:%z}" if twice else f"{start:%H:%M}"
    return Step(label, f"{label}, {date_of(start)}", point.calls, point.credits, point.refused, "")
