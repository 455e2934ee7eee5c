"""The demo's company is believable, and the same whenever and however often it is made."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.demo.company import ALLOWANCE, FUNCTIONS, PEOPLE, history, trickle
from meterboard.domain.event import MAX_EVENTS, UsageEvent

KOLKATA = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 14, 0, 30, tzinfo=UTC)  # a Tuesday, half past seven in the evening in Kolkata
MONTH = timedelta(days=30)
DAY = timedelta(days=1)


def made(since: datetime, until: datetime, *, seed: int = 1) -> list[UsageEvent]:
    return [event for batch in history(seed=seed, since=since, until=until) for event in batch]


def moment(event: UsageEvent) -> datetime:
    assert event.time is not None
    return event.time


def local(event: UsageEvent) -> datetime:
    return moment(event).astimezone(KOLKATA)


def credits_of(event: UsageEvent) -> int:
    return 1 if event.credits is None else event.credits  # what the schedule one-per-call says


@pytest.fixture(scope="module")
def month() -> list[UsageEvent]:
    return made(NOW - MONTH, NOW)


@pytest.fixture(scope="module")
def days(month: list[UsageEvent]) -> dict[date, list[UsageEvent]]:
    """The whole local days of the month."""
    found: dict[date, list[UsageEvent]] = {}
    for event in month:
        found.setdefault(local(event).date(), []).append(event)
    del found[min(found)], found[max(found)]
    return found


class TestAlwaysTheSame:
    def test_the_same_seed_makes_the_same_bytes(self) -> None:
        since, until = NOW - 2 * DAY, NOW

        first, second = msgspec.json.encode(made(since, until)), msgspec.json.encode(made(since, until))

        assert first == second

    def test_another_seed_makes_another_company(self) -> None:
        one, other = made(NOW - DAY, NOW, seed=1), made(NOW - DAY, NOW, seed=2)

        assert not {event.id for event in one} & {event.id for event in other}
        assert [moment(event) for event in one] != [moment(event) for event in other]

    @given(cut=st.timedeltas(min_value=timedelta(0), max_value=3 * timedelta(hours=1)))
    def test_history_may_be_cut_at_any_moment(self, cut: timedelta) -> None:
        since = datetime(
            2026, 11, 23, 20, 10, 7, 5, tzinfo=UTC
        )  # before the sync, until after its refused calls
        until = since + 3 * timedelta(hours=1)

        whole = made(since, until)

        assert whole == made(since, since + cut) + made(since + cut, until)

    def test_history_does_not_depend_on_how_far_it_is_made(self, month: list[UsageEvent]) -> None:
        week_ago = NOW - timedelta(days=7)

        assert [event for event in month if moment(event) < week_ago] == made(NOW - MONTH, week_ago)

    def test_history_may_be_cut_in_any_time_zone(self) -> None:
        since = NOW - timedelta(hours=1)

        assert made(since, NOW) == made(since.astimezone(KOLKATA), NOW.astimezone(KOLKATA))

    def test_every_event_has_an_id_of_its_own(self, month: list[UsageEvent]) -> None:
        ids = {event.id for event in month}

        assert None not in ids
        assert len(ids) == len(month)

    def test_events_come_in_order_of_time(self, month: list[UsageEvent]) -> None:
        times = [moment(event) for event in month]

        assert times == sorted(times)
        assert NOW - MONTH <= times[0] < times[-1] < NOW

    def test_a_batch_fits_one_request(self) -> None:
        sizes = [len(batch) for batch in history(seed=1, since=NOW - 3 * DAY, until=NOW)]

        assert all(5_000 <= size < 5_200 for size in sizes[:-1])
        assert max(sizes) <= MAX_EVENTS

    def test_no_time_has_no_events(self) -> None:
        assert made(NOW, NOW) == []


class TestACompany:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_thirty_days_are_about_three_hundred_thousand_events(self, seed: int) -> None:
        assert 270_000 <= len(made(NOW - MONTH, NOW, seed=seed)) <= 330_000

    def test_a_working_day_uses_eighteen_to_twenty_two_thousand_credits(
        self, days: dict[date, list[UsageEvent]]
    ) -> None:
        working = {day: sum(map(credits_of, events)) for day, events in days.items() if day.weekday() < 5}

        assert all(18_000 <= used <= 22_000 for used in working.values()), working

    def test_no_24_hours_exceed_the_allowance(self, month: list[UsageEvent]) -> None:
        by_hour = Counter[int]()
        for event in month:
            by_hour[int((moment(event) - (NOW - MONTH)) / timedelta(hours=1))] += credits_of(event)

        # 25 hours hold every 24 hours that begin in the first of them.
        busiest = max(sum(by_hour[start + n] for n in range(25)) for start in range(30 * 24 - 24))

        assert busiest < ALLOWANCE

    def test_a_weekend_day_has_less_than_half_of_a_working_days_calls(
        self, days: dict[date, list[UsageEvent]]
    ) -> None:
        working = [len(events) for day, events in days.items() if day.weekday() < 5]
        weekend = [len(events) for day, events in days.items() if day.weekday() >= 5]

        assert max(weekend) < min(working) / 2

    def test_people_call_in_office_hours(self, month: list[UsageEvent]) -> None:
        hours = [local(event).hour for event in month if event.user in PEOPLE]

        assert sum(8 <= hour < 20 for hour in hours) > 0.95 * len(hours)

    def test_the_sync_runs_each_night_from_one_address(self, days: dict[date, list[UsageEvent]]) -> None:
        for events in days.values():
            sync = [event for event in events if event.application == "Nightly sync"]
            assert len(sync) > 800
            assert {local(event).hour for event in sync} == {2}
            assert {(event.user, event.ip) for event in sync} == {("sync@acme.example", "198.51.100.7")}

    def test_the_poller_calls_twice_in_every_minute(self) -> None:
        polls = [event for event in made(NOW - DAY, NOW) if event.application == "Inventory poller"]

        by_minute = Counter(moment(event).replace(second=0, microsecond=0) for event in polls)

        whole_minutes = 24 * 60 - 1
        assert len(by_minute) >= whole_minutes
        assert 2 * whole_minutes <= len(polls) <= 2 * (whole_minutes + 2)

    def test_about_forty_people_call_each_less_than_the_one_before(self, month: list[UsageEvent]) -> None:
        calls = Counter(event.user for event in month if event.user in PEOPLE)

        assert len(calls) == 40
        assert [user for user, _ in calls.most_common(3)] == PEOPLE[:3]
        assert calls[PEOPLE[0]] == pytest.approx(10 * calls[PEOPLE[9]], rel=0.15)  # Zipf: the tenth a tenth

    def test_the_machines_are_users_of_their_own(self, month: list[UsageEvent]) -> None:
        machines = {event.user for event in month if event.user not in (None, *PEOPLE)}

        assert len(machines) == 6
        assert {"sync@acme.example", "poller@acme.example", "workflow@acme.example"} < machines

    def test_integration_tasks_come_from_five_functions(self, month: list[UsageEvent]) -> None:
        tasks = [event for event in month if event.function]

        assert {event.function for event in tasks} == set(FUNCTIONS)
        assert len(FUNCTIONS) == 5
        assert all(event.application is None for event in tasks)
        assert len({event.module for event in tasks}) >= 5


class TestRefusedCalls:
    @pytest.mark.parametrize("hours_ago", range(0, 24 * 28, 37))
    def test_twenty_minutes_of_refused_calls_lie_within_any_last_24_hours(
        self, month: list[UsageEvent], hours_ago: int
    ) -> None:
        until = NOW - timedelta(hours=hours_ago)

        minutes = {
            moment(event).replace(second=0, microsecond=0)
            for event in month
            if event.status == 429
            and event.user == "sync@acme.example"
            and until - DAY <= moment(event) < until
        }

        assert 20 <= len(minutes) <= 21

    @pytest.mark.parametrize("days_later", range(28))
    def test_every_thirty_days_hold_a_working_morning_of_refused_calls(self, days_later: int) -> None:
        last = datetime(2026, 11, 24, tzinfo=KOLKATA) + timedelta(days=days_later)

        mornings = [last.replace(hour=11) - timedelta(days=n) for n in range(30)]
        refused = [
            Counter(event.status for event in made(morning, morning + timedelta(hours=1)))[429]
            for morning in mornings
            if morning.toordinal() % 28 == 3
        ]

        assert 1 <= len(refused) <= 2
        assert all(20 * 25 <= calls <= 20 * 45 for calls in refused)

    def test_what_was_refused_costs_nothing(self, month: list[UsageEvent]) -> None:
        assert {event.credits for event in month if event.status == 429} == {0}


class TestVariety:
    def test_most_calls_succeed_while_some_fail_on_either_side(self, month: list[UsageEvent]) -> None:
        statuses = Counter(event.status for event in month)

        assert set(statuses) == {200, 400, 404, 429, 500}
        assert statuses[200] > 0.95 * len(month)

    def test_addresses_are_of_both_kinds(self, month: list[UsageEvent]) -> None:
        addresses = {event.ip for event in month if event.ip}

        assert {ip_address(ip).version for ip in addresses} == {4, 6}
        assert all(str(ip_address(ip)) == ip for ip in addresses)
        assert len(addresses) > 40

    def test_versions_are_two_to_eight_while_most_calls_use_the_newest(self, month: list[UsageEvent]) -> None:
        versions = Counter(event.version for event in month)

        assert set(versions) == {"v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"}
        assert versions["v8"] > len(month) / 2

    def test_modules_are_those_of_a_crm(self, month: list[UsageEvent]) -> None:
        modules = {event.module for event in month}

        assert {"Leads", "Deals", "Contacts", "Invoices", "Accounts", "Products", "Tasks", "Calls"} <= modules

    @pytest.mark.parametrize(
        ("method", "costs"),
        [
            ("leads.convert", {5}),
            ("records.upsert", set(range(1, 11))),
            ("coql.query", {1, 2, 3}),
            ("records.deleted.get", {2}),
            ("bulk_read.create", {50}),
            ("records.get", {None}),
            ("records.search", {None}),
            ("records.create", {None}),
            ("records.update", {None}),
        ],
    )
    def test_only_expensive_methods_say_what_they_cost(
        self, month: list[UsageEvent], method: str, costs: set[int | None]
    ) -> None:
        said = {event.credits for event in month if event.method == method and event.status != 429}

        assert said == costs

    def test_most_calls_leave_their_credits_to_the_schedule(self, month: list[UsageEvent]) -> None:
        assert sum(event.credits is None for event in month) > len(month) / 2

    def test_an_upsert_costs_a_credit_for_every_ten_records_begun(self, month: list[UsageEvent]) -> None:
        costs = {
            event.records: event.credits
            for event in month
            if event.method == "records.upsert" and event.status == 200
        }

        assert (costs[1], costs[10], costs[11], costs[100]) == (1, 1, 2, 10)

    def test_calls_on_records_say_how_many(self, month: list[UsageEvent]) -> None:
        on_records = [event for event in month if event.method and event.method.startswith("records.")]

        assert all(event.records for event in on_records)

    def test_some_calls_have_no_user_or_application(self, month: list[UsageEvent]) -> None:
        nobody = [event for event in month if not (event.user or event.application or event.function)]

        assert 1_000 < len(nobody) < 10_000

    def test_one_application_is_named_at_length(self, month: list[UsageEvent]) -> None:
        names = {event.application for event in month if event.application}

        assert max(map(len, names)) > 100

    def test_one_application_is_named_from_right_to_left(self, month: list[UsageEvent]) -> None:
        names = {event.application for event in month if event.application}

        assert sum(bidirectional(name[0]) in ("R", "AL") for name in names) == 1


def ticks(hour: datetime) -> Iterator[list[UsageEvent]]:
    for second in range(3_600):
        yield trickle(seed=1, at=hour + timedelta(seconds=second))


class TestTrickle:
    @pytest.mark.parametrize(
        ("hour", "least", "most"),
        [
            pytest.param(datetime(2026, 11, 24, 11, tzinfo=KOLKATA), 0.15, 0.35, id="office"),
            pytest.param(datetime(2026, 11, 24, 23, tzinfo=KOLKATA), 0.15, 0.35, id="night"),
            pytest.param(datetime(2026, 11, 22, 11, tzinfo=KOLKATA), 0.15, 0.35, id="sunday"),
        ],
    )
    def test_a_call_comes_every_four_seconds_or_so(self, hour: datetime, least: float, most: float) -> None:
        sizes = [len(events) for events in ticks(hour)]

        assert least <= sum(sizes) / 3_600 <= most
        assert min(sizes) == 0

    def test_ids_are_neither_repeated_nor_those_of_history(self) -> None:
        hour = datetime(2026, 11, 24, 11, tzinfo=KOLKATA)

        ids = [event.id for events in ticks(hour) for event in events]

        assert len(set(ids)) == len(ids)
        assert not set(ids) & {
            event.id for event in made(hour - timedelta(minutes=1), hour + timedelta(hours=1))
        }

    def test_a_second_is_the_same_at_whichever_of_its_moments_it_is_asked(self) -> None:
        hour = datetime(2026, 11, 24, 11, tzinfo=KOLKATA)

        for second in range(60):
            at = hour + timedelta(seconds=second)
            assert trickle(seed=1, at=at) == trickle(seed=1, at=at + timedelta(microseconds=999_999))

    def test_calls_have_just_been_made(self) -> None:
        at = datetime(2026, 11, 24, 11, 0, 0, 250_000, tzinfo=KOLKATA)

        for second in range(600):
            now = at + timedelta(seconds=second)
            times = [moment(event) for event in trickle(seed=1, at=now)]
            assert times == sorted(times)
            assert all(now - timedelta(seconds=2) < time < now for time in times)
