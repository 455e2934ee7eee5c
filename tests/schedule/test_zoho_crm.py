"""Zoho CRM: the 415 operations of v8 and the same ones of every other version, prices, plans."""

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.domain.allowance import allowance_at
from meterboard.domain.period import EPOCH, micros
from meterboard.schedule.builtin import builtin_schedule, builtin_text
from meterboard.schedule.plan import PlanRule, allowances
from meterboard.schedule.price import Price, PricedCall
from tests.conftest import NOW

ZOHO = builtin_schedule("zoho-crm")
LISTED = Path(__file__).with_name("zoho_v8.tsv").read_text().splitlines()
OPERATIONS = [line.split("\t") for line in LISTED if not line.startswith("#")]
VERSIONS = ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10.2"]
MODULE = "Sales_Orders"
RECORD = "554023000000527002"
operations = st.sampled_from(OPERATIONS)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def filled(path: str, version: str, key: str = RECORD) -> str:
    path = path.replace("/v8/", f"/{version}/")
    path = re.sub(rf"^(/crm/{version}/)\{{[^}}]*\}}", rf"\g<1>{MODULE}", path)
    return re.sub(r"\{[^}]*\}", key, path)


def expected_module(path: str) -> str:
    """What the path template itself says, whatever the rules do."""
    first = path.removeprefix("/crm/v8/").split("/")[0]
    if first.startswith("{"):
        return MODULE
    return first if first[:1].isupper() else ""


def test_all_operations_are_listed() -> None:
    assert len(OPERATIONS) == 415


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_is_what_the_list_says(version: str) -> None:
    for http, path, module, method in OPERATIONS:
        found = ZOHO.classify(http, filled(path, version))
        wanted = {"{module}": MODULE, "-": ""}.get(module, module)
        assert found[:3] == (version, wanted, method), (http, path)
        assert found.module == expected_module(path), (http, path)


def test_method_names_follow_one_scheme() -> None:
    for *_, method in OPERATIONS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", method), method


@pytest.mark.parametrize(
    ("http", "path", "version", "module", "method"),
    [
        ("GET", "/crm/private/json/Leads/getRecords", "v1", "Leads", "getRecords"),
        ("POST", "/crm/private/xml/Leads/convertLead", "v1", "Leads", "convertLead"),
        (
            "POST",
            "/crm/v8/functions/send_invoice/actions/execute?auth_type=apikey",
            "v8",
            "",
            "functions.execute",
        ),
        ("GET", "https://www.zohoapis.eu/crm/v8/Leads", "v8", "Leads", "records.get"),
        ("GET", "www.zohoapis.com.au/crm/v8/Leads", "v8", "Leads", "records.get"),
        ("GET", "/crm/v8/Contacts/roles", "v8", "Contacts", "contact_roles.get"),
        ("GET", "/crm/v8/Contacts/554023", "v8", "Contacts", "records.get"),
        ("GET", "/crm/v8/Leads/maria@acme.example", "v8", "Leads", "records.get"),
        ("GET", "/crm/v8/Leads/Jane Doe/Notes", "v8", "Leads", "related_records.get"),
        ("GET", "/crm/v8", "v8", "", "get"),
        ("GET", "/elsewhere", "", "", "get"),
        ("GET", "/crm/v8/Leads/(555)%20123-4567", "v8", "Leads", "records.get"),
        ("POST", "/crm/v8/Leads/%28555%29%20123/actions/convert", "v8", "Leads", "leads.convert"),
        ("POST", "/crm/v8/Quotes/%3F%3B/actions/send_mail", "v8", "Quotes", "records.send_mail"),
        ("POST", "/crm/v8/Leads/Jean%C2%A0Paul/actions/convert", "v8", "Leads", "leads.convert"),
        (
            "GET",
            "/crm/v8/Contacts/%E5%B1%B1%E3%80%80%E5%A4%AA/Notes",
            "v8",
            "Contacts",
            "related_records.get",
        ),
        ("GET", "/crm/v8/Contacts/%00%01/Notes", "v8", "Contacts", "related_records.get"),
        ("GET", "/crm/v8/Leads/crm/v8/coql", "v8", "Leads", "related_records.get"),
        ("GET", "/crm/v2/org/taxes", "v2", "", "org.taxes.get"),
        ("GET", "/crm/v2/org/taxes/123", "v2", "", "org.taxes.get"),
        ("POST", "/crm/v8/signals/notifications", "v8", "", "signals.notifications.create"),
        ("GET", "/crm/v8/users/123/foo", "v8", "", "users.get"),
        ("GET", "/crm/v8/functions/john/actions/foo", "v8", "", "functions.get"),
        ("GET", "/crm/v8/settings/modules/Leads/jane", "v8", "", "settings.modules.get"),
        ("GET", "/crm/v2/settings/automation/functions/jane/status", "v2", "", "settings.automation.get"),
        ("GET", "/crm/v8/settings", "v8", "", "settings.get"),
        ("GET", "/crm/private/json/Leads/jane/getRecords", "v1", "Leads", "get"),
        ("jane@acme", "/crm/v8/Leads", "", "(not HTTP)", "(not HTTP)"),
    ],
)
def test_a_request_is(http: str, path: str, version: str, module: str, method: str) -> None:
    assert ZOHO.classify(http, path)[:3] == (version, module, method)


