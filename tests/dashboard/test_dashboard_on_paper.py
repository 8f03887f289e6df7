"""Every page, its print view and the HTML report on A4: nothing cut, squashed or beside another, and no boxes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_visit import IN_A_BROWSER, PAGES, ROOT, serving, settled
from lived_in_store import fill_lived_in
from playwright.sync_api import Browser, Page

from movierec_engine.config import load_settings
from movierec_engine.pipeline import run_tracked

pytestmark = IN_A_BROWSER
ON_PAPER = Path(__file__).with_name("on_paper.js").read_text(encoding="utf-8")
A4 = 703
"""Pixels between the margins of 12 mm."""


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_lived_in(tmp_path_factory.mktemp("lived in") / "store").root


@pytest.fixture(scope="module")
def address(lived_in: Path) -> Iterator[str]:
    """A dashboard over a store in which every section has something to show."""
    with serving(lived_in) as url:
        yield url


def sheets(page: Page) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))


@pytest.mark.parametrize("opened", ["dark"], indirect=True, ids=str)
@pytest.mark.parametrize(("path", "heading"), PAGES.items(), ids=list(PAGES.values()))
def test_a_page_and_its_print_view_fit_the_paper(
    opened: tuple[Page, list[str]], address: str, path: str, heading: str
) -> None:
    page, _ = opened
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(f"{address}/{path}")
    settled(page, heading)
    assert page.evaluate(ON_PAPER, A4) == []
    page.get_by_role("button", name="Print or save").click()
    settled(page, heading)
    assert page.evaluate(ON_PAPER, A4) == []
    assert 1 <= sheets(page) <= 12
    page.emulate_media(media="print")
    ink = page.locator("h1").first.evaluate("one => getComputedStyle(one).color")
    assert ink == "rgb(49, 51, 63)", "dark on paper, whatever the theme"


def test_the_html_report_fits_the_paper(browser: Browser, small_data: list[str], tmp_path: Path) -> None:
    store, report = tmp_path / "store", tmp_path / "report.html"
    for model in ("ease", "popularity"):
        run_tracked(load_settings([*small_data, f"model={model}", f"paths.artifacts={store}"]))
    command = [sys.executable, "-m", "movierec_engine.cli", "report", "--output", str(report)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "MOVIEREC_ARTIFACTS": str(store)})
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate(ON_PAPER, A4) == []
    page.close()
