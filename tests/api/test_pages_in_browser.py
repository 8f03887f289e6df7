"""The pages in a real browser, over a small world whose answers are known and whose titles are hostile.

MOVIEREC_SCREENSHOTS names a folder that keeps the pictures.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hostile import IDS, SHOWN, hostile_index
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect, sync_playwright
from werkzeug.serving import make_server

from movierec_engine.api.app import create_app
from movierec_engine.data.rating_scale import RatingScale
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore, Slot
from worlds import small_index, with_scale

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAGES = {
    "home": "/",
    "found": "/search?q=long",
    "movie": "/movies/10",
    "discover": "/discover",
    "user": "/users/7",
    "unknown": "/users/5",
    "docs": "/docs",
    "nowhere": "/nowhere",
}
WIDE, PHONE = {"width": 1366, "height": 900}, {"width": 390, "height": 844}
LISTED = "#results .card .title"
Open = Callable[..., Page]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=60_000)
        yield opened
        opened.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server over `ease`, which user 1 gets later movies from, and `lightgcn`, which is the other way round."""
    store = ArtifactStore(tmp_path / "store")
    for model, sign in (("lightgcn", -1), ("ease", 1)):
        store.publish(
            Slot("faiss_index", "camps", model, "cpu"), hostile_index(model, sign).save, key="k", fingerprint="f00d"
        )
    server = make_server("127.0.0.1", 0, create_app(store.root), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """`visit("/discover", viewport=PHONE)`: a page in a browser of its own, which may not complain of anything."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def visit(path: str, context: BrowserContext | None = None, **options: object) -> Page:
        if context is None:
            context = browser.new_context(**{"viewport": WIDE, "base_url": address, **options})  # type: ignore[arg-type]
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None)
        page.on("request", lambda one: None if one.url.startswith(address) else complaints.append(one.url))
        page.goto(path)
        page.wait_for_load_state("networkidle")
        return page

    yield visit
    hacked = [page.url for one in contexts for page in one.pages if page.evaluate("'hacked' in window")]
    for one in contexts:
        one.close()
    assert not complaints
    assert not hacked


def titles(page: Page, selector: str = LISTED) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_text_contents()]


def column(page: Page, model: str) -> str:
    return f'.column[data-model="{model}"] .row .title'


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_page_scrolls_sideways_and_every_text_stands_out(visit: Open, scheme: str, viewport: dict[str, int]) -> None:
    for name, path in PAGES.items():
        page = visit(path, viewport=viewport, color_scheme=scheme)
        sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert sideways <= 0, name
        assert page.evaluate(FAINT) == [], name
        if folder := os.environ.get("MOVIEREC_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{viewport['width']}.png", full_page=True)


FAINT = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const exempt = "svg, [hidden], :disabled, noscript, label:has(:disabled)";
    if (!own || element.closest(exempt) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [one, other] = [luminance(parse(style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const large = parseFloat(style.fontSize) >= 24;
    if ((one + 0.05) / (other + 0.05) < (large ? 3 : 4.5)) found.push(element.outerHTML.slice(0, 120));
  }
  return found;
}"""
"""The elements whose text has less contrast to what is behind it than WCAG 2.2 AA asks for."""


def test_search_is_led_by_the_keyboard_to_a_movie(visit: Open, address: str) -> None:
    page = visit("/")
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search movies")
    expect(box).to_be_focused()
    page.keyboard.type("script")
    option = page.get_by_role("option")
    expect(option.first).to_contain_text(SHOWN[0])
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(option.first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == option.first.get_attribute("id")
    page.keyboard.press("Escape")
    expect(option).to_have_count(0)
    page.keyboard.press("ArrowDown")
    expect(option.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/movies/10")
    assert titles(page, "h1") == [SHOWN[0]]


def test_enter_without_a_choice_searches_and_nothing_found_says_so(visit: Open) -> None:
    page = visit("/")
    page.get_by_role("combobox").fill("qqqqqq")
    expect(page.locator(".suggestions")).to_contain_text("No title like “qqqqqq”")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Movies like “qqqqqq”")


def test_a_new_users_list_follows_the_ratings_which_stay_in_the_browser(visit: Open) -> None:
    """Two of the later movies make a history that likes the later ones; the third is then the best that is left."""
    page = visit("/discover")
    expect(page.locator("#source")).to_have_text("Popular with everyone: rate 2 more and the list becomes yours")
    assert titles(page) == SHOWN
    for place, left in ((4, "rate 1 more"), (3, "Made from your 2 ratings")):
        page.locator(f'#results [data-movie="{IDS[place]}"] star-rating').focus()
        page.keyboard.press("5")
        expect(page.locator("#source")).to_contain_text(left)
    assert titles(page) == [SHOWN[2], SHOWN[1], SHOWN[0]]
    expect(page.locator("#ratings .row")).to_have_count(2)

    again = visit("/discover", page.context)
    expect(again.locator("#source")).to_have_text("Made from your 2 ratings")
    assert page.context.cookies() == []
    again.locator("#ratings .dismiss").first.click()
    expect(again.locator("#source")).to_contain_text("rate 1 more")
    expect(page.locator("#source")).to_contain_text("rate 1 more")
    again.get_by_role("button", name="Start over").click()
    expect(again.locator("#source")).to_contain_text("rate 2 more")
    again.get_by_role("button", name="Undo").click()
    expect(again.locator("#source")).to_contain_text("rate 1 more")


def test_arrows_choose_a_rating_that_enter_gives_and_a_touch_gives_half_stars(visit: Open) -> None:
    page = visit("/movies/20", has_touch=True, viewport=PHONE)
    stars = page.get_by_role("slider", name=f"Rate {SHOWN[1]}")
    stars.focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    expect(stars).to_have_attribute("aria-valuetext", "3.5 of 5 stars, Enter to rate")
    expect(page.locator("#rated")).to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator("#rated")).to_have_text("3.5 of 5")
    box = stars.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.46, box["y"] + box["height"] / 2)
    expect(stars).to_have_attribute("aria-valuenow", "2.5")
    page.keyboard.press("Delete")
    expect(stars).to_have_attribute("aria-valuetext", "not rated")


SCALES = {
    "to ten": RatingScale(1.0, 10.0, 1.0),
    "to a hundred": RatingScale(1.0, 100.0, 1.0),
    "whole": RatingScale(1.0, 5.0, 1.0),
    "thumbs": RatingScale(0.0, 1.0, 1.0),
    "any": RatingScale(-10.0, 10.0, 0.0),
    "likes": RatingScale(1.0, 1.0, 0.0),
}


@pytest.fixture
def of_index(browser: Browser, tmp_path: Path) -> Iterator[Callable[[RetrievalIndex], Page]]:
    """`of_index(index)`: a page over an index."""
    with ExitStack() as ended:

        def opened(index: RetrievalIndex) -> Page:
            store = ArtifactStore(tmp_path / "store")
            store.publish(Slot("faiss_index", "camps", "ease", "cpu"), index.save, key="k", fingerprint="f00d")
            server = make_server("127.0.0.1", 0, create_app(store.root), threaded=True)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            ended.callback(thread.join)
            ended.callback(server.shutdown)
            page = browser.new_page(viewport=WIDE, base_url=f"http://127.0.0.1:{server.port}")
            ended.callback(page.close)
            return page

        yield opened


@pytest.fixture
def of_scale(of_index: Callable[[RetrievalIndex], Page]) -> Callable[[RatingScale], Page]:
    """`of_scale(scale)`: a page over data of this scale."""
    return lambda scale: of_index(with_scale(hostile_index("ease"), scale))


@pytest.mark.parametrize(
    ("name", "at", "words", "filled"),
    [
        ("to ten", 0.99, "10 of 10", "100%"),
        ("to ten", 0.76, "8 of 10", "80%"),
        ("to a hundred", 0.58, "60 of 100", "60%"),
        ("whole", 0.55, "3 of 5", "60%"),
        ("thumbs", 0.3, "0 of 1", "50%"),
        ("any", 0.99, "10 of 10", "100%"),
        ("any", 0.01, "-8 of 10", "10%"),
        ("likes", 0.5, "liked", "100%"),
    ],
)
def test_a_click_on_the_stars_is_the_rating_that_stands_there_on_any_scale(
    of_scale: Callable[[RatingScale], Page], name: str, at: float, words: str, filled: str
) -> None:
    page = of_scale(SCALES[name])
    page.goto("/movies/20")
    stars = page.locator(".yours star-rating")
    box = stars.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * at, box["y"] + box["height"] / 2)
    expect(page.locator("#rated")).to_have_text(words)
    assert stars.locator(".full").evaluate("one => one.style.getPropertyValue('--share')") == filled
    page.goto("/discover")
    expect(page.locator("#ratings .row")).to_have_count(1)
    expect(page.locator("#results .card")).to_have_count(4)


