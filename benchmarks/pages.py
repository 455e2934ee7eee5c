"""
What a browser pays for each page: first paint, script, and how far things move while it loads.

    python -m benchmarks.pages

Each page is loaded by a new profile of Chromium with nothing in its cache, five times; the figures are the worst.
"""

import os
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, StorageState, ViewportSize, sync_playwright

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
PAGES = ("/", "/?period=last_30_days", "/table", "/table?period=last_30_days&columns=module,method,user")
WIDTHS: tuple[ViewportSize, ...] = ({"width": 1440, "height": 900}, {"width": 390, "height": 844})
ROUNDS = 5
PAINT_MILLISECONDS, SCRIPT_BYTES, SHIFT = 1_000, 260_000, 0.02
PAID = """
() => new Promise((done) => {
  let shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  const script = performance.getEntriesByType("resource").filter((entry) => new URL(entry.name).pathname.endsWith(".js"));
  requestAnimationFrame(() => requestAnimationFrame(() => done({
    paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    script: script.reduce((sum, entry) => sum + entry.encodedBodySize, 0),
    shift,
  })));
})
"""


def state_of(browser: Browser, link: str) -> StorageState:
    """The session of someone who used the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.locator("header.top").wait_for()
    state = context.storage_state()
    context.close()
    return state


def paid(browser: Browser, state: StorageState, address: str, width: ViewportSize) -> dict[str, float]:
    """What a page costs who opens it for the first time."""
    context = browser.new_context(storage_state=state, viewport=width)
    page = context.new_page()
    page.goto(address, wait_until="load")
    if page.locator("[data-chart]").count():
        page.locator("[data-chart] svg").first.wait_for()
    figures: dict[str, float] = page.evaluate(PAID)
    context.close()
    return figures


def measure(browser: Browser, link: str) -> bool:
    """Print what each page costs; do all keep the promises?"""
    state, start = state_of(browser, link), link.partition("/sign-in")[0]
    kept = True
    for path in PAGES:
        for width in WIDTHS:
            rounds = [paid(browser, state, start + path, width) for _ in range(ROUNDS)]
            paint, script, shift = (max(r[name] for r in rounds) for name in ("paint", "script", "shift"))
            kept &= paint < PAINT_MILLISECONDS and script <= SCRIPT_BYTES and shift < SHIFT
            print(
                f"{width['width']:5} px  first paint {paint:4.0f} ms  script {script / 1_000:5.1f} kB"
                f"  shift {shift:.3f}  {path}"
            )
    print(f"promised: under {PAINT_MILLISECONDS} ms, at most {SCRIPT_BYTES // 1_000} kB, under {SHIFT}")
    return kept


def main() -> None:
    path = shutil.which("chromium")
    if not path:
        raise SystemExit("This needs Chromium: `make chromium` installs it.")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [
            sys.executable,
            "-m",
            "meterboard",
            "demo",
            "--no-browser",
            "--port",
            "0",
            "--data",
            folder,
        ]
        demo = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "120"}
        )
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            link = next(line.strip() for line in demo.stdout or () if "/sign-in?link=" in line)
            kept = measure(browser, link)
        finally:
            browser.close()
            demo.send_signal(signal.SIGINT)
            demo.wait()
    if not kept:
        raise SystemExit("A page does not keep its promise.")


if __name__ == "__main__":
    main()
