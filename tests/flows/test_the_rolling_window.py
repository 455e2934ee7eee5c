"""The rolling window and its returns, held against a list of what was used, at random moments and at the very edges."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.event import UsageEvent
from meterboard.formats.json_events import Sent
from meterboard.services import Services
from tests.conftest import LIVE, NOW

DAY = timedelta(hours=24)
INSTANT = timedelta(microseconds=1)
uses = st.lists(
    st.tuples(st.timedeltas(timedelta(0), timedelta(hours=30)), st.integers(0, 9)), min_size=1, max_size=15
)
zones = st.sampled_from(["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York", "Europe/Berlin"])
moments = st.sampled_from(
    [
        NOW,
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # half past two in Berlin, for the first time
        datetime(2026, 10, 25, 1, 10, tzinfo=UTC),  # ten past two, for the second time
        datetime(2026, 11, 1, 5, 40, tzinfo=UTC),  # New York's clocks go back in 20 minutes
        datetime(2026, 4, 4, 14, 50, tzinfo=UTC),  # Lord Howe's by half an hour in 10
        datetime(2026, 3, 29, 0, 50, tzinfo=UTC),  # Berlin's go forward in 10
    ]
)


@settings(max_examples=40)
@given(uses, zones, moments, st.timedeltas(timedelta(0), timedelta(hours=26)), st.data())
def test_each_use_comes_back_exactly_24_hours_after_its_time(
    used: list[tuple[timedelta, int]], zone: str, start: datetime, later: timedelta, data: st.DataObject
) -> None:
    clock = FixedClock(start)
    times = [(start - ago, credits) for ago, credits in used]
    with TemporaryDirectory() as folder:
        services = Services(Path(folder), LIVE, clock)
        try:
            acme = services.accounts.organizations.create(
                "acme", allowance=100, time_zone=zone, schedule="one-per-call"
            )
            events = [UsageEvent(time=time, credits=credits) for time, credits in times]
            services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(len(events)), []))
            edge = data.draw(st.sampled_from(times), label="edge")[0] + DAY
            for moment in sorted({start, start + later, edge - INSTANT, edge, edge + INSTANT}):
                if moment >= start:
                    clock.set(moment)
                    check(services, acme, times, moment, ZoneInfo(zone))
        finally:
            services.close()


def check(services, acme, times: list[tuple[datetime, int]], now: datetime, zone: ZoneInfo) -> None:  # type: ignore[no-untyped-def]
    live = [(time, credits) for time, credits in times if now - DAY < time <= now]
    answer = services.live_credits.now(acme)
    assert (answer.calls, answer.used) == (len(live), sum(credits for _, credits in live))

    returns = services.live_credits.returns(acme)
    assert returns.used == answer.used
    starts = [point.start.astimezone(UTC) for point in returns.points]
    assert starts[0] == now
    assert all(start.astimezone(zone).minute % 30 == 0 or start == now for start in starts)
    for point, start, end in zip(returns.points, starts, [*starts[1:], now + 2 * DAY], strict=True):
        within = [credits for time, credits in live if start <= time + DAY < end]
        assert (point.calls, point.credits) == (len(within), sum(within))


def test_the_worked_example_of_100_credits_in_five_minutes(services: Services, clock: FixedClock) -> None:
    """5,000 credits, 100 used between 09:00 and 09:05: 4,900 left, and free again by 09:05 the next day (K93)."""
    acme = services.accounts.organizations.create(
        "acme", allowance=5_000, time_zone="UTC", schedule="one-per-call"
    )
    nine = clock.now().replace(hour=9, minute=0, second=0)
    clock.set(nine + timedelta(minutes=5))
    events = [UsageEvent(time=nine + timedelta(seconds=3 * call)) for call in range(100)]
    services.ingest.accept_and_wait(ApiKey(acme, "all"), Sent(events, range(100), []))

    assert services.live_credits.now(acme).unused == 4_900
    clock.set(nine + DAY)
    assert services.live_credits.now(acme).unused == 4_901
    clock.set(nine + DAY + timedelta(minutes=5))
    assert services.live_credits.now(acme).unused == 5_000


@pytest.mark.parametrize(
    ("zone", "now"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 5, 40, tzinfo=UTC)),
    ],
)
def test_a_repeated_hour_is_two_points(
    services: Services, clock: FixedClock, zone: str, now: datetime
) -> None:
    acme = services.accounts.organizations.create(
        "acme", allowance=9, time_zone=zone, schedule="one-per-call"
    )
    clock.set(now)
    starts = [point.start.astimezone(UTC) for point in services.live_credits.returns(acme).points]

    assert starts[:3] == [now, *(now.replace(minute=0) + timedelta(hours=hours) for hours in (1, 2))]
    assert starts == sorted(set(starts))
