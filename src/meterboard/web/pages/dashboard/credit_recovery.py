"""When credits come back: a small chart of the next 24 hours, and the same in a sentence."""

from msgspec import Struct

from meterboard.service.statistics.answers import Returns
from meterboard.web.formatting import clock_time, number, plural, time_of
from meterboard.web.translation import _, ngettext


class Bar(Struct, frozen=True):
    """An hour; `height` in per cent of the highest."""

    height: float
    title: str


class Coming(Struct, frozen=True):
    """What the page shows of `Returns`."""

    words: str
    bars: list[Bar]


def coming(returns: Returns) -> Coming | None:
    """None when nothing is used, so that nothing can come back."""
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
        words = ngettext(
            "%(count)s credit comes back by %(time)s.", "%(count)s credits come back by %(time)s.", first
        )
    else:
        words = ngettext(
            "%(count)s credit comes back by %(time)s, all %(all)s by %(end)s.",
            "%(count)s credits come back by %(time)s, all %(all)s by %(end)s.",
            first,
        )
    return Coming(words % values, bars)
