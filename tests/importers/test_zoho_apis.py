"""A schedule of the answer of `GET /crm/v8/__apis`: an account's own prices."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.domain.period import micros
from meterboard.errors import InvalidParameter
from meterboard.importers.zoho_apis import schedule_of_apis
from meterboard.schedule.builtin import builtin_text
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.price import Price
from tests.conftest import NOW

BUILTIN = builtin_text("zoho-crm")
BUILT_IN = read_schedule(BUILTIN)
Listed = tuple[str, str, int, int]
"""Path, HTTP method, least and most credits."""
LISTED: list[Listed] = [
    ("/crm/v8/{{module}}/upsert", "POST", 1, 10),
    ("/crm/v8/Quotes/{{id}}/actions/send_mail", "POST", 25, 25),
    ("/crm/v8/Leads/actions/add_tags", "POST", 1, 50),
    ("/crm/v8/{{module}}/deleted", "GET", 4, 4),
    ("/crm/v8/Events/{{id}}", "PUT", 1, 1),
    ("/crm/v8/Events", "PUT", 1, 10),
    ("/crm/v8/{{module}}", "PUT", 1, 10),
    ("/crm/v8/{{module}}/{{id}}", "PUT", 1, 1),
    ("/crm/v8/Calls/{{record_id}}", "PUT", 1, 1),
    ("/crm/v8/coql", "POST", 1, 3),
    ("/crm/v8/{{module}}/{{id}}/actions/download_mail_merge", "POST", 1, 5),
    ("/crm/v8/__composite_requests", "POST", 1, 2),
    ("/crm/v8/{{module}}", "GET", 1, 3),
    ("/crm/v8/{{module}}/{{id}}", "GET", 1, 1),
    ("/crm/v7/Deals", "GET", 2, 2),
    ("/crm/v8/{{module}}/actions/mass_delete", "POST", 1, 5),
]


def answer(listed: list[Listed]) -> str:
    paths: dict[str, list[dict[str, object]]] = {}
    for path, http, least, most in listed:
        operation = {"method": http, "oauth_scope": "x", "max_credits": most, "min_credits": least}
        paths.setdefault(path, []).append(operation)
    return json.dumps(
        {"__apis": [{"path": path, "operation_types": operations} for path, operations in paths.items()]}
    )


def imported(*listed: Listed) -> CreditSchedule:
    return read_schedule(schedule_of_apis(answer(list(listed)), BUILTIN))


ACCOUNT = imported(*LISTED)


def price(
    request: str, records: int | None = None, status: int | None = 200, *, by: CreditSchedule = ACCOUNT
) -> Price:
    """What a request costs, as when its event is accepted."""
    http, path = request.split()
    found, tariff = by.read(http, path)
    known = found.records if records is None else records
    return tariff.price(known, status, path, micros(NOW))._replace(reason="")


def filled(path: str) -> str:
    return path.replace("{{module}}", "Deals").replace("{{", "").replace("}}", "")


def method_of(http: str, path: str) -> tuple[str, str]:
    found = BUILT_IN.classify(http, filled(path))
    return found.version, found.method


def certain(credits: int) -> Price:
    return Price(credits, credits, credits, False)


@pytest.mark.parametrize(
    ("request_", "records", "status", "wanted"),
    [
        ("POST /crm/v8/Deals/upsert", 25, 200, certain(3)),
        ("POST /crm/v8/Quotes/7/actions/send_mail", None, 200, certain(25)),
        ("POST /crm/v8/Invoices/7/actions/send_mail", None, 200, certain(20)),
        ("POST /crm/v8/Leads/actions/add_tags", 100, 200, Price(1, 1, 50, True)),
        ("GET /crm/v8/Deals/deleted", None, 200, certain(4)),
        ("GET /crm/v8/Deals/deleted", None, 429, certain(0)),
    ],
)
def test_an_account_s_own_prices_go_first(
    request_: str, records: int | None, status: int, wanted: Price
) -> None:
    assert price(request_, records, status) == wanted


def test_one_record_and_many_of_them_are_one_method_with_one_price() -> None:
    assert price("PUT /crm/v8/Events", 100) == certain(10)
    assert price("PUT /crm/v8/Events", 1) == certain(1)
    assert price("PUT /crm/v8/Events/554023") == certain(1)
    assert price("PUT /crm/v8/Events") == Price(1, 1, 10, True)


def test_what_a_module_does_not_list_costs_what_every_module_s_does() -> None:
    assert price("PUT /crm/v8/Calls/554023") == certain(1)
    assert price("PUT /crm/v8/Calls", 100) == certain(10)


@given(st.permutations(LISTED))
def test_the_order_of_the_answer_does_not_matter(listed: list[Listed]) -> None:
    assert schedule_of_apis(answer(listed), BUILTIN) == schedule_of_apis(answer(LISTED), BUILTIN)


@pytest.mark.parametrize(
    ("request_", "records", "status", "wanted"),
    [
        ("POST /crm/v8/coql", 1_500, 200, certain(3)),
        ("POST /crm/v8/coql", 201, 200, certain(2)),
        ("POST /crm/v8/coql", None, 200, Price(1, 1, 3, True)),
        ("POST /crm/v8/Leads/7/actions/download_mail_merge", None, 200, certain(5)),
        ("POST /crm/v8/Leads/7/actions/download_mail_merge", None, 500, certain(1)),
        ("POST /crm/v8/Leads/7/actions/download_mail_merge", None, None, Price(5, 1, 5, True)),
        ("POST /crm/v8/__composite_requests", None, 200, Price(1, 1, 2, True)),
        ("POST /crm/v8/Leads/actions/mass_delete", 300, 200, Price(1, 1, 5, True)),
    ],
)
def test_a_built_in_formula_of_the_same_bounds_is_taken_over_whole(
    request_: str, records: int | None, status: int | None, wanted: Price
) -> None:
    assert price(request_, records, status) == wanted


def test_what_a_parameter_of_the_address_costs_is_kept() -> None:
    assert price("GET /crm/v8/Leads?page=2") == certain(1)
    assert price("GET /crm/v8/Leads?cvid=7") == certain(3)
    assert price("GET /crm/v8/Leads/554023") == certain(1)


def test_a_parameter_costs_nothing_more_where_the_account_says_so() -> None:
    assert price("GET /crm/v8/Leads?cvid=7", by=imported(("/crm/v8/{{module}}", "GET", 1, 1))) == certain(1)
    assert price("GET /crm/v8/Leads?cvid=7", by=imported(("/crm/v8/{{module}}", "GET", 1, 4))) == Price(
        1, 1, 4, True
    )


def test_other_versions_keep_the_built_in_prices() -> None:
    assert price("GET /crm/v7/Deals") == certain(2)
    assert price("GET /crm/v6/Deals") == certain(1)
    assert price("GET /crm/v6/Deals/deleted") == certain(2)


@pytest.mark.parametrize(("least", "most"), [(10, 1), (-1, 1), (-2, -1), (1, 10**9)])
def test_credits_that_can_t_be_are_refused_with_their_path(least: int, most: int) -> None:
    with pytest.raises(InvalidParameter, match=r"PUT /crm/v8/\{\{module\}\}/x has min_credits"):
        imported(*LISTED, ("/crm/v8/{{module}}/x", "PUT", least, most))


@pytest.mark.parametrize("path", ["/", "", "/v8/Leads", "/desk/api/tickets", "/crm/{{module}}", "{{module}}"])
def test_a_path_that_is_none_of_zoho_crm_s_is_refused(path: str) -> None:
    with pytest.raises(InvalidParameter, match="is not a Zoho CRM path") as refused:
        imported(*LISTED, (path, "GET", 7, 7))
    assert repr(path) in str(refused.value)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([listed[0] for listed in LISTED]),
            st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
            st.integers(0, 20),
            st.integers(0, 40),
        ).map(lambda row: (row[0], row[1], row[2], row[2] + row[3])),
        min_size=1,
        max_size=8,
    ),
    st.none() | st.integers(0, 500),
    st.none() | st.sampled_from([200, 500]),
)
def test_what_is_listed_lies_within_the_prices_that_are_made_of_it(
    listed: list[Listed], records: int | None, status: int | None
) -> None:
    made = imported(*listed)

    for path, http, *_ in listed:
        within = [row for row in listed if method_of(row[1], row[0]) == method_of(http, path)]
        said = price(f"{http} {filled(path)}", records, status, by=made)
        assert min(least for *_, least, _ in within) <= said.least
        assert said.most is not None
        assert said.most <= max(most for *_, most in within)
