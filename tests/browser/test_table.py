"""The table view: columns, default column, order, filters, pages, files."""

import csv
import re
from io import BytesIO, StringIO
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure

MONTH = "/table?period=last_30_days"
FLAT = f"{MONTH}&rows=flat"


def heads(page: Page) -> list[str]:
    """The names of the columns, without their arrows and hidden words."""
    return [
        name.split("\n")[0].split(",")[0]
        for name in page.locator("table.usage thead th a:first-child").all_inner_texts()
    ]


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"table.usage tbody tr > :nth-child({number})").all_inner_texts()


def head(page: Page, name: str) -> Locator:
    return page.locator("table.usage thead th", has_text=name).locator("a").first


def test_in_the_table_view_usage_is_listed_in_the_columns_user_ip_address_application(
    visit: Open, demo: Site
) -> None:
    page = visit(demo, FLAT)

    found = heads(page)
    assert [name.rstrip("▾▴") for name in found][:3] == ["User", "IP address", "Application"]
    expect(page.locator("h1")).to_have_text("Usage by user")
    rows = answer(page, "/v1/statistics/table?period=last_30_days")
    expect(page.locator(".sum")).to_contain_text(f"{rows['total_rows']:,} combinations")
    assert column(page, 4) == [figure(row["calls"]) for row in rows["rows"]]
    assert column(page, 1) == [row["user"] for row in rows["rows"]]