def test_a_users_page_says_and_records_ratings_on_the_scale_of_the_data(
    of_scale: Callable[[RatingScale], Page],
) -> None:
    page = of_scale(SCALES["to ten"])
    page.goto("/users/7")
    stars = page.locator(".column star-rating").first
    stars.focus()
    for key in ("PageUp", "PageUp", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#toasts")).to_contain_text(f"{SHOWN[0]}: 5 of 10")
    expect(page.locator("#summary")).to_contain_text("5 of 10 on average")
    expect(page.locator("#history star-rating").first).to_have_attribute("aria-label", "5 of 10")
    page.locator(".column star-rating").first.press("4")
    expect(page.locator("#toasts")).to_contain_text("8 of 10")


def test_data_of_likes_offer_a_like_alone(of_scale: Callable[[RatingScale], Page]) -> None:
    page = of_scale(SCALES["likes"])
    page.goto("/users/7")
    like = page.get_by_role("button", name=f"Like {SHOWN[0]}").first
    like.press("Enter")
    expect(page.locator("#toasts")).to_contain_text(f"{SHOWN[0]}: liked")
    expect(page.locator("#history star-rating").first).to_have_attribute("aria-label", "liked")
    expect(page.locator("#summary")).not_to_contain_text("average")
    page.goto("/movies/20")
    like = page.get_by_role("button", name=f"Like {SHOWN[1]}")
    like.press(" ")
    expect(like).to_have_attribute("aria-pressed", "true")
    like.press(" ")
    expect(like).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#rated")).to_be_empty()


def test_a_taste_is_shown_by_what_is_known_of_the_catalogue(of_index: Callable[[RetrievalIndex], Page]) -> None:
    index = small_index()
    columns = index.movies.to_pydict()
    for lacking, headings in (({"year": [None] * 5}, ["Genres"]), ({"year": [None] * 5, "genres": [[]] * 5}, [])):
        movies = pa.table(columns | lacking, schema=index.movies.schema)
        page = of_index(replace(index, movies=movies))
        page.goto("/users/7")
        expect(page.locator("#history .card")).to_have_count(1)
        expect(page.locator("#taste h3")).to_have_text(headings)
        expect(page.get_by_role("heading", name="Taste")).to_be_visible(visible=bool(headings))


def test_dials_genres_and_years_narrow_the_list_until_nothing_is_left(visit: Open) -> None:
    page = visit("/discover")
    page.locator("#dials summary").click()
    page.get_by_label("From year").fill("2001")
    expect(page.locator(LISTED)).to_have_count(2)
    page.locator("select[name=genres]").select_option("<i>Genre</i>")
    page.get_by_label("Lesser known").press("End")
    expect(page.locator(LISTED)).to_have_text([SHOWN[4], SHOWN[3]])
    expect(page.locator("#dials summary")).to_contain_text("3 set")
    page.get_by_label("To year").fill("1990")
    expect(page.locator("#results")).to_contain_text("The list could not be made")
    expect(page.locator("#results")).to_contain_text("From year 2001 is after To year 1990")
    page.get_by_label("From year").fill("1980")
    page.get_by_label("To year").fill("1985")
    expect(page.locator("#results")).to_contain_text("No movie fits")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(LISTED)).to_have_text(SHOWN)


