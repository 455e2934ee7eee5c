"""Allowances: how many credits an organisation may use in any rolling 24 hours, and since when."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from meterboard.domain.period import DAY, INSTANT, Period, midnight

WINDOW = timedelta(hours=24)
"""The rolling window is (now - WINDOW, now]: what an event used frees up exactly this long after its time."""


class Allowance(Struct, frozen=True):
    """`credits` in any rolling 24 hours from `starts_at` (UTC) on; None: unlimited."""

    credits: int | None
    starts_at: datetime


def allowance_at(history: Sequence[Allowance], moment: datetime) -> int | None:
    """
    The credits allowed at `moment`; None: unlimited.

    `history` is in order of `starts_at`. Before its first entry that entry holds already, since usage that was
    imported may be older than the organisation's record here.
    """
    holding = [allowance for allowance in history if allowance.starts_at <= moment] or history[:1]
    return holding[-1].credits if holding else None


def allowed_in(history: Sequence[Allowance], period: Period) -> int | None:
    """
    The credits allowed in a period: the allowance in force at the end of each of its days, added up.

    A day that has only begun counts whole, as its allowance may be used whole. None when any day was unlimited.
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
