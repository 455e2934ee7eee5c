"""Formats numbers, dates, times and other values as the text of pages."""

from datetime import date, datetime, timedelta
from functools import lru_cache

from meterboard.domain.dimensions import CALLER, Dimensions
from meterboard.domain.period import BUCKET
from meterboard.service.jobs.refresh import Delay
from meterboard.service.statistics.answers import Credits, Summary
from meterboard.web.translation import LOCALE, PATTERNS, _, ngettext

MEASURE_LABELS = {"calls": "Calls", "credits": "Credits", "integration_tasks": "Integration tasks"}
PERIODS = {
    "last_24_hours": "Last 24 hours",
    "today": "Today",
    "yesterday": "Yesterday",
    "last_30_days": "Last 30 days",
}
UNITS = {"quarter_hour": "15 minutes", "hour": "hour", "day": "day"}
NOTICES = {"over": ("over the allowance",), "close": ("close to the allowance",)}
CLOSE = 80
"""The percentage of the allowance at which usage is "close" to it, as in Zoho CRM's first notice."""


COUNT_FORMS = {
    "call": ("%(count)s call", "%(count)s calls"),
    "combination": ("%(count)s combination", "%(count)s combinations"),
    "credit": ("%(count)s credit", "%(count)s credits"),
    "day": ("%(count)s day", "%(count)s days"),
    "hour": ("%(count)s hour", "%(count)s hours"),
    "minute": ("%(count)s minute", "%(count)s minutes"),
    "other": ("%(count)s other", "%(count)s others"),
    "task": ("%(count)s task", "%(count)s tasks"),
}
"""The nouns that pages count, as singular and plural. A catalog may have more forms."""


@lru_cache(maxsize=4_096)
def number(value: float) -> str:
    """Returns 12,412 for 12412; a fraction is rounded to a whole number."""
    return str(PATTERNS.number.apply(round(value), LOCALE))


def plural(count: int, noun: str) -> str:
    """Returns "1 call", "2 calls"; `noun` is one of COUNTED."""
    return ngettext(*COUNT_FORMS[noun], count) % {"count": number(count)}


def percent(share: float) -> str:
    """Returns "31 %" for 0.314. A share above zero is never shown as zero."""
    shown = 0.01 if 0 < share < 0.005 else share
    text = str(PATTERNS.percent.apply(shown, LOCALE))
    return f"< {text}" if shown != share else text


def time_of(moment: datetime) -> str:
    """Returns 10:45."""
    return str(PATTERNS.time.apply(moment, LOCALE))


def clock_time(moment: datetime, now: datetime) -> str:
    """Returns 10:45, with its day when that is not today."""
    time = time_of(moment)
    if moment.date() == now.date():
        return time
    if moment.date() == now.date() + timedelta(days=1):
        return _("%(time)s tomorrow") % {"time": time}
    return _("%(time)s on %(date)s") % {"time": time, "date": date_of(moment)}


def date_of(moment: date) -> str:
    """Returns 24 Nov 2026."""
    return str(PATTERNS.date.apply(moment, LOCALE))


def day_of(moment: date, now: date) -> str:
    """Returns 24 Nov, with its year when that is not this one."""
    return date_of(moment) if moment.year != now.year else day_and_month(moment)


def day_and_month(moment: date) -> str:
    """Returns 24 Nov."""
    return str(PATTERNS.day.apply(moment, LOCALE))


def weekday_of(moment: date) -> str:
    """Returns Tuesday, 24 Nov 2026."""
    return str(PATTERNS.weekday.apply(moment, LOCALE))


def month_of(moment: date) -> str:
    """Returns November 2026."""
    return str(PATTERNS.month.apply(moment, LOCALE))


def quarter_of(moment: datetime) -> str:
    """Returns 24 Nov 2026, 10:45 to 11:00: the 15 minutes from `moment`."""
    times = {"date": date_of(moment), "start": time_of(moment), "end": time_of(moment + BUCKET)}
    return _("%(date)s, %(start)s to %(end)s") % times


