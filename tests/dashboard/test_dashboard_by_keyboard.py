"""Every page by keyboard alone: few tab stops, each visible, in the order in which the page is read."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser_visit import IN_A_BROWSER, PAGES, serving, settled
from lived_in_store import fill_lived_in
from playwright.sync_api import Page, expect

pytestmark = IN_A_BROWSER
STOPS = Path(__file__).with_name("tab_stops.js").read_text(encoding="utf-8")
"""Gives the element that has the focus: what it is, in which table or row of tools, where, and whether that is seen."""
MOST_PRESSES = 150
DRAWN = 100
"""Milliseconds in which a box's frame has faded in."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard over a store in which every section has something to show."""
    with serving(fill_lived_in(tmp_path_factory.mktemp("lived in") / "store").root) as url:
        yield url


def tab_stops(page: Page) -> list[dict[str, Any]]:
    """What has the focus after each press of Tab, until it leaves the page."""
    found: list[dict[str, Any]] = []
    assert page.evaluate(STOPS) is None
    for _ in range(MOST_PRESSES):
        page.keyboard.press("Tab")
        page.wait_for_timeout(DRAWN)
        stop = page.evaluate(STOPS)
        if stop is None:
            return found
        found.append(stop)
    raise AssertionError(f"Tab has not left the page after {MOST_PRESSES} presses; it is at {found[-1]}")


@pytest.mark.parametrize(("path", "heading"), PAGES.items(), ids=list(PAGES.values()))
def test_tab_passes_each_table_and_each_row_of_tools_once_and_is_seen(
    opened: tuple[Page, list[str]], address: str, path: str, heading: str
) -> None:
    page, wrong = opened
    page.goto(f"{address}/{path}")
    settled(page, heading)
    stops = tab_stops(page)
    assert stops[0]["name"] == "Skip to main content"
    assert [one for one in stops if not one["seen"]] == []
    for kind in ("table", "tools"):
        visited = [one[kind] for one in stops if one[kind] is not None]
        assert len(visited) == len(set(visited)), f"Tab stops more than once in one of {kind}: {visited}"
    tables = page.locator('[data-testid="stDataFrame"]').count()
    assert len({one["table"] for one in stops} - {None}) == tables, "Tab reaches every table"
    charts = page.locator('[data-testid="stVegaLiteChart"]').count()
    assert len(stops) <= 16 + 12 + 2 * tables + 3 * charts + page.locator("input, summary").count()
    assert wrong == []


def test_tab_goes_down_the_page_column_by_column(opened: tuple[Page, list[str]], address: str) -> None:
    page, _ = opened
    page.goto(address)
    settled(page, "Leaderboard")
    stops = [one for one in tab_stops(page) if one["inside"]]
    for before, after in pairwise(stops):
        beside = after["left"] >= before["right"]
        assert after["top"] >= before["top"] - 40 or beside, f"from {before} up to {after}"


def test_the_skip_link_leads_past_the_menu_and_shift_tab_back(opened: tuple[Page, list[str]], address: str) -> None:
    page, _ = opened
    page.goto(address)
    settled(page, "Leaderboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Views")).to_be_focused()
    grid = page.locator('[data-testid="stDataFrame"] canvas[tabindex="0"]').first
    grid.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Table (CSV)")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(grid).to_be_focused()
    page.keyboard.press("Shift+Tab")
    tools = page.locator('[data-testid="stDataFrame"] [data-testid="stElementToolbar"]')
    expect(tools.get_by_role("button").last).to_be_focused()
    expect(tools).to_have_css("opacity", "1")
    page.keyboard.press("ArrowLeft")
    expect(tools.get_by_role("button").nth(-2)).to_be_focused()


def test_a_model_is_chosen_and_rows_are_ticked_by_keyboard(opened: tuple[Page, list[str]], address: str) -> None:
    page, wrong = opened
    page.goto(address)
    settled(page, "Leaderboard")
    page.get_by_role("combobox", name="Metric").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("metric=(?!ndcg)"))
    settled(page, "Leaderboard")
    page.locator('[data-testid="stDataFrame"] canvas[tabindex="0"]').first.focus()
    for rows, key in enumerate(("ArrowDown", "ArrowUp"), start=1):  # to the second and last row, and back
        page.keyboard.press(key)
        page.keyboard.press("Shift+Space")
        expect(page.locator('[data-testid="stDataFrame"] tr[aria-selected="true"]')).to_have_count(rows)
        settled(page, "Leaderboard")
    page.get_by_role("button", name="Side by side").focus()
    page.keyboard.press("Enter")
    settled(page, "Side by side")
    assert wrong == []
