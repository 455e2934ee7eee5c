"""The linked table: groups, connections, several sort keys. Each number is held against the API's list of combinations."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure
from tests.server import Server

MONTH = "/table?period=last_30_days"
FLAT = f"{MONTH}&rows=flat"


def combinations(page: Page, columns: str = "user,ip,application") -> list[dict[str, Any]]:
    question = f"/v1/statistics/table?period=last_30_days&columns={columns}&page_size=10000"
    rows: list[dict[str, Any]] = answer(page, question)["rows"]
    return rows


def value(page: Page, name: str) -> Locator:
    return page.locator("#rows").get_by_role("link", name=name, exact=True).first


def lit(page: Page, column: str) -> set[str]:
    return set(page.locator(f"#rows [data-column={column}].on bdi").all_inner_texts())


def dim(page: Page, column: str) -> set[str]:
    return set(page.locator(f"#rows [data-column={column}]:not(.on) bdi").all_inner_texts())


def check_linked(page: Page, rows: list[dict[str, Any]], **pinned: str) -> None:
    """What is lit, and what is said, is what the combinations with these values have."""
    found = [row for row in rows if all(row[column] == name for column, name in pinned.items())]
    said = page.locator("#linked [role=status]")
    expect(said).to_contain_text(
        f"{figure(sum(row['calls'] for row in found))} calls, {figure(sum(row['credits'] for row in found))} credits."
    )
    nouns = {"user": "user", "ip": "IP address", "application": "application"}
    for column in nouns:
        names = {row[column] for row in found}
        assert lit(page, column) <= names
        assert not dim(page, column) & names
        if column not in pinned:
            assert lit(page, column)
            expect(said).to_contain_text(f"{len(names)} {nouns[column]}")


# -- Default column ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("module,method,application,user", "Module"),
        ("ip,user,application", "IP address"),
        ("user,ip,method,module", "User"),
    ],
)
def test_the_default_column_comes_first_and_the_rest_is_arranged_based_on_it(
    visit: Open, demo: Site, columns: str, name: str
) -> None:
    page = visit(demo, f"{MONTH}&columns={columns}")
    default = columns.split(",")[0]
    expect(page.locator("table.usage thead th").first).to_contain_text(name)
    groups = answer(page, f"/v1/statistics/breakdown?by={default}&period=last_30_days")["rows"]

    shown = page.locator("tr.group > th bdi").all_inner_texts()
    assert shown == [row["name"] for row in groups][:50]
    for row, group in zip(page.locator("tr.group").all()[:5], groups, strict=False):
        expect(row).to_contain_text(figure(group["calls"]))
        expect(row).to_contain_text(figure(group["credits"]))


def test_one_click_makes_a_column_the_default_column(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.get_by_role("link", name="Group by Application").click()
    expect(page.locator("h1")).to_have_text("Usage by application")

    expect(page.locator("table.usage thead th").first).to_contain_text("Application")
    assert len(set(page.locator("tr.group > th").all_inner_texts())) == page.locator("tr.group").count()


@pytest.mark.parametrize("script", [True, False])
def test_a_group_opens_and_closes_and_carries_its_sums(visit: Open, demo: Site, script: bool) -> None:
    page = visit(demo, MONTH, java_script_enabled=script)
    rows = [row for row in combinations(page) if row["user"] == "maria.silva@acme.example"]
    group = page.locator("tr.group", has_text="maria.silva@acme.example")
    expect(group).to_contain_text(f"{len({row['ip'] for row in rows})} addresses")
    expect(group).to_contain_text(f"{len({row['application'] for row in rows})} applications")
    expect(group).to_contain_text(figure(sum(row["calls"] for row in rows)))
    toggle = group.locator(".toggle")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")

    assert "open=maria.silva" in page.url
    within = page.locator("tr.within")
    expect(within).to_have_count(len(rows))
    for shown, row in zip(within.all(), rows, strict=True):
        expect(shown).to_contain_text(row["ip"])
        expect(shown).to_contain_text(figure(row["credits"]))
    toggle.click()
    expect(within).to_have_count(0)


def test_two_groups_are_open_at_once_and_in_the_address(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&open=maria.silva@acme.example&open=arjun.silva@acme.example")

    expect(page.locator(".toggle[aria-expanded=true]")).to_have_count(2)


def test_the_only_group_there_is_stands_open(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&user=maria.silva@acme.example")

    expect(page.locator("tr.group")).to_have_count(1)
    expect(page.locator("tr.within")).not_to_have_count(0)


def test_a_group_with_very_many_combinations_shows_the_first_and_leads_to_all(
    visit: Open, demo: Site
) -> None:
    columns = "application,user,ip,module,method"
    page = visit(demo, f"{MONTH}&columns={columns}&application=Sales+desk")
    all_of = page.get_by_role("link", name="combinations of Sales desk")
    expect(page.locator("tr.within")).to_have_count(50)
    rows = [row for row in combinations(page, columns) if row["application"] == "Sales desk"]
    expect(all_of).to_have_text(f"all {figure(len(rows))} combinations of Sales desk")
    all_of.click()

    expect(page.locator("#turning")).to_contain_text(f"of {figure(len(rows))} combinations")


def test_several_values_of_a_group_lead_to_their_list(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.locator("tr.group", has_text="maria.silva@acme.example").get_by_role(
        "link", name="9 addresses"
    ).click()

    expect(page.locator("h1")).to_have_text("Usage by IP address")
    expect(page.locator("tr.group")).to_have_count(9)


# -- Hover the pointer to the information and you can see the connection between the records ----------------------------


def test_hover_the_pointer_to_the_information_and_you_can_see_the_connection_between_the_records(
    visit: Open, demo: Site
) -> None:
    page = visit(demo, FLAT)
    rows = combinations(page)
    before = page.locator("#rows").bounding_box()
    value(page, "198.51.100.7").hover()
    expect(page.locator("#linked [role=status]")).to_contain_text("198.51.100.7: ")

    check_linked(page, rows, ip="198.51.100.7")
    expect(page.locator("#linked")).to_contain_text("Click to pin, Esc to clear.")
    assert page.locator("#rows").bounding_box() == before
    faded = page.locator("#rows td[data-column]:not(.on) > *").first
    expect(faded).to_have_css("opacity", "0.4")
    page.locator("h1").hover()
    expect(page.locator("#rows.linking")).to_have_count(0)


def test_focus_shows_what_the_pointer_shows(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    rows = combinations(page)
    value(page, "Nightly sync").focus()
    expect(page.locator("#linked [role=status]")).to_contain_text("Nightly sync: ")

    check_linked(page, rows, application="Nightly sync")


def test_a_click_pins_a_second_pin_narrows_and_escape_clears(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    rows = combinations(page)
    value(page, "maria.silva@acme.example").click()
    expect(page.locator("#linked")).to_contain_text("Filter by this")
    check_linked(page, rows, user="maria.silva@acme.example")
    value(page, "sync@acme.example").hover()
    expect(page.locator("#linked [role=status]")).to_contain_text("maria.silva@acme.example")
    value(page, "Sales desk").click()
    expect(page.locator("#linked [role=status]")).to_contain_text("maria.silva@acme.example and Sales desk: ")
    check_linked(page, rows, user="maria.silva@acme.example", application="Sales desk")
    page.keyboard.press("Escape")

    expect(page.locator("#rows.linking")).to_have_count(0)
    expect(page.locator("#linked")).not_to_contain_text("Filter by this")
    assert page.url.endswith(FLAT)


def test_pins_become_filters(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    value(page, "maria.silva@acme.example").click()
    value(page, "Sales desk").click()
    expect(page.locator("#linked [role=status]")).to_contain_text(" and Sales desk")
    page.get_by_role("link", name="Filter by this").click()
    expect(page.locator(".chip")).to_have_count(2)

    page.get_by_role("link", name="Remove the filter User").click()
    expect(page.locator(".chip")).to_have_count(1)


def test_a_pin_is_excluded(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    value(page, "poller@acme.example").click()
    page.get_by_role("link", name="Exclude").click()

    expect(page.locator(".chip")).to_contain_text("User is not poller@acme.example")
    expect(value(page, "poller@acme.example")).to_have_count(0)


def test_connections_come_for_the_whole_period_not_from_the_rows_on_the_page(
    visit: Open, site: Site, server: Server
) -> None:
    events = [
        {"user": f"user {n:03}", "application": "Everywhere", "ip": f"10.0.{n // 250}.{n % 250}"}
        for n in range(230)
    ]
    events += [
        {"user": "user 007", "application": "Elsewhere"},
        {"user": "nobody else", "application": "Elsewhere"},
    ]
    assert server.post(json=events).status_code == 202
    page = visit(site, "/table?columns=application,user&rows=flat&page_size=200&sort=-user")
    expect(page.locator("#rows tbody tr")).to_have_count(200)
    # An answer names 200 users; those beyond that are on the page are asked for by name.
    value(page, "Everywhere").hover()
    expect(page.locator("#linked")).to_contain_text("Everywhere: 230 users, 230 calls, 230 credits.")

    shown = set(page.locator("#rows tbody [data-column=user] bdi").all_inner_texts())
    assert lit(page, "user") == shown - {"nobody else"}
    assert len(shown) > 190


# -- Sort order --------------------------------------------------------------------------------------------------------


def test_click_sort_order_to_sort_the_table_in_the_required_view(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    heading = page.locator("table.usage thead th", has_text="Application")
    heading.locator("a").first.click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#sorted")).to_have_text("sorted by application, A to Z")
    page.locator("table.usage thead th", has_text="Calls").locator("a").first.click(modifiers=["Shift"])

    expect(page.locator("#sorted")).to_have_text("sorted by application, A to Z, then calls, most first")
    assert "sort=application%2C-calls" in page.url
    expect(
        page.locator("table.usage thead th[aria-sort=ascending], table.usage thead th[aria-sort=descending]")
    ).to_have_count(1)
    wanted = sorted(combinations(page), key=lambda row: (row["application"], -row["calls"]))
    shown = page.locator("#rows tbody tr > :nth-child(4)").all_inner_texts()
    assert shown == [figure(row["calls"]) for row in wanted[:50]]


@pytest.mark.parametrize("script", [True, False])
def test_a_further_sort_key_is_chosen_from_a_list(visit: Open, demo: Site, script: bool) -> None:
    page = visit(demo, f"{FLAT}&sort=-integration_tasks", java_script_enabled=script)
    page.get_by_label("then by").select_option(label="user, A to Z")
    if not script:
        page.locator(".then-by button").click()

    expect(page.locator("#sorted")).to_have_text("sorted by integration tasks, most first, then user, A to Z")


def test_groups_are_sorted_by_how_many_values_they_have(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&columns=application,user")
    page.locator("table.usage thead th", has_text="User").locator("a").first.click()
    expect(page.locator("#sorted")).to_have_text("sorted by users, most first")
    rows = combinations(page, "application,user")
    counts = {
        name: sum(row["application"] == name for row in rows) for name in {row["application"] for row in rows}
    }

    assert page.locator("tr.group > th bdi").all_inner_texts() == sorted(
        counts, key=lambda name: (-counts[name], name)
    )


# -- With the keyboard alone, on a phone, without script ---------------------------------------------------------------


def tab_to(page: Page, name: str) -> None:
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate(
            "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
        ).startswith(name):
            return
    raise AssertionError(f"{name} is not reached by Tab.")


def test_the_keyboard_alone_sorts_opens_pins_and_filters(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    tab_to(page, "Calls▾")
    page.keyboard.press("Enter")
    expect(page.locator("#sorted")).to_contain_text("sorted by calls, fewest first")
    expect(page.locator("[data-control='sort calls']")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#sorted")).to_contain_text("sorted by calls, most first")
    expect(page.locator("[data-control='sort calls']")).to_be_focused()
    tab_to(page, "Credits, sort")
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#sorted")).to_contain_text("then credits, most first")
    expect(page.locator("[data-control='sort credits']")).to_be_focused()
    tab_to(page, "maria.silva@acme.example, ")
    page.keyboard.press("Enter")
    expect(page.locator(".toggle[aria-expanded=true]")).to_be_focused()
    tab_to(page, "maria.silva@acme.example")
    page.keyboard.press("Enter")
    expect(page.locator("#linked")).to_contain_text("Filter by this")
    page.keyboard.press("Escape")
    expect(page.locator("#rows.linking")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator("#linked")).to_contain_text("Click again to filter")
    page.keyboard.press("Enter")

    expect(page.locator(".chip")).to_contain_text("maria.silva@acme.example")


def test_on_a_phone_nothing_but_the_table_scrolls_sideways_and_nothing_jumps(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&open=maria.silva@acme.example", viewport=NARROW)
    before = page.locator("#rows").bounding_box()
    value(page, "sync@acme.example").click()
    expect(page.locator("#linked")).to_contain_text("Filter by this")

    assert page.locator("#rows").bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ways = page.get_by_role("link", name="Filter by this").bounding_box()
    assert ways
    assert before
    assert ways["y"] + ways["height"] <= before["y"]


def test_long_and_strange_values_stay_in_their_place(visit: Open, site: Site, server: Server) -> None:
    long = "x" * 120 + "<b>&amp;</b>"
    server.post(json=[{"user": long, "application": "مزامنة"}, {"user": long}, {"user": "<i>a</i>%_\\"}])
    page = visit(site, "/table?columns=user,application")
    value(page, long).hover()
    expect(page.locator("#linked [role=status]")).to_contain_text("2 applications, 2 calls")

    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    value(page, "<i>a</i>%_\\").hover()
    expect(page.locator("#linked [role=status]")).to_contain_text("1 application, 1 call, 1 credit.")
