"""The links of pages: each is the present state with one change."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from meterboard.domain.dimensions import Dimensions
from meterboard.errors import InvalidParameter
from meterboard.web.page_state import PageState, canonical_url, chips

Pairs = list[tuple[str, str]]
MONTH = ("period", "last_30_days")


def parsed(link: str) -> tuple[str, Pairs]:
    """The path and the parameters of a link."""
    parts = urlsplit(link)
    return parts.path, parse_qsl(parts.query, keep_blank_values=True)


def canonical_pairs(*given: tuple[str, str], path: str = "/") -> Pairs:
    link = canonical_url(path, given, Dimensions())
    assert link is not None
    found, pairs = parsed(link)
    assert found == path
    return pairs


# -- Forms whose fields are parts of a parameter --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ([("filter", "ip"), ("value", "::1")], [("ip", "::1")]),
        ([("filter", "ip"), ("value", " ::1 "), ("value", "::1")], [("ip", "::1")]),
        (
            [("filter", "module"), ("value", "Leads"), ("value", "Deals")],
            [("module", "Leads"), ("module", "Deals")],
        ),
        ([("filter", "user"), ("value", "maria"), ("mode", "exclude")], [("user!", "maria")]),
        ([("filter", "user"), ("value", "")], [("user", "")]),
        ([("filter", "user")], []),
        ([("user", "maria"), ("user!", "li"), ("filter", "user"), ("value", "wei")], [("user", "wei")]),
        (
            [MONTH, ("ip", "::1"), ("filter", "user"), ("value", "wei")],
            [MONTH, ("ip", "::1"), ("user", "wei")],
        ),
        ([("page", "3"), ("cursor", "o1"), ("filter", "user"), ("value", "wei")], [("user", "wei")]),
        ([("of", "user"), ("find", "w"), ("filter", "user"), ("value", "wei")], [("user", "wei")]),
    ],
)
def test_the_filter_form_replaces_the_filters_of_its_column(form: Pairs, expected: Pairs) -> None:
    assert canonical_pairs(*form, path="/table") == expected


def test_the_filter_form_that_only_asks_for_values_changes_nothing() -> None:
    assert (
        canonical_url("/", [("filter", "user"), ("find", "mehta"), ("show", "values")], Dimensions()) is None
    )


def test_a_filter_of_an_unknown_column_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="filter is 'colour': use one of application, function"):
        canonical_url("/", [("filter", "colour"), ("value", "red")], Dimensions())


@pytest.mark.parametrize(
    ("form", "period"),
    [
        ({"from": "2026-11-03", "to": "2026-11-09"}, "2026-11-03..2026-11-09"),
        ({"from": "2026-11-03", "to": "2026-11-03"}, "2026-11-03"),
        (
            {"from": "2026-11-03", "from_time": "10:00", "to": "2026-11-04", "to_time": "14:15"},
            "2026-11-03T10:00..2026-11-04T14:15",
        ),
        (
            {"from": "2026-11-03", "to": "2026-11-04", "to_time": "14:15"},
            "2026-11-03T00:00..2026-11-04T14:15",
        ),
        (
            {"from": "2026-11-03", "from_time": "10:00", "to": "2026-11-30"},
            "2026-11-03T10:00..2026-12-01T00:00",
        ),
        (
            {"from": " 2026-11-03", "from_time": "", "to": "2026-11-09 ", "to_time": ""},
            "2026-11-03..2026-11-09",
        ),
    ],
)
def test_the_range_form_becomes_a_period(form: dict[str, str], period: str) -> None:
    assert canonical_pairs(MONTH, ("user", "wei"), ("page", "2"), *form.items()) == [
        ("user", "wei"),
        ("period", period),
    ]


@pytest.mark.parametrize(
    "form",
    [
        {"from": "2026-11-03"},
        {"to": "2026-11-03"},
        {"from": "soon", "to": "2026-11-03"},
        {"from": "", "to": ""},
    ],
)
def test_a_range_without_two_dates_is_refused(form: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="use two dates"):
        canonical_url("/", form.items(), Dimensions())


def test_a_range_up_to_the_last_date_there_is_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="use two dates"):
        canonical_url("/", [("from", "2026-11-03"), ("to", "9999-12-31")], Dimensions())


def test_other_addresses_are_no_such_form() -> None:
    assert canonical_url("/", [MONTH, ("user", "wei")], Dimensions()) is None


# -- Links ----------------------------------------------------------------------------------------------------------------


def page_state(*pairs: tuple[str, str], path: str = "/table") -> PageState:
    return PageState(path, pairs, Dimensions())


def test_a_change_sets_and_removes_parameters_and_starts_at_the_first_page() -> None:
    state = page_state(MONTH, ("user", "wei"), ("sort", "calls"), ("page", "3"), ("cursor", "o1"))

    assert parsed(state.change(sort="-user", user=None)) == ("/table", [MONTH, ("sort", "-user")])
    assert parsed(state.change("/calls", sort=None)) == ("/calls", [MONTH, ("user", "wei")])


def test_a_filter_for_an_empty_value_is_kept_and_other_empty_parameters_are_not() -> None:
    assert parsed(page_state(("user", ""), ("sort", "")).change()) == ("/table", [("user", "")])


def test_the_open_filter_form_is_carried_by_no_link() -> None:
    state = page_state(
        ("user", "wei"), ("filter", "user"), ("value", "li"), ("find", "l"), ("show", "values")
    )

    assert parsed(state.change()) == ("/table", [("user", "wei")])
    assert state.filter_form("value") == ["li"]
    assert parsed(state.choosing("ip"))[1] == [("user", "wei"), ("filter", "ip"), ("show", "values")]


def test_a_value_is_toggled_and_the_page_stays() -> None:
    state = page_state(("open", "wei"), ("page", "2"))

    assert parsed(state.toggled("open", "li"))[1] == [("open", "wei"), ("page", "2"), ("open", "li")]
    assert parsed(state.toggled("open", "wei"))[1] == [("page", "2")]


def test_filters_are_removed_one_by_one_or_all() -> None:
    state = page_state(MONTH, ("user", "wei"), ("user", ""), ("ip!", "::1"), ("page", "2"))

    assert parsed(state.without("user", ""))[1] == [MONTH, ("user", "wei"), ("ip!", "::1")]
    assert parsed(state.unfiltered())[1] == [MONTH]
    assert state.has_filters
    assert not page_state(MONTH).has_filters


def test_each_filter_has_the_link_that_removes_it() -> None:
    state = page_state(("user", "wei"), ("user", ""), ("ip!", "::1"))

    found = chips({"user": ("wei", ""), "ip!": ("::1",)}, state)

    assert [(name, value) for name, value, _ in found] == [("user", "wei"), ("user", ""), ("ip!", "::1")]
    assert parsed(found[1][2])[1] == [("user", "wei"), ("ip!", "::1")]


def test_the_calls_behind_a_number_keep_the_period_and_the_filters() -> None:
    state = page_state(MONTH, ("user", "wei"), ("user!", "li"), ("module", "Leads"), ("sort", "calls"))

    assert parsed(state.calls({"module": "Deals"})) == (
        "/calls",
        [MONTH, ("user", "wei"), ("user!", "li"), ("module", "Deals")],
    )
    assert parsed(state.calls({"user!": "ada"}))[1][-1] == ("user!", "ada")
    assert ("user!", "li") in parsed(state.calls({"user!": "ada"}))[1]
    assert parsed(state.calls(period="today"))[1][0] == ("period", "today")
    assert parsed(page_state(("user", "wei")).calls())[1] == [("user", "wei")]


def test_an_included_value_replaces_others_of_its_column_and_an_excluded_one_is_added() -> None:
    state = page_state(MONTH, ("user", "wei"), ("user!", "li"))

    assert parsed(state.filtered_link("ip,user", [("user", "ada")])) == (
        "/table",
        [MONTH, ("user!", "li"), ("columns", "ip,user"), ("user", "ada")],
    )
    assert parsed(state.filtered_link("", [("user!", "li"), ("user!", "ada")], path="/"))[1] == [
        MONTH,
        ("user", "wei"),
        ("user!", "li"),
        ("user!", "ada"),
    ]


def test_data_and_files_are_of_the_period_and_the_filters_alone() -> None:
    state = page_state(MONTH, ("user", "wei"), ("applications", "list"), ("page", "2"))

    assert parsed(state.data("summary", "csv")) == (
        "/v1/statistics/summary",
        [MONTH, ("user", "wei"), ("format", "csv")],
    )
    assert parsed(state.export("json", ["user", "ip"], "-calls", "flat")) == (
        "/v1/statistics/table",
        [
            MONTH,
            ("user", "wei"),
            ("columns", "user,ip"),
            ("sort", "-calls"),
            ("rows", "flat"),
            ("format", "json"),
        ],
    )
    assert parsed(state.export_calls("csv", 100)) == (
        "/v1/events",
        [MONTH, ("user", "wei"), ("limit", "100"), ("format", "csv")],
    )
    assert parsed(state.related(["user", "ip"]))[1] == [MONTH, ("user", "wei"), ("columns", "user,ip")]
    assert parsed(state.tasks("user", "li")) == ("/tasks", [MONTH, ("user", "li")])


def test_the_link_to_the_dashboard_shows_it_as_it_was_chosen() -> None:
    chosen = {"users": "list"}

    table = PageState("/table", [MONTH, ("sort", "calls")], Dimensions(), remembered=chosen)
    assert parsed(table.dashboard()) == ("/", [MONTH, ("users", "list")])
    assert PageState("/", [MONTH], Dimensions(), remembered=chosen).dashboard() == "/"


def test_a_switch_has_a_default_and_refuses_other_values() -> None:
    assert page_state().shows("measure") == "calls"
    assert page_state(("measure", "credits")).shows("measure") == "credits"
    with pytest.raises(InvalidParameter, match="measure is 'euros': use calls or credits"):
        page_state(("measure", "euros")).shows("measure")


def test_an_address_without_parameters_is_bare() -> None:
    assert page_state().is_bare
    assert not page_state(MONTH).is_bare
    assert (page_state().period, page_state(MONTH).period) == ("last_24_hours", "last_30_days")
