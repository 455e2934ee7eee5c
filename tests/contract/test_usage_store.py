"""The usage store's contract, run against every store there is."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meterboard.domain.event import NO_ID, Combination, EventBatch, identity
from meterboard.domain.period import bucket_number, micros, parse_period
from meterboard.domain.query import Filters, Order, Scope
from meterboard.schedule.reason import GIVEN
from meterboard.usage.duckdb.store import FILE, DuckDBStore
from meterboard.usage.store import Named, Usage, UsageStore

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACME, GLOBEX = 1, 2
Reopen = Callable[[], UsageStore]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Reopen]:
    """Opens the store, after closing it if it was open."""
    opened: list[UsageStore] = []

    def again() -> UsageStore:
        while opened:
            opened.pop().close()
        opened.append(DuckDBStore(tmp_path))
        return opened[0]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Reopen) -> UsageStore:
    return reopen()


def batch(
    *times: datetime,
    ids: list[str] | None = None,
    organization: int = ACME,
    credits: int = 1,
    user: str = "maria",
    status: str = "200",
) -> EventBatch:
    events = EventBatch()
    for position, time in enumerate(times):
        events.times.append(micros(time))
        events.ids.append(identity(organization, ids[position]) if ids else NO_ID)
        events.combinations.append(
            Combination(organization, "desk", "", "Leads", "get", "v8", "", user, status)
        )
        events.credits.append(credits)
        events.charged.append(credits)
        events.estimated.append(0)
        events.records.append(-1)
        events.reasons.append(GIVEN)
    return events


def total(store: UsageStore, organization: int = ACME, text: str = "last_30_days", **filters: str) -> Usage:
    with store.snapshot() as snapshot:
        period = parse_period(text, zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        chosen: Filters = {name: (value,) for name, value in filters.items()}
        found = snapshot.total(Scope(organization, period, chosen))
        return Usage(found.calls, found.credits)


def test_an_id_is_stored_once_within_a_batch_and_across(store: UsageStore) -> None:
    assert store.append(batch(NOW, NOW, NOW, ids=["a", "b", "a"]), received_at=NOW) == [True, True, False]
    assert store.append(batch(NOW, NOW, ids=["b", "c"]), received_at=NOW + MINUTE) == [False, True]


def test_the_same_id_of_two_organisations_is_two_ids(store: UsageStore) -> None:
    assert store.append(batch(NOW, ids=["a"]), received_at=NOW) == [True]
    assert store.append(batch(NOW, ids=["a"], organization=GLOBEX), received_at=NOW) == [True]


def test_without_an_id_every_event_counts(store: UsageStore) -> None:
    assert store.append(batch(NOW, NOW), received_at=NOW) == [True, True]


def test_ids_are_known_after_a_restart(store: UsageStore, reopen: Reopen) -> None:
    store.append(batch(NOW, ids=["a"]), received_at=NOW)

    assert reopen().append(batch(NOW, NOW, ids=["a", "b"]), received_at=NOW) == [False, True]


def test_an_id_stays_known_while_its_event_is_kept(store: UsageStore) -> None:
    ahead = NOW + 4 * MINUTE
    store.append(batch(ahead, ids=["ahead"]), received_at=NOW)
    store.append(batch(NOW + DAY, ids=["later"]), received_at=NOW + DAY)

    assert store.forget(NOW + 3 * MINUTE) == 0
    assert store.append(batch(ahead, NOW + DAY, ids=["ahead", "later"]), received_at=NOW + DAY) == [False] * 2


def test_a_combination_keeps_its_number_across_restarts(store: UsageStore, reopen: Reopen) -> None:
    store.append(batch(NOW, user="maria"), received_at=NOW)
    again = reopen()
    again.append(batch(NOW, NOW, user="arjun"), received_at=NOW)
    again.append(batch(NOW, user="maria"), received_at=NOW)
    again.refresh(NOW + MINUTE)

    assert isinstance(again, DuckDBStore)
    assert again._scalar("select count(*) from combination") == 2
    assert total(again, user="maria") == Usage(2, 2)


def test_statistics_cover_exactly_what_was_received_before_the_watermark(store: UsageStore) -> None:
    store.append(batch(NOW - DAY), received_at=NOW - MINUTE)
    store.append(batch(NOW - DAY), received_at=NOW)
    store.refresh(NOW)

    assert total(store) == Usage(1, 1)
    store.refresh(NOW + MINUTE)
    assert total(store) == Usage(2, 2)


def test_an_event_ahead_of_the_watermark_waits_for_it(store: UsageStore) -> None:
    store.append(batch(NOW + 3 * MINUTE), received_at=NOW - MINUTE)

    for watermark, calls in ((NOW, 0), (NOW + 3 * MINUTE, 0), (NOW + 4 * MINUTE, 1), (NOW + 5 * MINUTE, 1)):
        store.refresh(watermark)
        with store.snapshot() as snapshot:
            period = parse_period("today", zone=ZoneInfo("UTC"), now=watermark, as_of=snapshot.watermark)
            assert snapshot.total(Scope(ACME, period, {})).calls == calls
            assert snapshot.difference(ACME) == (calls, 0, 0, 0, 0)


def test_a_late_event_counts_at_its_own_time(store: UsageStore) -> None:
    store.append(batch(NOW), received_at=NOW)
    store.refresh(NOW + MINUTE)
    store.append(batch(NOW - 20 * DAY, credits=5), received_at=NOW + 2 * MINUTE)
    store.refresh(NOW + 3 * MINUTE)

    assert total(store, text="2026-11-04") == Usage(1, 5)
    assert total(store) == Usage(2, 6)


def test_an_earlier_watermark_changes_nothing(store: UsageStore) -> None:
    store.append(batch(NOW), received_at=NOW)
    store.refresh(NOW + MINUTE)
    store.refresh(NOW)

    with store.snapshot() as snapshot:
        assert snapshot.watermark == NOW + MINUTE
    assert total(store) == Usage(1, 1)


def test_one_organisation_sees_nothing_of_another(store: UsageStore) -> None:
    store.append(batch(NOW - MINUTE, credits=3), received_at=NOW)
    store.append(batch(NOW - MINUTE, NOW - MINUTE, organization=GLOBEX), received_at=NOW)
    store.refresh(NOW + MINUTE)

    assert total(store, ACME) == Usage(1, 3)
    assert total(store, GLOBEX) == Usage(2, 2)
    with store.snapshot() as snapshot:
        assert snapshot.window(ACME, after=NOW - DAY, until=NOW) == Usage(1, 3)


def test_the_window_is_open_at_its_start_and_closed_at_its_end(store: UsageStore) -> None:
    instant = timedelta(microseconds=1)
    store.append(batch(NOW - DAY, NOW - DAY + instant, NOW, NOW + instant), received_at=NOW)

    with store.snapshot() as snapshot:
        assert snapshot.window(ACME, after=NOW - DAY, until=NOW) == Usage(2, 2)


def test_the_window_needs_no_refresh(store: UsageStore) -> None:
    store.append(batch(NOW), received_at=NOW)

    with store.snapshot() as snapshot:
        assert snapshot.window(ACME, after=NOW - DAY, until=NOW) == Usage(1, 1)
    assert total(store) == Usage(0, 0)


def test_a_snapshot_does_not_move(store: UsageStore) -> None:
    store.append(batch(NOW), received_at=NOW)
    with store.snapshot() as before:
        store.append(batch(NOW), received_at=NOW)
        store.refresh(NOW + MINUTE)

        assert before.window(ACME, after=NOW - DAY, until=NOW) == Usage(1, 1)
        assert before.watermark < NOW


def test_what_is_forgotten_is_gone_from_events_and_statistics_alike(store: UsageStore) -> None:
    old = [NOW - 30 * DAY + hour * timedelta(hours=1) for hour in range(48)]
    store.append(batch(*old, NOW, ids=[*map(str, range(48)), "new"]), received_at=NOW)
    store.refresh(NOW + MINUTE)

    gone = store.forget(NOW - 29 * DAY)  # 10:45: the last of the 24 hours before it began at 09:45

    assert gone == 24
    with store.snapshot() as snapshot:
        assert snapshot.difference(ACME) == (25, 0, 0, 0, 0)
    assert total(store) == Usage(25, 25)
    assert total(store, text="2026-10-26") == Usage(14, 14)


def test_what_is_forgotten_gives_its_disk_back(store: UsageStore, tmp_path: Path) -> None:
    assert isinstance(store, DuckDBStore)

    def day(number: int) -> None:
        for _ in range(5):
            events = batch(*[NOW + number * DAY] * 20_000, ids=[os.urandom(8).hex() for _ in range(20_000)])
            store.append(events, received_at=NOW + number * DAY)
        store.refresh(NOW + number * DAY + MINUTE)
        store.forget(NOW + (number - 2) * DAY)
        store.checkpoint()

    for number in range(3):
        day(number)
    full = (tmp_path / FILE).stat().st_size
    for number in range(3, 9):
        day(number)

    assert (tmp_path / FILE).stat().st_size <= 1.6 * full


def test_merging_changes_no_answer(store: UsageStore) -> None:
    for minute in range(40):
        store.append(batch(NOW - timedelta(hours=minute)), received_at=NOW + minute * MINUTE)
        store.append(batch(NOW - 3 * DAY), received_at=NOW + minute * MINUTE)
        store.refresh(NOW + minute * MINUTE + MINUTE)
    before = total(store)

    days = 1
    while store.merge():
        days += 1

    assert days == 4
    assert not store.merge()

    assert isinstance(store, DuckDBStore)
    assert store._scalar("select count(*) from rollup where bucket = (select min(bucket) from rollup)") == 1
    assert store._scalar("select max(n) from (select count(*) as n from daily group by day)") == 1
    assert before == total(store) == Usage(80, 80)
    with store.snapshot() as snapshot:
        assert snapshot.difference(ACME) == (80, 0, 0, 0, 0)


def test_a_difference_is_found_where_there_is_one(store: UsageStore) -> None:
    store.append(batch(NOW, NOW - DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)
    assert isinstance(store, DuckDBStore)
    store._connection.execute(
        "update rollup set calls = calls + 2, credits = credits - 1 where bucket % 96 = 43"
    ).fetchall()

    with store.snapshot() as snapshot:
        found = snapshot.difference(ACME)

    assert (found.events, found.calls, found.credits) == (2, 4, 2)


def test_groups_are_paged_with_the_sums_of_all(store: UsageStore) -> None:
    for number in range(5):
        store.append(batch(*[NOW] * (number + 1), user=f"user {number}"), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        period = parse_period("today", zone=ZoneInfo("UTC"), now=NOW + MINUTE, as_of=NOW + MINUTE)
        scope = Scope(ACME, period, {})
        most = (Order("calls", descending=True),)

        second = snapshot.groups(scope, ["user"], order=most, limit=2, offset=2)
        beyond = snapshot.groups(scope, ["user"], order=most, limit=2, offset=20)

    assert [row.values for row in second.rows] == [("user 2",), ("user 1",)]
    assert (5, Usage(15, 15)) == (second.count, second.total)
    assert ([], 5, Usage(15, 15)) == (beyond.rows, beyond.count, beyond.total)


def test_the_latest_moment_survives_a_restart(store: UsageStore, reopen: Reopen) -> None:
    store.append(batch(NOW), received_at=NOW + MINUTE)
    store.refresh(NOW)

    assert reopen().latest() == NOW + MINUTE


def test_the_hours_of_receipts_are_those_of_all_events_of_all_organisations(store: UsageStore) -> None:
    assert store.receipt_hours() == []
    for minutes, organization in ((0, ACME), (10, GLOBEX), (20, ACME), (200, GLOBEX)):
        store.append(batch(NOW - DAY, organization=organization), received_at=NOW + minutes * MINUTE)

    assert [f"{hour:%d %H:%M %Z}" for hour in store.receipt_hours()] == [
        "24 10:00 UTC",
        "24 11:00 UTC",
        "24 14:00 UTC",
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kolkata", "America/Chicago", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
)
def test_sums_by_day_are_those_of_its_buckets_whenever_a_day_begins(store: UsageStore, zone: str) -> None:
    for start, (user, status) in enumerate(product(("maria", "arjun", "zoe"), ("200", "429"))):
        times = [NOW - hours * 60 * MINUTE for hours in range(start, 24 * 29, 7)]
        store.append(batch(*times, user=user, status=status, credits=2), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        period = parse_period("last_30_days", zone=ZoneInfo(zone), now=NOW, as_of=snapshot.watermark)
        first = bucket_number(period.start)
        questions: tuple[Filters, ...] = ({}, {"user": ("maria", "zoe")})
        for filters in questions:
            scope = Scope(ACME, period, filters)
            expected: dict[tuple[int, ...], Counter[str]] = {}
            for (bucket, *places), usage in snapshot.sums(scope, ["user"], limit=2, grain=1).usage.items():
                key = (bucket - (bucket - first) % 96, *places)
                expected.setdefault(key, Counter()).update(usage._asdict())
            days = snapshot.sums(scope, ["user"], limit=2, grain=96).usage
            assert {key: usage._asdict() for key, usage in days.items()} == expected


def test_sums_are_by_steps_and_by_the_names_that_are_told_apart(store: UsageStore) -> None:
    for hours, user in ((0, "maria"), (1, "maria"), (1, "arjun"), (2, "zoe"), (30, "maria")):
        store.append(batch(NOW - hours * 60 * MINUTE, user=user, credits=2), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        scope = Scope(ACME, period, {})
        users, usage = snapshot.sums(scope, ["user"], limit=2)
        assert users == [Named("user", [("maria",), ("arjun",)], 3)]
        assert usage == {(0,): (3, 6, 0), (1,): (1, 2, 0), (2,): (1, 2, 0)}
        columns, usage = snapshot.sums(scope, ["user", "caller"], limit=2)
        assert columns == [*users, Named("caller", [("desk", "application")], 1)]
        assert usage == {(0, 0): (3, 6, 0), (1, 0): (1, 2, 0), (2, 0): (1, 2, 0)}
        _, functions = snapshot.sums(scope, ["function"], limit=2, tasks_only=True)
        assert functions == {(0,): (5, 10, 0)}
        days = snapshot.sums(scope, ["user"], limit=2, grain=96)
        today = bucket_number(period.start) + 29 * 96
        assert days.usage == {
            (today, 0): (2, 4, 0),
            (today, 1): (1, 2, 0),
            (today - 96, 0): (1, 2, 0),
            (today, 2): (1, 2, 0),
        }
        assert sum(usage.calls for usage in snapshot.sums(scope, grain=1).usage.values()) == 5
