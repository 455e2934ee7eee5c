"""The time chart: its steps, their parts and their links."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from meterboard.domain.event import REFUSED
from meterboard.domain.period import NAMED_PERIODS, Period, Unit, bucket_at_or_after, local_times, range_name
from meterboard.domain.query import NOT, Breakdown, Filters, value_of
from meterboard.service.statistics.answers import SeriesAnswer, SeriesPoint
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import date_of, day_and_month, plural, time_of, weekday_of
from meterboard.web.page_state import PageState
from meterboard.web.pages.colours import colours_of
from meterboard.web.pages.links import all_link, filters_of, link
from meterboard.web.translation import _

PARTS = 5


class Step(Struct, frozen=True):
    """
    A step of the time chart; `url` leads to its dashboard, the other URLs to its calls, if it has any.

    `name` is its period. `first` of one step and `last` of another make the period `first..last`. `parts` are the
    calls, credits and refused calls of each part, the others last.
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
    A name that each step distinguishes, or all others; `colour` counts from 1, 0 is grey.

    `filters` select its calls; None: no filters can, as with the others of callers.
    """

    name: str
    note: str
    colour: int
    calls: int
    credits: int
    url: str
    filters: list[tuple[str, str]] | None


class TimeChart(Struct, frozen=True):
    """The steps of the period, their parts, and the link that zooms out."""

    unit: Unit
    steps: list[Step]
    parts: list[StackPart]
    wider_url: str


def time_chart(reading: Reading, period: Period, filters: Filters, state: PageState) -> TimeChart:
    """Returns calls and credits over time, stacked as the page state says."""
    stack = state.shows("stack")
    by: Breakdown | None = None if stack == "none" else stack
    series = _series(reading, period, filters, by)
    ends = [point.start for point in series.points[1:]] + [bucket_at_or_after(period.end)]
    steps = [_step(point, end, series, period, state) for point, end in zip(series.points, ends, strict=True)]
    return TimeChart(series.unit, steps, _parts(reading, series, by, state), _zoom_out_url(period, state))


def _step(point: SeriesPoint, end: datetime, series: SeriesAnswer, period: Period, state: PageState) -> Step:
    label, long_label = _labels(point, series.points, series.unit)
    name, first, last = _names(period, point.start, end)
    usages = [*(point.parts or ()), *([point.others] if point.others else [])]
    return Step(
        label,
        long_label,
        point.calls,
        point.credits,
        point.refused,
        url=state.change(period=name),
        name=name,
        first=first,
        last=last,
        parts=[(usage.calls, usage.credits, usage.refused) for usage in usages],
        calls_url=state.calls(period=name) if point.calls else "",
        refused_url=state.calls({"status": REFUSED}, period=name) if point.refused else "",
    )


def _series(reading: Reading, period: Period, filters: Filters, by: Breakdown | None) -> SeriesAnswer:
    """Returns the series, which is cached until the next refresh if it is unfiltered and of a named period."""
    if filters or period.name not in NAMED_PERIODS:
        return reading.series(period, filters, by, limit=PARTS)
    return reading.cached(
        f"series of {period.name} from {period.start} by {by}",
        lambda: reading.series(period, filters, by, limit=PARTS),
    )


def _names(period: Period, start: datetime, end: datetime) -> tuple[str, str, str]:
    """Returns a step as a period, and its first and last as ends of a range."""
    if period.unit == "day" and period.is_of_days:
        day = f"{start:%Y-%m-%d}"
        return day, day, day
    edges = bucket_at_or_after(start), bucket_at_or_after(end)
    return (range_name(*edges, period.zone), *local_times(*edges, period.zone))


def _parts(reading: Reading, series: SeriesAnswer, by: Breakdown | None, state: PageState) -> list[StackPart]:
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
                link(state, by, named.name, named.kind),
                [*filters_of(by, named.name, named.kind).items()],
            )
        )
    rest = [point.others for point in series.points if point.others]
    calls, credits = sum(others.calls for others in rest), sum(others.credits for others in rest)
    if calls:
        name = "others, or no function" if by == "function" else "others"
        excluded = [(f"{by}{NOT}", value_of(part.name)) for part in parts] if by != "caller" else None
        parts.append(StackPart(name, "", 0, calls, credits, all_link(state, by), excluded))
    return parts


def _labels(point: SeriesPoint, points: Sequence[SeriesPoint], unit: Unit) -> tuple[str, str]:
    start = point.start
    if unit == "day":
        return day_and_month(start), weekday_of(start)
    # The offset distinguishes the two hours of one name at the end of daylight saving time.
    same = [other for other in points if f"{other.start:%d%H%M}" == f"{start:%d%H%M}"]
    label = f"{time_of(start)} {start:%z}" if len(same) > 1 else time_of(start)
    return label, f"{label}, {date_of(start)}"


def _zoom_out_url(period: Period, state: PageState) -> str:
    """Returns the link to the whole days around a range of times; empty for other periods."""
    if "T" not in period.name:
        return ""
    first, last = period.start.astimezone(period.zone).date(), period.end.astimezone(period.zone).date()
    return state.change(period=f"{first}" if first == last else f"{first}..{last}")


def peak(chart: TimeChart, measure: str) -> str:
    """Returns "most at 10:45, 24 Nov 2026: 12 calls"."""
    most = max(chart.steps, key=lambda step: step.credits if measure == "credits" else step.calls)
    value = most.credits if measure == "credits" else most.calls
    amount = plural(value, "credit" if measure == "credits" else "call")
    return _("most at %(time)s: %(amount)s") % {"time": most.long_label, "amount": amount}
