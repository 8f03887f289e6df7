"""Visits of the dashboard in a real browser: a store, a server over it, a visitor, and when a page is drawn.

MOVIEREC_BROWSER_STORE names a store to look at instead of a small one that is made here.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from ports import free_port

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTH = 1366
ACCESSIBILITY = Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8")
"""Gives what a page does against reading by everybody, by WCAG, as sentences."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAGES = {
    "": "Leaderboard",
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
IN_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
]
"""Marks of the tests that need one."""


@pytest.fixture(scope="session")
def browser_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small models, trained for real."""
    if given := os.environ.get("MOVIEREC_BROWSER_STORE"):
        return Path(given)
    root = tmp_path_factory.mktemp("browser") / "store"
    environment = {**os.environ, "MOVIEREC_ARTIFACTS": str(root), "OMP_NUM_THREADS": "1"}
    for model in ("popularity", "ease", "gmf"):
        command = [sys.executable, "-m", "movierec_engine.cli", "train", f"model={model}", "logger.use_mlflow=false"]
        command += ["trainer.max_epochs=8"] if model == "gmf" else []
        subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    return root


@pytest.fixture(scope="session")
def address(browser_store: Path) -> Iterator[str]:
    """A running dashboard."""
    with serving(browser_store) as url:
        yield url


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """A dashboard that runs over a store; neither the API nor Dagster answers."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--client.toolbarMode", "minimal"]
    away = dict.fromkeys(("MOVIEREC_API_URL", "MOVIEREC_DAGSTER_INTERNAL_URL"), "http://127.0.0.1:9")
    environment = {**os.environ, **away, "MOVIEREC_ARTIFACTS": str(store), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[tuple[Page, list[str]]]:
    """A page of a new visitor, and what its console says is wrong; the colour scheme is the test's parameter."""
    scheme: Any = getattr(request, "param", "light")
    context = browser.new_context(color_scheme=scheme, viewport={"width": WIDTH, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if counts(message, address) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if is_elsewhere(request.url, address) else None)
    yield page, wrong
    context.close()


def counts(message: ConsoleMessage, address: str) -> bool:
    """Whether a message of the console is an error: Streamlit looks for its server below a page's path first."""
    url = message.location.get("url", address)
    return message.type == "error" and url.startswith(address) and "/_stcore/" not in url


def is_elsewhere(url: str, address: str) -> bool:
    """Whether a request leaves the dashboard, which works without the internet."""
    return not url.startswith((address, address.replace("http", "ws", 1), "data:", "blob:"))


def settled(page: Page, heading: str) -> None:
    """Wait until a page is drawn, and refuse error boxes and sideways scrolling."""
    expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    for _ in range(2):  # a choice, or a fragment, may start it once more
        page.wait_for_timeout(700)
        expect(page.locator('[data-testid="stApp"]')).to_have_attribute("data-test-script-state", "notRunning")
        expect(page.locator('[data-testid="stSkeleton"]')).to_have_count(0)
    boxes = page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]')
    assert boxes.count() == 0, boxes.first.inner_text()
    sideways = page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('[data-testid=stMain]')]"
        ".map(one => one.scrollWidth - one.clientWidth)"
    )
    assert max(sideways) <= 0, f"{heading} scrolls sideways by {sideways} pixels at {WIDTH}"
