"""Chromium, the demo to look at, and pages that must not complain."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    StorageState,
    ViewportSize,
    expect,
    sync_playwright,
)

from benchmarks.pages import ARGUMENTS
from tests.server import Server

PATIENCE = 15_000
"""Milliseconds that a page may take on a busy machine. What must be quick says so itself."""
expect.set_options(timeout=PATIENCE)
Theme = Literal["light", "dark"]
WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Playwright gives each start a user data folder of its own."""
    path = shutil.which("chromium")
    assert path, "The browser tests need Chromium: `make chromium` installs it."
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


class Site:
    """Where pages are, and the session of someone who is signed in there."""

    def __init__(self, url: str, link: str) -> None:
        self.url = url
        self._link = link
        self._state: StorageState | None = None

    def state(self, browser: Browser) -> StorageState:
        """Uses the link up, once."""
        if self._state is None:
            context = browser.new_context()
            page = context.new_page()
            page.goto(self._link)
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("header.top")).to_be_visible()
            assert page.title().endswith("Meterboard")
            self._state = context.storage_state()
            context.close()
        return self._state


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A real `meterboard demo`, ended by its process id."""
    data = tmp_path_factory.mktemp("demo") / "data"
    command = [sys.executable, "-m", "meterboard", "demo", "--no-browser", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "120"}
    )
    assert process.stdout is not None
    link = next(line.strip() for line in process.stdout if "/sign-in?link=" in line)
    yield Site(link.partition("/sign-in")[0], link)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def site(server: Server) -> Site:
    """The module's own server, whose organisation `acme` starts without any call."""
    return Site(server.url, server.sign_in_link())


Fresh = Callable[..., tuple[Server, Site]]


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """Starts servers of their own and ends them."""
    started: list[Server] = []

    def start(*organization: str, **settings: str) -> tuple[Server, Site]:
        server = Server(tmp_path_factory.mktemp("fresh") / "data", **settings)
        server.prepare(*organization).start()
        started.append(server)
        return server, Site(server.url, server.sign_in_link())

    yield start
    for server in started:
        server.stop()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, fresh: Fresh) -> Iterator[Open]:
    """
    Opens a path of a site as someone who is signed in. At the end no page may have complained.

    Pages close before the servers of `fresh` do. Chromium reports answers of 4xx and cut lines on its console: tests that provoke them say so with `quiet=False`.
    """
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(site: Site, path: str = "/", *, quiet: bool = True, **options: Any) -> Page:
        options = {"viewport": WIDE, "color_scheme": "light"} | options
        state = site.state(browser)
        context = browser.new_context(storage_state=state, base_url=site.url, **options)
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        page = context.new_page()
        if quiet:
            # A search for values that a later one replaces is cut off, which htmx logs.
            page.on(
                "console",
                lambda message: (
                    None if "HTMLFieldSetElement" in message.text else complaints.append(message.text)
                ),
            )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert not complaints


def answer(page: Page, question: str) -> dict[str, Any]:
    """What the API says, asked with the page's own session."""
    response = page.request.get(question)
    assert response.ok, response.text()
    return cast(dict[str, Any], response.json())


def figure(number: int) -> str:
    return f"{number:,}"


def artefact(name: str) -> Path:
    """Where a screenshot goes: `METERBOARD_PICTURES` names the folder, else it is only made."""
    folder = Path(os.environ.get("METERBOARD_PICTURES", "build/pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
