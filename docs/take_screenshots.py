"""Stores the pictures that the documentation shows: of a running dashboard, a running Dagster UI, a report, and
the pages of a running API server.

python docs/take_screenshots.py [--dashboard URL] [--dagster URL] [--api URL] [--report report.html]

Drives the system's Chromium; exits with 1, and keeps the old pictures, when a page shows an error.
"""

import argparse
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Error, Page, expect, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH = 1366
MOST_BYTES = 300_000
DASHBOARD_PAGES = {
    "leaderboard": "Leaderboard",
    "compare": "Compare two",
    "side_by_side": "Side by side",
    "tradeoffs": "Trade-offs",
    "training": "Training",
    "segments": "Segments and fairness",
    "explore": "Explore",
    "data": "Data",
    "sweeps": "Sweeps",
    "operations": "Operations",
}
WIDTHS = {"": 1400, "_phone": 390}
"""End of the name of a picture of a dashboard's page -> its width."""
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

DAGSTER_ERRORS = ':is([class*="bp5-toast"], [class*="bp4-toast"])[class*="intent-danger"], [class*="ErrorContainer"]'


class PageError(Exception):
    """A page shows an error instead of what the picture is of."""


def dashboard(page: Page, url: str) -> bytes:
    """The leaderboard in full height."""
    return _dashboard_page(page, url, "", "Leaderboard")


def dashboard_page(path: str, heading: str, width: int) -> Callable[[Page, str], bytes]:
    """What takes a page of the dashboard in full height at a width."""

    def take(page: Page, url: str) -> bytes:
        return _dashboard_page(page, url, path, heading, width)

    return take


def _dashboard_page(page: Page, url: str, path: str, heading: str, width: int = WIDTH) -> bytes:
    """A page of the dashboard in full height, once all is drawn that a fresh store gives it to draw."""
    boxes = '[data-testid="stException"], [data-testid="stAlertContentError"]'
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{url.rstrip('/')}/{path}")
    expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    for _ in range(3):  # a fragment may start the page once more
        page.wait_for_timeout(1000)
        expect(page.locator('[data-testid="stApp"]')).to_have_attribute("data-test-script-state", "notRunning")
        expect(page.locator('[data-testid="stSkeleton"]')).to_have_count(0)
    _refuse(page, boxes)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if sideways > 0:
        raise PageError(f"{page.url}: scrolls sideways by {sideways} pixels at a width of {width}")
    for _ in range(2):  # what comes into view may change the height
        content = page.locator('[data-testid="stMainBlockContainer"]').bounding_box()
        if content is not None:
            page.set_viewport_size({"width": width, "height": int(content["y"] + content["height"])})
        page.wait_for_timeout(1500)
    return _smaller(page.screenshot())


def _smaller(picture: bytes) -> bytes:
    """The same picture with a palette, of 256 colours or of fewer where it would be over MOST_BYTES."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        small = io.BytesIO()
        image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
        if small.tell() < MOST_BYTES:
            break
    return small.getvalue()


def asset_graph(page: Page, url: str) -> bytes:
    """The global asset lineage, its groups expanded."""
    page.set_viewport_size({"width": 1800, "height": 960})
    page.goto(f"{url.rstrip('/')}/asset-groups")
    graph = page.locator("svg foreignObject")
    expect(graph.first).to_be_visible()
    page.wait_for_timeout(2000)
    _skip_welcome(page)
    page.keyboard.press("Alt+KeyE")  # the graph's own shortcut for expanding all groups
    page.wait_for_timeout(2000)
    _refuse(page, DAGSTER_ERRORS)
    return page.screenshot()


def run(page: Page, url: str) -> bytes:
    """The newest successful run that trained a model: its steps over time, and its events."""
    page.set_viewport_size({"width": 1600, "height": 1300})
    run_id = _newest_run(page, url)
    page.goto(f"{url.rstrip('/')}/runs/{run_id}")
    expect(page.get_by_text("Waterfall").or_(page.get_by_text("RUN_SUCCESS")).first).to_be_visible()
    page.wait_for_timeout(4000)
    _skip_welcome(page)
    _refuse(page, DAGSTER_ERRORS)
    return page.screenshot()


def asset(page: Page, url: str) -> bytes:
    """The report of a model as an asset: its partitions, and the metadata of one of them."""
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto(f"{url.rstrip('/')}/assets/evaluation_report?view=partitions&partition=cpu%7Cease")
    expect(page.get_by_text("test ndcg@10").first).to_be_visible()
    page.wait_for_timeout(4000)
    _skip_welcome(page)
    _refuse(page, DAGSTER_ERRORS)
    return page.screenshot()


def checks(page: Page, url: str) -> bytes:
    """The checks of the index as an asset, with what the newest run found."""
    page.set_viewport_size({"width": 1600, "height": 700})
    page.goto(f"{url.rstrip('/')}/assets/faiss_index?view=checks&checkDetail=serving_parity")
    expect(page.get_by_text("serving_parity").first).to_be_visible()
    page.wait_for_timeout(4000)
    _skip_welcome(page)
    _refuse(page, DAGSTER_ERRORS)
    return page.screenshot()


def _newest_run(page: Page, url: str) -> str:
    """The id of the newest successful run of the job `everything` for a partition."""
    query = """{ runsOrError(filter: {pipelineName: "everything", statuses: [SUCCESS]}, limit: 100) {
        ... on Runs { results { id tags { key } } } } }"""
    answer = page.request.post(f"{url.rstrip('/')}/graphql", data={"query": query}).json()
    for one in answer["data"]["runsOrError"]["results"]:
        if "dagster/partition" in {tag["key"] for tag in one["tags"]}:
            return str(one["id"])
    raise PageError(f"{url}: has no successful run of a partition; materialize one first")


def _skip_welcome(page: Page) -> None:
    """A new Dagster home asks for a newsletter first."""
    welcome = page.get_by_role("button", name="Skip", exact=True)
    if welcome.is_visible():
        welcome.click()
        expect(welcome).to_have_count(0)
        page.wait_for_timeout(1000)


def report(page: Page, path: str) -> bytes:
    """The top of the page that `movierec report` writes: headline, answers and leaderboard."""
    page.set_viewport_size({"width": WIDTH, "height": 1150})
    page.goto(Path(path).resolve().as_uri())
    expect(page.get_by_role("heading", name="Leaderboard").first).to_be_visible()
    return page.screenshot()


def home(page: Page, url: str) -> bytes:
    """The start: rows for somebody of whom nothing is known."""
    return _smaller(_page(page, url, "/", ".shelf .card svg"))


def rows(page: Page, url: str) -> bytes:
    """The start in rows to the taste that a browser keeps."""
    _keep_taste(page, url)
    return _smaller(_page(page, url, "/", '.shelf[data-row^="because"] .card svg', height=1250))


def _smaller(picture: bytes) -> bytes:
    """A picture of posters in few colours, a quarter of its size."""
    smaller = io.BytesIO()
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(smaller, "png", optimize=True)
    return smaller.getvalue()


def movie(page: Page, url: str) -> bytes:
    """The movie that is found first for a search, with those like it."""
    return _page(page, url, f"/movies/{_found(page, url, 'twelve monkeys')['movie_id']}", ".grid svg")


def discover(page: Page, url: str) -> bytes:
    """A new user's list after a few ratings, with its reasons."""
    _keep_taste(page, url)
    return _page(page, url, "/discover", "#results .card .reason")