def period_name(text: str) -> str:
    """
    Returns Today; 3 Nov 2026; 3 Nov 2026 to 9 Nov 2026; 3 Nov 2026, 10:00 to 14:00.

    `text` is a valid period as in the URL.
    """
    if text in PERIODS:
        return _(PERIODS[text])
    edges = text.split("..")
    if "T" not in text:
        days = [date_of(date.fromisoformat(day)) for day in edges]
        return days[0] if len(days) == 1 else _("%(start)s to %(end)s") % {"start": days[0], "end": days[1]}
    first, last = (datetime.fromisoformat(edge) for edge in edges)
    until = _time(last) if first.date() == last.date() else f"{date_of(last)}, {_time(last)}"
    return _("%(start)s to %(end)s") % {"start": f"{date_of(first)}, {_time(first)}", "end": until}


def _time(moment: datetime) -> str:
    """Returns 10:00, with its offset when the period states it to distinguish two equal local times."""
    return time_of(moment) if moment.tzinfo is None else f"{time_of(moment)} {moment:%z}"


def labels(dimensions: Dimensions) -> dict[str, str]:
    """Returns the label of each dimension and measure, as headings show it."""
    return {each.name: each.label for each in (*dimensions.all, CALLER)} | MEASURE_LABELS


def nouns(dimensions: Dimensions) -> dict[str, tuple[str, str]]:
    """Returns the singular and the plural noun of each dimension's values."""
    return {each.name: (each.noun, each.plural) for each in dimensions.all}


def in_sentence(label: str) -> str:
    """Returns a label as used within a sentence: user, application, IP address."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def freshness(summary: Summary, live: bool, delay: Delay | None = None) -> str:
    """Returns the text on how old the statistics are, with the reason for a delay."""
    now = max(summary.as_of, summary.next_refresh)
    if delay and delay.kind == "clock":
        text = _(
            "Statistics as of %(as_of)s, but the server's clock shows %(due)s: it was set back. Nothing is lost; times "
            "run ahead until it has caught up."
        )
    elif live:
        as_of = str(PATTERNS.seconds.apply(summary.as_of, LOCALE))
        return _("Statistics as of %(as_of)s, brought up to date on every read.") % {"as_of": as_of}
    elif delay and delay.kind == "late":
        text = _(
            "Statistics as of %(as_of)s: the refresh of %(due)s has not finished yet, so later calls are not included."
        )
    elif delay:
        text = _(
            "Statistics as of %(as_of)s: the refresh of %(due)s failed, so later calls are not included. It is tried "
            "again at %(next)s. Reason: %(reason)s"
        )
    else:
        text = _("Statistics as of %(as_of)s, next refresh at %(next)s.")
    return text % {
        "as_of": clock_time(summary.as_of, now),
        "next": clock_time(summary.next_refresh, now),
        "due": clock_time(delay.due, now) if delay else "",
        "reason": delay.reason if delay else "",
    }


def covered(summary: Summary) -> str:
    """Returns the time that the period's numbers cover."""
    start, end = summary.period.start, summary.period.end
    values = {
        "start": time_of(start),
        "first_day": date_of(start),
        "end": time_of(end),
        "last_day": date_of(end),
        "zone": summary.period.time_zone,
    }
    if start.date() == end.date():
        return _("%(start)s to %(end)s on %(last_day)s, %(zone)s") % values
    return _("%(start)s on %(first_day)s to %(end)s on %(last_day)s, %(zone)s") % values


def counter(credits: Credits) -> dict[str, str | int]:
    """Returns the texts of the live counter, which the page shows first and the live stream updates."""
    calls = plural(credits.calls, "call")
    if credits.allowance is None or credits.unused is None:
        return {
            "headline": _("%(credits)s used") % {"credits": plural(credits.used, "credit")},
            "detail": _("unlimited allowance · %(calls)s in the last 24 hours") % {"calls": calls},
            "percent": 0,
            "share": "",
            "state": "unlimited",
            "calls": credits.calls,
        }
    share = credits.used * 100 // credits.allowance if credits.allowance else 100
    over = credits.used - credits.allowance
    state = "over" if over > 0 else "close" if share >= CLOSE else "calm"
    headline = _("%(credits)s over") if over > 0 else _("%(credits)s left")
    used = {"used": number(credits.used), "allowance": number(credits.allowance), "calls": calls}
    return {
        "headline": headline % {"credits": plural(abs(over), "credit")},
        "detail": _("used %(used)s of %(allowance)s · %(calls)s in the last 24 hours") % used,
        "percent": min(share, 100),
        "share": " · ".join(
            [percent(0.001 if credits.used and not share else share / 100), *map(_, NOTICES.get(state, ()))]
        ),
        "state": state,
        "calls": credits.calls,
    }
