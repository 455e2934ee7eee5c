"""Organisations, keys and people in the control plane."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command as migrate
from alembic.config import Config
from sqlalchemy import URL, create_engine, inspect, select

from meterboard.accounts.database import MIGRATIONS, NEWEST
from meterboard.accounts.tables import KeyRow
from meterboard.clock import FixedClock
from meterboard.domain.allowance import Allowance
from meterboard.domain.organization import Organization
from meterboard.errors import AlreadyExists, InvalidParameter, NotFound, Unauthenticated
from meterboard.services import Accounts


@pytest.fixture
def accounts(tmp_path: Path, clock: FixedClock) -> Iterator[Accounts]:
    opened = Accounts(tmp_path, clock)
    yield opened
    opened.close()


def create(accounts: Accounts, name: str = "acme", **changes: Any) -> Organization:
    given: dict[str, Any] = {"allowance": 100, "time_zone": "UTC", "schedule": "one-per-call"} | changes
    return accounts.organizations.create(name, **given)


def test_a_name_is_taken_once(accounts: Accounts) -> None:
    create(accounts)
    with pytest.raises(AlreadyExists, match="'acme' already"):
        create(accounts)


@pytest.mark.parametrize("name", ["", "  ", "*", "a\nb", "x" * 256])
def test_a_name_can_be_read(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidParameter, match="1 to 255 printable characters"):
        create(accounts, name)


@pytest.mark.parametrize("change", [{"allowance": -1}, {"allowance": 2**60}, {"time_zone": "Mars/Olympus"}])
def test_a_wrong_value_is_named(accounts: Accounts, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=str(next(iter(change.values())))):
        create(accounts, **change)


def test_what_was_allowed_before_stays_in_the_history(accounts: Accounts, clock: FixedClock) -> None:
    acme = create(accounts)
    first = clock.now()
    clock.advance(timedelta(days=1))
    accounts.organizations.set_allowance(acme, None)

    assert accounts.organizations.allowances(acme.id) == [
        Allowance(100, first),
        Allowance(None, clock.now()),
    ]


def test_a_key_opens_its_organisation_until_it_is_revoked(accounts: Accounts) -> None:
    acme = create(accounts)
    secret = accounts.keys.create(acme, name="desk", scope="read")

    assert accounts.keys.bearer(secret).organization == acme
    assert accounts.keys.bearer(secret).scope == "read"
    accounts.keys.revoke(secret)
    with pytest.raises(Unauthenticated):
        accounts.keys.bearer(secret)


def test_secrets_are_nowhere_in_the_file(accounts: Accounts, tmp_path: Path) -> None:
    acme = create(accounts)
    key = accounts.keys.create(acme, name="desk", scope="all")
    link = accounts.people.add(acme, "maria@acme.example", role="owner")
    session = accounts.people.sign_in(link)
    accounts.close()

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (key, link, session):
        assert secret.encode() not in stored


def test_a_link_signs_in_once(accounts: Accounts) -> None:
    link = accounts.people.add(create(accounts), "maria@acme.example", role="owner")
    session = accounts.people.sign_in(link)

    assert accounts.people.viewer(session).email == "maria@acme.example"
    with pytest.raises(Unauthenticated, match="used or has expired"):
        accounts.people.sign_in(link)


def test_links_and_sessions_end(accounts: Accounts, clock: FixedClock) -> None:
    acme = create(accounts)
    late = accounts.people.add(acme, "maria@acme.example", role="owner")
    session = accounts.people.sign_in(accounts.people.add(acme, "maria@acme.example", role="owner"))
    clock.advance(timedelta(hours=24))
    with pytest.raises(Unauthenticated):
        accounts.people.sign_in(late)

    assert accounts.people.viewer(session)
    clock.advance(timedelta(days=30))
    with pytest.raises(Unauthenticated):
        accounts.people.viewer(session)


def test_signing_out_ends_the_session(accounts: Accounts) -> None:
    session = accounts.people.sign_in(
        accounts.people.add(create(accounts), "maria@acme.example", role="viewer")
    )
    accounts.people.sign_out(session)

    with pytest.raises(Unauthenticated):
        accounts.people.viewer(session)


def rows(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """What the file holds; every connection to it must be closed."""
    with closing(sqlite3.connect(folder / "accounts.sqlite")) as connection:
        return connection.execute(question).fetchall()


def test_used_and_expired_links_and_expired_sessions_are_deleted(
    accounts: Accounts, clock: FixedClock, tmp_path: Path
) -> None:
    acme = create(accounts)
    used, _ = (accounts.people.add(acme, "maria@acme.example", role="owner") for _ in range(2))
    accounts.people.sign_in(used)
    count = "select (select count(*) from sign_in_link), (select count(*) from session)"
    assert rows(tmp_path, count) == [(1, 1)]

    clock.advance(timedelta(hours=24))
    accounts.people.add(acme, "maria@acme.example", role="owner")
    assert rows(tmp_path, count) == [(1, 1)]  # the fresh link alone
    clock.advance(timedelta(days=30))
    accounts.people.link_for_first_owner()
    assert rows(tmp_path, count) == [(1, 0)]


def test_one_address_in_any_case_is_one_person(accounts: Accounts, tmp_path: Path) -> None:
    acme, globex = create(accounts), create(accounts, "globex")
    accounts.people.add(acme, "MARIA@acme.example", role="viewer")
    accounts.people.add(globex, "Maria@Acme.Example", role="viewer")
    session = accounts.people.sign_in(accounts.people.add(acme, "maria@acme.example", role="owner"))

    assert accounts.people.viewer(session).email == "maria@acme.example"
    assert rows(tmp_path, "select email from person") == [("maria@acme.example",)]
    assert rows(tmp_path, "select role from membership order by organization_id") == [("owner",), ("viewer",)]


def test_people_that_differ_in_case_become_the_oldest_of_them(tmp_path: Path, clock: FixedClock) -> None:
    upgrade_to(tmp_path, "0002")
    with closing(sqlite3.connect(tmp_path / "accounts.sqlite")) as old, old:
        old.executescript("""
            insert into organization values
                (1, 'acme', 'UTC', '2026-01-01', 'one-per-call', 1), (2, 'globex', 'UTC', '2026-01-01', 'one-per-call', 1);
            insert into person values (1, 'Ärja@acme.example', '2026-01-01'), (2, 'MARIA@acme.example', '2026-01-01'),
                (3, 'maria@acme.example', '2026-01-02'), (4, 'Maria@acme.example', '2026-01-03');
            insert into membership values (1, 1, 'viewer'), (2, 1, 'viewer'), (3, 1, 'owner'), (4, 1, 'owner'),
                (3, 2, 'owner'), (4, 2, 'viewer');
            insert into session values ('a', 4, 2, '2030-01-01');
            insert into sign_in_link values ('b', 3, 1, '2030-01-01', null), ('c', 3, 1, '2030-01-01', '2026-01-01');
        """)
    Accounts(tmp_path, clock).close()

    assert rows(tmp_path, "select id, email from person order by id") == [
        (1, "ärja@acme.example"),
        (2, "maria@acme.example"),
    ]
    assert rows(tmp_path, "select * from membership order by 1, 2") == [
        (1, 1, "viewer"),
        (2, 1, "viewer"),
        (2, 2, "owner"),
    ]
    assert rows(tmp_path, "select hash, person_id from session") == [("a", 2)]
    assert rows(tmp_path, "select hash, person_id from sign_in_link") == [("b", 2)]


def test_the_newest_migration_can_be_undone_and_done_again(tmp_path: Path, clock: FixedClock) -> None:
    Accounts(tmp_path, clock).close()
    upgrade_to(tmp_path, "0002")
    Accounts(tmp_path, clock).close()

    assert rows(tmp_path, "select version_num from alembic_version") == [(NEWEST,)]


def upgrade_to(folder: Path, revision: str) -> None:
    """Bring the tables of a folder to a revision, up or down."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(URL.create("sqlite", database=str(folder / "accounts.sqlite")))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        if inspect(connection).has_table("alembic_version"):
            migrate.downgrade(config, revision)
        else:
            migrate.upgrade(config, revision)
        connection.commit()
    engine.dispose()


