"""Usage over time: every step of a period, and in each how much came from the names that are told apart."""

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
    The steps in order, empty ones included; `by`: with the usage of its `limit` most used names, and of the others.

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
    for (bucket, *place), usage in found.amounts.items():
        row, position = by_step[bisect_right(starts, bucket) - 1], place[0] if place else 0
        row[position] = _added(row[position], usage)
    answered = [_point(step.start, usages, named) for step, usages in zip(steps, by_step, strict=True)]
    return SeriesAnswer(as_of, scope.period.unit, answered, by=by)


def _grain(starts: list[int], end: int) -> int:
    """The most buckets that can be counted together so that every step is whole ones of them, but for the last."""
    return gcd(*(start - starts[0] for start in starts)) or max(1, end - starts[0])


def _point(start: datetime, usages: list[Amount], named: TopValues | None) -> SeriesPoint:
    whole = NOTHING
    for usage in usages:
        whole = _added(whole, usage)
    if named is None:
        return SeriesPoint(start, *whole)
    *usages, rest = usages
    parts = [
        SeriesPart(name_of(values[0]), values[1] if len(values) > 1 else None, *usage)
        for values, usage in zip(named.values, usages, strict=True)
    ]
    return SeriesPoint(start, *whole, parts=parts, others=SeriesOthers(*rest))


def _added(one: Amount, other: Amount) -> Amount:
    return Amount(one.calls + other.calls, one.credits + other.credits, one.refused + other.refused)