def test_what_is_not_wanted_leaves_the_new_users_list_until_it_is_undone(visit: Open) -> None:
    page = visit("/discover")
    page.get_by_role("button", name=f"Not interested in {SHOWN[0]}").click()
    expect(page.locator(LISTED)).to_have_text(SHOWN[1:])
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(LISTED)).to_have_text(SHOWN)


def test_a_movie_that_is_searched_for_is_asked_about_although_it_was_not_seen(visit: Open) -> None:
    page = visit("/discover")
    asked = page.locator("#interview .title")
    first = asked.first.inner_text()
    page.get_by_role("button", name=f"Don't know: {first}").click()
    expect(asked.first).not_to_have_text(first)
    page.get_by_role("combobox", name="Find a movie to rate").fill(first[:12])
    page.locator(".inline [role=option]").first.click()
    expect(asked.first).to_have_text(first)
    stars = page.locator("#interview star-rating").first
    expect(stars).to_be_focused()
    stars.press("4")
    expect(page.locator("#ratings .title")).to_have_text([first])


def test_models_stand_side_by_side_and_mark_what_they_share(visit: Open) -> None:
    page = visit("/users/7")
    assert titles(page, column(page, "ease")) == SHOWN
    assert titles(page, column(page, "lightgcn")) == SHOWN[::-1]
    expect(page.locator("#overlap")).to_have_text("5 movies of 5 are in more than one list.")
    expect(page.locator('.column[data-model="ease"] .shared').first).to_have_text("also lightgcn")
    page.locator('.column[data-model="ease"] .row').first.hover()
    expect(page.locator(".row.same")).to_have_count(2)
    page.get_by_role("checkbox", name="lightgcn").press("Space")
    expect(page.locator(".column")).to_have_count(1)
    page.get_by_role("checkbox", name="ease").press("Space")
    expect(page.locator("#columns")).to_contain_text("No model chosen")


