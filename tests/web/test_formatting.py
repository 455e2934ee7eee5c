"""How pages write numbers, dates and counts, which everything on them goes through."""

from datetime import UTC, date, datetime, timedelta

import pytest
from babel import Locale

from meterboard.service.statistics.answers import Credits, ReturnPoint, Returns, Window
from meterboard.web.formatting import (
    clock_time,
    counter,
    day_of,
    month_of,
    number,
    percent,
    period_name,
    plural,
    quarter_of,
    weekday_of,
)
from meterboard.web.pages.dashboard.comparison import change
from meterboard.web.pages.dashboard.credit_recovery import recovery_chart
from meterboard.web.render import templates
from meterboard.web.translation import patterns_of

NOON = datetime(2026, 9, 3, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (12_412, "12,412"), (-1_000, "-1,000"), (1234.5, "1,234")]
)
def test_thousands_are_separated(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls"), (1_000_000, "1,000,000 calls")]
)
def test_a_noun_agrees_with_its_count(count: int, text: str) -> None:
    assert plural(count, "call") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0001, "< 1 %"), (0.004999, "< 1 %"), (0.314, "31 %"), (1, "100 %"), (12.34, "1,234 %")],
)
def test_a_share_that_is_not_nothing_is_not_zero(share: float, text: str) -> None:
    assert percent(share) == text


def test_dates_and_times() -> None:
    assert clock_time(NOON, NOON) == "12:00"
    assert clock_time(NOON + 24 * HOUR, NOON) == "12:00 tomorrow"
    assert clock_time(NOON - 24 * HOUR, NOON) == "12:00 on 2 Sep 2026"
    assert day_of(NOON, date(2026, 1, 1)) == "3 Sep"
    assert day_of(NOON, date(2027, 1, 1)) == "3 Sep 2026"
    assert weekday_of(NOON) == "Thursday, 3 Sep 2026"
    assert month_of(NOON) == "September 2026"
    assert quarter_of(NOON) == "3 Sep 2026, 12:00 to 12:15"


@pytest.mark.parametrize(
    ("period", "name"),
    [
        ("today", "Today"),
        ("2026-11-03", "3 Nov 2026"),
        ("2026-11-03..2026-11-09", "3 Nov 2026 to 9 Nov 2026"),
        ("2026-11-03T10:00..2026-11-03T14:00", "3 Nov 2026, 10:00 to 14:00"),
        ("2026-11-03T10:00..2026-11-04T14:00", "3 Nov 2026, 10:00 to 4 Nov 2026, 14:00"),
    ],
)
def test_a_period_has_a_name(period: str, name: str) -> None:
    assert period_name(period) == name


@pytest.mark.parametrize(
    ("used", "allowance", "headline", "share"),
    [
        (1, 1_000_000, "999,999 credits left", "< 1 %"),
        (290, 1_000, "710 credits left", "29 %"),
        (999, 1_000, "1 credit left", "99 % · close to the allowance"),
        (1_001, 1_000, "1 credit over", "100 % · over the allowance"),
        (1, None, "1 credit used", ""),
    ],
)
def test_the_counter_says_what_is_left(used: int, allowance: int | None, headline: str, share: str) -> None:
    unused = None if allowance is None else max(0, allowance - used)
    said = counter(Credits("acme", Window(NOON, NOON + HOUR), allowance, used, unused, 1))
    assert (said["headline"], said["share"]) == (headline, share)
    assert str(said["detail"]).endswith("1 call in the last 24 hours")


@pytest.mark.parametrize(
    ("credits", "words"),
    [
        ([1], "1 credit comes back by 13:00."),
        ([2_000], "2,000 credits come back by 13:00."),
        ([1, 5_000], "1 credit comes back by 13:00, all 5,001 by 14:00."),
    ],
)
def test_credits_come_back_in_words(credits: list[int], words: str) -> None:
    points = [ReturnPoint(NOON + at * HOUR, 1, used) for at, used in enumerate([*credits, 0])]
    shown = recovery_chart(Returns("acme", Window(NOON - 24 * HOUR, NOON), sum(credits), points))
    assert shown is not None
    assert shown.text == words
    assert shown.bars[0].title.startswith("12:00 to 13:00: ")


def test_a_change_is_in_words() -> None:
    assert change(3, 2, "yesterday").text == "50 % more than yesterday: 2"
    assert change(2, 2, "yesterday").text == "as many as yesterday: 2"
    assert change(2, 0, "yesterday").text == "none in yesterday"


def test_other_locales_write_numbers_and_dates_their_own_way() -> None:
    german = Locale.parse("de")
    patterns = patterns_of(german)
    assert patterns.number.apply(1_234_567, german) == "1.234.567"
    assert patterns.date.apply(NOON, german) == "03.09.2026"
    assert patterns.month.apply(NOON, german) == "September 2026"


def test_templates_look_texts_up() -> None:
    template = templates().from_string(
        "{{ _('Totals') }} {{ ngettext('%(num)s row', '%(num)s rows', 2) }} {% trans %}Time{% endtrans %}"
    )
    assert template.render() == "Totals 2 rows Time"
