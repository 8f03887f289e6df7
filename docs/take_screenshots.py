"""Stores the pictures that the documentation shows: of a running dashboard, a running Dagster UI, and a report.

python docs/take_screenshots.py [--dashboard URL] [--dagster URL] [--report report.html]

Drives the system's Chromium; exits with 1, and keeps the old pictures, when a page shows an error.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Error, Page, expect, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH = 1366
TIMEOUT_MS = 60_000
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class PageError(Exception):
    """A page shows an error instead of what the picture is of."""


def dashboard(page: Page, url: str) -> bytes:
    """The leaderboard in full height, once its table and charts are drawn."""
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.goto(url)
    expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()
    charts = page.locator('[data-testid="stVegaLiteChart"] :is(canvas, svg)')
    failure = page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]')
    expect(charts.or_(failure).first).to_be_visible()
    _refuse(page, '[data-testid="stException"], [data-testid="stAlertContentError"]')
    expect(charts).to_have_count(2)
    expect(page.locator('[data-testid="stDataFrame"] canvas').first).to_be_visible()
    expect(page.locator('[data-testid="stStatusWidget"]')).to_have_count(0)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if sideways > 0:
        raise PageError(f"{url}: scrolls sideways by {sideways} pixels at a width of {WIDTH}")
    content = page.locator('[data-testid="stMainBlockContainer"]').bounding_box()
    if content is not None:
        page.set_viewport_size({"width": WIDTH, "height": int(content["y"] + content["height"])})
    page.wait_for_timeout(1500)
    return page.screenshot()


def asset_graph(page: Page, url: str) -> bytes:
    """The global asset lineage, its groups expanded."""
    page.set_viewport_size({"width": 1800, "height": 960})
    page.goto(f"{url.rstrip('/')}/asset-groups")
    graph = page.locator("svg foreignObject")
    welcome = page.get_by_role("button", name="Skip", exact=True)
    expect(graph.first).to_be_visible()
    page.wait_for_timeout(2000)
    if welcome.is_visible():  # a new Dagster home asks for a newsletter first
        welcome.click()
        expect(welcome).to_have_count(0)
    page.keyboard.press("Alt+KeyE")  # the graph's own shortcut for expanding all groups
    page.wait_for_timeout(2000)
    _refuse(page, ':is([class*="bp5-toast"], [class*="bp4-toast"])[class*="intent-danger"], [class*="ErrorContainer"]')
    return page.screenshot()


def report(page: Page, path: str) -> bytes:
    """The top of the page that `movierec report` writes: headline, answers and leaderboard."""
    page.set_viewport_size({"width": WIDTH, "height": 1150})
    page.goto(Path(path).resolve().as_uri())
    expect(page.get_by_role("heading", name="Leaderboard").first).to_be_visible()
    return page.screenshot()


def _refuse(page: Page, error_boxes: str) -> None:
    boxes = page.locator(error_boxes)
    if boxes.count():
        raise PageError(f"{page.url}: shows an error: {boxes.first.inner_text()[:300]}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Store the pictures that the documentation shows.")
    parser.add_argument("--dashboard", default="http://127.0.0.1:8501", help="the dashboard's address")
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="the Dagster UI's address")
    parser.add_argument("--report", default="report.html", help="the file that `movierec report` wrote")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    parser.add_argument("--only", choices=["dashboard", "asset_graph", "report"], help="take just this picture")
    parser.add_argument("--dark", action="store_true", help="ask the dashboard for its dark theme")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder to store into")
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no chromium on the PATH; install it or name one with --chromium")
    pictures = {
        "dashboard": (dashboard, arguments.dashboard),
        "asset_graph": (asset_graph, arguments.dagster),
        "report": (report, arguments.report),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=CHROMIUM_FLAGS)
        for name, (take, url) in pictures.items():
            if arguments.only in (None, name):
                page = browser.new_page(color_scheme="dark" if arguments.dark else "light")
                page.set_default_timeout(TIMEOUT_MS)
                expect.set_options(timeout=TIMEOUT_MS)
                try:
                    picture = take(page, url)
                except (PageError, AssertionError, Error) as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    return 1
                path = arguments.out / f"{name}.png"
                path.write_bytes(picture)
                print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
