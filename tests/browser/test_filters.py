"""The filters of every page: chosen from the most used values, found by a search, let through or kept out."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import NARROW, Open, Site, answer, figure

MONTH = "period=last_30_days"


def choices(page: Page) -> Locator:
    return page.locator("#picker-values label")


def open_form(page: Page, column: str = "") -> None:
    page.locator("summary", has_text="+ Filter").click()
    expect(choices(page)).not_to_have_count(0)
    if column:
        page.get_by_label("Field").select_option(column)
        # The values of the column before stay until those of this one have come.
        expect(page.locator("#picker-values input[name=of]")).to_have_value(column)


def test_the_most_used_values_come_first(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/table?{MONTH}")
    open_form(page, "user")
    values = answer(page, f"/v1/statistics/values?column=user&{MONTH}")
    expect(page.locator("#picker-values legend")).to_have_text(
        f"{values['value_count']} users, the most used first"
    )

    assert choices(page).count() == len(values["rows"]) == 20
    for shown, row in zip(choices(page).all(), values["rows"], strict=True):
        expect(shown).to_contain_text(row["name"])
        expect(shown).to_contain_text(figure(row["calls"]))


def test_several_values_are_included_and_are_in_the_address(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/?{MONTH}")
    open_form(page, "module")
    for name in ("Leads", "Deals"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".chip")).to_have_count(2)

    assert "module=Leads" in page.url
    assert "module=Deals" in page.url
    assert "filter=" not in page.url
    both = answer(page, f"/v1/statistics/summary?{MONTH}&module=Leads&module=Deals")
    expect(page.locator("#usage")).to_contain_text(figure(both["calls"]))


def test_a_value_is_kept_out(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/?{MONTH}")
    open_form(page)
    page.get_by_role("checkbox", name="Nightly sync").check()
    page.get_by_role("radio", name="Exclude").check()
    page.get_by_role("button", name="Filter", exact=True).click()

    expect(page.locator(".chip")).to_contain_text("Application is not Nightly sync")
    without = answer(page, f"/v1/statistics/summary?{MONTH}&application!=Nightly%20sync")
    expect(page.locator("#usage")).to_contain_text(figure(without["calls"]))


def test_a_search_finds_values_while_it_is_typed_and_keeps_what_is_ticked(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/?{MONTH}")
    open_form(page, "user")
    page.get_by_role("checkbox", name="poller@acme.example").check()
    page.get_by_label("Search").press_sequentially("MEHTA")
    expect(page.locator("#picker-values legend")).to_contain_text("with “MEHTA”")

    expect(page.get_by_role("checkbox", name="poller@acme.example")).to_be_checked()
    found = answer(page, f"/v1/statistics/values?column=user&search=mehta&{MONTH}")
    assert all("mehta" in row["name"] for row in found["rows"])
    expect(choices(page)).to_have_count(len(found["rows"]) + 1)
    page.get_by_label("Search").fill("100%_")
    expect(page.locator("#picker-values legend")).to_have_text("No user with “100%_” in this period")


def test_a_chip_opens_the_form_with_what_is_set(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/?{MONTH}&application!=Nightly+sync")
    page.get_by_role("link", name="Change the filter Application is not Nightly sync").click()
    ticked = page.get_by_role("checkbox", name="Nightly sync")
    expect(ticked).to_be_checked()
    expect(page.get_by_role("radio", name="Exclude")).to_be_checked()
    ticked.uncheck()
    page.get_by_role("button", name="Filter", exact=True).click()

    expect(page.locator(".chip")).to_have_count(0)


def test_without_script_the_form_works(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/table?{MONTH}", java_script_enabled=False)
    page.locator("summary", has_text="+ Filter").click()
    page.get_by_label("Field").select_option("user")
    page.get_by_label("Search").fill("mehta")
    page.get_by_role("button", name="Show values").click()
    expect(page.locator("#picker-values legend")).to_contain_text("with “mehta”")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Filter", exact=True).click()

    expect(page.locator(".chip")).to_contain_text("mehta")


def test_on_a_phone_the_form_is_a_sheet_within_the_screen(visit: Open, demo: Site) -> None:
    page = visit(demo, f"/table?{MONTH}&module=Leads&user=", viewport=NARROW)
    open_form(page)
    box = page.locator("#picker").bounding_box()

    assert box
    assert (box["x"], box["width"]) == (0, 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_form_never_leaves_the_screen(visit: Open, demo: Site) -> None:
    many = "&".join(f"user={name}.silva@acme.example" for name in ("maria", "arjun", "priya", "wei"))
    for width in (760, 1000, 1440):
        page = visit(demo, f"/?{MONTH}&{many}", viewport={"width": width, "height": 900})
        open_form(page)
        box = page.locator("#picker").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