@pytest.mark.parametrize("email", ["", "maria", "@acme", "a b@acme.example", "maria@"])
def test_an_address_must_be_one(accounts: Accounts, email: str) -> None:
    with pytest.raises(InvalidParameter, match="e-mail address"):
        accounts.people.add(create(accounts), email, role="viewer")


def test_someone_in_two_organisations_sees_the_one_of_the_link(accounts: Accounts) -> None:
    acme, globex = create(accounts), create(accounts, "globex")
    accounts.people.add(acme, "maria@acme.example", role="owner")
    session = accounts.people.sign_in(accounts.people.add(globex, "maria@acme.example", role="viewer"))

    viewer = accounts.people.viewer(session)
    assert (viewer.organization, viewer.role) == (globex, "viewer")


def test_an_unknown_organisation_is_told_how_to_make_it(accounts: Accounts) -> None:
    with pytest.raises(NotFound, match="meterboard org create 'nobody'"):
        accounts.organizations.named("nobody")


def test_keys_of_commands_leave_nothing_behind(accounts: Accounts, clock: FixedClock) -> None:
    """A key with a lifetime is deleted when it is revoked, or, after a command was killed, once it has expired."""
    acme = create(accounts)
    kept = accounts.keys.create(acme, name="kept", scope="read")
    accounts.keys.revoke(kept)
    killed = accounts.keys.create(acme, name="killed", scope="read", lifetime=timedelta(hours=1))
    ended = accounts.keys.create(acme, name="ended", scope="read", lifetime=timedelta(hours=1))
    accounts.keys.revoke(ended)
    assert names_of_keys(accounts) == ["kept", "killed"]
    assert accounts.keys.is_known(killed)
    clock.advance(timedelta(hours=1))
    accounts.keys.create(acme, name="next", scope="read")
    assert names_of_keys(accounts) == ["kept", "next"]


def names_of_keys(accounts: Accounts) -> list[str]:
    with accounts.database.transaction() as session:
        return sorted(session.scalars(select(KeyRow.name)))
