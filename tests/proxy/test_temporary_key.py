"""The key that a command makes for itself does not outlive it for long."""

from datetime import timedelta
from pathlib import Path

import pytest

from meterboard.clock import FixedClock, SystemClock
from meterboard.commands.host import running
from meterboard.commands.host.running import passing_key
from meterboard.errors import Unauthenticated
from meterboard.services import Accounts
from tests.proxy.test_passing_on import until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    accounts = Accounts(tmp_path / "data")
    accounts.organizations.create("acme", allowance=None, time_zone="UTC", schedule="one-per-call")
    accounts.close()
    return tmp_path / "data"


def test_a_key_that_a_killed_command_leaves_behind_expires_within_a_day(data: Path) -> None:
    clock = FixedClock(SystemClock().now())
    accounts = Accounts(data, clock)
    acme = accounts.organizations.named("acme")
    lasting = accounts.keys.create(acme, name="proxy", scope="all")
    with passing_key(data, acme, "proxy", "ingest") as secret:
        assert accounts.keys.bearer(secret).scope == "ingest"
        clock.advance(timedelta(hours=24, minutes=1))  # as if it had been killed
        with pytest.raises(Unauthenticated, match="has expired"):
            accounts.keys.bearer(secret)
    assert accounts.keys.bearer(lasting).scope == "all"
    accounts.close()


def test_a_command_that_runs_extends_its_key_until_its_end(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "RENEW_SECONDS", 0.01)
    accounts = Accounts(data)
    acme = accounts.organizations.named("acme")

    def is_valid(secret: str) -> bool:
        try:
            return accounts.keys.bearer(secret).organization == acme
        except Unauthenticated:
            return False

    with passing_key(data, acme, "proxy", "ingest") as secret:
        accounts.keys.extend(secret, -timedelta(days=2))  # as after a night in which the machine slept
        until(lambda: is_valid(secret))
    assert not is_valid(secret)
    accounts.close()
