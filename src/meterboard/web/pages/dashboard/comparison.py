"""How much more or less than before: an arrow, per cent, and the same in words."""

from datetime import date

from msgspec import Struct

from meterboard.domain.period import Period
from meterboard.service.statistics.answers import Previous
from meterboard.web.formatting import date_of, number, percent, plural


class Change(Struct, frozen=True):
    """`brief` is arrow and per cent; `words` is the whole sentence, with what there was before."""

    brief: str
    words: str


def change(now: int, before: int, than: str) -> Change:
    """`than` names what it is compared with: "the 24 hours before"."""
    was = f"{than}: {number(before)}"
    if now == before:
        return Change("= same", f"as many as {was}")
    if not before:
        return Change("new", f"none in {than}")
    share = percent(abs(now - before) / before)
    if now > before:
        return Change(f"▲ {share}", f"{share} more than {was}")
    return Change(f"▼ {share}", f"{share} fewer than {was}")


def than(period: Period, previous: Previous) -> str:
    """What a period is compared with, in words: the 24 hours before; yesterday until 10:45; the 7 days before."""
    start, end = previous.period.start, previous.period.end
    if period.name == "last_24_hours" or "T" in period.name:
        return f"the {_length(int(end.timestamp() - start.timestamp()))} before"
    if period.days > 1:
        name = f"the {period.days} days before"
    else:
        name = "yesterday" if period.name == "today" else "the day before"
    is_over = (end.hour, end.minute) == (0, 0)
    return name if is_over else f"{name} until {end:%H:%M}"


def _length(seconds: int) -> str:
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    if not minutes:
        return "hour" if hours == 1 else f"{hours} hours"
    if not hours:
        return f"{minutes} minutes"
    return f"{plural(hours, 'hour')} and {minutes} minutes"


def nothing_to_compare(first_day: date) -> str:
    """Why a period can't be compared: a part of the one before is no longer kept."""
    return f"Nothing to compare with: statistics go back to {date_of(first_day)}."
