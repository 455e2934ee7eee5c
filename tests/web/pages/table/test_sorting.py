"""The order of the table in words, and the links that change it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.query import Order
from meterboard.web.page_state import PageState
from meterboard.web.pages.table.sorting import Head, Ordering

COLUMNS = ("user", "ip", "application")
ADDRESS = PageState("/table", [("period", "last_30_days"), ("open", "wei"), ("page", "3")], Dimensions())


def order(text: str) -> list[Order]:
    return [Order(key.removeprefix("-"), key.startswith("-")) for key in text.split(",")]


def ordering(text: str, *, grouped: bool = False) -> Ordering:
    return Ordering(COLUMNS, order(text), Dimensions(), grouped=grouped)


def head(name: str, text: str, *, grouped: bool = False) -> Head:
    return ordering(text, grouped=grouped).heads(ADDRESS)[name]


def parameter(link: str, name: str) -> str:
    return parse_qs(urlsplit(link).query)[name][0]


@pytest.mark.parametrize(
    ("text", "grouped", "words"),
    [
        ("-calls", False, "calls, most first"),
        ("credits", False, "credits, fewest first"),
        ("-calls,user", False, "calls, most first, then user, A to Z"),
        ("-ip,-integration_tasks", False, "IP address, Z to A, then integration tasks, most first"),
        ("-ip,-user", True, "IP addresses, most first, then user, Z to A"),
        ("application", True, "applications, fewest first"),
    ],
)
def test_an_order_in_words(text: str, grouped: bool, words: str) -> None:
    assert ordering(text, grouped=grouped).describe() == words


@pytest.mark.parametrize(
    ("name", "grouped", "following"),
    [("calls", False, "-calls"), ("user", False, "user"), ("ip", False, "ip"), ("ip", True, "-ip")],
)
def test_a_column_is_first_sorted_in_its_usual_direction(name: str, grouped: bool, following: str) -> None:
    found = head(name, "-credits", grouped=grouped)

    assert (found.sorted, found.direction, found.rank) == ("none", "", 0)
    assert parameter(found.url, "sort") == following
    assert parameter(found.then_url, "sort") == f"-credits,{following}"


def test_the_column_that_the_table_is_sorted_by_is_sorted_the_other_way() -> None:
    found = head("calls", "-calls,user")

    assert (found.sorted, found.direction, found.rank) == ("descending", "most first", 1)
    assert found.next_direction == "fewest first"
    assert parameter(found.url, "sort") == "calls"
    assert parameter(found.then_url, "sort") == "calls,user"


def test_a_further_column_keeps_its_place_in_the_order() -> None:
    found = head("user", "-calls,user")

    assert (found.sorted, found.direction, found.rank) == ("none", "A to Z", 2)
    assert parameter(found.url, "sort") == "-user"
    assert parameter(found.then_url, "sort") == "-calls,-user"


def test_a_column_is_made_the_first_one() -> None:
    link = head("ip", "-calls").first_url

    assert parameter(link, "columns") == "ip,user,application"
    assert "open=" not in link
    assert head("calls", "-calls").first_url == ""


def test_a_new_order_starts_at_the_first_page() -> None:
    assert "page=" not in head("calls", "-calls").url


def test_what_may_be_sorted_by_next_in_both_directions() -> None:
    next_keys = ordering("-calls,user", grouped=True).next_keys()

    assert next_keys[:2] == [
        ("-calls,user,-ip", "IP addresses, most first"),
        ("-calls,user,ip", "IP addresses, fewest first"),
    ]
    assert ("-calls,user,-credits", "credits, most first") in next_keys
    assert len(next_keys) == 2 * 4  # of two columns and two measures
