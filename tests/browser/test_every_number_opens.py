"""Every number on every page leads to the calls behind it: exactly as many, at exactly that cost."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, Site, answer

LISTS = "applications=list&time=list&modules=list&ips=list&users=list"
PAGES = {
    "dashboard": "/?",
    "dashboard, filtered": "/?user!=maria.silva@acme.example&module=Leads&module=Deals",
    "dashboard, lists of a range": f"/?period=last_30_days&{LISTS}",
    "table": "/table?columns=module,method,user",
    "table, filtered": "/table?period=last_30_days&columns=function,application&function!=&user!=",
    "table, filtered twice": "/table?columns=user,ip&user=&user=sync@acme.example&application!=Nightly+sync",
    "dashboard, every hour": "/?period=yesterday&stack=module&time=list",
    "dashboard, bars made up of users": "/?period=last_30_days&stack=user&measure=credits",
    "dashboard, callers of every hour": "/?period=yesterday&time=list&module!=Leads",
    "flows": "/flows?period=last_30_days&module!=Leads",
    "details": "/tasks?module=Leads&period=last_30_days",
}
NUMBER = re.compile(r"(?<![\d.])\d[\d,]*(?! ?[%\d])")


def numbers(link: Locator) -> list[int]:
    """The numbers that a link shows, shares apart."""
    return [int(text.replace(",", "")) for text in NUMBER.findall(link.inner_text())]


def opened(page: Page) -> list[Locator]:
    return page.locator("main a[href^='/calls'], dialog a[href^='/calls']").all()


@pytest.mark.parametrize("name", PAGES)
def test_a_number_opens_as_many_calls_of_that_cost(visit: Open, demo: Site, name: str) -> None:
    page = visit(demo, PAGES[name])
    # The same calls are opened by their number and by their credits: each address is asked once.
    found: dict[str, list[int]] = {}
    for link in opened(page):
        found.setdefault(link.get_attribute("href") or "", []).extend(numbers(link))

    assert len(found) > 2
    for href, shown in found.items():
        behind = answer(page, href.replace("/calls", "/v1/statistics/summary", 1))
        assert set(shown) <= {behind["calls"], behind["credits_used"]}, href
        assert behind["calls"]


def test_numbers_of_a_panel_are_opened_beside_its_rows(visit: Open, demo: Site) -> None:
    page = visit(demo)
    row = page.locator("#modules .bars li").first
    calls = row.locator("b").inner_text()
    row.locator("a.figures").click()
    expect(page.locator("#calls .sum")).to_contain_text(f"{calls} calls")
    page.go_back()
    page.locator("#modules .bars li").first.click(position={"x": 5, "y": 25})

    expect(page.locator("h1")).to_have_text("Usage by module")


def test_a_day_opens_that_day_s_calls(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=last_30_days&time=list")
    step = page.locator("#time tbody tr").nth(3)
    calls, refused = (step.locator("td").nth(number).inner_text() for number in (0, 1))
    step.locator("td").first.locator("a").click()
    expect(page.locator("#calls .sum")).to_contain_text(f"{calls} calls")
    page.go_back()
    page.locator("#time tbody tr").nth(3).locator("td").nth(1).locator("a").click()

    expect(page.locator("#calls .sum")).to_contain_text(f"{refused} call")
    expect(page.locator(".chip")).to_contain_text("429")


def test_tasks_of_the_details_open_their_calls(visit: Open, demo: Site) -> None:
    page = visit(demo, "/table?period=last_30_days&columns=module,method&module=Leads")
    page.get_by_role("link", name="View details of the integration tasks in Leads").first.click()
    row = page.get_by_role("dialog").locator("tbody tr").first
    function = row.locator("th").inner_text()
    tasks = row.locator("td a").first
    count = tasks.inner_text()
    tasks.click()

    expect(page.locator("#calls .sum")).to_contain_text(f"{count} call")
    expect(page.locator("#filters")).to_contain_text(function)
    expect(page.locator("dialog")).to_be_hidden()
