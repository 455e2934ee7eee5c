"""The calls behind a number, one by one, each with why it cost what it did."""

import csv
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure
from tests.server import Server, command_here

MONTH = "/calls?period=last_30_days"
EVENTS = [
    {
        "application": "Sales desk",
        "user": "maria@acme.example",
        "request": {"method": "POST", "path": "/crm/v8/Leads"},
        "records": 25,
        "status": 201,
    },
    {"function": "Assign", "application": "Workflows", "module": "Leads", "method": "records.update"},
    {"application": "<b>desk</b>", "user": "مرحبا", "credits": 40},
    {"application": "long " * 1_900},
]


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """A server with four calls priced by Zoho's list, the last one the newest."""
    assert command_here("schedule", "use", "acme", "zoho-crm", data=server.data).returncode == 0
    for event in EVENTS:
        assert server.post(json=event).json()["accepted"] == 1
    return server


def rows(page: Page) -> list[list[str]]:
    """The cells of each row."""
    found = [row.locator("th, td").all_inner_texts() for row in page.locator("#rows tbody tr").all()]
    return [[" ".join(text.split()) for text in cells] for cells in found]


def listed(page: Page, question: str = "") -> list[dict[str, Any]]:
    return answer(page, f"/v1/events?period=last_30_days{question}")["events"]  # type: ignore[no-any-return]


def test_calls_are_listed_newest_first_in_the_organisation_s_time(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)

    wanted = listed(page)
    times = [row.get_attribute("datetime") for row in page.locator("#rows time").all()]
    assert times == [event["time"].replace("Z", "+00:00") for event in wanted]
    assert times == sorted(times, key=lambda text: text or "", reverse=True)
    shown = rows(page)
    assert [row[2] for row in shown] == [event["user"] or "(unknown)" for event in wanted]
    assert [row[5] for row in shown] == [event["method"] or "(unknown)" for event in wanted]


def test_the_heading_agrees_with_the_table_view(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&module=Leads")
    summary = answer(page, "/v1/statistics/summary?period=last_30_days&module=Leads")

    expect(page.locator("#calls .sum")).to_contain_text(
        f"{figure(summary['calls'])} calls · {figure(summary['credits_used'])} credits · newest first"
    )
    assert {row[4] for row in rows(page)} == {"Leads"}


def test_older_and_newer_lead_through_the_list(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    wanted = [event["time"] for event in listed(page, "&limit=150")]
    first = page.locator("#rows time").first
    last = page.locator("#rows time").last
    page.get_by_role("link", name="Older").click()
    expect(first).to_have_attribute("datetime", wanted[50])
    page.get_by_role("link", name="Older").click()
    expect(first).to_have_attribute("datetime", wanted[100])
    expect(last).to_have_attribute("datetime", wanted[149])
    page.get_by_role("link", name="Newer").click()
    expect(first).to_have_attribute("datetime", wanted[50])
    page.reload()  # the address holds the place
    expect(first).to_have_attribute("datetime", wanted[50])
    page.get_by_role("link", name="Newest").click()
    expect(first).to_have_attribute("datetime", wanted[0])
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)


def test_a_filter_or_period_begins_at_the_newest_again(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**cursor=**")
    page.locator("#rows").get_by_role("link", name="Leads", exact=True).first.click()
    expect(page.locator(".chip")).to_contain_text("Leads")

    assert "cursor" not in page.url
    expect(page.locator("#rows time").first).to_have_attribute(
        "datetime", listed(page, "&module=Leads")[0]["time"]
    )


def test_why_says_rule_and_formula(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?user=maria%40acme.example")
    page.locator("#rows summary").click()

    expect(page.locator("#rows details")).to_contain_text(
        "zoho-crm: method records.create or records.update or records.upsert"
    )
    expect(page.locator("#rows details")).to_contain_text(
        "1 credit for every 10 records begun, at most 10 → 25 records: 3 credits"
    )


def test_why_is_opened_by_the_keyboard(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?user=maria%40acme.example")
    page.locator("#rows summary").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#rows details p").first).to_be_visible()


def test_an_estimate_a_given_price_and_a_function_say_so(visit: Open, site: Site, filled: Server) -> None:
    shown = rows(visit(site, "/calls"))

    assert [row[9] for row in shown] == ["1", "40", "≈ estimated: 1", "3"]
    assert shown[2][1] == "Assign function of Workflows"
    assert "an unknown number of records: 1 credit, estimated: from 1 to 10" in shown[2][10]
    assert shown[1][10] == "credits given by the event"
    assert shown[1][1] == "<b>desk</b>"


def test_names_of_any_length_and_direction_stay_in_their_columns(
    visit: Open, site: Site, filled: Server
) -> None:
    for viewport in ({"width": 1440, "height": 900}, NARROW):
        page = visit(site, "/calls", viewport=viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.locator("#rows tbody tr").first.evaluate("e => e.getBoundingClientRect().height") < 120


def test_on_a_phone_the_calls_scroll_in_their_own_frame(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, viewport=NARROW)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#calls .scroll").evaluate("e => e.scrollWidth > e.clientWidth")


def test_nothing_found_shows_the_way_back(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?user=nobody")
    expect(page.locator(".nothing")).to_contain_text("No calls in this period with these filters.")
    page.get_by_role("link", name="Show without filters").click()

    expect(page.locator("#rows tbody tr")).to_have_count(4)


def test_a_page_past_the_end_leads_to_the_newest(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?cursor=o0.0")
    page.get_by_role("link", name="Go to the newest calls").click()

    expect(page.locator("#rows tbody tr")).to_have_count(4)


def test_a_wrong_cursor_is_told(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?cursor=seven", quiet=False)

    expect(page.locator("[data-message]")).to_contain_text("cursor is 'seven'")


def test_the_calls_are_taken_along(visit: Open, site: Site, filled: Server) -> None:
    page = visit(site, "/calls?application!=Sales+desk")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV of 3 calls").click()

    assert waiting.value.suggested_filename == "calls.csv"
    text = Path(waiting.value.path()).read_text()
    assert [row["credits"] for row in csv.DictReader(StringIO(text))] == ["1", "40", "1"]


def test_without_script_the_list_works(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, java_script_enabled=False)
    wanted = [event["time"] for event in listed(page, "&limit=60")]
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#rows time").first).to_have_attribute("datetime", wanted[50])
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("#rows time").first).to_have_attribute("datetime", wanted[0])
