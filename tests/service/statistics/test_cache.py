"""Answers that every page needs are worked out once, within a bound of memory."""

from datetime import UTC, datetime, timedelta
from itertools import count

from meterboard.service.statistics.cache import StatisticsCache

AT = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)


def test_an_answer_is_worked_out_once_until_the_statistics_move() -> None:
    kept, numbers = StatisticsCache(), count()
    first = [kept.get(1, AT, "days", lambda: next(numbers)) for _ in range(3)]
    moved = kept.get(1, AT + timedelta(minutes=15), "days", lambda: next(numbers))
    other = kept.get(2, AT, "days", lambda: next(numbers))
    assert (first, moved, other) == ([0, 0, 0], 1, 2)


def test_what_was_used_least_recently_makes_room() -> None:
    """Other organisations' answers, and those in use, stay."""
    kept, made = StatisticsCache(max_bytes=3_000), list[str]()

    def get(name: str) -> None:
        def make() -> bytes:
            made.append(name)
            return bytes(900)

        kept.get(1, AT, name, make)

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        get(name)
    assert made == ["a", "b", "c", "d", "b"]


def test_an_answer_that_is_larger_than_the_bound_is_not_kept() -> None:
    kept, numbers = StatisticsCache(max_bytes=1_000), count()
    answers = [kept.get(1, AT, "days", lambda: [next(numbers)] * 2_000)[0] for _ in range(2)]
    assert answers == [0, 1]
