"""The time chart and the calendar: zooming, stacking, days with data, and what an hour leads to."""

import re
from datetime import datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure
from tests.browser.test_dashboard import MONTH, asked, days_ago, panel

HOURS = re.compile(r"period=\d{4}-\d\d-\d\dT")


def chart(page: Page) -> dict[str, float]:
    """Where the time chart is, once it is drawn."""
    drawn = page.locator("#time .canvas svg")
    expect(drawn.locator("path")).not_to_have_count(0)
    box = drawn.bounding_box()
    assert box
    return {"left": box["x"], "top": box["y"], "width": box["width"], "height": box["height"]}


def drag(page: Page, start: float, end: float) -> None:
    """Across the chart, from one share of its width to another."""
    box = chart(page)
    y = box["top"] + box["height"] / 2
    page.mouse.move(box["left"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["left"] + box["width"] * end, y, steps=6)


def period_of(page: Page) -> str:
    return dict(asked(page))["period"]


def dates(page: Page) -> Locator:
    page.locator("summary", has_text="Specific date").click()
    return page.locator("#dates")


# -- Zooming --------------------------------------------------------------------------------------------------------------


def test_dragging_over_a_part_of_the_days_shows_those_days(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    drag(page, 0.3, 0.6)
    expect(page.locator("#time .zoom")).to_be_visible()
    page.mouse.up()
    page.wait_for_url(re.compile(r"period=\d{4}-\d\d-\d\d\.\."))

    first, last = (datetime.fromisoformat(day) for day in period_of(page).split(".."))
    assert 6 <= (last - first).days <= 12
    expect(page.locator("#time h2")).to_have_text("Calls by day")
    only = answer(page, f"/v1/statistics/summary?period={period_of(page)}")
    expect(page.locator("#usage")).to_contain_text(figure(only["calls"]))


def test_dragging_from_right_to_left_over_hours_shows_those_hours(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday&application=Sales+desk")
    drag(page, 0.8, 0.4)
    page.mouse.up()
    page.wait_for_url(HOURS)

    expect(page.locator("#time h2")).to_have_text("Calls by hour")
    assert ("application", "Sales desk") in asked(page)
    page.get_by_role("link", name="Zoom out").click()
    expect(page.get_by_role("link", name="Zoom out")).to_have_count(0)
    assert period_of(page) == days_ago(page, 1)


def test_escape_lets_go_of_a_drag(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    drag(page, 0.3, 0.6)
    page.keyboard.press("Escape")
    expect(page.locator("#time .zoom")).to_be_hidden()
    page.mouse.up()

    assert period_of(page) == "last_30_days"


def test_an_hour_leads_to_its_quarters_of_an_hour(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday&time=list")
    day = days_ago(page, 1)
    row = panel(page, "time").locator("tbody tr").nth(11)
    calls = row.locator("td").first.inner_text()
    row.get_by_role("link").first.click()
    page.wait_for_url(HOURS)

    assert period_of(page) == f"{day}T11:00..{day}T12:00"
    expect(page.locator("#time h2")).to_have_text("Calls by 15 minutes")
    expect(panel(page, "time").locator("tbody tr")).to_have_count(4)
    expect(page.locator("#usage")).to_contain_text(calls)


def test_the_keyboard_s_way_to_zoom_is_a_range_of_days_or_times(visit: Open, demo: Site) -> None:
    page = visit(demo)
    day = days_ago(page, 3)
    form = dates(page)
    form.get_by_label("From", exact=True).fill(day)
    form.get_by_label("Time (optional)").first.fill("10:00")
    form.get_by_label("To", exact=True).fill(day)
    form.get_by_label("Time (optional)").last.fill("14:00")
    form.get_by_role("button", name="Show this range").click()
    page.wait_for_url(HOURS)
    assert period_of(page) == f"{day}T10:00..{day}T14:00"

    form = dates(page)
    form.get_by_label("From", exact=True).fill(days_ago(page, 5))
    form.get_by_label("Time (optional)").first.fill("")
    form.get_by_label("Time (optional)").last.fill("")
    form.get_by_role("button", name="Show this range").click()
    page.wait_for_url(re.compile(rf"period={days_ago(page, 5)}\.\.{day}"))


# -- The calendar ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_the_calendar_shows_which_days_have_data_and_stays_within_the_retention(
    visit: Open, demo: Site, script: bool
) -> None:
    page = visit(demo, java_script_enabled=script)
    calendar = dates(page)
    day = days_ago(page, 4)
    calls = answer(page, f"/v1/statistics/summary?period={day}")["calls"]

    link = calendar.locator(f"a[href*='period={day}']")
    expect(link).to_have_attribute("title", re.compile(f": {calls:,} calls$"))
    expect(link).to_have_class(re.compile("has-calls"))
    expect(calendar.locator("a.today")).to_have_count(1)
    assert calendar.locator(".month a").count() in (30, 31)
    for outside in (days_ago(page, 31), days_ago(page, -1)):
        expect(calendar.locator(f"a[href*='period={outside}']")).to_have_count(0)

    link.click()
    expect(page.locator("#h-usage .of")).to_contain_text(f"{datetime.fromisoformat(day):%b %Y}")
    expect(page.locator("#dates a[aria-current=date]")).to_have_count(1)


def test_days_without_data_are_shown_and_say_so(visit: Open, site: Site) -> None:
    page = visit(site)
    calendar = dates(page)

    expect(calendar.locator(".has-calls")).to_have_count(0)
    expect(calendar.locator(".month a").first).to_have_attribute("title", re.compile("no calls$"))


def test_the_calendar_fits_a_phone(visit: Open, demo: Site) -> None:
    page = visit(demo, viewport=NARROW)
    dates(page)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#dates > div").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


# -- What bars are made up of ---------------------------------------------------------------------------------------------


def test_the_time_chart_is_stacked_by_the_doughnut_s_names_in_its_colours(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    names = "li bdi"
    assert (
        panel(page, "time").locator(f".stack-legend {names}").all_inner_texts()[:5]
        == panel(page, "applications").locator(f".legend {names}").all_inner_texts()[:5]
    )
    colour = "places => places.map(place => getComputedStyle(place).backgroundColor)"
    stacked = panel(page, "time").locator(".stack-legend .dot").evaluate_all(colour)
    doughnut = panel(page, "applications").locator(".legend .dot").evaluate_all(colour)
    assert stacked[:6] == doughnut[:6]
    expect(panel(page, "time").locator(".stack-legend")).to_contain_text("refused")


def test_it_is_stacked_by_another_column_in_the_address(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday")
    page.get_by_label("Stacked by").select_option("module")
    page.wait_for_url("**stack=module**")

    series = answer(page, "/v1/statistics/series?period=yesterday&by=module")
    top = [part["name"] for part in series["points"][0]["parts"]]
    legend = panel(page, "time").locator(".stack-legend li")
    assert [row.locator("bdi").inner_text() for row in legend.all()[:5]] == top
    first = sum(point["parts"][0]["calls"] for point in series["points"])
    expect(legend.first).to_contain_text(figure(first))

    legend.first.get_by_role("link").first.click()
    page.wait_for_url("**/table**")
    assert ("module", top[0]) in asked(page)


def test_the_list_says_what_the_stack_shows(visit: Open, demo: Site) -> None:
    page = visit(demo, "/?period=yesterday&time=list&stack=module")
    series = answer(page, "/v1/statistics/series?period=yesterday&by=module")

    for row, point in zip(panel(page, "time").locator("tbody tr").all(), series["points"], strict=True):
        cells = row.locator("td").all_inner_texts()
        assert cells[3:] == [
            figure(part["calls"])
            for part in [*point["parts"], *([point["others"]] if len(cells) > 8 else [])]
        ]


def test_a_phone_has_the_whole_time_panel(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, viewport=NARROW)
    chart(page)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in ("Stacked by", "Download calls over time"):
        expect(page.get_by_label(control)).to_be_visible()


def test_view_all_of_the_time_chart_is_the_calls_themselves(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    panel(page, "time").get_by_role("link", name="View all").click()
    page.wait_for_url("**/calls?period=last_30_days")
