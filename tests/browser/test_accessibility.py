"""axe-core finds no violation on any page, in light and dark, wide and narrow."""

from typing import get_args

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.conftest import NARROW, WIDE, Fresh, Open, Site, Theme

PAGES = {
    "dashboard": "/",
    "a range of days": "/?period=last_30_days",
    "a day, as lists": "/?period=yesterday&applications=list&time=list&modules=list&ips=list&users=list",
    "compared, stacked by module": "/?period=yesterday&compare=previous&stack=module",
    "every hour": "/?period=yesterday&time=list&stack=status",
    "flows": "/flows?period=last_30_days",
    "filtered": "/?user=&application!=Nightly+sync",
    "nothing to show": "/?user=nobody",
    "table": "/table",
    "table, another order": "/table?columns=module,method,status,version&sort=-credits&period=last_30_days",
    "table, a group open": "/table?period=last_30_days&open=maria.silva@acme.example",
    "table, every combination": "/table?columns=function,module,user&rows=flat",
    "filters to choose": "/?user=maria.silva@acme.example&filter=user&show=values",
    "tasks of a function": "/tasks?function=Assign+lead+owner&period=last_30_days",
    "an empty table": "/table?user=nobody",
    "calls": "/calls?period=last_30_days",
    "no calls": "/calls?user=nobody",
    "integration tasks": "/tasks?module=Leads",
    "the proof": "/verify",
    "nothing here": "/nowhere",
    "a typo": "/?perod=today",
}
THEMES: tuple[Theme, ...] = get_args(Theme)
LOOKS: tuple[tuple[Theme, ViewportSize], ...] = (("light", WIDE), ("dark", NARROW))
"""Both themes and both widths; colours come with the theme and the order of things with the width."""


def violations(page: Page) -> list[str]:
    """What axe-core holds against a page, as it is now: rule, elements and why."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("theme", "size"), LOOKS, ids=["light, wide", "dark, narrow"])
@pytest.mark.parametrize("name", PAGES)
def test_no_violation_on(visit: Open, demo: Site, name: str, theme: Theme, size: ViewportSize) -> None:
    page = visit(demo, PAGES[name], color_scheme=theme, viewport=size, quiet=False)
    if page.locator("[data-connection]").count():
        expect(page.locator("[data-connection]")).to_have_text("● live")

    assert violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_violation_before_the_first_call(visit: Open, site: Site, theme: Theme) -> None:
    assert violations(visit(site, "/", color_scheme=theme)) == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_violation_when_over_the_allowance(visit: Open, fresh: Fresh, theme: Theme) -> None:
    server, site = fresh("--allowance", "10", refresh_interval="0s")
    server.post(json=[{"application": "Loop", "credits": 25}])

    assert violations(visit(site, "/", color_scheme=theme)) == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_violation_signed_out(browser: Browser, demo: Site, theme: Theme) -> None:
    context = browser.new_context(base_url=demo.url, color_scheme=theme)
    page = context.new_page()
    page.goto("/")
    found = violations(page)
    context.close()

    assert found == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_violation_with_something_open(visit: Open, demo: Site, theme: Theme) -> None:
    page = visit(demo, "/table?columns=module,method&period=last_30_days", color_scheme=theme)
    for summary in page.locator("details.popover > summary").all():
        summary.click()
        assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("a.view-details").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()

    assert violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_violation_with_anything_of_the_dashboard_open(visit: Open, demo: Site, theme: Theme) -> None:
    page = visit(demo, "/", color_scheme=theme)
    for summary in page.locator("details.popover > summary").all():
        summary.click()
        assert violations(page) == []
