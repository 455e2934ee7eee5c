"""The colour of each name, which is the same in every panel and period."""

from collections.abc import Iterable, Mapping
from zlib import crc32

from meterboard.domain.query import Breakdown
from meterboard.service.statistics.statistics import Reading

COLOURS = 8
Name = tuple[str, str]
"""Kind and name. The kind is empty unless the dimension is `caller`."""


def colours_of(reading: Reading, by: Breakdown) -> Mapping[Name, int]:
    """
    Returns colours, counted from 1, by name.

    The eight most used names of the retained days have different colours. The result is cached until the next
    refresh, the only time at which they change.
    """
    return reading.cached(f"colours by {by}", lambda: _assign_colours(reading, by))


def _assign_colours(reading: Reading, by: Breakdown) -> dict[Name, int]:
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
    """Returns the colour that a name has unless a more used name has it."""
    return crc32("/".join(name).encode()) % COLOURS + 1
