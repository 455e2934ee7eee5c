"""Random events through ingest and the list of events, held against sorting a Python list."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.cursor import parse_cursor
from meterboard.domain.organization import Organization
from meterboard.domain.query import Filters
from meterboard.formats.json_events import Sent
from meterboard.service.statistics.events import Event, EventsAnswer
from meterboard.services import Services
from tests.flows.model import SETTINGS, Call, Model, event_of, parse_filters, period

NOW = datetime(2026, 11, 24, 10, 52, 30, 123456, tzinfo=UTC)
AGO = [
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(hours=3),
    timedelta(hours=23, minutes=50),
    timedelta(days=9),
]
"""Few times, so that many events share one."""
FILTERS: list[list[tuple[str, str]]] = [
    [],
    [("user", "a")],
    [("user!", "a")],
    [("user", "")],
    [("user!", ""), ("status", "429")],
    [("environment!", "test"), ("user", "b")],
    [("user", "a"), ("user", "b"), ("status!", "429")],
]
calls = st.fixed_dictionaries(
    {
        "ago": st.sampled_from(AGO),
        "id": st.one_of(st.none(), st.integers(0, 40).map(str)),
        "user": st.sampled_from(["", "a", "b"]),
        "credits": st.sampled_from([None, 0, 7]),
        "status": st.sampled_from([None, 200, 429]),
        "environment": st.sampled_from(["", "test"]),
    }
)
batches = st.lists(calls, min_size=1, max_size=30)


class World:
    """A server's services, and beside them a list of what was accepted."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock(NOW)
        self.services = Services(folder, SETTINGS, self.clock)
        self.acme = self._create("acme")
        self.globex = self._create("globex")
        self.model = Model([])
        self._known: set[str] = set()

    def _create(self, name: str) -> Organization:
        organizations = self.services.accounts.organizations
        return organizations.create(name, allowance=100, time_zone="Asia/Kolkata", schedule="one-per-call")

    def send(self, batch: list[dict[str, Any]]) -> None:
        events = [
            event_of(_values(call), id=call["id"], time=NOW - call["ago"], credits=call["credits"])
            for call in batch
        ]
        sent = Sent(events, range(len(events)), [])
        for organization in (self.acme, self.globex):
            self.services.ingest.accept_and_wait(ApiKey(organization, "all"), sent)
        for call in batch:
            if call["id"] not in self._known:
                cost = 1 if call["credits"] is None else call["credits"]
                self.model.calls.append(Call(NOW - call["ago"], cost, _values(call)))
            self._known |= {call["id"]} - {None}

    def wanted(self, text: str, filters: Filters) -> list[tuple[Any, ...]]:
        """The events of a period, newest first; of one time in the order of receipt."""
        with self.services.statistics.read(self.acme) as reading:
            start, end = period(text, self.acme.zone, reading.as_of.astimezone(UTC))
        within = self.model.within(start, end, filters)
        return [_key(call) for call in sorted(within, key=lambda call: call.time, reverse=True)]

    def page(self, text: str, filters: Filters, limit: int, cursor: str | None) -> EventsAnswer:
        place = parse_cursor(cursor) if cursor else None
        with self.services.statistics.read(self.acme) as reading:
            return reading.events(reading.period(text), filters, limit=limit, cursor=place)


def _values(call: dict[str, Any]) -> dict[str, str]:
    return {name: str(call[name] or "") for name in ("user", "status", "environment")}


def _key(call: Call) -> tuple[Any, ...]:
    return call.time, *(call.values[name] for name in ("user", "status", "environment")), call.credits


def shown(event: Event) -> tuple[Any, ...]:
    status = "" if event.status is None else str(event.status)
    environment = event.dimensions.get("environment", "")
    return event.time.astimezone(UTC), event.user or "", status, environment, event.credits


@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(batches, min_size=1, max_size=3),
    batches,
    st.sampled_from(["last_24_hours", "last_30_days", "2026-11-24", "2026-11-15", "2026-11-14..2026-11-23"]),
    st.sampled_from(FILTERS).map(parse_filters),
    st.integers(1, 12),
    st.booleans(),
)
def test_every_event_is_on_one_page_once_while_others_come(
    first: list[list[dict[str, Any]]],
    later: list[dict[str, Any]],
    text: str,
    filters: Filters,
    limit: int,
    comes: bool,
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            for batch in first:
                world.send(batch)
            before = world.wanted(text, filters)
            pages = [world.page(text, filters, limit, None)]
            if comes:
                world.send(later)
                world.services.retention.maintain()
            while pages[-1].next:
                pages.append(world.page(text, filters, limit, pages[-1].next))

            met = [shown(event) for page in pages for event in page.events]
            assert [moment for moment, *_ in met] == sorted((moment for moment, *_ in met), reverse=True)
            assert not Counter(before) - Counter(met)
            assert not Counter(met) - Counter(world.wanted(text, filters))
            if not comes:
                assert Counter(met) == Counter(before)
                assert all(len(page.events) == limit for page in pages[:-1])
                _leads_back(world, text, filters, limit, pages)
        finally:
            world.services.close()


def _leads_back(world: World, text: str, filters: Filters, limit: int, pages: list[EventsAnswer]) -> None:
    """From the last page back to the first, by the cursors of the pages before."""
    assert pages[0].previous is None
    for before, page in pairwise(pages):
        assert page.previous is not None
        assert world.page(text, filters, limit, page.previous).events == before.events


@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(batches, st.sampled_from(FILTERS).map(parse_filters))
def test_the_list_agrees_with_the_summary_that_it_opens(
    batch: list[dict[str, Any]], filters: Filters
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            world.send(batch)
            with world.services.statistics.read(world.acme) as reading:
                for text in ("last_24_hours", "last_30_days", "yesterday"):
                    asked = reading.period(text)
                    summary = reading.summary(asked, filters)
                    listed = reading.events(asked, filters, limit=10_000).events
                    sums = (len(listed), sum(event.credits for event in listed))
                    assert sums == (summary.calls, summary.credits_used)
        finally:
            world.services.close()
