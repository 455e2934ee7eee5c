"""The rows of the table: groups, the combinations in them, and the links behind their cells and numbers."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.web.page_state import PageState
from meterboard.web.pages.table.rows import Line, flat, grouped
from tests.web.usage import record

COLUMNS = ("user", "module", "function")
CALLS: list[dict[str, Any]] = [
    *[{"user": "wei", "module": "Leads", "credits": 2}] * 4,
    *[{"user": "wei", "module": "Leads", "function": "Assign"}] * 3,
    {"user": "wei", "module": "Deals"},
    *[{"module": "Deals"}] * 2,
]


def query(link: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(link).query, keep_blank_values=True)


def grouped_lines(
    services: Services,
    acme: Organization,
    *given: tuple[str, str],
    opened: tuple[str, ...] = (),
    within: int = 50,
) -> list[Line]:
    """The rows of the grouped table of those calls, the most used first."""
    record(services, acme, *CALLS)
    with services.statistics.read(acme) as reading:
        table = reading.grouped_table(
            reading.period("today"), {}, columns=COLUMNS, open_groups=opened, rows_per_group=within
        )
        return grouped(table, PageState("/table", given, Dimensions()), COLUMNS)


def test_a_group_has_its_sums_and_its_share_of_all_calls(services: Services, acme: Organization) -> None:
    wei, unknown = grouped_lines(services, acme)

    assert (wei.kind, wei.cells[0].name, wei.sums["calls"], wei.share) == ("group", "wei", 8, 0.8)
    assert (unknown.cells[0].name, unknown.sums["calls"], unknown.share) == ("(unknown)", 2, 0.2)
    assert query(unknown.cells[0].url) == [("user", "")]


def test_a_group_counts_the_values_of_a_column_or_names_the_only_one(
    services: Services, acme: Organization
) -> None:
    wei, unknown = grouped_lines(services, acme)

    assert (wei.cells[1].name, wei.cells[1].text) == ("", "2 modules")
    assert query(wei.cells[1].url) == [("columns", "module,user,function"), ("user", "wei")]
    assert (unknown.cells[1].name, unknown.cells[1].text) == ("Deals", "")
    assert query(unknown.cells[1].url) == [("module", "Deals")]


def test_a_group_of_several_combinations_opens_and_closes(services: Services, acme: Organization) -> None:
    closed, single = grouped_lines(services, acme)
    opened, *rows, _ = grouped_lines(services, acme, ("open", "wei"), opened=("wei",))

    assert single.toggle is None
    assert closed.toggle
    assert (closed.toggle.is_open, closed.toggle.text) == (False, "wei, 3 combinations")
    assert query(closed.toggle.url) == [("open", "wei")]
    assert opened.toggle
    assert (opened.toggle.is_open, query(opened.toggle.url)) == (True, [])
    assert [row.kind for row in rows] == ["within"] * 3
    assert [[cell.repeated for cell in row.cells] for row in rows] == [[True, False, False]] * 3


def test_an_open_group_that_is_longer_links_to_all_of_it(services: Services, acme: Organization) -> None:
    _, first, last, _ = grouped_lines(services, acme, opened=("wei",), within=2)

    assert first.more is None
    assert last.more
    assert last.more[1] == "all 3 combinations of wei"
    assert query(last.more[0]) == [("rows", "flat"), ("user", "wei")]


def test_every_combination_is_a_row(services: Services, acme: Organization) -> None:
    record(services, acme, *CALLS)
    with services.statistics.read(acme) as reading:
        answer = reading.table(reading.period("today"), {}, columns=COLUMNS)
        rows = flat(answer, PageState("/table", [("sort", "user")], Dimensions()), COLUMNS)

    assert [[cell.name for cell in row.cells] for row in rows] == [
        ["wei", "Leads", "(unknown)"],
        ["wei", "Leads", "Assign"],
        ["(unknown)", "Deals", "(unknown)"],
        ["wei", "Deals", "(unknown)"],
    ]
    assert [row.share for row in rows] == [0.4, 0.3, 0.2, 0.1]
    assert query(rows[0].cells[1].url) == [("sort", "user"), ("module", "Leads")]


def test_numbers_link_to_their_calls_and_those_of_integration_tasks_to_functions(
    services: Services, acme: Organization
) -> None:
    record(services, acme, *CALLS)
    with services.statistics.read(acme) as reading:
        answer = reading.table(reading.period("today"), {}, columns=COLUMNS)
        without_tasks, with_tasks, *_ = flat(answer, PageState("/table", [], Dimensions()), COLUMNS)

    named = [("user", "wei"), ("module", "Leads"), ("function", "")]
    assert query(without_tasks.calls_urls["calls"]) == query(without_tasks.calls_urls["credits"]) == named
    assert (without_tasks.calls_urls["integration_tasks"], without_tasks.details) == ("", None)
    assert query(with_tasks.calls_urls["integration_tasks"])[-1] == ("function!", "")
    assert with_tasks.details
    assert with_tasks.details[1] == "in Leads"
    assert with_tasks.details[0].startswith("/tasks?")


def test_the_details_of_a_table_by_function_are_of_the_function(
    services: Services, acme: Organization
) -> None:
    record(services, acme, *CALLS)
    with services.statistics.read(acme) as reading:
        answer = reading.table(reading.period("today"), {}, columns=("function", "module"))
        rows = flat(answer, PageState("/table", [], Dimensions()), ("function", "module"))

    assert [row.details[1] for row in rows if row.details] == ["of Assign"]
