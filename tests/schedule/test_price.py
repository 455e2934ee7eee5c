"""What a call costs by one row of a price list, and what it may cost where its event does not say everything."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.domain.event import MAX_CREDITS
from meterboard.domain.period import micros
from meterboard.errors import ScheduleError
from meterboard.schedule.file import ScheduleFile
from meterboard.schedule.price import FAILED, Price, PricedCall, PriceList, PriceRule, price_by
from meterboard.schedule.validation.check import check

amounts = st.integers(0, 60)
sizes = st.integers(0, 400)
outcomes = st.sampled_from([100, 200, 399, 400, 404, 429, 500, 599])


def is_right(rule: PriceRule) -> bool:
    try:
        check(ScheduleFile(name="x", version="v1", id="1", request=[], price=[rule]))
    except ScheduleError:
        return False
    return True


@st.composite
def stepped(draw: st.DrawFn) -> PriceRule:
    sizes = sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=4)))
    credits = sorted(draw(st.lists(amounts, min_size=len(sizes), max_size=len(sizes))))
    more: dict[str, Any] = draw(bounds)
    return PriceRule(steps=list(zip(sizes, credits, strict=True)), **more)


bounds = st.fixed_dictionaries(
    {},
    optional={
        "max": st.integers(0, 200) | st.just(MAX_CREDITS),
        "failed": amounts,
        "estimated": st.booleans(),
    },
)
flat = st.builds(lambda credits, more: PriceRule(credits=credits, **more), amounts, bounds)
by_records = st.builds(
    lambda credits, per, more: PriceRule(credits=credits, per_records=per, **more),
    amounts | st.just(MAX_CREDITS),
    st.integers(1, 300),
    bounds,
)
rules = (flat | by_records | stepped()).filter(is_right)


def real_prices(rule: PriceRule, records: int, status: int) -> Iterator[int]:
    """Everything that a call of which all is known may cost, worked out anew from what the format says."""
    if rule.failed is not None and status >= FAILED:
        yield rule.failed
        return
    size = max(1, records)
    if rule.steps:
        credits = [credits for upto, credits in rule.steps if size <= upto] or [rule.steps[-1][1]]
        least = credits[0]
    else:
        least = (rule.credits or 0) * (-(-size // rule.per_records) if rule.per_records else 1)
    least = min(least, MAX_CREDITS if rule.max is None else rule.max)
    yield least
    if rule.estimated and rule.max is not None:
        yield rule.max
    elif rule.estimated and not rule.steps:
        yield MAX_CREDITS  # it may be anything


@given(rules, st.none() | sizes, st.none() | outcomes, st.data())
def test_whatever_is_unknown_turns_out_to_be_the_real_price_lies_within_the_bounds(
    rule: PriceRule, records: int | None, status: int | None, data: st.DataObject
) -> None:
    said = price_by(rule, records, status)
    some_sizes = [1, *data.draw(st.lists(sizes, max_size=20))] if records is None else [records]
    some_outcomes = [200, 500] if status is None else [status]

    for size, outcome in product(some_sizes, some_outcomes):
        for real in real_prices(rule, size, outcome):
            assert said.least <= real
            assert said.most is None or real <= said.most


@given(rules, st.none() | sizes, st.none() | outcomes)
def test_a_price_is_an_estimate_exactly_where_its_bounds_differ(
    rule: PriceRule, records: int | None, status: int | None
) -> None:
    said = price_by(rule, records, status)

    assert said.estimated == (said.least != said.most)
    assert said.least <= said.credits
    assert said.most is None or said.credits <= said.most
    if not said.estimated:
        assert said.credits == said.least


@given(rules, sizes, outcomes)
def test_a_call_of_which_all_is_known_has_one_price(rule: PriceRule, records: int, status: int) -> None:
    said = price_by(rule, records, status)

    if not rule.estimated:
        assert [said.least] == list(real_prices(rule, records, status)) == [said.most]


@pytest.mark.parametrize(
    ("rule", "records", "status", "wanted"),
    [
        (PriceRule(credits=1, per_records=10, max=10, failed=2), None, None, Price(1, 1, 10, True)),
        (PriceRule(credits=1, per_records=10, max=3, failed=3), 5, None, Price(1, 1, 3, True)),
        (PriceRule(steps=[(200, 2), (1000, 4)], failed=0), None, None, Price(2, 0, 4, True)),
        (PriceRule(credits=1, per_records=10, failed=0), None, None, Price(1, 0, None, True)),
        (PriceRule(credits=1, per_records=10, max=5, estimated=True), 100, 200, Price(5, 5, 5, False)),
        (PriceRule(credits=1, per_records=10, max=5, estimated=True), 20, 200, Price(2, 2, 5, True)),
        (PriceRule(credits=1, failed=5), 1, None, Price(1, 1, 5, True)),
    ],
)
def test_the_bounds_are(rule: PriceRule, records: int | None, status: int | None, wanted: Price) -> None:
    assert price_by(rule, records, status)._replace(reason="") == wanted


def test_a_price_until_the_last_day_there_is_holds_for_ever() -> None:
    prices = PriceList([PriceRule(credits=7, until=date.max)], lambda rule: "")

    assert (
        prices.price(PricedCall("v1", "", "", time=micros(datetime(9999, 12, 31, 23, tzinfo=UTC)))).credits
        == 7
    )


@pytest.mark.parametrize(
    ("query", "credits"),
    [
        ("cvid=7", 3),
        ("%63vid=7", 3),
        ("a=1&c%76i%64=7", 3),
        ("name=%63vid", 1),
        ("%63vid2=7", 1),
        ("a=%26", 1),
    ],
)
def test_an_escaped_name_of_a_parameter_counts_as_that_parameter(query: str, credits: int) -> None:
    prices = PriceList([PriceRule(credits=3, query="cvid"), PriceRule(credits=1)], lambda rule: "")

    assert prices.price(PricedCall("v1", "", "", query=query)).credits == credits
