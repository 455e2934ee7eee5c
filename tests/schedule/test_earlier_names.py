"""Schedules and reasons that an earlier version stored, whose keys had other names."""

import re
import tomllib
from pathlib import Path

import pytest

from meterboard.errors import ScheduleError
from meterboard.schedule.builtin import builtin_text
from meterboard.schedule.credit_schedule import read_schedule
from meterboard.schedule.earlier_names import with_current_names
from meterboard.schedule.price import PricedCall
from meterboard.schedule.reason import Why, explained
from meterboard.services import Services
from meterboard.settings import Settings
from tests.server import command_here

NAMES = {
    "ignore": "silent",
    "action_suffix": "done",
    "max": "most",
    "min": "least",
    "aliases": "also",
    "note": "disputed",
}


def as_stored_earlier(text: str) -> str:
    """A schedule as its text was before the keys were renamed."""
    text = text.replace("{action_suffix}", "{done}")
    return re.sub(rf"\b({'|'.join(NAMES)}) =", lambda found: f"{NAMES[found[1]]} =", text)


@pytest.mark.parametrize("name", ["zoho-crm", "one-per-call"])
def test_a_stored_schedule_means_what_it_meant(name: str) -> None:
    text = builtin_text(name)
    earlier = as_stored_earlier(text)

    assert earlier != text
    assert with_current_names(tomllib.loads(earlier)) == {"plan": [], **tomllib.loads(text)}
    assert with_current_names(tomllib.loads(text)) == {"plan": [], **tomllib.loads(text)}


def test_a_part_of_a_path_may_be_called_done() -> None:
    row = {"path": "/tasks/{done}", "method": "tasks.{done}"}

    assert with_current_names({"request": [row]})["request"] == [row]


def test_a_file_with_earlier_names_is_refused() -> None:
    with pytest.raises(ScheduleError, match="unknown field `silent`"):
        read_schedule(as_stored_earlier(builtin_text("one-per-call")))


def test_an_organisation_keeps_the_schedule_that_it_brought(tmp_path: Path) -> None:
    services = Services(tmp_path, Settings())
    organizations = services.accounts.organizations
    acme = organizations.create("acme", allowance=None, time_zone="UTC", schedule="one-per-call")
    organizations.use_schedule(acme, "zoho-crm", as_stored_earlier(builtin_text("zoho-crm")))
    schedule = services.schedules.of(organizations.named("acme").schedule)
    services.close()

    assert schedule.classify("GET", "/crm/v8/Leads/actions/mass_convert").method == "leads.mass_convert.get"
    assert schedule.price(PricedCall("v8", "Leads", "records.create", records=500)).credits == 10
    updated = command_here(
        "org", "update", "acme", "--plan", "zoho-crm/zoho-one", "--licenses", "10", data=tmp_path
    )
    assert "60,000 credits" in updated.stdout


def test_a_stored_reason_is_explained() -> None:
    stored = (
        '{"schedule":"crm","rule":{"credits":1,"method":"create","since":"2026-01-01","per_records":10,"most":10,'
        '"disputed":"some say 5"}}'
    )

    assert explained(stored, records=25, status=None, credits=3, estimated=False) == Why(
        "crm",
        "method create, since 2026-01-01",
        "1 credit for every 10 records begun, at most 10",
        "25 records: 3 credits",
        note="some say 5",
    )
