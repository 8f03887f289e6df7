"""Every page in a real browser, light and dark, over a store that the pipeline filled.

MOVIEREC_SCREENSHOTS names a folder that keeps the pictures.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser_visit import ACCESSIBILITY, IN_A_BROWSER, PAGES, ROOT, WIDTH, settled
from PIL import Image
from playwright.sync_api import Browser, Page, TimeoutError, expect

from dashboard.charts import CHOSEN

pytestmark = IN_A_BROWSER
CHARTLESS = ("sweeps", "operations")
"""Pages that a store without sweeps and decisions gives nothing to draw."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("MOVIEREC_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def picture(page: Page, path: Path) -> None:
    """The whole page in one picture."""
    content = page.locator('[data-testid="stMainBlockContainer"]').bounding_box()
    assert content is not None
    page.set_viewport_size({"width": WIDTH, "height": int(content["y"] + content["height"]) + 20})
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    page.set_viewport_size({"width": WIDTH, "height": 900})


@pytest.mark.parametrize("opened", ["light", "dark"], indirect=True, ids=str)
@pytest.mark.parametrize(("path", "heading"), PAGES.items(), ids=list(PAGES.values()))
def test_every_page_opens_without_an_error(
    opened: tuple[Page, list[str]], address: str, path: str, heading: str, pictures: Path, request: Any
) -> None:
    page, wrong = opened
    page.goto(f"{address}/{path}")
    settled(page, heading)
    scheme = request.node.callspec.params["opened"]
    picture(page, pictures / f"{path or 'leaderboard'}-{scheme}.png")
    if path not in CHARTLESS:
        assert page.locator('[data-testid="stVegaLiteChart"] :is(canvas, svg)').count() > 0
    assert page.evaluate(ACCESSIBILITY) == []
    if scheme == "light":
        fits_a_phone(page, heading)
    assert wrong == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_number_is_cut_off_however_many_users_there_are(
    opened: tuple[Page, list[str]], address: str, width: int
) -> None:
    """Millions of wins, ties and losses, put in the place of those of the store, wrap; those of it fit on a line."""
    page, _ = opened
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/compare")
    settled(page, "Compare two")
    value = page.locator('[data-testid="stMetric"]').filter(has_text="Win / tie / loss").get_by_test_id("stMetricValue")
    cut = "one => Math.max(...[one, ...one.querySelectorAll('*')].map(part => part.scrollWidth - part.clientWidth))"
    assert value.evaluate(cut) <= 0
    value.evaluate(
        "one => { while (one.firstElementChild) one = one.firstElementChild;"
        " one.textContent = '1,234,567 / 2,244,678 / 1,193,000'; }"
    )
    assert value.evaluate(cut) <= 0


def fits_a_phone(page: Page, heading: str) -> None:
    """The page does not scroll sideways at 390 pixels, and no chart lies outside of it."""
    page.set_viewport_size({"width": 390, "height": 900})
    settled(page, heading)
    boxes = page.locator('[data-testid="stVegaLiteChart"]').evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(one => [one.left, one.right])"
    )
    assert all(left >= 0 and right <= 390 for left, right in boxes), boxes
    assert page.evaluate(ACCESSIBILITY) == []


def test_lists_follow_the_person_and_the_dials(opened: tuple[Page, list[str]], address: str) -> None:
    page, wrong = opened
    page.goto(f"{address}/explore?explored=ease,popularity")
    settled(page, "Explore")
    page.get_by_role("button", name="Most movies").click()
    settled(page, "Explore")
    user = page.get_by_role("textbox", name="User id").input_value()
    expect(page.get_by_role("heading", name=f"What user {user} gets, and why")).to_be_visible()
    assert f"user={user}" in page.url
    page.get_by_text("Taste dials:").click()
    page.get_by_role("slider", name="Novelty").press("ArrowRight")
    settled(page, "Explore")
    assert "dial_novelty=0.05" in page.url

    choose(page, "Lists for", "A new user, from movies")
    settled(page, "Explore")
    page.get_by_role("textbox", name="Find a movie").first.fill("toy story")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Toy Story (1995)").first.click()
    settled(page, "Explore")
    assert "told=1%3A5" in page.url
    expect(page.get_by_text("1 movie known")).to_be_visible()
    expect(page.get_by_text("because it is popular").first).to_be_visible()
    assert wrong == []


