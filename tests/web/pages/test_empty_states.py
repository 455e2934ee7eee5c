"""What a page without calls says, and the links that it offers."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import run

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.access import Viewer
from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.settings import Settings
from meterboard.web.page_state import PageState
from meterboard.web.pages.empty_states import EmptyState, empty_state, first_call
from tests.web.usage import record


@pytest.fixture
def services(tmp_path: Path, clock: FixedClock) -> Iterator[Services]:
    """Statistics as of 16:15 in the organisation's time, where the clock shows 16:22:30; the next are due at 16:30."""
    clock.advance(-timedelta(minutes=7, seconds=30))
    running = Services(tmp_path / "data", Settings(), clock)
    running.refresh.now()
    clock.advance(timedelta(minutes=7, seconds=30))
    yield running
    running.close()


def shown(
    services: Services, acme: Organization, period: str, *filters: tuple[str, str], live_calls: int = 0
) -> EmptyState | None:
    with services.statistics.read(acme) as reading:
        chosen = reading.period(period)
        summary = reading.summary(chosen, {})
        state = PageState("/", [("period", period), *filters], Dimensions())
        return empty_state(reading, chosen, summary, state, live_calls=live_calls)


def message(services: Services, acme: Organization, period: str) -> str:
    found = shown(services, acme, period)
    assert found
    return found.message


def test_a_period_with_calls_has_nothing_to_explain(
    services: Services, acme: Organization, clock: FixedClock
) -> None:
    record(services, acme, {"time": clock.now() - timedelta(hours=1)})
    services.refresh.now()

    assert shown(services, acme, "today") is None


def test_filters_are_the_first_thing_to_remove(services: Services, acme: Organization) -> None:
    found = shown(services, acme, "today", ("user", "nobody"))

    assert found == EmptyState(
        "No calls in this period with these filters.",
        [
            ("Show without filters", "/?period=today"),
            ("Show the last 30 days", "/?user=nobody&period=last_30_days"),
        ],
    )


def test_a_longer_period_is_offered_unless_it_is_the_longest(services: Services, acme: Organization) -> None:
    today = shown(services, acme, "today")
    month = shown(services, acme, "last_30_days")

    assert today == EmptyState(
        "No calls in this period.", [("Show the last 30 days", "/?period=last_30_days")]
    )
    assert month == EmptyState("No calls in this period.", [])


def test_the_first_calls_are_announced_for_the_next_refresh(services: Services, acme: Organization) -> None:
    found = shown(services, acme, "today", live_calls=1)

    assert found == EmptyState("The first calls are counted above. They show here from 16:30 on.", [])


def test_periods_outside_the_statistics_are_explained(services: Services, acme: Organization) -> None:
    assert message(services, acme, "2026-11-25") == "25 Nov 2026 has not begun yet."
    assert message(services, acme, "2026-11-24T16:30..2026-11-24T16:45") == (
        "24 Nov 2026, 16:30 to 16:45 has not begun yet."
    )
    assert message(services, acme, "2026-11-24T16:15..2026-11-24T16:30") == (
        "24 Nov 2026, 16:15 to 16:30 began after the last refresh. Its calls show from 16:30 on."
    )
    assert message(services, acme, "2026-01-05").startswith(
        "Nothing is left of 5 Jan 2026: statistics go back to "
    )


def test_the_first_call_is_ready_for_a_shell(acme: Organization) -> None:
    commands = first_call("http://127.0.0.1:8000", Viewer("o'maria@acme.example", "owner", acme))

    assert commands.startswith("KEY=$(meterboard key create acme)\ncurl http://127.0.0.1:8000/v1/events")
    assert run(["sh", "-n"], input=commands, text=True, check=True, capture_output=True).stderr == ""
    printed = run(
        ["sh"],
        input="meterboard() { echo K; }\ncurl() { printf '%s\\n' \"$@\"; }\n" + commands,
        text=True,
        check=True,
        capture_output=True,
    ).stdout
    assert "Authorization: Bearer K" in printed
    assert '"user": "o\'maria@acme.example"' in printed
