"""The usage store's contract, run against every store there is."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from meterboard.domain.period import bucket_number
from meterboard.domain.query import Filters, Order
from meterboard.usage.store import TopValues, Usage, UsageStore
from tests.batches import batch
from tests.contract.conftest import Stores, scope

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACME, GLOBEX = 1, 2


def total(store: UsageStore, organization: int = ACME, text: str = "last_30_days", **filters: str) -> Usage:
    with store.snapshot() as snapshot:
        chosen: Filters = {name: (value,) for name, value in filters.items()}
        found = snapshot.total(scope(snapshot, now=NOW, text=text, organization=organization, filters=chosen))
        return Usage(found.calls, found.credits)


def test_an_id_is_stored_once_within_a_batch_and_across(store: UsageStore) -> None:
    assert store.append(batch(NOW, NOW, NOW, ids=["a", "b", "a"]), received_at=NOW) == [True, True, False]
    assert store.append(batch(NOW, NOW, ids=["b", "c"]), received_at=NOW + MINUTE) == [False, True]


def test_the_same_id_of_two_organisations_is_two_ids(store: UsageStore) -> None:
    assert store.append(batch(NOW, ids=["a"]), received_at=NOW) == [True]
    assert store.append(batch(NOW, ids=["a"], organization=GLOBEX), received_at=NOW) == [True]


def test_without_an_id_every_event_counts(store: UsageStore) -> None:
    assert store.append(batch(NOW, NOW), received_at=NOW) == [True, True]


def test_ids_are_known_after_a_restart(store: UsageStore, stores: Stores) -> None:
    store.append(batch(NOW, ids=["a"]), received_at=NOW)

    assert stores.open().append(batch(NOW, NOW, ids=["a", "b"]), received_at=NOW) == [False, True]


def test_an_id_stays_known_while_its_event_is_kept(store: UsageStore) -> None:
    ahead = NOW + 4 * MINUTE
    store.append(batch(ahead, ids=["ahead"]), received_at=NOW)
    store.append(batch(NOW + DAY, ids=["later"]), received_at=NOW + DAY)

    assert store.delete_before(NOW + 3 * MINUTE) == 0
    assert store.append(batch(ahead, NOW + DAY, ids=["ahead", "later"]), received_at=NOW + DAY) == [False] * 2


def test_what_is_alike_is_counted_together_across_restarts(store: UsageStore, stores: Stores) -> None:
    store.append(batch(NOW, user="maria"), received_at=NOW)
    again = stores.open()
    again.append(batch(NOW, NOW, user="arjun"), received_at=NOW)
    again.append(batch(NOW, user="maria"), received_at=NOW)
    again.refresh(NOW + MINUTE)

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
            assert snapshot.total(scope(snapshot, now=watermark, text="today")).calls == calls
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


def test_what_is_deleted_is_gone_from_events_and_statistics_alike(store: UsageStore) -> None:
    old = [NOW - 30 * DAY + hour * timedelta(hours=1) for hour in range(48)]
    store.append(batch(*old, NOW, ids=[*map(str, range(48)), "new"]), received_at=NOW)
    store.refresh(NOW + MINUTE)

    gone = store.delete_before(NOW - 29 * DAY)  # 10:45: the last of the 24 hours before it began at 09:45

    assert gone == 24
    with store.snapshot() as snapshot:
        assert snapshot.difference(ACME) == (25, 0, 0, 0, 0)
    assert total(store) == Usage(25, 25)
    assert total(store, text="2026-10-26") == Usage(14, 14)


def test_a_question_of_an_earlier_watermark_leaves_out_later_refreshes(store: UsageStore) -> None:
    """So questions of one watermark agree, even where no transaction holds them together."""
    store.append(batch(NOW - MINUTE, NOW - 2 * DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        earlier = scope(snapshot, now=NOW)
    store.append(batch(NOW - MINUTE, NOW - 2 * DAY, NOW - 5 * DAY), received_at=NOW + 2 * MINUTE)
    store.refresh(NOW + 3 * MINUTE)

    with store.snapshot() as snapshot:
        assert snapshot.total(earlier).calls == 2
        assert len(snapshot.events(earlier, limit=10).rows) == 2
        for grain in (None, 1, 96):
            assert sum(amount.calls for amount in snapshot.sums(earlier, grain=grain).amounts.values()) == 2
        assert snapshot.total(scope(snapshot, now=NOW)).calls == 5


def test_maintenance_changes_no_answer(store: UsageStore) -> None:
    for minute in range(0, 200, 5):
        store.append(batch(NOW - timedelta(hours=minute / 5)), received_at=NOW + minute * MINUTE)
        store.append(batch(NOW - 3 * DAY), received_at=NOW + minute * MINUTE)
        store.refresh(NOW + minute * MINUTE + MINUTE)
    before = total(store)

    while store.maintain():
        assert total(store) == before

    assert not store.maintain()
    assert before == total(store) == Usage(80, 80)
    with store.snapshot() as snapshot:
        assert snapshot.difference(ACME) == (80, 0, 0, 0, 0)


def test_groups_are_paged_with_the_sums_of_all(store: UsageStore) -> None:
    for number in range(5):
        store.append(batch(*[NOW] * (number + 1), user=f"user {number}"), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        today = scope(snapshot, now=NOW + MINUTE, text="today")
        most = (Order("calls", descending=True),)

        second = snapshot.groups(today, ["user"], order=most, limit=2, offset=2)
        beyond = snapshot.groups(today, ["user"], order=most, limit=2, offset=20)

    assert [row.values for row in second.rows] == [("user 2",), ("user 1",)]
    assert (5, Usage(15, 15)) == (second.count, second.total)
    assert ([], 5, Usage(15, 15)) == (beyond.rows, beyond.count, beyond.total)


def test_the_latest_moment_survives_a_restart(store: UsageStore, stores: Stores) -> None:
    store.append(batch(NOW), received_at=NOW + MINUTE)
    store.refresh(NOW)

    assert stores.open().last_timestamp() == NOW + MINUTE


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
        first = bucket_number(scope(snapshot, now=NOW, zone=zone).period.start)
        questions: tuple[Filters, ...] = ({}, {"user": ("maria", "zoe")})
        for filters in questions:
            chosen = scope(snapshot, now=NOW, zone=zone, filters=filters)
            expected: dict[tuple[int, ...], Counter[str]] = {}
            for (bucket, *places), usage in snapshot.sums(chosen, ["user"], limit=2, grain=1).amounts.items():
                key = (bucket - (bucket - first) % 96, *places)
                expected.setdefault(key, Counter()).update(usage._asdict())
            days = snapshot.sums(chosen, ["user"], limit=2, grain=96).amounts
            assert {key: usage._asdict() for key, usage in days.items()} == expected


def test_sums_are_by_steps_and_by_the_top_values(store: UsageStore) -> None:
    for hours, user in ((0, "maria"), (1, "maria"), (1, "arjun"), (2, "zoe"), (30, "maria")):
        store.append(batch(NOW - hours * 60 * MINUTE, user=user, credits=2), received_at=NOW)
    store.refresh(NOW + MINUTE)
    with store.snapshot() as snapshot:
        whole = scope(snapshot, now=NOW)
        users, usage = snapshot.sums(whole, ["user"], limit=2)
        assert users == [TopValues("user", [("maria",), ("arjun",)], 3)]
        assert usage == {(0,): (3, 6, 0), (1,): (1, 2, 0), (2,): (1, 2, 0)}
        columns, usage = snapshot.sums(whole, ["user", "caller"], limit=2)
        assert columns == [*users, TopValues("caller", [("desk", "application")], 1)]
        assert usage == {(0, 0): (3, 6, 0), (1, 0): (1, 2, 0), (2, 0): (1, 2, 0)}
        _, functions = snapshot.sums(whole, ["function"], limit=2, tasks_only=True)
        assert functions == {(0,): (5, 10, 0)}
        days = snapshot.sums(whole, ["user"], limit=2, grain=96)
        today = bucket_number(whole.period.start) + 29 * 96
        assert days.amounts == {
            (today, 0): (2, 4, 0),
            (today, 1): (1, 2, 0),
            (today - 96, 0): (1, 2, 0),
            (today, 2): (1, 2, 0),
        }
        assert sum(usage.calls for usage in snapshot.sums(whole, grain=1).amounts.values()) == 5
