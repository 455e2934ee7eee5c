"""Comparisons with the previous period: an arrow, a percentage and a sentence."""

from datetime import date

from msgspec import Struct

from meterboard.domain.period import Period
from meterboard.service.statistics.answers import Previous
from meterboard.web.formatting import date_of, number, percent, plural, time_of
from meterboard.web.translation import _


class Change(Struct, frozen=True):
    """A change: `brief` is the arrow and the percentage, `text` the whole sentence with the previous number."""

    brief: str
    text: str


def change(current: int, previous: int, previous_name: str) -> Change:
    """Returns the change from the previous number to the current one; `previous_name` is "the 24 hours before"."""
    values = {"previous": previous_name, "before": number(previous)}
    if current == previous:
        return Change(_("= same"), _("as many as %(previous)s: %(before)s") % values)
    if not previous:
        return Change(_("new"), _("none in %(previous)s") % values)
    values["share"] = share = percent(abs(current - previous) / previous)
    if current > previous:
        return Change(f"▲ {share}", _("%(share)s more than %(previous)s: %(before)s") % values)
    return Change(f"▼ {share}", _("%(share)s fewer than %(previous)s: %(before)s") % values)


def name_of_previous(period: Period, previous: Previous) -> str:
    """Returns the name of the previous period: the 24 hours before; yesterday until 10:45; the 7 days before."""
    start, end = previous.period.start, previous.period.end
    if period.name == "last_24_hours" or "T" in period.name:
        return _length_before(int(end.timestamp() - start.timestamp()))
    if period.days > 1:
        name = _("the %(days)s before") % {"days": plural(period.days, "day")}
    else:
        name = _("yesterday") if period.name == "today" else _("the day before")
    is_over = (end.hour, end.minute) == (0, 0)
    return name if is_over else _("%(period)s until %(time)s") % {"period": name, "time": time_of(end)}


def _length_before(seconds: int) -> str:
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    if (hours, minutes) == (1, 0):
        return _("the hour before")
    values = {"hours": plural(hours, "hour"), "minutes": plural(minutes, "minute")}
    if not minutes:
        return _("the %(hours)s before") % values
    return (_("the %(hours)s and %(minutes)s before") if hours else _("the %(minutes)s before")) % values


def nothing_to_compare(first_day: date) -> str:
    """Returns why a period can't be compared: a part of the previous one is no longer retained."""
    return _("Nothing to compare with: statistics go back to %(date)s.") % {"date": date_of(first_day)}
