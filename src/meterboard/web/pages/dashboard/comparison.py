"""How much more or less than before: an arrow, per cent, and the same in words."""

from datetime import date

from msgspec import Struct

from meterboard.domain.period import Period
from meterboard.service.statistics.answers import Previous
from meterboard.web.formatting import date_of, number, percent, plural, time_of
from meterboard.web.translation import _


class Change(Struct, frozen=True):
    """`brief` is arrow and per cent; `words` is the whole sentence, with what there was before."""

    brief: str
    words: str


def change(now: int, before: int, than: str) -> Change:
    """`than` names what it is compared with: "the 24 hours before"."""
    values = {"than": than, "before": number(before)}
    if now == before:
        return Change(_("= same"), _("as many as %(than)s: %(before)s") % values)
    if not before:
        return Change(_("new"), _("none in %(than)s") % values)
    values["share"] = share = percent(abs(now - before) / before)
    if now > before:
        return Change(f"▲ {share}", _("%(share)s more than %(than)s: %(before)s") % values)
    return Change(f"▼ {share}", _("%(share)s fewer than %(than)s: %(before)s") % values)


def than(period: Period, previous: Previous) -> str:
    """What a period is compared with, in words: the 24 hours before; yesterday until 10:45; the 7 days before."""
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
    """Why a period can't be compared: a part of the one before is no longer kept."""
    return _("Nothing to compare with: statistics go back to %(date)s.") % {"date": date_of(first_day)}
