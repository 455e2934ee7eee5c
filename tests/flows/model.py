"""A plain model of what Meterboard must answer: lists of events and loops over them, nothing clever."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from meterboard.domain.dimensions import parse_dimensions
from meterboard.domain.event import UsageEvent
from tests.conftest import LIVE

SETTINGS = replace(LIVE, dimensions="environment,order:Purchase order")
"""Of an installation with dimensions of its own, one of them called like a word of SQL."""
OWN = ("environment", "order")
DIMENSIONS = ("application", "function", "module", "method", "version", "ip", "user", "status", *OWN)
parse_filters = parse_dimensions(SETTINGS.dimensions).parse_filters


def event_of(values: Mapping[str, str], **more: Any) -> UsageEvent:
    """An event that says these values of dimensions, '' meaning that it does not say."""
    said: dict[str, Any] = {name: value for name, value in values.items() if value and name not in OWN}
    if "status" in said:
        said["status"] = int(said["status"])
    own = {name: values[name] for name in OWN if values.get(name)}
    return UsageEvent(**said, dimensions=own or None, **more)


@dataclass
class Call:
    """An event as the model keeps it: the time it happened, what it cost, and its dimensions ('' = unknown)."""

    time: datetime
    credits: int
    values: dict[str, str]


@dataclass
class Model:
    """What was accepted, in the order of acceptance."""

    calls: list[Call]

    def within(self, start: datetime, end: datetime, filters: Mapping[Any, tuple[str, ...]]) -> list[Call]:
        return [
            call
            for call in self.calls
            if start <= call.time < end
            and all(
                (call.values[name.rstrip("!")] in given) != name.endswith("!")
                for name, given in filters.items()
            )
        ]

    def window(self, now: datetime) -> tuple[int, int]:
        used = [call.credits for call in self.calls if now - timedelta(hours=24) < call.time <= now]
        return len(used), sum(used)


def period(text: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Start and end of a period, live statistics being as of `now`."""
    today = now.astimezone(zone).date()
    if text == "last_24_hours":
        start = now - timedelta(hours=24)
        while start.minute % 15 or start.second or start.microsecond:
            start = start.replace(microsecond=0) + timedelta(seconds=1)
        return start, now
    named = {
        "today": (today, today),
        "yesterday": (today - timedelta(days=1),) * 2,
        "last_30_days": (today - timedelta(days=29), today),
    }
    if "T" in text:
        first_shown, last_shown = (datetime.fromisoformat(edge) for edge in text.split(".."))
        minutes = [now - timedelta(days=40) + timedelta(minutes=n) for n in range(42 * 1440)]
        whole = [minute.replace(second=0, microsecond=0) for minute in minutes]
        shown = [(minute, minute.astimezone(zone).replace(tzinfo=None)) for minute in whole]
        starts = [minute for minute, local in shown if local >= first_shown]
        ends = [minute for minute, local in shown if local == last_shown] or [
            minute for minute, local in shown if local >= last_shown
        ]
        start = starts[0]
        end = ends[-1] if shown[whole.index(ends[-1])][1] == last_shown else ends[0]
        return start, max(start, min(end, now))
    first, last = named.get(text) or tuple(date.fromisoformat(day) for day in (text.split("..") * 2)[:2])
    start = datetime.combine(first, time(), zone).astimezone(UTC)
    end = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
    return start, max(start, min(end, now))


def by(calls: list[Call], dimension: str) -> dict[str, tuple[int, int]]:
    """Calls and credits by a dimension's value."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for call in calls:
        sums[call.values[dimension]][0] += 1
        sums[call.values[dimension]][1] += call.credits
    return {name or "(unknown)": (count, credits) for name, (count, credits) in sums.items()}


def by_local_day(calls: list[Call], zone: ZoneInfo) -> Counter[date]:
    """Calls by the day that the zone's calendar showed."""
    return Counter(call.time.astimezone(zone).date() for call in calls)
