"""Comparing with the period before, remembered switches, connections as a picture, and taking graphs along."""

import csv
import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Download, Page, expect

from tests.browser.conftest import NARROW, Fresh, Open, Site, answer
from tests.browser.test_dashboard import MONTH, asked, days_ago, panel

CONNECTIONS = f"/flows{MONTH[1:]}"


# -- Compared with the period before -----------------------------------------------------------------------------------------


def test_figures_are_compared_with_the_period_before_in_words_and_with_an_arrow(
    visit: Open, demo: Site
) -> None:
    page = visit(demo, "/?period=yesterday")
    page.get_by_role("link", name="Compare with the period before").click()
    page.wait_for_url("**compare=previous**")
    summary = answer(page, "/v1/statistics/summary?period=yesterday&compare=previous")
    now, before = summary["calls"], summary["previous"]["calls"]

    assert before == answer(page, f"/v1/statistics/summary?period={days_ago(page, 2)}")["calls"]
    words = "more" if now > before else "fewer"
    expect(page.locator(".compared")).to_contain_text(f"{words} than the day before: {before:,}")
    expect(page.locator(".period-figures .change").first).to_contain_text(re.compile("[▲▼=]"))
    page.get_by_role("link", name="Stop comparing").click()
    expect(page.locator(".change")).to_have_count(0)


