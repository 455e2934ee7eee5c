"""Paths that strangers make up take no longer than their length allows, by any schedule that is accepted."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.event import MAX_TEXT
from meterboard.errors import ScheduleError
from meterboard.schedule.builtin import builtin_names, builtin_schedule
from meterboard.schedule.classify import MAX_PART
from meterboard.schedule.credit_schedule import read_schedule
from meterboard.schedule.validation.expressions import why_refused

LONGEST_SECONDS = 0.05
"""Of the processor, for one request of the longest path; 20 times what is usual."""


@pytest.mark.parametrize(
    "pattern",
    [
        r"v\d+(?:\.\d+)?",
        r"v\d+\.\d+\.\d+",
        r"\d+(?:\.\d+)*",
        r"(?:[a-z]+-)*[a-z]+",
        r"[^/]*\d{3}[^/]*",
        r"(?:\d\d)+",
        r"(?:get|insert|update|delete|search|convert|upload|download|delink)\w*",
        r"(?!(?:actions|files)/)[A-Za-z]\w*",
        r"(?i:abc)+",
        r"",
    ],
)
def test_expressions_that_fit_in_few_ways_are_accepted(pattern: str) -> None:
    assert not why_refused(pattern)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(a+)+", "repeat in a repeat"),
        (r"(a|a)*", "repeat in a repeat"),
        (r"(?:ab|ab)*", "repeat in a repeat"),
        (r"(?:-a?a?)*", "repeat in a repeat"),
        (r"(?:a*a*-)*", "repeat in a repeat"),
        (r"(?i:(?:a[A-Z]+)*)", "repeat in a repeat"),
        (r"(?=(a*)*b)a", "repeat in a repeat"),
        (r"a*a*a*", "3 of its repeats"),
        (r"(?:a*){4}", "4 of its repeats"),
        (r"(?:a?){30}", "30 choices"),
        (r"(?:(?:aa|aa)){40}", "40 choices"),
        (r"(a)\1*", "refers to a group"),
        (r".+", "can match a slash"),
        (r"\S+", "can match a slash"),
        (r"[^a]", "can match a slash"),
    ],
)
def test_expressions_that_can_take_long_are_refused(pattern: str, says: str) -> None:
    assert says in why_refused(pattern)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/{version}/{name:(?:x+)+}", "repeat in a repeat"),
        ("/**/a/**/b/**/{name}", "3 parts with **"),
        ("/a?/b?/c?/d?/e?", "5 parts with ?"),
    ],
)
def test_a_schedule_with_a_slow_path_is_refused(path: str, says: str) -> None:
    with pytest.raises(ScheduleError, match="line 5") as refused:
        read_schedule(own(path))
    assert says in str(refused.value)


def own(path: str, id: str = r"\d+") -> str:
    return f"""name = "own"
version = 'v\\d+'
id = '{id}'
price = [{{ credits = 5, query = "fields" }}, {{ credits = 1, query = "cv%id" }}]
request = [{{ path = '{path}', method = "x" }}]
"""


OWN = [
    read_schedule(own(path, id))
    for path, id in (
        ("/**/{id}/{id}/{id}/{id}/x", r"[^/]*\d{3}[^/]*"),
        ("/**/{a:\\w+\\w+}/{b:\\w*\\w*}/{c:[a-z]*[a-z1]*}/x", r"\d+"),
        ("/**/{id}?/{key}?/{id}?/{key}?/**/{rest}", r"(?:\d+-)*\d*"),
        ("/**/a/**/a/{id}/x", r"\d+"),
    )
]
SCHEDULES = [*map(builtin_schedule, builtin_names()), *OWN]
units = st.sampled_from(
    [
        "/",
        "a",
        "1",
        "%",
        "%41",
        "%&",
        "&%41",
        "?",
        "&",
        "=",
        ".",
        "-",
        "a/",
        "1/",
        "a1",
        "://",
        "(",
        "\u3000",
        "crm/",
        "v8/",
        "actions/",
        "%2F",
        "é",
        "{",
        "@",
        f"{'1' * (MAX_PART - 1)}/",
        f"{'a1' * 63}!/",
    ]
) | st.text(max_size=4)
starts = st.sampled_from(
    ["", "/", "/crm/v8/", "/crm/v8/Leads?", "/crm/v8/Leads?a=%&", "http://", "/crm/v8/settings/"]
)


def seconds(work: Callable[[], object]) -> float:
    """The processor time of the quickest of three runs, so that a busy machine does not matter."""
    times: list[float] = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


@settings(max_examples=40)
@given(starts, st.lists(units, min_size=1, max_size=3).map("".join))
def test_no_path_of_the_longest_kind_takes_long(start: str, unit: str) -> None:
    path = (start + unit * MAX_TEXT)[:MAX_TEXT] if unit else start
    for schedule in SCHEDULES:
        found = schedule._classifier.classify("GET", path)
        tariff = schedule.tariff(*found[:3])
        assert seconds(lambda: schedule._classifier.classify("GET", path)) < LONGEST_SECONDS  # noqa: B023
        assert seconds(lambda: tariff.price(None, 200, path, 0)) < LONGEST_SECONDS  # noqa: B023


def test_escaped_names_of_parameters_are_found_in_time_that_grows_with_the_query() -> None:
    tariff = builtin_schedule("zoho-crm").tariff("v8", "Leads", "records.get")
    hostile = "/crm/v8/Leads?a=%&" + "?" * (MAX_TEXT - 18)

    assert seconds(lambda: [tariff.price(None, 200, hostile, 0) for _ in range(100)]) < 100 * 0.004
    assert tariff.price(None, 200, "/crm/v8/Leads?a=%&%63vid=1", 0).credits == 3
    assert tariff.price(None, 200, "/crm/v8/Leads?a=1&cvid", 0).credits == 3
