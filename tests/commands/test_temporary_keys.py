"""The keys that a command creates for its requests to the server."""

from datetime import timedelta
from pathlib import Path

import pytest

from meterboard.clock import FixedClock, SystemClock
from meterboard.commands.host.keys import temporary_keys
from meterboard.errors import Unauthenticated
from meterboard.services import Accounts
from tests.waiting import eventually


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
    with temporary_keys(data, "proxy") as keys:
        secret = keys.secret(acme, "ingest")
        assert accounts.keys.bearer(secret).scope == "ingest"
        clock.advance(timedelta(hours=25))  # as if it had been killed
        with pytest.raises(Unauthenticated, match="or expired"):
            accounts.keys.bearer(secret)
    assert accounts.keys.bearer(lasting).scope == "all"
    accounts.close()


def test_a_running_command_extends_its_keys_until_its_end(data: Path) -> None:
    accounts = Accounts(data)
    acme = accounts.organizations.named("acme")

    def is_valid(secret: str) -> bool:
        try:
            return accounts.keys.bearer(secret).organization == acme
        except Unauthenticated:
            return False

    def are_valid() -> bool:
        return all(map(is_valid, secrets))

    with temporary_keys(data, "proxy", renew_seconds=0.01) as keys:
        secrets = [keys.secret(acme, "ingest"), keys.secret(acme, "read")]
        for secret in secrets:
            accounts.keys.extend(secret, -timedelta(days=2))  # as after a night in which the machine slept
        eventually(are_valid)
        assert keys.secret(acme, "ingest") == secrets[0]
    assert not any(map(is_valid, secrets))
    accounts.close()


def test_a_revoked_key_is_replaced_by_the_next(data: Path) -> None:
    accounts = Accounts(data)
    acme = accounts.organizations.named("acme")
    with temporary_keys(data, "import") as keys:
        secret = keys.secret(acme, "ingest")
        keys.discard_if_revoked(secret)
        assert keys.secret(acme, "ingest") == secret

        accounts.keys.revoke(secret)
        keys.discard_if_revoked(secret)
        assert accounts.keys.bearer(keys.secret(acme, "ingest")).organization == acme
    accounts.close()
