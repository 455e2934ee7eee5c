"""The states that a full page is not: no calls yet, one call, over the allowance, unlimited, nothing found, cut off."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import NARROW, Fresh, Open, Site
from tests.server import Server, command_here


def test_from_no_calls_to_the_first_one(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "1000")
    page = visit(site)
    expect(page.locator("h1")).to_have_text("1,000 credits left")
    expect(page.locator("#first-call")).to_have_text("No calls yet. Send the first one:")
    example = page.locator("#example").inner_text()
    assert f"{server.url}/v1/events" in example
    assert "meterboard key create acme" in example

    server.post(json={"application": "<b>desk</b>", "module": "Leads", "credits": 3})

    expect(page.locator("h1")).to_have_text("997 credits left")
    expect(page.locator("#applications")).to_contain_text("<b>desk</b>")  # shown as it is, not as HTML
    expect(page.locator("#first-call")).to_have_count(0)


def test_the_counter_moves_without_a_reload(visit: Open, site: Site, server: Server) -> None:
    server.post(json={"credits": 1})
    page = visit(site)
    expect(page.locator("[data-connection]")).to_have_text("● live")
    page.evaluate("window.stayed = true")
    used = server.get("/v1/credits").json()["used"]

    server.post(json={"credits": 7})

    expect(page.locator("#answer .detail")).to_contain_text(f"used {used + 7:,} of 1,000")
    expect(page).to_have_title(re.compile(f"^{1000 - used - 7:,} credits left"))
    assert page.evaluate("window.stayed")


def test_close_to_and_over_the_allowance_are_said_in_words(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    server.post(json={"credits": 85})
    page = visit(site)
    expect(page.locator(".gauge")).to_contain_text("85 % · close to the allowance")

    server.post(json={"credits": 40})

    expect(page.locator("h1")).to_have_text("25 credits over")
    expect(page.locator(".gauge")).to_contain_text("125 % · over the allowance")
    expect(page.locator(".answer")).to_have_class(re.compile("over"))


def test_a_new_allowance_holds_from_now_on(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    server.post(json={"credits": 30})
    changed = command_here("org", "update", "acme", "--allowance", "50", data=server.data)
    assert changed.returncode == 0

    expect(visit(site).locator("h1")).to_have_text("20 credits left")


def test_nothing_found_shows_the_way_back(visit: Open, site: Site, server: Server) -> None:
    server.post(json={"module": "Leads"})
    page = visit(site, "/?module=Nowhere")
    expect(page.locator(".nothing")).to_contain_text("No calls in this period with these filters.")
    page.get_by_role("link", name="Show without filters").click()

    expect(page.locator("#modules")).to_contain_text("Leads")


def test_long_and_right_to_left_names_break_nothing(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    long = "Quarterly " * 900
    server.post(
        json=[{"application": long, "user": "مريم " * 40, "module": "x" * 3_000, "ip": "2001:db8::1"}]
    )
    for viewport in (NARROW, {"width": 1440, "height": 900}):
        for path in (
            "/",
            "/?applications=list&modules=list&users=list",
            "/table?columns=application,user,module",
        ):
            page = visit(site, path, viewport=viewport)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
            assert page.evaluate("document.documentElement.scrollHeight") < 6_000, path


def test_a_page_that_can_t_be_shown_says_why(visit: Open, site: Site) -> None:
    page = visit(site, "/?period=someday", quiet=False)

    expect(page.locator("h1")).to_have_text("Bad request")
    expect(page.locator("[data-message]")).to_contain_text("period is 'someday': use last_24_hours")
    page.get_by_role("link", name="Go to the dashboard").click()
    expect(page.locator("#answer")).to_be_visible()


def test_what_can_t_be_shown_is_told_in_place(visit: Open, site: Site) -> None:
    page = visit(site, "/?application=Nowhere", quiet=False)
    page.evaluate("document.querySelector('#filters form input[name=application]').name = 'nothing'")
    page.locator("summary", has_text="+ Filter").click()
    page.get_by_role("button", name="Filter", exact=True).click()

    expect(page.locator("#failure")).to_contain_text("There is no parameter 'nothing' on this page.")


def test_a_lost_connection_is_shown_and_restored(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    server.post(json={"credits": 1})
    page = visit(site, quiet=False)
    expect(page.locator("[data-connection]")).to_have_text("● live")

    server.kill()
    expect(page.locator("[data-connection]")).to_contain_text(
        re.compile(r"Disconnected since \d\d:\d\d, reconnecting"), timeout=15_000
    )
    page.get_by_role("link", name="Yesterday").click()
    expect(page.locator("#failure")).to_have_text("The server does not respond. Try again in a moment.")

    port = server.port
    server.start(port=port)
    server.post(json={"credits": 1})
    expect(page.locator("[data-connection]")).to_have_text("● live", timeout=15_000)
    expect(page.locator("h1")).to_have_text("98 credits left")


def test_signing_out_closes_the_door(visit: Open, fresh: Fresh) -> None:
    _, site = fresh("--allowance", "100")
    page = visit(site, quiet=False)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("Open your sign-in link")

    assert page.request.get("/v1/credits").status == 401
    page.goto("/table")
    expect(page.locator("h1")).to_have_text("Open your sign-in link")


def test_a_sign_in_link_works_once(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    page = visit(site, quiet=False)
    page.goto(site._link)
    page.get_by_role("button", name="Sign in").click()

    expect(page.locator("main")).to_contain_text("This sign-in link was used or has expired.")
    page.goto(server.sign_in_link())
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#answer")).to_be_visible()
