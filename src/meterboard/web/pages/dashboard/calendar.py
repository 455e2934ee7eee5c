"""The calendar of the retained days: which have calls, and a link to each. Nothing outside the retention is a link."""

from calendar import Calendar
from datetime import date, timedelta

from msgspec import Struct

from meterboard.domain.period import INSTANT
from meterboard.service.statistics.answers import Summary
from meterboard.service.statistics.statistics import Reading
from meterboard.web.formatting import PERIODS, date_of, month_of, plural
from meterboard.web.page_state import Address
from meterboard.web.translation import _

MOST_MONTHS = 3
"""Months that are drawn; of a longer retention the newest, the others are reached by the fields below them."""


class Day(Struct, frozen=True):
    """A day of the calendar; `url` is empty outside the retention, `words` is what there was on it."""

    number: int
    url: str = ""
    words: str = ""
    has_calls: bool = False
    is_today: bool = False
    is_chosen: bool = False


class Month(Struct, frozen=True):
    """A month of weeks from Monday to Sunday; None: a day of another month."""

    name: str
    weeks: list[list[Day | None]]


def calendar(reading: Reading, address: Address, summary: Summary) -> list[Month]:
    """The months of the retained days, the oldest first."""
    calls = {day.day: day.calls for day in reading.days({})}
    chosen = _chosen(address, summary)

    def day(of: date) -> Day:
        if not reading.first_day <= of <= reading.today:
            return Day(of.day)
        words = plural(calls.get(of, 0), "call") if calls.get(of) else _("no calls")
        return Day(
            of.day,
            url=address.change(period=f"{of}"),
            words=f"{date_of(of)}: {words}",
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


def _chosen(address: Address, summary: Summary) -> tuple[date, date] | None:
    """The days that the period names itself: those of "the last 30 days" are not picked from a calendar."""
    start, end = summary.period.start, summary.period.end
    if address.period in PERIODS or start >= end:
        return None
    return start.date(), (end - INSTANT).date()


def _months(first: date, last: date) -> list[date]:
    months = [last.replace(day=1)]
    while months[0] > first and len(months) < MOST_MONTHS:
        months.insert(0, (months[0] - timedelta(days=1)).replace(day=1))
    return months
