"""Keys and sessions are found quickly, whatever else happens, and what is unknown costs next to nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from meterboard.clock import FixedClock
from meterboard.domain.access import ApiKey
from meterboard.domain.organization import Organization
from meterboard.errors import Overloaded, Unauthenticated
from meterboard.service.access import CACHE_SECONDS, MAX_SECRET_LENGTH, MAX_SIGN_INS, Access
from meterboard.services import Accounts, Services
from tests.service.test_reads import run


class Looked:
    """Access to the accounts of a folder, whose look-ups through a session are noted."""

    def __init__(self, accounts: Accounts) -> None:
        self.now = 0.0
        self.looked_up: list[str] = []
        self.accounts = accounts
        self.access = Access(
            key=self._key,
            is_key=accounts.keys.is_known,
            viewer=accounts.people.viewer,
            is_session=accounts.people.is_session,
            sign_in=accounts.people.sign_in,
            sign_out=accounts.people.sign_out,
            monotonic=lambda: self.now,
        )

    def _key(self, secret: str) -> ApiKey:
        self.looked_up.append(secret)
        return self.accounts.keys.bearer(secret)


def test_a_key_is_found_while_all_other_threads_are_busy(services: Services, acme: Organization) -> None:
    secret = services.accounts.keys.create(acme, name="test", scope="all")
    end = Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as only:
            loop.set_default_executor(only)
            busy = loop.run_in_executor(None, end.wait)
            assert (await services.access.key(secret)).organization == acme
            end.set()
            await busy

    run(main())


def test_made_up_links_keep_no_key_from_being_found(services: Services, acme: Organization) -> None:
    secret = services.accounts.keys.create(acme, name="test", scope="all")
    end = Event()

    def sign_in(link: str) -> str:
        end.wait()
        return link

    access = Access(
        key=services.accounts.keys.bearer,
        is_key=services.accounts.keys.is_known,
        viewer=services.accounts.people.viewer,
        is_session=services.accounts.people.is_session,
        sign_in=sign_in,
        sign_out=services.accounts.people.sign_out,
    )

    async def main() -> None:
        links = [asyncio.create_task(access.sign_in(f"{n}")) for n in range(MAX_SIGN_INS)]
        assert (await access.key(secret)).organization == acme
        with pytest.raises(Overloaded):
            await access.sign_in("one more")
        end.set()
        assert len(await asyncio.gather(*links)) == MAX_SIGN_INS
        assert await access.sign_in("again") == "again"

    run(main())
    access.close()


def test_unknown_keys_and_sessions_are_refused_without_a_session_of_the_database(
    services: Services, tmp_path: Path, acme: Organization
) -> None:
    looked = Looked(services.accounts)

    async def refused(secret: str) -> None:
        with pytest.raises(Unauthenticated):
            await looked.access.key(secret)
        with pytest.raises(Unauthenticated):
            await looked.access.viewer(secret)

    async def main() -> None:
        for number in range(100):
            await refused(f"mb_{number}")
        await refused("x" * (MAX_SECRET_LENGTH + 1))
        await refused("é\x00")
        assert looked.looked_up == []
        # A key that is made beside the server works at once; a revoked one is unknown.
        beside = Accounts(tmp_path / "data")
        secret = beside.keys.create(acme, name="test", scope="read")
        assert (await looked.access.key(secret)).organization == acme
        beside.keys.revoke(secret)
        looked.now += CACHE_SECONDS
        with pytest.raises(Unauthenticated):
            await looked.access.key(secret)
        beside.close()
        assert looked.looked_up == [secret]

    run(main())
    looked.access.close()


def test_a_clock_that_is_set_back_does_not_lengthen_the_life_of_a_revoked_key(
    services: Services, clock: FixedClock, acme: Organization
) -> None:
    looked = Looked(services.accounts)
    secret = services.accounts.keys.create(acme, name="test", scope="read")

    async def main() -> None:
        await looked.access.key(secret)
        services.accounts.keys.revoke(secret)
        clock.advance(-timedelta(hours=1))
        looked.now += CACHE_SECONDS - 0.5
        await looked.access.key(secret)
        looked.now += 0.5
        with pytest.raises(Unauthenticated):
            await looked.access.key(secret)

    run(main())
    looked.access.close()