def test_a_users_rating_is_sent_once_under_a_key_and_every_list_follows(visit: Open) -> None:
    page = visit("/users/7")
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.url.endswith("/api/feedback") else None)
    page.locator('.column[data-model="ease"] [data-movie="20"] star-rating').press("4")
    expect(page.locator('.column [data-movie="20"]')).to_have_count(0)
    expect(page.locator("#history .title").first).to_have_text(SHOWN[1])
    page.get_by_role("button", name=f"Not interested in {SHOWN[2]}").first.click()
    expect(page.locator('.column [data-movie="30"]')).to_have_count(0)
    rating, dismissal = (one.post_data_json for one in sent)
    assert (rating["user_id"], rating["movie_id"], rating["kind"], rating["rating"]) == ("7", "20", "rating", 4)
    assert (dismissal["movie_id"], dismissal["kind"]) == ("30", "not_interested")
    keys = [one.headers["idempotency-key"] for one in sent]
    assert len(set(keys)) == 2
    assert all(len(key) == 32 for key in keys)


def test_a_dismissal_and_a_rating_are_taken_back_by_undo(visit: Open) -> None:
    page = visit("/users/7")
    of_movie = page.locator('.column[data-model="ease"] [data-movie="20"]')
    page.locator('.column[data-model="ease"]').get_by_role("button", name=f"Not interested in {SHOWN[1]}").click()
    expect(of_movie).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(of_movie).to_have_count(1)
    of_movie.locator("star-rating").press("4")
    expect(of_movie).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(of_movie).to_have_count(1)


def test_feedback_without_an_answer_is_sent_again_under_the_same_key(visit: Open) -> None:
    page = visit("/users/7")
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/feedback", lose_the_first_answer)
    page.locator('.column[data-model="ease"] [data-movie="20"] star-rating').press("4")
    expect(page.locator("#history .title").first).to_have_text(SHOWN[1])
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_server_with_keys_asks_for_one_before_it_shows_a_person(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "a-key-of-this-server")
    visit: Open = request.getfixturevalue("visit")
    page = visit("/users/7")
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This needs an API key").first).to_be_visible()
    page.reload()
    page.get_by_role("textbox", name="API key").fill("a-key-of-another-one")
    page.keyboard.press("Enter")
    page.wait_for_function("sessionStorage.getItem('movierec.key')")
    page.reload()
    expect(page.get_by_role("dialog")).to_contain_text("The API key sent is not one of this server's")
    page.get_by_role("textbox", name="API key").fill("a-key-of-this-server")
    page.keyboard.press("Enter")
    page.locator('.column[data-model="ease"] [data-movie="20"] star-rating').press("4")
    expect(page.locator("#history .title").first).to_have_text(SHOWN[1])
    page.get_by_role("button", name=f"Not interested in {SHOWN[2]}").first.click()
    expect(page.locator('.column [data-movie="30"]')).to_have_count(0)


def test_a_list_shows_that_it_loads_and_that_it_failed_and_can_be_tried_again(visit: Open, address: str) -> None:
    page = visit("/nowhere")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/recommend", hold)
    page.goto("/discover")
    expect(page.locator("#results .bone").first).to_be_visible()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    page.wait_for_timeout(200)
    held[-1].abort()
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    page.unroute("**/api/recommend")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(LISTED)).to_have_text(SHOWN)


def test_a_genre_narrows_what_is_popular(visit: Open) -> None:
    page = visit("/")
    page.get_by_role("button", name="<i>Genre</i>").click()
    expect(page.get_by_role("button", name="<i>Genre</i>")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(LISTED)).to_have_text(SHOWN)


def test_the_theme_that_is_chosen_is_remembered(visit: Open) -> None:
    page = visit("/", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(paper) != light
    again = visit("/discover", page.context)
    assert again.evaluate(paper) == page.evaluate(paper)
    expect(again.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")


def test_what_was_kept_in_the_browser_may_be_nonsense(visit: Open) -> None:
    for kept in ("{", "7", '{"ratings": [{"movie": {"movie_id": "x"}, "rating": 9}], "unwanted": "no"}'):
        page = visit("/nowhere")
        page.evaluate("(kept) => localStorage.setItem('movierec.taste', kept)", kept)
        page.goto("/discover")
        expect(page.locator(LISTED)).to_have_text(SHOWN)


def test_posters_are_drawn_the_same_every_time(visit: Open) -> None:
    page = visit("/")
    drawing = "(place) => document.querySelectorAll('.rail movie-poster')[place].innerHTML.replace(/poster-\\d+/g, '')"
    first = [page.evaluate(drawing, place) for place in range(5)]
    page.reload()
    assert [page.evaluate(drawing, place) for place in range(5)] == first
    assert len(set(first)) == 5


def test_without_scripts_movies_are_found_and_seen(visit: Open, browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=address)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Search movies").fill("script")
    page.keyboard.press("Enter")
    page.locator(".card .title").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(SHOWN[0])
    assert page.locator(".grid .card").count() > 0
    context.close()
