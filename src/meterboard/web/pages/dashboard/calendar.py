"""The calendar of the retained days, which shows the days with calls and links to each day."""

from calendar import Calendar
from datetime import date, timedelta

from msgspec import Struct

from meterboard.domain.period import INSTANT
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import PERIODS, date_of, month_of, plural
from meterboard.web.page_state import PageState
from meterboard.web.translation import _

MAX_MONTHS = 3
"""Months that are drawn; of a longer retention the newest, the others are reached by the fields below them."""


class Day(Struct, frozen=True):
    """A day of the calendar; `url` is empty outside the retention, `text` is the number of calls."""

    number: int
    url: str = ""
    text: str = ""
    has_calls: bool = False
    is_today: bool = False
    is_chosen: bool = False


class Month(Struct, frozen=True):
    """A month as weeks from Monday to Sunday; None is a day of another month."""

    name: str
    weeks: list[list[Day | None]]


def calendar(reading: Reading, state: PageState, summary: Summary) -> list[Month]:
    """Returns the months of the retained days, oldest first."""
    calls = {day.day: day.calls for day in reading.days({})}
    chosen = _chosen(state, summary)

    def day(of: date) -> Day:
        if not reading.first_day <= of <= reading.today:
            return Day(of.day)
        text = plural(calls.get(of, 0), "call") if calls.get(of) else _("no calls")
        return Day(
            of.day,
            url=state.change(period=f"{of}"),
            text=f"{date_of(of)}: {text}",
            has_calls=bool(calls.get(of)),
            is_today=of == reading.today,
            is_chosen=bool(chosen and chosen[0] <= of <= chosen[1]),
        )

    return [
        Month(
            month_of(first),
            [
                [day(of) if of.month == first.month else None for of in week]
                for week in Calendar().monthdatescalendar(first.year, first.month)
            ],
        )
        for first in _months(reading.first_day, reading.today)
    ]


def _chosen(state: PageState, summary: Summary) -> tuple[date, date] | None:
    """Returns the first and last day of a period that was chosen by date; None for a relative period."""
    start, end = summary.period.start, summary.period.end
    if state.period in PERIODS or start >= end:
        return None
    return start.date(), (end - INSTANT).date()


def _months(first: date, last: date) -> list[date]:
    months = [last.replace(day=1)]
    while months[0] > first and len(months) < MAX_MONTHS:
        months.insert(0, (months[0] - timedelta(days=1)).replace(day=1))
    return months