def test_each_row_is_compared(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday&compare=previous")
    for name, by in (("applications", "caller"), ("modules", "module"), ("ips", "ip"), ("users", "user")):
        rows = answer(page, f"/v1/statistics/breakdown?by={by}&limit=3&period=yesterday&compare=previous")[
            "rows"
        ]
        for row, change in zip(rows, panel(page, name).locator(".change").all(), strict=False):
            before = row["previous"]["calls"]
            expect(change).to_have_attribute("title", re.compile(f"the day before(: {before:,})?$"))


def test_what_is_no_longer_kept_is_not_compared_and_says_why(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&compare=previous")

    expect(page.locator(".compared")).to_contain_text("Nothing to compare with: statistics go back to")
    expect(page.locator(".change")).to_have_count(0)


# -- Remembered ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_list_or_graph_is_remembered_and_the_address_wins(visit: Open, demo: Site, script: bool) -> None:
    page = visit(demo, java_script_enabled=script)
    panel(page, "users").get_by_role("link", name="List").click()
    expect(panel(page, "users").locator("table")).to_be_visible()
    page.goto("/table")
    page.goto("/")
    expect(panel(page, "users").locator("table")).to_be_visible()
    assert ("users", "list") in asked(page)

    page.goto("/?users=graph")
    expect(panel(page, "users").locator(".bars")).to_be_visible()
    page.goto("/")
    expect(panel(page, "users").locator("table")).to_be_visible()

    panel(page, "users").get_by_role("link", name="Graph").click()
    expect(panel(page, "users").locator(".bars")).to_be_visible()
    page.goto("/")
    expect(panel(page, "users").locator(".bars")).to_be_visible()


def test_a_link_that_somebody_sent_changes_nobody_s_preference(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?users=list")
    page.get_by_role("link", name="Yesterday").click()
    page.wait_for_url("**yesterday**")
    page.goto("/")

    expect(panel(page, "users").locator(".bars")).to_be_visible()


def test_a_spoilt_cookie_is_no_harm(visit: Open, demo: Site) -> None:
    page = visit(demo)
    for value in ("users=pie&nothing=list&=%", "x" * 2_000):
        page.context.add_cookies([{"name": "meterboard-view", "value": value, "url": demo.url}])
        page.goto("/")
        expect(panel(page, "users").locator(".bars")).to_be_visible()


# -- Connections --------------------------------------------------------------------------------------------------------------


def test_connections_are_a_picture_and_the_same_as_lists(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "applications").get_by_role("link", name="See how they are connected").click()
    page.wait_for_url("**/flows**")
    expect(page.locator("[data-chart=sankey] svg path")).not_to_have_count(0)
    flows = answer(page, "/v1/statistics/flows?period=last_30_days")

    total = answer(page, "/v1/statistics/summary?period=last_30_days")["calls"]
    assert sum(path["calls"] for path in flows["paths"]) == total
    for list_of_flows in page.locator("table.flows").all():
        calls = [
            int(text.replace(",", ""))
            for text in list_of_flows.locator("tbody td:nth-child(3)").all_inner_texts()
        ]
        assert sum(calls) == total
    for nodes in page.locator(".nodes ul").all():
        counted = [int(text.replace(",", "")) for text in nodes.locator("b").all_inner_texts()]
        assert sum(counted) == total


def test_each_flow_and_the_others_lead_to_exactly_their_rows(visit: Open, demo: Site) -> None:
    page = visit(demo, CONNECTIONS)
    flow = page.locator("table.flows").first.locator("tbody tr", has_text="others").first
    calls = flow.locator("td").nth(1).inner_text()
    flow.get_by_role("link").first.click()
    page.wait_for_url("**/table**")
    expect(page.locator(".table-head .sum")).to_contain_text(f"{calls} calls")

    page.goto(CONNECTIONS)
    node = page.locator(".nodes ul").nth(1).locator("li").last
    calls = node.locator("b").inner_text()
    node.get_by_role("link").first.click()
    page.wait_for_url("**/table**")
    expect(page.locator(".table-head .sum")).to_contain_text(f"{calls} calls")


def test_a_click_on_a_mark_of_the_picture_opens_its_rows(visit: Open, demo: Site) -> None:
    page = visit(demo, CONNECTIONS)
    picture = page.locator("[data-chart=sankey] svg")
    expect(picture.locator("path")).not_to_have_count(0)
    box = picture.bounding_box()
    assert box
    page.mouse.click(box["x"] + 5, box["y"] + 30)
    page.wait_for_url("**/table**")

    assert "application" in dict(asked(page))


def test_the_columns_of_the_picture_are_chosen_in_a_form(visit: Open, demo: Site) -> None:
    page = visit(demo, CONNECTIONS, java_script_enabled=False)
    page.get_by_label("First column").select_option("module")
    page.get_by_label("Second column").select_option("method")
    page.get_by_label("Third column").select_option("")
    page.get_by_role("button", name="Show", exact=True).last.click()

    expect(page.locator("h1")).to_have_text("Module → Method")
    expect(page.locator("table.flows")).to_have_count(1)


def test_one_call_without_any_value_is_unknown_on_every_page(visit: Open, fresh: Fresh) -> None:
    server, site = fresh()
    server.post(json={})
    page = visit(site, "/flows", viewport=NARROW)

    expect(page.locator(".nodes")).to_contain_text("(unknown)")
    expect(page.locator("[data-chart=sankey] svg path")).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto("/")
    for name in ("applications", "modules", "ips", "users"):
        expect(panel(page, name)).to_contain_text("(unknown)")
    expect(panel(page, "applications")).to_contain_text("1 call")


def test_connections_without_calls_say_so(visit: Open, demo: Site) -> None:
    expect(visit(demo, "/flows?user=nobody").locator(".nothing")).to_contain_text("No calls in this period")


# -- Taking along -------------------------------------------------------------------------------------------------------------


def taken(page: Page, name: str, button: str) -> Download:
    panel(page, name).locator(".download summary").click()
    with page.expect_download() as waiting:
        panel(page, name).get_by_role("button", name=button).click()
    return waiting.value


def test_each_graph_is_taken_along_as_svg_with_its_title_and_names(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday")
    expect(page.locator("#time .canvas svg path")).not_to_have_count(0)
    for name in ("applications", "time", "modules", "ips", "users"):
        file = taken(page, name, "SVG")
        assert file.suggested_filename == f"meterboard-{name}.svg"
        text = " ".join(ElementTree.parse(file.path()).getroot().itertext())
        assert panel(page, name).locator("h2").inner_text() in text
        assert "Acme Corp" in text
        for shown in panel(page, name).locator("li bdi").all_inner_texts()[:3]:
            assert shown in text


def test_a_graph_is_taken_along_as_png_on_the_page_s_background(visit: Open, demo: Site) -> None:
    sizes = []
    for theme in ("light", "dark"):
        page = visit(demo, "/?period=yesterday", color_scheme=theme)
        expect(page.locator("#time .canvas svg path")).not_to_have_count(0)
        content = Path(taken(page, "time", "PNG").path()).read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(len(content))
    assert min(sizes) > 10_000


def test_the_connections_are_taken_along_too(visit: Open, demo: Site) -> None:
    page = visit(demo, CONNECTIONS)
    expect(page.locator("[data-chart=sankey] svg path")).not_to_have_count(0)

    assert taken(page, "connections", "PNG").suggested_filename == "meterboard-connections.png"


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_panel_s_numbers_are_taken_along_with_its_period_and_filters(
    visit: Open, demo: Site, script: bool
) -> None:
    page = visit(demo, "/?period=yesterday&module=Leads", java_script_enabled=script)
    panel(page, "users").locator(".download summary").click()
    if not script:
        expect(page.get_by_role("button", name="SVG")).to_have_count(0)
    with page.expect_download() as waiting:
        panel(page, "users").get_by_role("link", name="CSV").click()

    rows = list(csv.DictReader(StringIO(Path(waiting.value.path()).read_text())))
    asked_api = answer(page, "/v1/statistics/breakdown?by=user&period=yesterday&module=Leads")["rows"]
    assert [(row["name"], int(row["calls"])) for row in rows] == [
        (row["name"], row["calls"]) for row in asked_api
    ]


def test_the_dashboard_is_shared_by_a_link_that_stays_the_same(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?users=list")
    page.locator(".share summary").click()
    now = page.locator(".share").get_by_role("link", name="Fixed link")
    calls = page.locator("#usage dd").nth(2).inner_text()
    now.click()
    page.wait_for_url("**period=2**")

    expect(page.locator("#usage dd").nth(2)).to_have_text(calls)
    assert ("users", "list") in asked(page)


def test_the_link_is_copied(visit: Open, demo: Site) -> None:
    page = visit(demo)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=demo.url)
    page.locator(".share summary").click()
    page.get_by_role("button", name="Copy link").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    assert page.evaluate("navigator.clipboard.readText()") == f"{demo.url}/?period=last_24_hours"


def test_paper_has_the_graphs_and_none_of_the_controls(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday&compare=previous")
    expect(page.locator("#time .canvas svg path")).not_to_have_count(0)
    page.emulate_media(media="print")

    for control in (
        ".period",
        ".filters summary",
        ".actions",
        ".download",
        ".switch",
        ".stack",
        ".hint",
        "nav",
    ):
        for part in page.locator(control).all():
            expect(part).to_be_hidden()
    expect(page.locator("#time .canvas svg")).to_be_visible()
    expect(page.locator(".compared")).to_be_visible()


def test_everything_of_the_dashboard_is_right_with_one_unlimited_call(visit: Open, fresh: Fresh) -> None:
    server, site = fresh()
    server.post(json={"application": "desk", "module": "Leads"})
    for path in (
        "/?compare=previous",
        "/?time=list&stack=status&compare=previous",
        "/?period=today&stack=function",
    ):
        page = visit(site, path, viewport=NARROW)
        expect(page.locator("#time")).to_contain_text("Calls by hour")
        expect(page.locator("#usage")).to_contain_text("unlimited")
        expect(page.locator("h1")).to_have_text("1 credit used")
        expect(page.locator("progress")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