@given(st.text(max_size=20), st.text(max_size=2_000))
def test_no_path_raises(http: str, path: str) -> None:
    ZOHO.classify(http, path)
    ZOHO.classify(http, f"/crm/v8/{path}")


@given(
    operations,
    st.sampled_from(VERSIONS),
    st.sampled_from(["https://www.zohoapis.com", "http://zohoapis.in:8443", "x.y"]),
)
def test_host_query_slash_and_escapes_change_nothing(operation: list[str], version: str, host: str) -> None:
    http, path = operation[0], filled(operation[1], version)
    found = ZOHO.classify(http, path)

    for same in (
        f"{host}{path}",
        f"{path}?page=2&fields=Last_Name",
        f"{path}/",
        f"{path}#part",
        "/".join(f"%{ord(part[0]):02X}" + quote(part[1:]) if part else "" for part in path.split("/")),
    ):
        assert ZOHO.classify(http, same) == found, same


@given(operations, st.tuples(anything, anything).map("zq".join))
def test_an_external_value_ends_up_nowhere(operation: list[str], value: str) -> None:
    http, path, *_ = operation
    found = ZOHO.classify(http, filled(path, "v8", quote(value, safe="")))

    assert not any("zq" in part for part in found[:3])
    assert found == ZOHO.classify(http, filled(path, "v8", RECORD))


# -- prices -----------------------------------------------------------------------------------------------------------------


def price(method: str, records: int | None = None, status: int | None = 200, query: str = "") -> Price:
    return ZOHO.price(PricedCall("v8", "Leads", method, records, status, query, micros(NOW)))


@pytest.mark.parametrize(
    ("method", "records", "credits"),
    [
        ("users.get", None, 1),
        ("settings.modules.get", None, 1),
        ("records.deleted.get", None, 2),
        ("leads.convert", None, 5),
        ("records.merge", None, 50),
        ("records.merge.get", None, 1),
        ("records.send_mail", None, 20),
        ("bulk_read.create", None, 50),
        ("bulk_read.get", None, 1),
        ("bulk_write.create", None, 500),
        ("settings.modules.create", None, 500),
        *[("records.create", n, c) for n, c in ((1, 1), (10, 1), (11, 2), (99, 10), (100, 10))],
        *[("records.upsert", n, c) for n, c in ((0, 1), (100, 10))],
        *[("records.add_tags", n, c) for n, c in ((50, 1), (51, 2), (500, 10))],
        *[("records.mass_delete", n, c) for n, c in ((100, 1), (101, 2))],
        *[("coql.query", n, c) for n, c in ((200, 1), (201, 2), (1_000, 2), (1_001, 3), (2_000, 3))],
    ],
)
def test_a_call_costs(method: str, records: int | None, credits: int) -> None:
    found = price(method, records)

    assert (found.credits, found.estimated) == (credits, False)


@pytest.mark.parametrize(
    ("method", "status", "wanted"),
    [
        ("records.create", 200, Price(1, 1, 10, True)),
        ("coql.query", 200, Price(1, 1, 3, True)),
        ("records.mass_delete", 200, Price(1, 1, None, True)),
        ("records.delete", 200, Price(1, 1, 1, False)),
        ("records.download_mail_merge", 200, Price(5, 5, 5, False)),
        ("records.download_mail_merge", 500, Price(1, 1, 1, False)),
        ("records.download_mail_merge", None, Price(5, 1, 5, True)),
        ("composite.execute", 200, Price(1, 1, 2, True)),
    ],
)
def test_what_the_event_does_not_say_makes_an_estimate_with_its_bounds(
    method: str, status: int | None, wanted: Price
) -> None:
    assert price(method, None, status)._replace(reason="") == wanted