def test_numbers_are_sorted_in_both_directions(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    name, place = "Credits", 5
    cell = page.locator("table.usage thead th", has_text=name)
    head(page, name).click()
    expect(cell).to_have_attribute("aria-sort", "descending")
    falling = [int(number.replace(",", "")) for number in column(page, place)]
    head(page, name).click()
    expect(cell).to_have_attribute("aria-sort", "ascending")
    rising = [int(number.replace(",", "")) for number in column(page, place)]

    assert falling == sorted(falling, reverse=True)
    assert rising == sorted(rising)
    expect(page.locator(".sum")).to_contain_text("fewest first")


def test_names_are_sorted_in_both_directions(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT)
    head(page, "Application").click()
    expect(page.locator("table.usage thead th", has_text="Application")).to_have_attribute(
        "aria-sort", "ascending"
    )
    rising = column(page, 3)
    head(page, "Application").click()
    expect(page.locator("table.usage thead th", has_text="Application")).to_have_attribute(
        "aria-sort", "descending"
    )

    assert rising == sorted(rising)
    assert column(page, 3) == sorted(column(page, 3), reverse=True)


def test_any_column_is_made_the_default_column(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.get_by_role("link", name="Group by IP address").click()
    expect(page.locator("h1")).to_have_text("Usage by IP address")
    page.get_by_label("Group by").select_option(label="Application")
    expect(page.locator("h1")).to_have_text("Usage by application")

    assert page.locator("table.usage thead th").first.inner_text().startswith("Application")


def test_columns_are_chosen(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="IP address").uncheck()
    page.get_by_role("checkbox", name="Method").check()
    page.get_by_role("button", name="Show columns").click()
    page.wait_for_url("**columns=**")

    shown = [name.rstrip("▾▴") for name in heads(page)]
    assert shown[:3] == ["User", "Application", "Method"]
    assert "IP address" not in shown


def test_no_column_at_all_is_the_usual_ones(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH)
    page.locator("summary", has_text="Columns").click()
    for name in ("User", "IP address", "Application"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_role("button", name="Show columns").click()

    expect(page.locator("h1")).to_have_text("Usage by user")


def test_without_script_a_click_on_a_value_filters_by_it(visit: Open, demo: Site) -> None:
    page = visit(demo, FLAT, java_script_enabled=False)
    page.locator("tbody").get_by_role("link", name="sync@acme.example").first.click()
    expect(page.locator(".chip")).to_contain_text("sync@acme.example")

    assert set(column(page, 1)) == {"sync@acme.example"}


def test_a_page_has_fifty_or_two_hundred_rows(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{FLAT}&columns=user,ip,module,method")
    expect(page.locator("table.usage tbody tr")).to_have_count(50)
    page.get_by_role("link", name="200 on a page").click()
    expect(page.locator("#turning")).to_contain_text("1–200 of")

    expect(page.locator("table.usage tbody tr")).to_have_count(200)
    assert "page_size=200" in page.url


def test_pages_follow_each_other(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{FLAT}&columns=user,ip,module,method")
    total = answer(page, "/v1/statistics/table?period=last_30_days&columns=user,ip,module,method")
    first = column(page, 1)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#turning")).to_contain_text(f"51–100 of {total['total_rows']:,}")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("#turning")).to_contain_text("1–50")

    assert column(page, 1) == first


def test_a_page_past_the_last_leads_back(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&page=999")
    page.get_by_role("link", name="Go to the last page").click()

    expect(page.locator("table.usage tbody tr")).not_to_have_count(0)


@pytest.mark.parametrize(
    ("form", "rows", "of"), [("CSV", "flat", "combinations"), ("Parquet", "grouped", "users")]
)
def test_all_rows_are_taken_along_as_they_are_shown(
    visit: Open, demo: Site, form: str, rows: str, of: str
) -> None:
    page = visit(demo, f"{MONTH}&module=Leads&rows={rows}")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=f"{form} of all {of}").click()
    content = Path(waiting.value.path()).read_bytes()

    wanted = answer(
        page, f"/v1/statistics/table?period=last_30_days&module=Leads&page_size=10000&rows={rows}"
    )["rows"]
    if form == "CSV":
        found = list(csv.DictReader(StringIO(content.decode())))
        assert found == [
            {name: "" if value is None else str(value) for name, value in row.items()} for row in wanted
        ]
    else:
        assert parquet.read_table(BytesIO(content)).to_pylist() == wanted


def test_on_a_phone_the_table_scrolls_in_its_own_frame(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, viewport=NARROW)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    frame = page.locator("#table .scroll")
    assert frame.evaluate("e => e.scrollWidth > e.clientWidth")


def test_without_script_the_table_works(visit: Open, demo: Site) -> None:
    page = visit(demo, MONTH, java_script_enabled=False)
    page.get_by_label("Group by").select_option(label="Application")
    page.locator("form.group-by button").click()
    expect(page.locator("h1")).to_have_text("Usage by application")
    head(page, "Credits").click()
    expect(page.locator(".sum")).to_contain_text(re.compile("sorted by credits, most first"))


def test_view_details_pops_up_with_the_integration_tasks_in_that_module(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&columns=module,method&module=Leads")
    page.get_by_role("link", name="View details of the integration tasks in Leads").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    tasks = answer(page, "/v1/statistics/integration-tasks?module=Leads&period=last_30_days")

    expect(dialog.locator(".sum")).to_contain_text(f"{tasks['total']['credits']:,} credits")
    rows = dialog.locator("tbody tr")
    expect(rows).to_have_count(len(tasks["rows"]))
    expect(rows.first.locator("time")).to_have_attribute("datetime", tasks["rows"][0]["last_use"])
    for shown, task in zip(rows.all(), tasks["rows"], strict=True):
        expect(shown).to_contain_text(task["function"])
        expect(shown).to_contain_text(figure(task["tasks"]))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert "/tasks" not in page.url


def test_details_are_a_page_of_their_own_without_script(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&columns=module,method&module=Leads", java_script_enabled=False)
    page.get_by_role("link", name="View details of the integration tasks in Leads").first.click()

    expect(page.locator("h1")).to_have_text("Integration tasks in Leads")
    page.get_by_role("link", name="Assign lead owner").click()
    expect(page.locator("h1")).to_have_text("Usage by function")


def test_view_details_of_a_function_are_its_tasks_by_module(visit: Open, demo: Site) -> None:
    page = visit(demo, f"{MONTH}&columns=function,module")
    page.get_by_role("link", name="View details of the integration tasks of Assign lead owner").click()
    dialog = page.get_by_role("dialog")
    tasks = answer(
        page, "/v1/statistics/integration-tasks?function=Assign%20lead%20owner&period=last_30_days"
    )

    rows = dialog.locator("tbody tr")
    expect(rows).to_have_count(len(tasks["rows"]))
    for shown, task in zip(rows.all(), tasks["rows"], strict=True):
        expect(shown).to_contain_text(task["module"])
        expect(shown).to_contain_text(figure(task["credits"]))
