"""What a page costs a browser, as `python -m benchmarks.pages` measures it; the time to first paint is shown there."""

import pytest
from playwright.sync_api import Browser, ViewportSize

from benchmarks.pages import PAGES, SCRIPT_BYTES, SHIFT, paid
from tests.browser.conftest import NARROW, WIDE, Site


@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light_and_nothing_moves_while_it_loads(
    browser: Browser, demo: Site, path: str, width: ViewportSize
) -> None:
    figures = paid(browser, demo.state(browser), demo.url + path, width)

    assert 0 < figures["script"] <= SCRIPT_BYTES
    assert figures["shift"] < SHIFT
