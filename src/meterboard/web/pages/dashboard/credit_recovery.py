"""The credits that return in the next 24 hours, as a small chart and as a sentence."""

from msgspec import Struct

from meterboard.service.statistics.answers import Returns
from meterboard.web.formatting import clock_time, number, plural, time_of
from meterboard.web.translation import _, ngettext


class Bar(Struct, frozen=True):
    """An hour; `height` is a percentage of the highest bar."""

    height: float
    title: str


class RecoveryChart(Struct, frozen=True):
    """The text and the bars of the chart."""

    text: str
    bars: list[Bar]


def recovery_chart(returns: Returns) -> RecoveryChart | None:
    """Returns the chart, or None when no credits are used, so that none can return."""
    if not returns.used:
        return None
    ends = [point.start for point in returns.points[1:]]
    ends.append(returns.window.end + (returns.window.end - returns.window.start))
    highest = max(point.credits for point in returns.points)
    bars = [
        Bar(
            point.credits * 100 / highest,
            _("%(start)s to %(end)s: %(credits)s")
            % {
                "start": time_of(point.start),
                "end": time_of(end),
                "credits": plural(point.credits, "credit"),
            },
        )
        for point, end in zip(returns.points, ends, strict=True)
    ]
    using = [(point.credits, end) for point, end in zip(returns.points, ends, strict=True) if point.credits]
    (first, by), last = using[0], using[-1][1]
    now = returns.window.end
    values = {
        "count": number(first),
        "time": clock_time(by, now),
        "all": number(returns.used),
        "end": clock_time(last, now),
    }
    if len(using) == 1:
        text = ngettext(
            "%(count)s credit comes back by %(time)s.", "%(count)s credits come back by %(time)s.", first
        )
    else:
        text = ngettext(
            "%(count)s credit comes back by %(time)s, all %(all)s by %(end)s.",
            "%(count)s credits come back by %(time)s, all %(all)s by %(end)s.",
            first,
        )
    return RecoveryChart(text % values, bars)
