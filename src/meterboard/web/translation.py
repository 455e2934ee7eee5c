"""
The language of pages. Texts are looked up with `_` and `ngettext`; numbers and dates are written as the locale has
them.

Pages are in English; there is no other catalog yet. Errors, the command line and logs are in English always.
"""

from gettext import NullTranslations

from babel import Locale
from babel.dates import DateTimePattern, get_date_format, get_time_format
from babel.dates import parse_pattern as date_pattern
from babel.numbers import NumberPattern
from babel.numbers import parse_pattern as number_pattern
from msgspec import Struct

LOCALE = Locale.parse("en")
CATALOG = NullTranslations()


class Patterns(Struct, frozen=True):
    """How a locale writes numbers, dates and times. `weekday` is the long form of a date."""

    number: NumberPattern
    percent: NumberPattern
    date: DateTimePattern
    day: DateTimePattern
    weekday: DateTimePattern
    month: DateTimePattern
    time: DateTimePattern
    seconds: DateTimePattern


def patterns_of(locale: Locale) -> Patterns:
    """Returns the patterns of a locale; for English, those that are read alike on both sides of the Atlantic."""
    number = locale.decimal_formats[None]
    if locale.language == "en":
        return Patterns(
            number=number,
            percent=number_pattern("#,##0 %"),
            date=date_pattern("d MMM y"),
            day=date_pattern("d MMM"),
            weekday=date_pattern("EEEE, d MMM y"),
            month=date_pattern("MMMM y"),
            time=date_pattern("HH:mm"),
            seconds=date_pattern("HH:mm:ss"),
        )
    skeletons = locale.datetime_skeletons
    return Patterns(
        number=number,
        percent=locale.percent_formats[None],
        date=get_date_format("medium", locale),
        day=skeletons["MMMd"],
        weekday=get_date_format("full", locale),
        month=skeletons["yMMMM"],
        time=get_time_format("short", locale),
        seconds=get_time_format("medium", locale),
    )


PATTERNS = patterns_of(LOCALE)


def _(text: str) -> str:
    """Returns a text in the language of the pages."""
    return CATALOG.gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """Returns the form of a text that goes with a count in the language of the pages."""
    return CATALOG.ngettext(one, many, count)
