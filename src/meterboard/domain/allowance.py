"""Allowances: how many credits an organisation may use in any rolling 24 hours, and since when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from meterboard.domain.period import DAY, INSTANT, Period, midnight

WINDOW = timedelta(hours=24)
"""The rolling window is (now - WINDOW, now]: the credits of an event are free again exactly this long after its time."""


class Allowance(Struct, frozen=True):
    """The credits that may be used in any rolling 24 hours, from `starts_at` (UTC) on. None: unlimited."""

    credits: int | None
    starts_at: datetime


def allowance_at(history: Sequence[Allowance], moment: datetime) -> int | None:
    """
    Returns the credits allowed at `moment`. None: unlimited.

    `history` is in order of `starts_at`. Its first entry also applies before its start, since imported usage may be
    older than the organisation's record.
    """
    in_force = [allowance for allowance in history if allowance.starts_at <= moment] or history[:1]
    return in_force[-1].credits if in_force else None


def allowed_in(history: Sequence[Allowance], period: Period) -> int | None:
    """
    Returns the credits allowed in a period: the sum of the allowances in force at the end of each of its days.

    A day that is not over counts in full, since its allowance may be used in full. None: a day was unlimited.
    """
    if period.days == 1:
        return allowance_at(history, period.end - INSTANT)
    first = period.start.astimezone(period.zone).date()
    total = 0
    for day in range(period.days):
        ends = min(period.end, midnight(first + (day + 1) * DAY, period.zone))
        credits = allowance_at(history, ends - INSTANT)
        if credits is None:
            return None
        total += credits
    return total