def _keep_taste(page: Page, url: str) -> None:
    """Let the browser keep a few ratings."""
    page.goto(f"{url}/docs")
    liked = {"twelve monkeys": 5, "alien 1979": 4.5, "blade runner": 5, "fargo": 4, "matrix": 4.5, "brazil": 4.5}
    ratings = [{"movie": _found(page, url, title), "rating": rating} for title, rating in liked.items()]
    kept = json.dumps({"ratings": ratings, "unseen": [], "unwanted": []})
    page.evaluate("(kept) => localStorage.setItem('movierec.taste', kept)", kept)


def user(page: Page, url: str) -> bytes:
    """A user's history, and what three models recommend, in full height down to the fourth movie."""
    page.set_viewport_size({"width": WIDTH, "height": 1400})
    return _page(page, url, "/users/1", ".column .row .reason", height=1400)


def phone(page: Page, url: str) -> bytes:
    """A movie on a phone."""
    return _page(
        page, url, f"/movies/{_found(page, url, 'alien 1979')['movie_id']}", ".grid svg", width=390, height=844
    )


def _page(page: Page, url: str, path: str, drawn: str, width: int = WIDTH, height: int = 900) -> bytes:
    """A page of the API server once all is there that `drawn` selects."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{url.rstrip('/')}{path}")
    _refuse(page, ".oops")
    expect(page.locator(drawn).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".bone, [aria-busy=true]")).to_have_count(0)
    _refuse(page, ".toast.error")
    return page.screenshot()


def _found(page: Page, url: str, title: str) -> dict[str, Any]:
    """The movie that a search finds first."""
    answer = page.request.get(f"{url.rstrip('/')}/api/search", params={"q": title, "top_k": 1})
    movies = answer.json().get("movies") if answer.ok else None
    if not movies:
        raise PageError(f"{url}: no movie is found for {title!r}")
    found: dict[str, Any] = movies[0]
    return found


def _refuse(page: Page, error_boxes: str) -> None:
    boxes = page.locator(error_boxes)
    if boxes.count():
        raise PageError(f"{page.url}: shows an error: {boxes.first.inner_text()[:300]}")


PICTURES = {
    "dashboard": (dashboard, "dashboard"),
    **{
        f"dashboard/{path}{end}": (dashboard_page("" if path == "leaderboard" else path, heading, width), "dashboard")
        for path, heading in DASHBOARD_PAGES.items()
        for end, width in WIDTHS.items()
    },
    "asset_graph": (asset_graph, "dagster"),
    "run": (run, "dagster"),
    "asset": (asset, "dagster"),
    "checks": (checks, "dagster"),
    "report": (report, "report"),
    "page_home": (home, "api"),
    "page_rows": (rows, "api"),
    "page_movie": (movie, "api"),
    "page_discover": (discover, "api"),
    "page_user": (user, "api"),
    "page_phone": (phone, "api"),
}
"""Name -> what takes it, and the argument that says where it is."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Store the pictures that the documentation shows.")
    parser.add_argument("--dashboard", default="http://127.0.0.1:8501", help="the dashboard's address")
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="the Dagster UI's address")
    parser.add_argument("--api", default="http://127.0.0.1:5000", help="the API server's address")
    parser.add_argument("--report", default="report.html", help="the file that `movierec report` wrote")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    parser.add_argument("--only", help="take just the pictures whose names begin so, such as dashboard/")
    parser.add_argument("--dark", action="store_true", help="ask the dashboard for its dark theme")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the folder to store into")
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no chromium on the PATH; install it or name one with --chromium")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=CHROMIUM_FLAGS)
        for name, (take, source) in PICTURES.items():
            url = getattr(arguments, source)
            if name.startswith(arguments.only or ""):
                page = browser.new_page(color_scheme="dark" if arguments.dark else "light")
                page.set_default_timeout(TIMEOUT_MS)
                expect.set_options(timeout=TIMEOUT_MS)
                try:
                    picture = take(page, url)
                except (PageError, AssertionError, Error) as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    return 1
                path = arguments.out / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture)
                print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
