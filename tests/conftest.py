"""The cast: Acme, whose usage it is, Globex, who must see nothing of it, and a clock that stands still."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.settings import Settings
from tests.server import Server

settings.register_profile(
    "meterboard",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("meterboard")

NOW = datetime(2026, 11, 24, 10, 52, 30, tzinfo=UTC)
LIVE = Settings(refresh_interval=timedelta(0))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def services(tmp_path: Path, clock: FixedClock) -> Iterator[Services]:
    """Everything behind the API, with live statistics."""
    running = Services(tmp_path / "data", LIVE, clock)
    yield running
    running.close()


@pytest.fixture
def acme(services: Services) -> Organization:
    return services.accounts.organizations.create(
        "acme", allowance=1_000, time_zone="Asia/Kolkata", schedule="one-per-call"
    )


@pytest.fixture
def globex(services: Services) -> Organization:
    return services.accounts.organizations.create(
        "globex", allowance=None, time_zone="UTC", schedule="one-per-call"
    )


@pytest.fixture
def acme_key(acme: Organization) -> ApiKey:
    return ApiKey(acme, "all")


KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with live statistics, shared by the tests of a module."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    running.prepare("--allowance", "1000", "--time-zone", "Asia/Kolkata").start()
    yield running
    assert running.stop() == 0
