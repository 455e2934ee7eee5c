"""The usage store's contract: the events behind the statistics, newest first."""

from datetime import UTC, datetime, timedelta

from meterboard.domain.cursor import Cursor
from meterboard.domain.period import micros
from meterboard.domain.query import Filters
from meterboard.schedule.reason import GIVEN
from meterboard.usage.store import Listing, UsageStore
from tests.batches import batch
from tests.contract.conftest import scope

NOW = datetime(2026, 11, 24, 10, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ACME, GLOBEX = 1, 2


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
        asked = scope(snapshot, now=NOW, text=text, organization=organization, filters=filters)
        return snapshot.events(asked, limit=limit, cursor=cursor)


def times(listing: Listing) -> list[int]:
    return [row.time for row in listing.rows]


def test_an_event_is_listed_with_all_that_was_kept(store: UsageStore) -> None:
    events = batch(NOW - MINUTE, ip="::1", credits=7, charged=0, estimated=True, records=25)
    store.append(events, received_at=NOW)
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
            assert snapshot.total(scope(snapshot, now=NOW)).calls == count


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


def test_a_cursor_outlives_what_is_added_refreshed_and_deleted(store: UsageStore) -> None:
    old = [NOW - minutes * MINUTE for minutes in range(0, 60, 5) for _ in range(3)]
    store.append(batch(*old, NOW - 20 * DAY), received_at=NOW)
    store.refresh(NOW + MINUTE)
    first = listed(store, limit=16)

    store.append(batch(*old, user="late"), received_at=NOW + 2 * MINUTE)
    store.append(batch(NOW + 2 * MINUTE), received_at=NOW + 2 * MINUTE)
    store.refresh(NOW + 3 * MINUTE)
    while store.maintain():
        pass
    store.delete_before(NOW - 10 * DAY)
    store.maintain()
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