def test_the_main_controls_work_and_stand_in_the_url(
    opened: tuple[Page, list[str]], address: str, pictures: Path
) -> None:
    page, wrong = opened
    page.goto(address)
    settled(page, "Leaderboard")
    choose(page, "Metric", "Recall")
    expect(page).to_have_url(re.compile("metric=recall"))  # the next choice would be made on the page before this one
    choose(page, "k", "20")
    settled(page, "Leaderboard")
    expect(page.get_by_role("heading", name="with Recall@20")).to_be_visible()
    assert "metric=recall" in page.url
    assert "k=20" in page.url

    page.get_by_role("link", name="Compare two").click()
    settled(page, "Compare two")
    assert "metric=recall" in page.url, "the choice goes along to the next page"
    choose(page, "against", "popularity")
    settled(page, "Compare two")
    expect(page.get_by_role("heading", name="significantly better than popularity on Recall@20")).to_be_visible()

    page.get_by_role("link", name="Training").click()
    settled(page, "Training")
    choose(page, "Curve", "Training loss")
    settled(page, "Training")
    page.get_by_text("Only what differs").click()
    settled(page, "Training")

    page.get_by_role("link", name="Segments and fairness").click()
    settled(page, "Segments and fairness")
    page.get_by_role("link", name="Data", exact=True).click()
    settled(page, "Data")
    expect(page.get_by_text("Kept: ratings of at least")).to_be_visible()
    for before in ("Segments and fairness", "Training", "Compare two", "Leaderboard"):
        page.go_back()  # past whatever was chosen on the page
        settled(page, before)
    assert wrong == []


def test_a_shared_address_shows_the_same_view(opened: tuple[Page, list[str]], address: str) -> None:
    page, wrong = opened
    page.goto(f"{address}/compare?a=popularity&b=ease&metric=mrr&k=5")
    settled(page, "Compare two")
    expect(page.get_by_role("heading", name="ease is significantly better than popularity on MRR@5")).to_be_visible()
    assert wrong == []


def test_a_click_leads_from_a_segment_to_its_users_and_to_a_users_lists(
    opened: tuple[Page, list[str]], address: str
) -> None:
    page, wrong = opened
    page.goto(f"{address}/segments")
    settled(page, "Segments and fairness")
    chart = page.locator('[data-testid="stVegaLiteChart"][aria-label^="By genre"]')
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile("segment=genre"))
    settled(page, "Segments and fairness")
    page.get_by_role("button", name="Show all").click()
    settled(page, "Segments and fairness")
    assert "segment=" not in page.url, "one click undoes it"

    choose(page, "Users in a segment", re.compile("^popularity: head"))  # the same without the chart
    expect(page).to_have_url(re.compile("segment=popularity"))
    settled(page, "Segments and fairness")
    page.locator('[data-testid="stDataFrame"] canvas').first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    settled(page, "Explore")
    user = page.get_by_role("textbox", name="User id").input_value()
    expect(page.get_by_role("heading", name=f"What user {user} gets, and why")).to_be_visible()
    page.go_back()
    settled(page, "Segments and fairness")
    assert "segment=popularity" in page.url
    assert wrong == []


