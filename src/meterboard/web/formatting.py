"""Numbers and times as people read them."""

from datetime import date, datetime, timedelta

from meterboard.domain.dimensions import CALLER, Dimensions
from meterboard.domain.period import BUCKET
from meterboard.service.jobs.refresh import Delay
from meterboard.service.statistics.answers import Credits, Summary

MEASURE_LABELS = {"calls": "Calls", "credits": "Credits", "integration_tasks": "Integration tasks"}
PERIODS = {
    "last_24_hours": "Last 24 hours",
    "today": "Today",
    "yesterday": "Yesterday",
    "last_30_days": "Last 30 days",
}
UNITS = {"quarter_hour": "quarter of an hour", "hour": "hour", "day": "day"}
CLOSE = 80
"""Per cent of the allowance from which on it is "close": the first of the original's notices."""


def number(value: int) -> str:
    """12412 -> 12,412."""
    return f"{value:,}"


def plural(count: int, noun: str) -> str:
    """1 call, 2 calls."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float) -> str:
    """0.314 -> 31 %; a share that is not nothing never shows as nothing."""
    return "< 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def clock_time(moment: datetime, now: datetime) -> str:
    """10:45, with its day when that is not today."""
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    tomorrow = moment.date() == now.date() + timedelta(days=1)
    return f"{moment:%H:%M} tomorrow" if tomorrow else f"{moment:%H:%M} on {date_of(moment)}"


def date_of(moment: date) -> str:
    """24 Nov 2026."""
    return f"{moment.day} {moment:%b %Y}"


def day_of(moment: date, now: date) -> str:
    """24 Nov, with its year when that is not this one."""
    return date_of(moment) if moment.year != now.year else f"{moment.day} {moment:%b}"


def quarter_of(moment: datetime) -> str:
    """24 Nov 2026, 10:45 to 11:00: the quarter of an hour that starts at `moment`."""
    return f"{date_of(moment)}, {moment:%H:%M} to {moment + BUCKET:%H:%M}"


def period_name(text: str) -> str:
    """
    Today; 3 Nov 2026; 3 Nov 2026 to 9 Nov 2026; 3 Nov 2026, 10:00 to 14:00.

    `text` is a period as the address has it, and a right one.
    """
    if text in PERIODS:
        return PERIODS[text]
    edges = text.split("..")
    if "T" not in text:
        return " to ".join(date_of(date.fromisoformat(day)) for day in edges)
    first, last = (datetime.fromisoformat(edge) for edge in edges)
    until = _time(last) if first.date() == last.date() else f"{date_of(last)}, {_time(last)}"
    return f"{date_of(first)}, {_time(first)} to {until}"


def _time(moment: datetime) -> str:
    """10:00, with its offset when the text that it comes from needs one to tell it from another 10:00."""
    return f"{moment:%H:%M}" if moment.tzinfo is None else f"{moment:%H:%M} {moment:%z}"


def labels(dimensions: Dimensions) -> dict[str, str]:
    """What the columns of tables and the stacks of charts are called."""
    return {each.name: each.label for each in (*dimensions.all, CALLER)} | MEASURE_LABELS


def nouns(dimensions: Dimensions) -> dict[str, tuple[str, str]]:
    """What one value of a dimension is called, and several."""
    return {each.name: (each.noun, each.plural) for each in dimensions.all}


def in_sentence(label: str) -> str:
    """A label within a sentence: user, application, IP address."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def freshness(summary: Summary, live: bool, delay: Delay | None = None) -> str:
    """How old the statistics are, in words, and why they are older than they should be."""
    now = max(summary.as_of, summary.next_refresh)
    if delay and delay.kind == "clock":
        return (
            f"Statistics as of {clock_time(summary.as_of, now)}, but the server's clock shows "
            f"{clock_time(delay.due, now)}: it was set back. Nothing is lost; times run ahead until it has caught up."
        )
    if live:
        return f"Statistics as of {summary.as_of:%H:%M:%S}, brought up to date on every read."
    as_of, following = clock_time(summary.as_of, now), clock_time(summary.next_refresh, now)
    if delay and delay.kind == "late":
        return (
            f"Statistics as of {as_of}: the refresh of {clock_time(delay.due, now)} has not finished yet, so later calls "
            "are not included."
        )
    if delay:
        return (
            f"Statistics as of {as_of}: the refresh of {clock_time(delay.due, now)} failed, so later calls are not "
            f"included. It is tried again at {following}. Reason: {delay.reason}"
        )
    return f"Statistics as of {as_of}, next refresh at {following}."


def covered(summary: Summary) -> str:
    """The time that the period's numbers cover, in words."""
    start, end = summary.period.start, summary.period.end
    if start.date() == end.date():
        return f"{start:%H:%M} to {end:%H:%M} on {date_of(end)}, {summary.period.time_zone}"
    return f"{start:%H:%M} on {date_of(start)} to {end:%H:%M} on {date_of(end)}, {summary.period.time_zone}"


def counter(credits: Credits) -> dict[str, str | int]:
    """The live counter in words: what the page shows at first and what the live line sends later."""
    calls = plural(credits.calls, "call")
    if credits.allowance is None or credits.unused is None:
        return {
            "headline": f"{plural(credits.used, 'credit')} used",
            "detail": f"unlimited allowance · {calls} in the last 24 hours",
            "percent": 0,
            "share": "",
            "state": "unlimited",
            "calls": credits.calls,
        }
    share = credits.used * 100 // credits.allowance if credits.allowance else 100
    over = credits.used - credits.allowance
    state = "over" if over > 0 else "close" if share >= CLOSE else "calm"
    headline = f"{plural(over, 'credit')} over" if over > 0 else f"{plural(credits.unused, 'credit')} left"
    return {
        "headline": headline,
        "detail": f"used {number(credits.used)} of {number(credits.allowance)} · {calls} in the last 24 hours",
        "percent": min(share, 100),
        "share": ("< 1 %" if credits.used and not share else f"{share} %")
        + {"over": " · over the allowance", "close": " · close to the allowance"}.get(state, ""),
        "state": state,
        "calls": credits.calls,
    }
