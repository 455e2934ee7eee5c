"""The dashboard on the demo's month: every control is used, every mark is a door."""

import re
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure

MONTH = "/?period=last_30_days"


def asked(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query, keep_blank_values=True)


def days_ago(page: Page, days: int) -> str:
    """A date of the organisation's calendar."""
    today = answer(page, "/v1/statistics/summary?period=today")["period"]["start"]
    return f"{datetime.fromisoformat(today).date() - timedelta(days=days)}"


def panel(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}")


def default_column(page: Page) -> str:
    return page.locator("table.usage thead th").first.inner_text().strip()


# -- API credits usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "period"),
    [
        ("Today", "today"),
        ("Last 30 days", "last_30_days"),
    ],
)
def test_used_and_unused_credits_of_each_period(visit: Open, demo: Site, label: str, period: str) -> None:
    page = visit(demo)
    page.get_by_role("group", name="Period").get_by_role("link", name=label).click()
    page.wait_for_url(re.compile(f"period={period}"))

    expect(page.get_by_role("link", name=label)).to_have_attribute("aria-current", "true")
    expect(page.locator("#h-usage")).to_contain_text(label)
    summary = answer(page, f"/v1/statistics/summary?period={period}")
    usage = page.locator("#usage")
    expect(usage.locator("div", has_text="Used credits").locator("dd").first).to_have_text(
        figure(summary["credits_used"])
    )
    expect(usage.locator("div", has_text="Unused credits").locator("dd")).to_have_text(
        figure(summary["credits_unused"])
    )
    expect(usage.locator("div", has_text="Average calls a day").locator("dd")).to_have_text(
        f"{summary['average_calls_per_day']:,.0f}"
    )
    expect(usage).to_contain_text(f"over {summary['average_over_days']} days")


def test_a_specific_date_is_chosen_from_the_calendar(visit: Open, demo: Site) -> None:
    page = visit(demo)
    day = days_ago(page, 9)
    page.locator("summary", has_text="Specific date").click()
    page.locator(f".month a[href*='period={day}']").click()
    page.wait_for_url(re.compile(f"period={day}"))

    assert answer(page, f"/v1/statistics/summary?period={day}")["calls"] > 1_000
    expect(page.locator("#time h2")).to_have_text("Calls by hour")


def test_the_page_says_how_old_its_statistics_are(visit: Open, demo: Site) -> None:
    expect(visit(demo).locator("#usage .fresh")).to_contain_text(
        re.compile(r"Statistics as of \d\d:\d\d, next refresh at \d\d:\d\d\.")
    )


def test_the_counter_of_the_demo_moves_by_itself(visit: Open, demo: Site) -> None:
    page = visit(demo)
    expect(page.locator("[data-connection]")).to_have_text("● live")
    before = page.locator("#answer .detail").inner_text()

    expect(page.locator("#answer .detail")).not_to_have_text(before, timeout=30_000)


# -- Applications -----------------------------------------------------------------------------------------------------


