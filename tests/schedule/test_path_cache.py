"""The cached result of a path's shape is the one that would be computed."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterboard.schedule.builtin import builtin_names, builtin_text
from meterboard.schedule.classify import _segments
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.path_cache import PathCache
from meterboard.schedule.price import PriceCache, PricedCall

NAMES = builtin_names()
KEPT = {name: read_schedule(builtin_text(name)) for name in NAMES}
number = st.integers(0, 10**33).map(str)
part = st.sampled_from(
    [
        "v8",
        "v2.1",
        "v81",
        "crm",
        "Leads",
        "Module2",
        "search",
        "upsert",
        "actions",
        "convert",
        "Notes",
        "",
        "7",
        "%34",
        "a%2F123456",
        "coql",
        "settings",
        "fields",
        "x#123456",
        "١٢٣٤٥٦",
        "123456;v=2",
    ]
)
paths = st.lists(part | number | st.uuids().map(str), max_size=7).map(lambda parts: "/" + "/".join(parts))
queries = st.sampled_from(
    ["", "?", "?page=2", "?cvid=5&page=1", "?sort_by=id", "?xsort_by=1", "?fields=cvid"]
)
verbs = st.sampled_from(["GET", "get", "POST", "PUT", "DELETE"])


def anew(name: str) -> CreditSchedule:
    return read_schedule(builtin_text(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_the_same_whatever_came_before_it(name: str) -> None:
    fresh = anew(name)

    @given(verbs, paths, queries)
    def check(http: str, path: str, query: str) -> None:
        kept = KEPT[name].classify(http, path + query)
        assert kept == KEPT[name].classify(http, path + query) == fresh._classifier.classify(http, path)

    check()


@pytest.mark.parametrize("name", NAMES)
@given(verbs, paths, queries, st.none() | st.integers(0, 300), st.sampled_from([None, 200, 404, 429]))
def test_a_price_is_the_same_whatever_was_asked_before(
    name: str, http: str, path: str, query: str, records: int | None, status: int | None
) -> None:
    _found, tariff = KEPT[name].read(http, path)
    price = tariff.price(records, status, path + query, 0)

    assert price == tariff.price(records, status, path + query, 0)
    never_asked = type(tariff)(tariff._candidates, tariff._free, PriceCache())
    assert price == never_asked.price(records, status, path + query, 0)


def test_ids_share_an_answer_and_other_numbers_do_not() -> None:
    asked: list[str] = []

    def work_out(http: str, path: str) -> str:
        asked.append(path)
        return path

    shapes = PathCache(work_out, ids_are_alike=True, methods=["GET"])
    answers = [
        shapes.get("GET", f"/v{version}/Leads/{554_023_000 + id}") for version in (7, 8) for id in range(9)
    ]

    assert len(asked) == 2
    assert set(answers) == {"/v7/Leads/554023000", "/v8/Leads/554023000"}


@pytest.fixture
def traced_bytes() -> Iterator[Callable[[], int]]:
    """Returns the bytes that Python's objects take, made since the start of the test."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()


def test_the_bytes_of_all_methods_together_are_bounded(
    traced_bytes: Callable[[], int],
) -> None:
    methods = ["GET", "POST", "PUT"]
    shapes = PathCache(lambda http, path: path, ids_are_alike=True, methods=methods, max_bytes=1_000_000)
    most = 0
    for number in range(1_500):
        for form in ("/x{}", "/x{}/123456", "/y/123456/z{}", "/" + "é{}/" * 10):
            shapes.get(methods[number % 3], form.replace("{}", str(number)))
        if number % 100 == 0:
            most = max(most, traced_bytes())

    assert 100_000 < most < 1_000_000


@pytest.mark.parametrize(
    ("http", "path"),
    [("MADE-UP", "/x"), ("MADE-UP", "/x/123456"), ("GET", "/" + "x" * 200), ("GET", "/123456" * 30)],
)
def test_unknown_methods_and_long_paths_are_not_remembered(http: str, path: str) -> None:
    asked: list[str] = []

    def work_out(http: str, path: str) -> str:
        asked.append(path)
        return path

    shapes = PathCache(work_out, ids_are_alike=True, methods=["GET"])

    assert [shapes.get(http, path) for _ in range(3)] == asked == [path] * 3
    assert shapes._bytes == 0


def test_nothing_that_a_schedule_remembers_grows_with_what_callers_make_up(
    traced_bytes: Callable[[], int],
) -> None:
    schedule = read_schedule(builtin_text("zoho-crm"))
    started = traced_bytes()
    for number in range(200):
        long = f"/crm/v8/{'n' * 100}{number}/{'m' * 9_000}"
        _, tariff = schedule.read(f"VERB{number}", f"{long}?cvid={number}")
        tariff.price(number, 200 + number % 300, f"{long}?cvid={number}", 0)
        schedule.read("GET", long)
        schedule.tariff("v" * 9_000 + str(number), f"module {number}", "records.create").price(
            number, 200, "", 0
        )
        schedule.price(PricedCall(f"v{number}", "Leads", "records.create", number, 200 + number % 300))

    assert traced_bytes() - started < 1_000_000


@pytest.mark.parametrize("name", NAMES)
@given(verbs, paths)
def test_paths_of_the_same_kinds_of_parts_fit_the_same_rule(name: str, http: str, path: str) -> None:
    classifier = KEPT[name]._classifier
    segments = _segments(path)
    clean = "".join(f"{segment}/" for segment in segments)

    assert classifier._kind is not None
    assert classifier._rule_of(http, segments, clean) == classifier._first_that_fits(http, clean)


OWN = """
name = "own"
version = '{version}'
id = '{id}'
request = [{{ path = '/{{version}}/{{module}}/{last}', method = "{{verb}}" }}, {{ path = "/**", method = "other" }}]
price = [{{ credits = 1 }}]
"""


@pytest.mark.parametrize(
    ("version", "id", "last"),
    [
        (r"20\d{6}", r"\d+", "{key}?"),
        (r"v?\d+", r"\d+", "{key}?"),
        (r"v\d+", r"0\d*", "{key}?"),
        (r"v\d+", r"(?!123456)\d+", "{id}?"),
        (r"v\d+", r"\d+", r"{year:19\d{4}}?"),
        (r"v\d+", r"\d+", "123456?"),
    ],
)
def test_numbers_that_a_schedule_tells_apart_stay_apart(version: str, id: str, last: str) -> None:
    text = OWN.format(version=version, id=id, last=last)
    kept = read_schedule(text)

    for number in ("20240115", "20250701", "10250701", "123456", "654321", "198412", "000000"):
        for path in (f"/{number}/users", f"/v1/users/{number}", f"/v1/{number}", f"/20240115/x/{number}"):
            assert kept.classify("GET", path) == read_schedule(text).classify("GET", path), path


def test_long_numbers_are_alike_in_the_schedules_that_come_along() -> None:
    assert all(KEPT[name]._classifier.ids_are_alike for name in NAMES)