@pytest.mark.parametrize(("path", "heading"), [("", "Leaderboard"), ("tradeoffs", "Trade-offs")])
def test_a_click_on_a_model_picks_it_leads_on_and_is_undone(
    opened: tuple[Page, list[str]], address: str, path: str, heading: str
) -> None:
    """The model that stands out in the first chart is clicked where the chart has drawn it."""
    page, wrong = opened
    page.goto(f"{address}/{path}")
    settled(page, heading)
    chart = page.locator('[data-testid="stVegaLiteChart"]').first
    chart.scroll_into_view_if_needed()
    box = chart.locator(f'path[fill="{CHOSEN["light"]}"]').first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile("picked=(popularity|ease|gmf)"))
    settled(page, heading)
    picked = re.search(r"picked=(\w+)", page.url)
    assert picked is not None
    expect(page.get_by_role("button", name="Side by side with")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    settled(page, heading)
    assert "picked=" not in page.url, "one click undoes it"

    choose(page, "A model of the charts", "gmf")  # the same without the chart
    expect(page).to_have_url(re.compile("picked=gmf"))
    settled(page, heading)
    page.get_by_role("button", name="Compare with").click()
    settled(page, "Compare two")
    assert "a=gmf" in page.url
    page.go_back()
    settled(page, heading)
    assert "picked=gmf" in page.url
    page.get_by_role("button", name="Its lists").click()
    settled(page, "Explore")
    assert "explored=gmf" in page.url
    assert wrong == []


def test_ticked_rows_stand_in_the_address_that_another_visitor_opens(
    opened: tuple[Page, list[str]], browser: Browser, address: str
) -> None:
    page, wrong = opened
    page.goto(address)
    settled(page, "Leaderboard")
    grid = page.locator('[data-testid="stDataFrame"]').first
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    for row in (1, 2):
        page.mouse.click(box["x"] + 14, box["y"] + 17 + 35 * row)
        settled(page, "Leaderboard")
    expect(page).to_have_url(re.compile("ticked=.*%2C|ticked=.*,"))
    expect(page.get_by_role("button", name="Side by side", exact=True)).to_be_visible()
    other = browser.new_page()
    other.goto(page.url)
    settled(other, "Leaderboard")
    other.get_by_role("button", name="Side by side", exact=True).click()
    settled(other, "Side by side")
    assert "reports=" in other.url
    other.close()
    assert wrong == []


def test_a_view_is_kept_opened_by_another_visitor_and_saved_as_a_file_that_needs_nothing(
    opened: tuple[Page, list[str]], browser: Browser, address: str, tmp_path: Path
) -> None:
    page, wrong = opened
    page.goto(f"{address}/compare?a=popularity&b=ease&metric=mrr&k=5")
    settled(page, "Compare two")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("textbox", name="Keep this page").fill("Who leads?")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_text("Kept as")).to_be_visible()

    other = browser.new_page()
    other.goto(f"{address}/?view=Who%20leads%3F")
    verdict = "ease is significantly better than popularity on MRR@5"
    expect(other.get_by_role("heading", name=verdict)).to_be_visible(timeout=60_000)
    settled(other, "Compare two")
    other.get_by_role("button", name="Print or save").click()
    settled(other, "Compare two")
    expect(other.locator('[data-testid="stVegaLiteChart"] svg.marks').last).to_be_visible(timeout=60_000)
    with other.expect_download() as saved:
        other.get_by_role("button", name="Save as HTML").click()
    saved.value.save_as(tmp_path / "view.html")
    drawn = other.locator('[data-testid="stVegaLiteChart"]').count()
    other.close()

    asked: list[str] = []
    offline = browser.new_context(offline=True).new_page()
    offline.on("request", lambda request: asked.append(request.url))
    offline.goto((tmp_path / "view.html").as_uri())
    assert asked == [(tmp_path / "view.html").as_uri()]
    expect(offline.get_by_role("heading", name=verdict)).to_be_visible()
    assert offline.locator("figure svg").count() == drawn > 3
    assert offline.locator("table").count() >= 3
    assert offline.locator("script, button, input").count() == 0
    offline.set_viewport_size({"width": 390, "height": 900})
    assert offline.evaluate("document.documentElement.scrollWidth") <= 390
    offline.context.close()
    assert wrong == []


def test_a_chart_can_be_saved_as_png_and_as_csv(opened: tuple[Page, list[str]], address: str, tmp_path: Path) -> None:
    page, _ = opened
    page.goto(address)
    settled(page, "Leaderboard")
    with page.expect_download() as csv:
        page.get_by_role("button", name="Data (CSV)").first.click()
    csv.value.save_as(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().startswith("model,")
    tools = page.locator('[data-testid="stFullScreenFrame"]').filter(
        has=page.locator('[data-testid="stVegaLiteChart"]')
    )
    with page.expect_download() as png:  # by the keyboard, since a chart that is drawn anew slips away below a pointer
        tools.first.get_by_role("button", name="Download as PNG").press("Enter")
    png.value.save_as(tmp_path / "chart.png")
    assert png.value.suggested_filename.startswith("ease-"), "named by what the chart concludes"
    drawn = tools.first.locator(".marks").bounding_box()
    assert drawn is not None
    picture = Image.open(tmp_path / "chart.png").convert("L")
    scale = (picture.width - 0.5) / (drawn["width"] + 88)
    assert picture.height > scale * (drawn["height"] + 50), "room for the title"
    title = picture.crop((0, 0, picture.width, int(scale * 38)))
    assert min(title.tobytes()) < 110, "which is written there, dark on white"


def test_a_report_fits_its_screen_and_stacks_its_panels_on_paper(
    browser: Browser, browser_store: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "movierec_engine.cli", "report", "--output", str(tmp_path / "report.html")]
    environment = {**os.environ, "MOVIEREC_ARTIFACTS": str(browser_store)}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    cut = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.evaluate(cut) == 0
    page.set_viewport_size({"width": 688, "height": 1000})  # of A4 between its margins
    page.emulate_media(media="print")
    beside = "[...document.querySelectorAll('.panel')].filter(one => one.getBoundingClientRect().width < 600).length"
    assert page.evaluate(beside) == 0
    page.close()


def choose(page: Page, label: str, option: str | re.Pattern[str]) -> None:
    """Choose in a box; its list closes where the page is drawn again just then, and is opened once more."""
    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(10):
        page.get_by_role("combobox", name=label).first.click()
        try:
            wanted.click(timeout=6_000)
            return
        except TimeoutError:
            page.keyboard.press("Escape")
    wanted.click()
