"""The times of lines: the regular expressions that find their parts, and the SQL that computes a time from them."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from meterboard.errors import InvalidParameter
from meterboard.importers.reading.fields import clf, moment, quoted

CLF_TIME = r"[0-9]{2}/[A-Z][a-z][a-z]/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-](?:[01][0-9]|2[0-3])[0-5][0-9]"
HAPROXY_TIME = "%d/%b/%Y:%H:%M:%S.%L"

_TWO = "[0-9]{2}"
_DIRECTIVES = {
    "Y": ("[0-9]{4}", "%Y"),
    **{letter: (_TWO, f"%{letter}") for letter in "mdHIMSy"},
    "j": ("[0-9]{3}", "%j"),
    "e": ("[ 0-9][0-9]", "%-d"),
    "b": ("[A-Z][a-z]{2}", "%b"),
    "h": ("[A-Z][a-z]{2}", "%b"),
    "B": ("[A-Z][a-z]+", "%B"),
    "a": ("[A-Z][a-z]{2}", "%a"),
    "A": ("[A-Z][a-z]+", "%A"),
    "p": ("[AP]M", "%p"),
    "z": ("[+-][0-9]{4}", "%z"),
    "L": ("[0-9]{3}", "%g"),
    "%": ("%", "%%"),
}
"""The strftime directives: their regular expressions and DuckDB's directives. `%L`, milliseconds, is Meterboard's."""
_SHORT = {
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "F": "%Y-%m-%d",
    "D": "%m/%d/%y",
    "c": "%a %b %e %H:%M:%S %Y",
    "n": " ",
    "t": " ",
}
_UNITS = {"sec": 1_000_000, "msec": 1_000, "usec": 1}
_FRACTIONS = {"msec_frac": ("[0-9]{3}", 1_000), "usec_frac": ("[0-9]{6}", 1)}


class TimePart(NamedTuple):
    """
    A part of a line's time: the regular expression of its text, and its meaning: a strftime format, a unit, or a
    fraction.
    """

    value: str
    directives: str = ""
    microseconds: int = 0
    is_fraction: bool = False


ANY = TimePart("")
"""A whole time in any notation that `moment` reads."""
COMMON_LOG = TimePart(CLF_TIME)


def time_part(text: str) -> TimePart:
    """
    Returns the time that `%{text}t` of Apache writes: a strftime format, `sec`, `msec_frac` and so on, after `begin:`
    or `end:`.

    Raises: InvalidParameter: it has an unknown directive.
    """
    bare = re.sub(r"^(begin|end)(:|$)", "", text)
    if not bare:
        return COMMON_LOG
    if bare == "%s":
        bare = "sec"
    if bare in _UNITS:
        return TimePart("[0-9]{1,18}", microseconds=_UNITS[bare])
    if bare in _FRACTIONS:
        value, microseconds = _FRACTIONS[bare]
        return TimePart(value, microseconds=microseconds, is_fraction=True)
    return strftime(bare)


def strftime(text: str) -> TimePart:
    """
    Returns a strftime format as a regular expression and in DuckDB's notation. Raises: InvalidParameter: an unknown
    directive.
    """
    whole = re.sub(r"%([TRFDcnt])", lambda found: _SHORT[found[1]], text)
    value = directives = ""
    end = 0
    for found in re.finditer("%(.?)", whole, re.DOTALL):
        if found[1] not in _DIRECTIVES:
            raise InvalidParameter(
                "format", f"The time format {text!r} has %{found[1]}, which can't be read."
            )
        between = whole[end : found.start()]
        expression, directive = _DIRECTIVES[found[1]]
        value += re.escape(between) + expression
        directives += between + directive
        end = found.end()
    return TimePart(value + re.escape(whole[end:]), directives + whole[end:])


def read_zone(name: str | None) -> str:
    """Returns the time zone of that name, or this machine's. Raises: InvalidParameter: there is no such zone."""
    if name is None:
        with duckdb.connect() as connection:
            ((local,),) = connection.execute("select current_setting('TimeZone')").fetchall()
        return str(local)
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:
        raise InvalidParameter(
            "time-zone", f"There is no time zone {name!r}. Use a name such as Europe/Berlin."
        ) from error


def has_date(parts: Sequence[TimePart]) -> bool:
    """Returns whether these parts together are a time with its date."""
    directives = set(re.findall("%-?(.)", " ".join(part.directives for part in parts)))
    in_words = directives & {"Y", "y"} and (
        directives & {"j"} or (directives & {"m", "b", "B"} and "d" in directives)
    )
    in_numbers = any(
        part in (ANY, COMMON_LOG) or (part.microseconds and not part.is_fraction) for part in parts
    )
    return bool(in_words) or in_numbers


def time_of(columns: Sequence[tuple[str, TimePart]], zone: str) -> str:
    """
    Returns the SQL for microseconds since 1970 UTC from the columns with the parts of a time; null if they are not one.

    A time without an offset is in `zone`. A time in a DST gap is the one an hour later; of a time in a DST overlap, the
    later is taken.
    """
    for column, part in columns:
        if part in (ANY, COMMON_LOG):
            return clf(column) if part == COMMON_LOG else moment(column)
    fractions = [
        f"try_cast({column} as bigint) * {part.microseconds}" for column, part in columns if part.is_fraction
    ]
    numbers = [
        f"try_cast(try_cast({column} as hugeint) * {part.microseconds} as bigint)"
        for column, part in columns
        if part.microseconds and not part.is_fraction
    ]
    if numbers:
        return " + ".join([numbers[0], *fractions])
    texts = [(column, part.directives) for column, part in columns if part.directives]
    directives = " ".join(directives for _, directives in texts)
    written = f"try_strptime({' || chr(32) || '.join(column for column, _ in texts)}, {quoted(directives)})"
    if "%z" not in directives:
        written = f"timezone({quoted(zone)}, {written})"
    return " + ".join([f"epoch_us({written})", *fractions])
