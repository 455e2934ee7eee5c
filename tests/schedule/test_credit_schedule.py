"""What a request is and costs, by the schedule that every call costs one credit under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.errors import ScheduleError
from meterboard.schedule.builtin import builtin_schedule
from meterboard.schedule.classify import Classification
from meterboard.schedule.credit_schedule import read_schedule
from meterboard.schedule.price import PricedCall

GENERIC = builtin_schedule("one-per-call")


@pytest.mark.parametrize(
    ("http", "path", "version", "module", "method"),
    [
        ("GET", "/crm/v8/Leads/123?page=2", "v8", "Leads", "get"),
        ("POST", "/api/v2/contacts", "v2", "contacts", "create"),
        ("PUT", "/v2.1/Deals/77", "v2.1", "Deals", "update"),
        ("PATCH", "/v2.1/Deals/77", "v2.1", "Deals", "update"),
        ("DELETE", "/v3/Leads/550e8400-e29b-41d4-a716-446655440000", "v3", "Leads", "delete"),
        ("GET", "/api/users/42/orders/9", "", "users", "orders.get"),
        ("POST", "/users/maria@acme.example/mails/send", "", "users", "mails.send.create"),
        ("GET", "https://api.acme.example/v8/Leads", "v8", "Leads", "get"),
        ("get", "/v1", "v1", "", "get"),
        ("GET", "/api/rest/leads//", "", "leads", "get"),
        ("GET", "/1234/5678", "", "", "get"),
        ("GET", "/", "", "", "get"),
        ("PURGE", "/cache", "", "cache", "purge"),
        ("GET", "/v8/Leads;jsessionid=ABC123/5", "v8", "Leads", "get"),
        ("GET", "/v8/Leads%3Fpage=2", "v8", "Leads", "get"),
        ("GET", "/v1/customers/cus_9s6XKzkNRiz8i3", "v1", "customers", "get"),
        ("GET", "/v1/invoices/INV-2001/lines/12a", "v1", "invoices", "lines.get"),
        ("GET", "/v1/points/1,2,3/-5/+4912345", "v1", "points", "get"),
        ("GET", "/v4/Users('123')/oauth2", "v4", "Users", "oauth2.get"),
        ("GET", "/v8/Sales%20Orders/5f2b8c9d0e1f2a3b4c5d6e7f", "v8", "Sales Orders", "get"),
    ],
)
def test_a_request_is_classified(http: str, path: str, version: str, module: str, method: str) -> None:
    assert Classification(version, module, method) == GENERIC.classify(http, path)


@given(st.text(max_size=20), st.text(max_size=2000))
def test_no_path_raises_or_keeps_its_query(http: str, path: str) -> None:
    found = GENERIC.classify(http, path)

    assert found == GENERIC.classify(http, path.split("?")[0])


@given(st.integers(0, 10**18), st.uuids(), st.from_regex(r"[0-9a-f]{16,40}", fullmatch=True))
def test_ids_end_up_nowhere(number: int, uuid: object, token: str) -> None:
    for identifier in (str(number), str(uuid), token):
        for path in (f"/v8/Leads/{identifier}", f"/v8/{identifier}/Leads", f"/{identifier}/x/{identifier}"):
            assert not any(identifier in part.split(".") for part in GENERIC.classify("GET", path)[:3])


@given(st.text(), st.text(), st.text(), st.none() | st.integers(0, 2**31))
def test_every_call_costs_one_credit(version: str, module: str, method: str, records: int | None) -> None:
    assert GENERIC.price(PricedCall(version, module, method, records, 429))[:4] == (1, 1, 1, False)


TIERED = read_schedule(
    """
name = "tiered"
version = 'v\\d+'
id = '\\d+'

request = [
  { path = "/{version}/{module}/{id}/convert", http = "POST", method = "convert" },
  { path = "/{version}/{module}/{rest}", method = "{rest}.{verb}" },
]
price = [
  { method = "upsert.post", credits = 2, per_records = 10 },
  { module = "Leads", method = "convert", credits = 5 },
  { credits = 1 },
]
"""
)


@pytest.mark.parametrize(("records", "credits"), [(None, 2), (0, 2), (1, 2), (10, 2), (11, 4), (100, 20)])
def test_a_price_per_records_counts_the_parts_begun(records: int | None, credits: int) -> None:
    version, module, method, _ = TIERED.classify("POST", "/v1/Deals/upsert")

    assert TIERED.price(PricedCall(version, module, method, records)).credits == credits


def test_the_first_price_that_fits_is_taken() -> None:
    for module, credits in (("Leads", 5), ("Deals", 1)):
        found = TIERED.classify("POST", f"/v1/{module}/7/convert")
        assert TIERED.price(PricedCall(*found[:3])).credits == credits


def test_a_rule_for_one_http_method_leaves_the_others_alone() -> None:
    assert TIERED.classify("GET", "/v1/Leads/7/convert").method == "convert.get"


@pytest.mark.parametrize("text", ["", "name = 1", 'nonsense = "x"', "name = [", 'name = "x"\nversion = "("'])
def test_a_file_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="can't be read"):
        read_schedule(text)
