"""A colour for each name: the same in every panel and period."""

from collections.abc import Iterable, Mapping
from zlib import crc32

from meterboard.domain.query import Breakdown
from meterboard.service.statistics.statistics import Reading

COLOURS = 8
Name = tuple[str, str]
"""Kind and name; the kind is empty but for callers."""


def colours_of(reading: Reading, by: Breakdown) -> Mapping[Name, int]:
    """
    Colours counted from 1, by name.

    The eight most used of the retained days never share one. Kept until the statistics move, which is when they change.
    """
    return reading.cached(f"colours by {by}", lambda: _coloured(reading, by))


def _coloured(reading: Reading, by: Breakdown) -> dict[Name, int]:
    month = reading.breakdown(reading.period("last_30_days"), {}, by, limit=200)
    names = [(row.kind or "", row.name) for row in month.rows]
    return dict([*_distinct(sorted(names[:COLOURS])), *((name, hue(name)) for name in names[COLOURS:])])


def _distinct(names: Iterable[Name]) -> Iterable[tuple[Name, int]]:
    free = set(range(1, COLOURS + 1))
    for name in names:
        wanted = hue(name)
        colour = next(c for c in [*range(wanted, COLOURS + 1), *range(1, wanted)] if c in free)
        free.discard(colour)
        yield name, colour


def hue(name: Name) -> int:
    """The colour that a name has when nobody else wants it."""
    return crc32("/".join(name).encode()) % COLOURS + 1