def test_one_record_by_its_address_is_no_estimate() -> None:
    version, module, method, records = ZOHO.classify("PUT", f"/crm/v8/Leads/{RECORD}")

    assert ZOHO.price(PricedCall(version, module, method, records))[:4] == (1, 1, 1, False)


def test_a_custom_view_costs_three() -> None:
    assert price("records.get", query="page=1&cvid=7").credits == 3
    assert price("records.get", query="xcvid=7").credits == 1
    assert price("records.get", query="%63vid=7").credits == 3


def test_deleting_records_by_ids_in_the_address_is_not_the_mass_delete_that_is_priced() -> None:
    found = ZOHO.classify("DELETE", "/crm/v8/Leads?ids=1,2,3")[:3]
    assert ZOHO.price(PricedCall(*found, records=300, status=200))[:4] == (1, 1, 1, False)

    found = ZOHO.classify("POST", "/crm/v8/Leads/actions/mass_delete")[:3]
    assert ZOHO.price(PricedCall(*found, records=300, status=200))[:4] == (3, 3, 3, False)


def test_whatever_is_note_says_where_it_is_from() -> None:
    rows = tomllib.loads(builtin_text("zoho-crm"))["price"]
    assert all(row["source"] for row in rows if "note" in row)

    for method, query in (
        ("records.get", "sort_by=id"),
        ("records.search", ""),
        ("records.search", "page=2"),
    ):
        found = ZOHO.rule(PricedCall("v8", "Leads", method, query=query))
        assert found is not None
        assert "searched" in found.note
    plain = ZOHO.rule(PricedCall("v8", "Leads", "records.get", query="page=2"))
    assert plain is not None
    assert not plain.note


def test_what_was_refused_costs_nothing() -> None:
    assert price("bulk_write.create", status=429).credits == 0


methods = st.sampled_from(sorted({operation[3] for operation in OPERATIONS}))
counts = st.integers(0, 2**31 - 1)


@given(
    methods,
    st.none() | counts,
    st.none() | st.integers(100, 599),
    st.sampled_from(["", "cvid=1", "sort_by=id"]),
)
def test_a_price_lies_within_its_bounds(
    method: str, records: int | None, status: int | None, query: str
) -> None:
    found = price(method, records, status, query)

    assert 0 <= found.least <= found.credits
    assert found.most is None or found.credits <= found.most
    assert found.estimated or found.least == found.credits == found.most


@given(methods, counts, counts)
def test_more_records_never_cost_less(method: str, one: int, two: int) -> None:
    few, many = sorted((one, two))

    assert price(method, few).credits <= price(method, many).credits


# -- plans ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edition", "licenses", "add_on", "credits"),
    [
        ("free", 3, 0, 5_000),
        ("standard", 10, 0, 52_500),
        ("starter", 10, 0, 52_500),
        ("standard", 1_000, 0, 100_000),
        ("professional", 1_000, 0, 550_000),
        ("enterprise", 100, 0, 150_000),
        ("zoho-one", 100, 25_000, 175_000),
        ("enterprise", 10_000, 0, 5_000_000),
        ("ultimate", 10_000, 0, 20_050_000),
    ],
)
def test_an_edition_may_use(edition: str, licenses: int, add_on: int, credits: int) -> None:
    history = allowances(ZOHO.plans, edition, licenses=licenses, add_on=add_on)

    assert allowance_at(history, NOW) == credits


def test_the_older_numbers_of_professional_are_bounded() -> None:
    older = PlanRule(name="professional", base=10_000, per_license=500, max=500_000)

    assert older.credits(1_000, 0) == 500_000


def test_bigin_with_10_users_may_use_52_500() -> None:
    bigin = PlanRule(name="bigin", base=50_000, per_license=250)

    assert bigin.credits(10, 0) == 52_500


@pytest.mark.parametrize(
    ("edition", "licenses", "requests"),
    [("free", 9, 1_000), ("standard", 1, 2_000), ("standard", 10, 2_500), ("enterprise", 500, 25_000)],
)
def test_before_2019_the_table_of_version_1_holds(edition: str, licenses: int, requests: int) -> None:
    history = allowances(ZOHO.plans, edition, licenses=licenses)

    assert allowance_at(history, NOW.replace(year=2018)) == requests
    assert allowance_at(history, EPOCH) == requests
    assert allowance_at(history, NOW.replace(year=2019, month=1, day=1)) != requests
