"""
The gallery: every state of every page, wide and narrow, light and dark, to be looked at.

`make pictures` runs this and writes docs/gallery.md and its pictures. It is no part of `make test`, whose tests visit
the same states; what it checks on the way is that nothing but a table in its frame scrolls sideways.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import NARROW, WIDE, Fresh, Open, Site, Theme

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "gallery"
LOOKS: dict[str, tuple[Theme, ViewportSize]] = {
    "light": ("light", WIDE),
    "dark": ("dark", WIDE),
    "phone-light": ("light", NARROW),
    "phone-dark": ("dark", NARROW),
}
QUALITY = 60
"""Of the JPEG: words stay sharp, and the repository small."""
LONG, ARABIC = "Quarterly reconciliation of " * 12, "مزامنة المبيعات الليلية " * 4


def as_it_is(_: Page) -> None:
    """Nothing to do before the picture."""


def open_popover(name: str) -> Callable[[Page], None]:
    return lambda page: page.locator("details.popover > summary", has_text=name).first.click()


def view_details(page: Page) -> None:
    page.locator("a.view-details").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def open_reasons(page: Page) -> None:
    for reason in page.locator("#rows summary").all()[:3]:
        reason.click()


def point_at_a_value(page: Page) -> None:
    page.locator("#rows tbody [data-column] a").first.focus()
    expect(page.locator("#linked")).to_contain_text("calls")


def printed(page: Page) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


MONTH = "period=last_30_days"
DEMO: dict[str, tuple[str, Callable[[Page], None]]] = {
    "The dashboard, 24 hours": ("/", as_it_is),
    "The dashboard, 30 days": (f"/?{MONTH}", as_it_is),
    "The dashboard as lists": (
        "/?period=yesterday&applications=list&time=list&modules=list&ips=list&users=list",
        as_it_is,
    ),
    "The dashboard, filtered": ("/?user=maria.silva@acme.example&application!=Mobile+app", as_it_is),
    "Adding a filter": ("/", open_popover("Filter")),
    "No calls with these filters": ("/?user=nobody", as_it_is),
    "Older than what is kept": ("/?period=2020-01-01", as_it_is),
    "Printing": (f"/?{MONTH}", printed),
    "The table": (f"/table?{MONTH}&columns=module,method,application,user", as_it_is),
    "Choosing columns": (f"/table?{MONTH}", open_popover("Columns")),
    "View Details": (f"/table?{MONTH}&columns=module,method", view_details),
    "The calls": (f"/calls?{MONTH}", open_reasons),
    "The dashboard, compared": ("/?period=yesterday&compare=previous", as_it_is),
    "Choosing a date": ("/", open_popover("Specific date")),
    "The table, a group open": (f"/table?{MONTH}&open=maria.silva@acme.example", as_it_is),
    "The table, every combination": (f"/table?{MONTH}&rows=flat&columns=function,module,method", as_it_is),
    "A value pointed at": (f"/table?{MONTH}&columns=user,ip,application,module", point_at_a_value),
    "Connections": (f"/flows?{MONTH}", as_it_is),
    "A page that is not there": ("/nowhere", as_it_is),
}


def fits(page: Page) -> None:
    """Nothing but a table within its frame scrolls sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def picture(page: Page, title: str, look: str) -> None:
    if page.locator("[data-chart]:visible").count():
        page.locator("[data-chart] svg").first.wait_for()
    fits(page)
    FOLDER.mkdir(exist_ok=True)
    page.screenshot(
        path=FOLDER / f"{file_of(title)}-{look}.jpg", type="jpeg", quality=QUALITY, animations="disabled"
    )


def file_of(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("title", DEMO)
def test_the_demo(visit: Open, demo: Site, title: str, look: str) -> None:
    path, then = DEMO[title]
    theme, size = LOOKS[look]
    page = visit(demo, path, color_scheme=theme, viewport=size, quiet=False)
    then(page)
    picture(page, title, look)


STATES: dict[str, tuple[list[str], list[dict[str, object]], str]] = {
    "No calls yet": (["--allowance", "1000"], [], "/"),
    "One call": (["--allowance", "1000"], [{"application": "desk", "user": "maria", "module": "Leads"}], "/"),
    "Everything unknown": (["--allowance", "1000"], [{}, {}], "/"),
    "Close to the allowance": (["--allowance", "100"], [{"application": "sync", "credits": 88}], "/"),
    "Over the allowance": (["--allowance", "100"], [{"application": "sync", "credits": 125}], "/"),
    "Unlimited": ([], [{"application": "sync", "credits": 125}], "/"),
    "Long and right-to-left names": (
        ["--allowance", "100"],
        [
            {"application": LONG, "user": ARABIC, "module": "m" * 300},
            {"function": ARABIC, "user": "<b>x</b>"},
        ],
        "/",
    ),
    "Long names in the table": (
        ["--allowance", "100"],
        [
            {"application": LONG, "user": ARABIC, "module": "m" * 300},
            {"function": ARABIC, "user": "<b>x</b>"},
        ],
        "/table?columns=user,application,module",
    ),
}


@pytest.mark.parametrize("title", STATES)
def test_a_state(visit: Open, fresh: Fresh, title: str) -> None:
    organization, events, path = STATES[title]
    server, site = fresh(*organization)
    if events:
        assert server.post(json=events).json()["accepted"] == len(events)
    for look, (theme, size) in LOOKS.items():
        picture(visit(site, path, color_scheme=theme, viewport=size), title, look)


def test_a_cut_line(visit: Open, fresh: Fresh) -> None:
    server, site = fresh("--allowance", "100")
    server.post(json={"credits": 1})
    pages = {look: visit(site, color_scheme=t, viewport=s, quiet=False) for look, (t, s) in LOOKS.items()}
    for page in pages.values():
        expect(page.locator("[data-connection]")).to_have_text("● live")
    server.kill()
    for look, page in pages.items():
        expect(page.locator("[data-connection]")).to_contain_text("Disconnected since")
        picture(page, "The live line cut", look)


def test_signed_out(visit: Open, site: Site) -> None:
    for look, (theme, size) in LOOKS.items():
        page = visit(site, color_scheme=theme, viewport=size, quiet=False)
        page.context.clear_cookies()
        page.goto("/")
        picture(page, "Signed out", look)


def test_the_page_of_the_gallery() -> None:
    titles = [*DEMO, *STATES, "The live line cut", "Signed out"]
    parts = [
        "# Gallery",
        "",
        "Every state, wide and narrow, light and dark. `make pictures` makes it anew.",
        "",
    ]
    for title in titles:
        images = [
            f'<img src="gallery/{file_of(title)}-{look}.jpg" alt="{title}, {look}" '
            f'width="{120 if "phone" in look else 340}">'
            for look in LOOKS
        ]
        parts += [f"## {title}", "", *images, ""]
    (ROOT / "docs" / "gallery.md").write_text("\n".join(parts), encoding="utf-8")
