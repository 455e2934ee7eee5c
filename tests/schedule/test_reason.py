"""Why a call costs what it costs, in words that stay true when prices change."""

import msgspec
import pytest

from meterboard.schedule.credit_schedule import read_schedule
from meterboard.schedule.price import PricedCall, PriceRule
from meterboard.schedule.reason import GIVEN, Reason, Why, explained

PRICES = """
name = "crm"
version = 'v1'
id = '1'
request = []
price = [
  { status = 429, credits = 0, source = "refused" },
  { method = ["create", "update"], credits = 1, per_records = 10, max = 10, note = "some say 5" },
  { method = "query", steps = [[200, 1], [1000, 2]] },
  { method = "download", credits = 5, failed = 1 },
  { method = "composite", credits = 1, max = 2, estimated = true },
  { module = "Leads", credits = 2 },
]
"""
CRM = read_schedule(PRICES)


def why(module: str = "", method: str = "", records: int | None = None, status: int | None = None) -> Why:
    price = CRM.price(PricedCall("v8", module, method, records, status))
    return explained(
        price.reason, records=records, status=status, credits=price.credits, estimated=price.estimated
    )


@pytest.mark.parametrize(
    ("found", "rule", "formula", "result"),
    [
        (
            why(method="create", records=25),
            "method create or update",
            "1 credit for every 10 records begun, at most 10",
            "25 records: 3 credits",
        ),
        (
            why(method="create", records=1),
            "method create or update",
            "1 credit for every 10 records begun, at most 10",
            "1 record: 1 credit",
        ),
        (
            why(method="create"),
            "method create or update",
            "1 credit for every 10 records begun, at most 10",
            "an unknown number of records: 1 credit, estimated: from 1 to 10",
        ),
        (
            why(method="query", records=300),
            "method query",
            "1 credit up to 200 records, 2 credits up to 1,000 records",
            "300 records: 2 credits",
        ),
        (
            why(method="download", status=500),
            "method download",
            "5 credits, 1 credit if the call failed",
            "status 500: 1 credit",
        ),
        (
            why(method="download"),
            "method download",
            "5 credits, 1 credit if the call failed",
            "status unknown: 5 credits, estimated: from 1 to 5",
        ),
        (
            why(method="composite", status=200),
            "method composite",
            "1 credit, at most 2",
            "what it depends on can't be known: 1 credit, estimated: from 1 to 2",
        ),
        (why(module="Leads"), "module Leads", "2 credits", "2 credits"),
        (why(module="Leads", status=429), "status 429", "0 credits", "0 credits"),
        (why(module="Deals"), "no matching price", "nothing", "0 credits"),
    ],
)
def test_a_price_is_explained(found: Why, rule: str, formula: str, result: str) -> None:
    assert (found.schedule, found.rule, found.formula, found.result) == ("crm", rule, formula, result)


def test_where_a_figure_is_from_and_who_says_otherwise_is_kept() -> None:
    assert (why(status=429).source, why(status=429).note) == ("refused", None)
    assert (why(method="create").source, why(method="create").note) == (None, "some say 5")


def test_an_event_that_said_its_credits_needs_no_schedule() -> None:
    found = explained(GIVEN, records=3, status=200, credits=40, estimated=False)

    assert found == Why(None, "credits given by the event", None, "40 credits")


def test_equal_reasons_are_kept_as_one() -> None:
    again = read_schedule(PRICES)
    calls = [PricedCall("v8", "", "create", records, 200) for records in (None, 1, 999)]

    assert len({schedule.price(call).reason for schedule in (CRM, again) for call in calls}) == 1


def test_a_reason_is_read_back_as_it_was() -> None:
    rule = PriceRule(credits=1, method=["a", "b"], steps=None, per_records=10, source="x")

    assert msgspec.json.decode(Reason("crm", rule).text(), type=Reason) == Reason("crm", rule)
