"""`meterboard schedule`: explain, check, use, import."""

from pathlib import Path

import pytest

from meterboard.schedule.builtin import builtin_text
from meterboard.schedule.credit_schedule import read_schedule
from tests.server import command_here as command

BUILTIN = builtin_text("zoho-crm")


def said(*arguments: str) -> dict[str, str]:
    done = command("schedule", *arguments, data=None)
    assert done.returncode == 0, done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def test_explain_says_rule_formula_and_result() -> None:
    found = said("explain", "POST /crm/v8/Leads", "--records", "25")

    assert found["method"] == "records.create"
    assert found["rule"] == "method records.create or records.update or records.upsert"
    assert found["formula"] == "1 credit for every 10 records begun, at most 10"
    assert found["credits"] == "3"


def test_explain_says_what_is_an_estimate_and_what_is_disputed() -> None:
    assert said("explain", "POST /crm/v8/Leads")["credits"] == "1, estimated: from 1 to 10"
    found = said("explain", "GET /crm/v8/Leads?sort_by=id")
    assert found["rule"].endswith("query sort_by")
    assert "one public source says 3" in found["note"]


def test_the_schedules_that_come_along_are_right(tmp_path: Path) -> None:
    for name in ("zoho-crm", "one-per-call"):
        file = tmp_path / f"{name}.toml"
        file.write_text(command("schedule", "show", name, data=None).stdout)
        assert f"is a credit schedule: {name}" in command("schedule", "check", str(file), data=None).stdout


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("steps = [[200, 1]", "steps = [[2000, 1]", "Each of the steps needs more records"),
        ("steps = [[200, 1]", "steps = [[200, 9]", "more records can't cost less"),
        ('version = "v1", credits = 1', 'version = "v1", credits = "x"', "Expected `int | null`, got `str`"),
        ('version = "v1", credits = 1', 'version = "v1"', "needs either credits or steps"),
        ('version = "v1", credits = 1', 'version = "v1", credits = -1', "whole numbers from 0 to 1,000,000"),
        ("per_records = 50, max", "per_records = 0, max", "use 1 or more"),
        ("{part:photo}?", "{part:ph(oto}?", "can't be understood"),
        ("id = '\\d+'", "id = '('", "id is not a regular expression"),
        ("until = 2018-12-31", "unil = 2018-12-31", "unknown field `unil`"),
        ('name = "zoho-crm"', 'nam = "zoho-crm"', "unknown field `nam`"),
        ('name = "zoho-crm"', "name = ", "Invalid value"),
    ],
)
def test_check_names_the_line_and_what_is_wrong(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    text = BUILTIN.replace(right, wrong, 1)
    line = BUILTIN[: BUILTIN.index(right)].count("\n") + 1
    file = tmp_path / "own.toml"
    file.write_text(text)
    done = command("schedule", "check", str(file), data=None)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert f"line {line}" in done.stderr


APIS = """{"__apis": [{"path": "/crm/v8/{{module}}/deleted", "operation_types": [
    {"method": "GET", "oauth_scope": "x", "max_credits": 4, "min_credits": 4}]}]}"""


def test_an_imported_price_list_is_used_or_printed(tmp_path: Path) -> None:
    file = tmp_path / "apis.json"
    file.write_text(APIS)
    printed = command("schedule", "import", "zoho-apis", str(file), data=tmp_path / "data")
    assert read_schedule(printed.stdout).name == "zoho-crm-imported"

    command("org", "create", "acme", "--schedule", "zoho-crm", data=tmp_path / "data")
    used = command("schedule", "import", "zoho-apis", str(file), "--org", "acme", data=tmp_path / "data")
    assert "From now on calls of acme are priced by zoho-crm-imported" in used.stdout

    file.write_text("[]")
    refused = command("schedule", "import", "zoho-apis", str(file), data=tmp_path / "data")
    assert refused.returncode == 1
    assert "not a response of GET /crm/v8/__apis" in refused.stderr


OWN = """
name = "maps"
version = 'v1'
id = '[0-9]+'
request = []
price = [{ credits = 1 }]
plan = [{ name = "team", base = 10_000, per_license = 500 }]
"""


def test_a_plan_of_an_organisation_s_own_schedule_can_be_chosen(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "own.toml"
    file.write_text(OWN)
    for name in ("Bolt", "Nuts"):
        command("org", "create", name, data=data)
    command("schedule", "use", "Bolt", str(file), data=data)

    done = command("org", "update", "Bolt", "--plan", "maps/team", "--licenses", "2", data=data)
    assert "From now on Bolt may use 11,000 credits in 24 hours." in done.stdout, done.stderr
    built_in = command("org", "update", "Bolt", "--plan", "zoho-crm/free", data=data)
    assert "may use 5,000 credits" in built_in.stdout
    missing = command("org", "update", "Bolt", "--plan", "maps/gold", data=data)
    assert "There is no plan 'gold'. Use one of team." in missing.stderr
    other = command("org", "update", "Nuts", "--plan", "maps/team", data=data)
    assert other.returncode == 1
    assert "There is no schedule 'maps'" in other.stderr


@pytest.mark.parametrize("option", ["--licenses", "--add-on"])
@pytest.mark.parametrize("more", [[], ["--allowance", "5"]])
def test_licenses_and_add_ons_without_their_plan_are_refused(
    tmp_path: Path, option: str, more: list[str]
) -> None:
    command("org", "create", "Bolt", data=tmp_path)
    for arguments in (["create", "Nuts"], ["update", "Bolt"], ["update", "Bolt", "--charge-tasks"]):
        done = command("org", *arguments, option, "9", *more, data=tmp_path)
        assert done.returncode == 1, done.stdout
        assert "--licenses and --add-on are those of a plan" in done.stderr
    assert "There is no organisation 'Nuts'" in command("key", "create", "Nuts", data=tmp_path).stderr
