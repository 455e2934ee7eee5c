"""The time chart: its steps, how each is made up, and where they lead."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from meterboard.domain.event import REFUSED
from meterboard.domain.period import NAMED_PERIODS, Period, Unit, bucket_at_or_after, local_times, range_name
from meterboard.domain.query import NOT, Breakdown, Filters, value_of
from meterboard.service.statistics.answers import SeriesAnswer, SeriesPoint
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import date_of, day_and_month, plural, time_of, weekday_of
from meterboard.web.page_state import Address
from meterboard.web.pages.colours import colours_of
from meterboard.web.pages.links import door, everything, filters_of
from meterboard.web.translation import _

PARTS = 5


class Step(Struct, frozen=True):
    """
    A step of the time chart; `url` is its own dashboard, the other links lead to its calls if it has any.

    `name` is its period, `first` and `last` are such that "first of one..last of another" is the period from one to the
    other.
    `parts` are calls, credits and refused calls of each part, the others behind them.
    """

    label: str
    long_label: str
    calls: int
    credits: int
    refused: int
    url: str
    name: str
    first: str
    last: str
    parts: list[tuple[int, int, int]]
    calls_url: str
    refused_url: str


class StackPart(Struct, frozen=True):
    """
    A name that is told apart in every step, or all others; `colour` counts from 1, 0: grey.

    `filters` let through its calls; None: no filters do, as with what neither applications nor functions named are.
    """

    name: str
    note: str
    colour: int
    calls: int
    credits: int
    url: str
    filters: list[tuple[str, str]] | None


class TimeChart(Struct, frozen=True):
    """Every step of the period, what the steps are made up of, and the way back to more of the time around it."""

    unit: Unit
    steps: list[Step]
    parts: list[StackPart]
    wider_url: str


def time_chart(reading: Reading, period: Period, filters: Filters, address: Address) -> TimeChart:
    """Calls and credits over time, stacked as the address says."""
    stack = address.shows("stack")
    by: Breakdown | None = None if stack == "nothing" else stack
    series = _series(reading, period, filters, by)
    ends = [point.start for point in series.points[1:]] + [bucket_at_or_after(period.end)]
    steps = [
        _step(point, end, series, period, address) for point, end in zip(series.points, ends, strict=True)
    ]
    return TimeChart(series.unit, steps, _parts(reading, series, by, address), _wider(period, address))


def _step(point: SeriesPoint, end: datetime, series: SeriesAnswer, period: Period, address: Address) -> Step:
    label, long_label = _labels(point, series.points, series.unit)
    name, first, last = _names(period, point.start, end)
    usages = [*(point.parts or ()), *([point.others] if point.others else [])]
    return Step(
        label,
        long_label,
        point.calls,
        point.credits,
        point.refused,
        url=address.change(period=name),
        name=name,
        first=first,
        last=last,
        parts=[(usage.calls, usage.credits, usage.refused) for usage in usages],
        calls_url=address.calls(period=name) if point.calls else "",
        refused_url=address.calls({"status": REFUSED}, period=name) if point.refused else "",
    )


def _series(reading: Reading, period: Period, filters: Filters, by: Breakdown | None) -> SeriesAnswer:
    """What everybody sees first is worked out once until the statistics move."""
    if filters or period.name not in NAMED_PERIODS:
        return reading.series(period, filters, by, limit=PARTS)
    return reading.cached(
        f"series of {period.name} from {period.start} by {by}",
        lambda: reading.series(period, filters, by, limit=PARTS),
    )


def _names(period: Period, start: datetime, end: datetime) -> tuple[str, str, str]:
    """A step as a period, and as the first and the last of a range of steps."""
    if period.unit == "day" and period.is_of_days:
        day = f"{start:%Y-%m-%d}"
        return day, day, day
    edges = bucket_at_or_after(start), bucket_at_or_after(end)
    return (range_name(*edges, period.zone), *local_times(*edges, period.zone))


def _parts(reading: Reading, series: SeriesAnswer, by: Breakdown | None, address: Address) -> list[StackPart]:
    if by is None or not series.points:
        return []
    colours = colours_of(reading, by)
    parts = []
    for own in zip(*(point.parts or () for point in series.points), strict=True):
        calls, credits = sum(part.calls for part in own), sum(part.credits for part in own)
        named = own[0]
        colour = colours.get((named.kind or "", named.name), 0)
        note = "function" if named.kind == "function" else ""
        parts.append(
            StackPart(
                named.name,
                note,
                colour,
                calls,
                credits,
                door(address, by, named.name, named.kind),
                [*filters_of(by, named.name, named.kind).items()],
            )
        )
    rest = [point.others for point in series.points if point.others]
    calls, credits = sum(others.calls for others in rest), sum(others.credits for others in rest)
    if calls:
        name = "others, or no function" if by == "function" else "others"
        kept_out = [(f"{by}{NOT}", value_of(part.name)) for part in parts] if by != "caller" else None
        parts.append(StackPart(name, "", 0, calls, credits, everything(address, by), kept_out))
    return parts


def _labels(point: SeriesPoint, points: Sequence[SeriesPoint], unit: Unit) -> tuple[str, str]:
    start = point.start
    if unit == "day":
        return day_and_month(start), weekday_of(start)
    # A repeated hour, when clocks go back, is told apart by its offset.
    same = [other for other in points if f"{other.start:%d%H%M}" == f"{start:%d%H%M}"]
    label = f"{time_of(start)} {start:%z}" if len(same) > 1 else time_of(start)
    return label, f"{label}, {date_of(start)}"


def _wider(period: Period, address: Address) -> str:
    """The whole days that a range of times is within; empty when it is no such range."""
    if "T" not in period.name:
        return ""
    first, last = period.start.astimezone(period.zone).date(), period.end.astimezone(period.zone).date()
    return address.change(period=f"{first}" if first == last else f"{first}..{last}")


def peak(chart: TimeChart, measure: str) -> str:
    """The time chart in a phrase: when there was most."""
    most = max(chart.steps, key=lambda step: step.credits if measure == "credits" else step.calls)
    value = most.credits if measure == "credits" else most.calls
    amount = plural(value, "credit" if measure == "credits" else "call")
    return _("most at %(time)s: %(amount)s") % {"time": most.long_label, "amount": amount}
