"""Calls of a file are priced and counted as the same events over HTTP are, each for itself."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.formats.json_events import Sent
from meterboard.importers.delivery import calls_to_meter
from meterboard.importers.formats.named import read_format
from meterboard.importers.reading.lines import chunks
from meterboard.importers.reading.reading import Reader
from meterboard.schedule.builtin import builtin_text
from meterboard.service.statistics.answers import TableAnswer
from meterboard.services import Services
from meterboard.settings import Settings
from tests.importers.lines_read import read_all

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
PRICES = """price = [
  { credits = 7, query = "wide" },
  { credits = 2, until = 2026-11-03 },
  { credits = 3, since = 2026-11-04, failed = 0 },
]
"""
DATED = (
    builtin_text("one-per-call").partition("price = [")[0].replace('name = "one-per-call"', 'name = "dated"')
    + PRICES
)
"""Prices that change with a day, and with a parameter of the address."""


class Site:
    """Two organisations of the same prices: one is told calls by files, the other event by event."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(folder, Settings(), FixedClock(NOW))
        self.number = 0

    def pair(self, schedule: str) -> tuple[Organization, Organization]:
        self.number += 1
        create = self.services.accounts.organizations.create
        made = [
            create(f"{name}-{self.number}", allowance=None, time_zone="Asia/Kolkata", schedule="one-per-call")
            for name in ("files", "events")
        ]
        for organization in made:
            text = DATED if schedule == "dated" else None
            self.services.accounts.organizations.use_schedule(organization, schedule, text)
        files, events = (self.services.accounts.organizations.named(each.name) for each in made)
        return files, events

    def table(self, organization: Organization) -> TableAnswer:
        with self.services.statistics.read(organization) as reading:
            period = reading.period("2026-11-01..2026-11-10")
            return reading.table(period, {}, columns=Dimensions().names, page_size=None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("alike"))
    yield site
    site.services.close()


def line(second: int, request: str, status: str, user: str) -> bytes:
    time = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=second)
    return f'203.0.113.7 - {user} [{time:%d/%b/%Y:%H:%M:%S} +0000] "{request}" {status} 5 "-" "curl/8.1"\n'.encode()


REQUESTS = (
    "GET /crm/v8/Leads/123456789 HTTP/1.1",
    "GET /crm/v8/Leads/987654321 HTTP/1.1",
    "GET /crm/v8/Leads?page=2&per_page=200 HTTP/1.1",
    "GET /crm/v8/Leads?wide=1 HTTP/1.1",
    "GET /crm/v8/Leads?wid%65=1&page=3 HTTP/1.1",
    "GET /crm/v8/Leads?include_child=true&page=3 HTTP/1.1",
    "POST /crm/v8/Leads HTTP/1.1",
    "POST /crm/v2/coql HTTP/1.1",
    "POST /crm/v8/Leads/123456789/actions/convert HTTP/1.1",
    "-",
)
lines = st.builds(
    line,
    st.integers(-5 * 86_400, 12 * 86_400).map(lambda second: second // 3_600 * 3_600),
    st.sampled_from(REQUESTS),
    st.sampled_from(("200", "404", "429")),
    st.sampled_from(("-", "maria")),
)


@pytest.mark.parametrize("schedule", ["one-per-call", "zoho-crm", "dated"])
@given(st.lists(lines, min_size=1, max_size=60), st.integers(200, 2_000))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_calls_of_a_file_cost_what_the_same_events_cost(
    site: Site, schedule: str, texts: list[bytes], size: int
) -> None:
    services, data = site.services, b"".join(texts)
    by_file, by_event = site.pair(schedule)
    prices = services.schedules.of(by_file.schedule)

    delivery = calls_to_meter(services.ingest, services.refresh, by_file, prices)
    reader = Reader(read_format("combined", {}), delivery.options)
    outcomes = [delivery.calls(reader.read(portion).calls) for portion in chunks(io.BytesIO(data), size=size)]
    reader.close()
    events = read_all(data, "combined").events
    receipt = services.ingest.accept_and_wait(
        ApiKey(by_event, "ingest"), Sent(events, range(len(events)), [])
    )
    services.refresh.now()

    assert sum(outcome.accepted for outcome in outcomes) == receipt.accepted
    assert sum(outcome.refused for outcome in outcomes) == len(receipt.rejected)
    refusals = [outcome.first_refusal for outcome in outcomes if outcome.refused]
    assert refusals[:1] == [rejection.message for rejection in receipt.rejected[:1]]
    assert site.table(by_file).rows == site.table(by_event).rows
