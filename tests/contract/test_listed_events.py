"""The usage store's contract: the events behind the statistics, newest first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meterboard.domain.cursor import Cursor
from meterboard.domain.event import NO_ID, Combination, EventBatch
from meterboard.domain.period import micros, parse_period
from meterboard.domain.query import Filters, Scope
from meterboard.schedule.reason import GIVEN
from meterboard.usage.duckdb.store import DuckDBStore
from meterboard.usage.store import Listing, UsageStore

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACME, GLOBEX = 1, 2


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    opened = DuckDBStore(tmp_path)
    yield opened
    opened.close()


def batch(*times: datetime, organization: int = ACME, user: str = "maria", credits: int = 1) -> EventBatch:
    events = EventBatch()
    for time in times:
        events.times.append(micros(time))
        events.ids.append(NO_ID)
        events.combinations.append(
            Combination(organization, "desk", "", "Leads", "get", "v8", "::1", user, "200")
        )
        events.credits.append(credits)
        events.charged.append(0)
        events.estimated.append(1)
        events.records.append(25)
        events.reasons.append(GIVEN)
    return events


def listed(
    store: UsageStore,
    *,
    organization: int = ACME,
    text: str = "last_30_days",
    limit: int = 100,
    cursor: Cursor | None = None,
    filters: Filters | None = None,
) -> Listing:
    with store.snapshot() as snapshot:
        period = parse_period(text, zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
        return snapshot.events(Scope(organization, period, filters or {}), limit=limit, cursor=cursor)


def times(listing: Listing) -> list[int]:
    return [row.time for row in listing.rows]


def test_an_event_is_listed_with_all_that_was_kept(store: UsageStore) -> None:
    store.append(batch(NOW - MINUTE, credits=7), received_at=NOW)
    store.refresh(NOW + MINUTE)

    (row,) = listed(store).rows

    assert row.values == ("desk", "", "Leads", "get", "v8", "::1", "maria", "200")
    assert (row.time, row.credits, row.charged, row.estimated) == (micros(NOW - MINUTE), 7, 0, True)
    assert (row.records, row.reason) == (25, GIVEN)


def test_only_what_the_statistics_cover_is_listed(store: UsageStore) -> None:
    store.append(batch(NOW - DAY, NOW - 2 * DAY), received_at=NOW - MINUTE)
    store.append(batch(NOW - DAY), received_at=NOW)
    store.append(batch(NOW + 3 * MINUTE), received_at=NOW)

    for watermark, count in ((NOW, 2), (NOW + MINUTE, 3), (NOW + 4 * MINUTE, 4)):
        store.refresh(watermark)
        assert len(listed(store).rows) == count
        with store.snapshot() as snapshot:
            period = parse_period("last_30_days", zone=ZoneInfo("UTC"), now=NOW, as_of=snapshot.watermark)
            assert snapshot.total(Scope(ACME, period, {})).calls == count


def test_one_organisation_lists_nothing_of_another(store: UsageStore) -> None:
    store.append(batch(NOW - MINUTE), received_at=NOW)
    store.append(batch(NOW - MINUTE, NOW - MINUTE, organization=GLOBEX), received_at=NOW)
    store.refresh(NOW + MINUTE)

    several: list[Filters] = [{}, {"user": ("maria",)}, {"user!": ("arjun",)}]
    for filters in several:
        assert len(listed(store, filters=filters).rows) == 1
        assert len(listed(store, organization=GLOBEX, filters=filters).rows) == 2


def test_the_same_event_many_times_is_listed_as_often(store: UsageStore) -> None:
    store.append(batch(*[NOW] * 7), received_at=NOW)
    store.append(batch(*[NOW] * 4), received_at=NOW + MINUTE)
    store.refresh(NOW + 2 * MINUTE)

    met, cursor, pages = 0, None, 0
    while pages == 0 or cursor:
        page = listed(store, limit=3, cursor=cursor)
        met, cursor, pages = met + len(page.rows), page.older, pages + 1

    assert (met, pages) == (11, 4)


def test_a_cursor_outlives_what_is_added_refreshed_merged_and_forgotten(store: UsageStore) -> None:
    old = [NOW - minutes * MINUTE for minutes in range(0, 60, 5) for _ in range(3)]
    store.append(batch(*old, NOW - 20 * DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)
    first = listed(store, limit=16)

    store.append(batch(*old, user="late"), received_at=NOW + 2 * MINUTE)
    store.append(batch(NOW + 2 * MINUTE), received_at=NOW + 2 * MINUTE)
    store.refresh(NOW + 3 * MINUTE)
    while store.merge():
        pass
    store.forget(NOW - 10 * DAY)
    store.checkpoint()
    rest = listed(store, cursor=first.older)

    kept = [row.time for page in (first, rest) for row in page.rows if row.values[6] == "maria"]
    assert kept == list(map(micros, old))
    assert rest.older is None


def test_newer_leads_back_to_the_very_page(store: UsageStore) -> None:
    store.append(batch(*[NOW - minutes * MINUTE for minutes in (0, 1, 1, 1, 2, 2, 3)]), received_at=NOW)
    store.refresh(NOW + MINUTE)
    first = listed(store, limit=2)
    second = listed(store, limit=2, cursor=first.older)
    third = listed(store, limit=2, cursor=second.older)

    assert listed(store, limit=2, cursor=third.newer) == second
    assert listed(store, limit=2, cursor=second.newer) == first
    assert first.newer is None


def test_less_than_a_page_of_newer_ones_is_the_first_page(store: UsageStore) -> None:
    store.append(batch(*[NOW - minutes * MINUTE for minutes in range(5)]), received_at=NOW)
    store.refresh(NOW + MINUTE)
    second = listed(store, limit=2, cursor=listed(store, limit=2).older)

    assert listed(store, limit=4, cursor=second.newer) == listed(store, limit=4)


def test_a_cursor_from_elsewhere_harms_nothing(store: UsageStore) -> None:
    store.append(batch(NOW, NOW - DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)

    for newer in (False, True):
        assert times(listed(store, cursor=Cursor(micros(NOW + DAY), 1, newer))) == [
            micros(NOW),
            micros(NOW - DAY),
        ]
    assert times(listed(store, cursor=Cursor(0, 3))) == []
    assert len(listed(store, cursor=Cursor(0, 3, newer=True)).rows) == 2
    assert times(listed(store, cursor=Cursor(micros(NOW), 99, newer=True), limit=1)) == [micros(NOW)]
