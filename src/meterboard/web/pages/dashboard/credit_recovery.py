"""When credits come back: a small chart of the next 24 hours, and the same in a sentence."""

from itertools import pairwise

from msgspec import Struct

from meterboard.service.statistics.answers import Returns
from meterboard.web.formatting import clock_time, plural


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
    ends = [later.start for _, later in pairwise(returns.points)]
    ends.append(returns.window.end + (returns.window.end - returns.window.start))
    highest = max(point.credits for point in returns.points)
    bars = [
        Bar(
            point.credits * 100 / highest,
            f"{point.start:%H:%M} to {end:%H:%M}: {plural(point.credits, 'credit')}",
        )
        for point, end in zip(returns.points, ends, strict=True)
    ]
    using = [(point.credits, end) for point, end in zip(returns.points, ends, strict=True) if point.credits]
    (first, by), (_, last) = using[0], using[-1]
    now = returns.window.end
    words = f"{plural(first, 'credit')} {'comes' if first == 1 else 'come'} back by {clock_time(by, now)}"
    if len(using) > 1:
        words += f", all {returns.used:,} by {clock_time(last, now)}"
    return Coming(f"{words}.", bars)
