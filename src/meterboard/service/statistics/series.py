"""Usage over time: every step of a period, with the usage of the most used names in each."""

from bisect import bisect_right
from datetime import datetime
from math import gcd

from meterboard.domain.period import bucket_at_or_after, bucket_number, points
from meterboard.domain.query import Breakdown, Scope, name_of
from meterboard.service.statistics.answers import SeriesAnswer, SeriesOthers, SeriesPart, SeriesPoint
from meterboard.usage.answer_length import check_answer_length
from meterboard.usage.store import Amount, Snapshot, TopValues

NOTHING = Amount(0, 0, 0)


def series(
    snapshot: Snapshot, scope: Scope, *, as_of: datetime, by: Breakdown | None = None, limit: int = 0
) -> SeriesAnswer:
    """
    Returns the steps in order, including empty ones.

    With `by`, each step has the usage of the `limit` most used names, and of the others.

    Raises: AnswerTooLong.
    """
    steps = points(scope.period)
    if not steps:
        return SeriesAnswer(as_of, scope.period.unit, [], by=by)
    starts = [bucket_number(step.start) for step in steps]
    end = bucket_number(bucket_at_or_after(scope.period.end))
    found = snapshot.sums(
        scope, [by] if by else [], limit=limit, grain=_grain(starts, end), tasks_only=by == "function"
    )
    named = found.columns[0] if by else None
    check_answer_length(len(steps) * sum(len(values[0]) for values in named.values) if named else 0)
    by_step = [[NOTHING] * (len(named.values) + 1 if named else 1) for _ in steps]
    for (bucket, *indexes), usage in found.amounts.items():
        row, index = by_step[bisect_right(starts, bucket) - 1], indexes[0] if indexes else 0
        row[index] = _sum(row[index], usage)
    result = [_point(step.start, usages, named) for step, usages in zip(steps, by_step, strict=True)]
    return SeriesAnswer(as_of, scope.period.unit, result, by=by)


def _grain(starts: list[int], end: int) -> int:
    """Returns the largest number of buckets that every step except the last is a multiple of."""
    return gcd(*(start - starts[0] for start in starts)) or max(1, end - starts[0])


def _point(start: datetime, usages: list[Amount], named: TopValues | None) -> SeriesPoint:
    whole = NOTHING
    for usage in usages:
        whole = _sum(whole, usage)
    if named is None:
        return SeriesPoint(start, *whole)
    *usages, rest = usages
    parts = [
        SeriesPart(name_of(values[0]), values[1] if len(values) > 1 else None, *usage)
        for values, usage in zip(named.values, usages, strict=True)
    ]
    return SeriesPoint(start, *whole, parts=parts, others=SeriesOthers(*rest))


def _sum(one: Amount, other: Amount) -> Amount:
    return Amount(one.calls + other.calls, one.credits + other.credits, one.refused + other.refused)
