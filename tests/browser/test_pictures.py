"""The pictures of the documentation: `make pictures` puts them into docs/images."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, WIDE, Open, Site, artefact

PAGES = {
    "dashboard": "/?period=last_30_days",
    "table": "/table?period=last_30_days&columns=module,method,application,user",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", ["", "-phone"])
def test_a_picture_of(visit: Open, demo: Site, name: str, theme: str, width: str) -> None:
    page = visit(demo, PAGES[name], color_scheme=theme, viewport=NARROW if width else WIDE)
    if name == "dashboard":
        expect(page.locator("[data-connection]")).to_have_text("● live")
        expect(page.locator("#time .canvas svg path")).not_to_have_count(0)
    file = artefact(f"{name}{width}-{theme}")
    page.screenshot(path=file, full_page=bool(width) and name == "dashboard", animations="disabled")

    assert size(file)[0] == (NARROW if width else WIDE)["width"]


def size(picture: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height