def test_the_doughnut_shows_applications_and_functions_with_their_credits(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    callers = answer(page, "/v1/statistics/breakdown?by=caller&limit=5&period=last_30_days")
    legend = panel(page, "applications").locator(".legend li")

    for row, shown in zip(callers["rows"], legend.all()[:5], strict=True):
        expect(shown).to_contain_text(row["name"])
        expect(shown).to_contain_text(f"{row['credits']:,} credits")
        assert ("function" in shown.inner_text()) == (row["kind"] == "function")
    expect(legend.last).to_contain_text(f"{callers['others']['calls']:,} calls")
    expect(panel(page, "applications").locator("svg path")).not_to_have_count(0)


def test_a_click_on_an_application_opens_its_table(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "applications").locator(".legend").get_by_role("link", name="Sales desk").click()
    page.wait_for_url("**/table**")

    assert default_column(page).startswith("Application")
    assert {("application", "Sales desk"), ("period", "last_30_days")} <= set(asked(page))
    names = page.locator("table.usage tbody th").all_inner_texts()
    assert names
    assert set(names) == {"Sales desk"}


def test_a_click_on_a_function_opens_its_tasks(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "applications").locator(".legend").get_by_role("link", name="Assign lead owner").click()
    page.wait_for_url("**/table**")
    tasks = answer(
        page, "/v1/statistics/integration-tasks?function=Assign%20lead%20owner&period=last_30_days"
    )

    rows = page.locator("table.usage tr.within")
    expect(rows).to_have_count(len(tasks["rows"]))
    for row, task in zip(rows.all(), tasks["rows"], strict=True):
        expect(row).to_contain_text(task["module"])
        expect(row).to_contain_text(figure(task["tasks"]))
        expect(row).to_contain_text(figure(task["credits"]))


def test_a_click_on_a_mark_of_the_doughnut_is_a_click_on_its_name(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    chart = panel(page, "applications").locator(".canvas svg")
    expect(chart.locator("path")).not_to_have_count(0)
    box = chart.bounding_box()
    assert box
    # Just right of twelve o'clock, in the ring: the first mark.
    page.mouse.click(box["x"] + box["width"] / 2 + 12, box["y"] + box["height"] / 2 - 80)
    page.wait_for_url("**/table**")

    first = answer(page, "/v1/statistics/breakdown?by=caller&limit=1&period=last_30_days")["rows"][0]
    assert ("application", first["name"]) in asked(page)


def test_the_list_button_shows_the_five_most_used(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "applications").get_by_role("link", name="List").click()
    page.wait_for_url("**applications=list**")

    callers = answer(page, "/v1/statistics/breakdown?by=caller&limit=5&period=last_30_days")
    names = panel(page, "applications").locator("tbody th bdi").all_inner_texts()
    assert names[:5] == [row["name"] for row in callers["rows"]]

    panel(page, "applications").get_by_role("link", name="Graph").click()
    expect(panel(page, "applications").locator(".doughnut")).to_be_visible()


# -- Modules, IP addresses, users ---------------------------------------------------------------------------------------


def test_the_tops_by_calls_lead_to_the_table_with_their_default_column(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    for name, by, count in (("modules", "module", 5), ("ips", "ip", 5), ("users", "user", 3)):
        top = answer(page, f"/v1/statistics/breakdown?by={by}&limit={count}&period=last_30_days")["rows"]
        rows = panel(page, name).locator(".bars li")
        expect(rows).to_have_count(count)
        for row, shown in zip(top, rows.all(), strict=True):
            expect(shown).to_contain_text(row["name"])
            expect(shown).to_contain_text(f"{row['calls']:,} calls")

    rows.first.get_by_role("link").first.click()
    page.wait_for_url("**/table**")
    assert default_column(page).startswith("User")
    assert ("user", top[0]["name"]) in asked(page)


def test_the_list_button_of_modules_shows_the_top_five_methods(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "modules").get_by_role("link", name="Methods").click()
    expect(panel(page, "modules").locator("h2")).to_have_text("Methods")

    top = answer(page, "/v1/statistics/breakdown?by=method&limit=5&period=last_30_days")["rows"]
    names = panel(page, "modules").locator("tbody th").all_inner_texts()
    assert names == [row["name"] for row in top]


@pytest.mark.parametrize("name", ["ips", "users"])
def test_lists_say_the_same_as_their_graphs(visit: Open, demo: Site, name: str) -> None:
    page = visit(demo, MONTH)
    graph = panel(page, name).locator(".bars bdi").all_inner_texts()
    panel(page, name).get_by_role("link", name="List").click()
    expect(panel(page, name).locator("table")).to_be_visible()

    assert panel(page, name).locator("tbody th").all_inner_texts() == graph


def test_view_all_leads_to_everything(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    for name, by in (
        ("applications", "application"),
        ("modules", "module"),
        ("users", "user"),
        ("ips", "ip"),
    ):
        link = panel(page, name).get_by_role("link", name="View all")
        expect(link).to_have_attribute("href", re.compile(f"^/table[?].*columns={by}(%2C|&|$)"))

    link.click()
    page.wait_for_url("**/table**")
    assert default_column(page).startswith("IP address")
    total = answer(page, "/v1/statistics/summary?period=last_30_days")["calls"]
    expect(page.locator(".table-head .sum")).to_contain_text(f"{total:,} calls")


# -- Time ---------------------------------------------------------------------------------------------------------------


def test_the_time_chart_is_by_day_for_a_range_and_by_hour_for_a_day(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    expect(page.locator("#time h2")).to_have_text("Calls by day")
    page.get_by_role("link", name="Yesterday").click()
    expect(page.locator("#time h2")).to_have_text("Calls by hour")


def test_a_day_of_the_time_chart_leads_to_that_day(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    chart = page.locator("#time .canvas svg")
    expect(chart.locator("path")).not_to_have_count(0)
    box = chart.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 60, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile(r"period=\d{4}-\d\d-\d\d"))

    expect(page.locator("#time h2")).to_have_text("Calls by hour")


def test_calls_or_credits(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "time").get_by_role("link", name="Credits", exact=True).click()
    expect(page.locator("#time h2")).to_have_text("Credits by day")
    panel(page, "time").get_by_role("link", name="Calls", exact=True).click()
    expect(page.locator("#time h2")).to_have_text("Calls by day")


def test_the_time_chart_as_a_list_says_every_step(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "time").get_by_role("link", name="List").click()
    series = answer(page, "/v1/statistics/series?period=last_30_days")["points"]

    expect(panel(page, "time").locator("tbody tr")).to_have_count(30)
    shown = [row.locator("td").first.inner_text() for row in panel(page, "time").locator("tbody tr").all()]
    assert shown == [figure(point["calls"]) for point in series]


# -- Filters, and what is around ------------------------------------------------------------------------------------------


def test_a_filter_holds_in_every_panel_and_in_the_address(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.locator("summary", has_text="+ Filter").click()
    page.get_by_label("Field").select_option("module")
    page.get_by_role("checkbox", name="Leads").check()
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**module=Leads**")

    only = answer(page, "/v1/statistics/summary?period=last_30_days&module=Leads")
    expect(page.locator("#usage")).to_contain_text(figure(only["calls"]))
    expect(panel(page, "modules").locator(".bars li")).to_have_count(1)
    total = answer(page, "/v1/statistics/breakdown?by=user&limit=1&period=last_30_days&module=Leads")
    expect(panel(page, "users").locator(".bars li").first).to_contain_text(figure(total["rows"][0]["calls"]))

    page.get_by_role("link", name="Remove the filter Module Leads").click()
    expect(page.locator(".chip")).to_have_count(0)


def test_two_filters_are_cleared_at_once(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&module=Leads&user=")
    expect(page.locator(".chip")).to_have_count(2)
    expect(page.locator(".chip", has_text="User")).to_contain_text("(unknown)")
    page.get_by_role("link", name="Clear filters").click()

    expect(page.locator(".chip")).to_have_count(0)
    assert asked(page) == [("period", "last_30_days")]


def test_going_back_shows_what_was_there(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "users").get_by_role("link", name="List").click()
    page.wait_for_url("**users=list**")
    page.get_by_role("link", name="Yesterday").click()
    page.wait_for_url("**yesterday**")
    expect(panel(page, "users").locator("table")).to_be_visible()

    page.evaluate("history.back()")
    expect(page.locator("#h-usage")).to_contain_text("Last 30 days")
    expect(panel(page, "users").locator("table")).to_be_visible()
    page.evaluate("history.back()")
    expect(panel(page, "users").locator(".bars")).to_be_visible()
    expect(page.get_by_role("link", name="Last 30 days")).to_have_attribute("aria-current", "true")


def test_the_footer_proves_the_numbers(visit: Open, demo: Site) -> None:
    page = visit(demo)
    page.get_by_role("link", name="Verify these numbers").click()
    expect(page.locator("#proof")).to_contain_text(re.compile(r"Difference 0 over [\d,]+ calls, checked at"))
    page.get_by_role("link", name="Check again").click()
    expect(page.locator("#proof")).to_contain_text("Difference 0")


def test_the_theme_is_switched_and_remembered(visit: Open, demo: Site) -> None:
    page = visit(demo)
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Switch to dark colours").click()
    dark = page.evaluate(colour)
    page.reload()

    assert light != dark == page.evaluate(colour)
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


def test_every_control_is_reached_by_keyboard_and_shows_its_focus(visit: Open, demo: Site) -> None:
    page = visit(demo)
    reached: set[str] = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(e => e.matches(':focus-visible') && getComputedStyle(e).outlineStyle !== 'none'"
            " ? (e.getAttribute('aria-label') || e.textContent).trim() : '')(document.activeElement)"
        )
        reached.add(name)
    for control in ("Skip to the content", "Table", "Sign out", "Yesterday", "+ Filter", "List", "Credits"):
        assert control in reached
    assert any(name.startswith("View all") for name in reached)


def test_on_a_phone_the_period_is_a_select_and_nothing_scrolls_sideways(visit: Open, demo: Site) -> None:
    page = visit(demo, viewport=NARROW)
    page.locator(".periods-short select").select_option("yesterday")
    page.wait_for_url("**yesterday**")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    order = [panel(page, name).bounding_box() for name in ("time", "applications", "modules", "users", "ips")]
    tops = [box["y"] for box in order if box]
    assert tops == sorted(tops)


def test_without_script_everything_but_graphs_and_counter_works(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, java_script_enabled=False)
    page.get_by_role("link", name="Show it as a list").click()
    expect(panel(page, "time").locator("tbody tr")).to_have_count(30)
    page.locator("summary", has_text="Specific date").click()
    page.locator(f".month a[href*='period={days_ago(page, 5)}']").click()
    expect(page.locator("#h-usage")).to_contain_text("20")
    page.locator("summary", has_text="+ Filter").click()
    page.get_by_role("button", name="Show values").click()
    page.get_by_role("checkbox", name="Sales desk").check()
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".chip")).to_contain_text("Sales desk")
