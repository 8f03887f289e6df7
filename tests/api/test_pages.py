"""The pages as a browser without scripts gets them."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from hostile import GENRES, IDS, SHOWN, hostile_index
from html_tree import select, text_of, tree
from werkzeug.test import TestResponse

from movierec_engine.api.app import create_app
from movierec_engine.api.errors import WORDS
from movierec_engine.api.pages import address_of
from movierec_engine.api.static_files import FOLDER
from movierec_engine.data.display_titles import display_title
from movierec_engine.recommending.rows.ratings_by_item import NO_LIKES, RatingsByItem
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import Publish, small_index

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
PAGES = ["/", "/search?q=drama", "/movies/10", "/discover", "/users/1", "/users?user_id=1", "/docs", "/nowhere"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of an API whose titles are hostile, `ease` by default."""
    store = ArtifactStore(tmp_path_factory.mktemp("hostile"))
    for model in ("lightgcn", "ease"):
        store.publish(
            Slot("faiss_index", "camps", model, "cpu"), hostile_index(model).save, key="k", fingerprint="f00d"
        )
    return create_app(store.root).test_client()


def visit(client: FlaskClient, path: str) -> TestResponse:
    return client.get(path, headers=BROWSER)


def parsed(client: FlaskClient, path: str) -> Element:
    return tree(visit(client, path).text)


def texts(page: Element, selector: str) -> list[str]:
    return [text_of(one) for one in select(page, selector)]


def test_the_start_is_a_page_for_a_browser_and_a_list_of_endpoints_for_a_program(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    page, listed = visit(client, "/"), client.get("/")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert (listed.status_code, listed.mimetype) == (200, "application/json")
    assert page.headers["Vary"] == listed.headers["Vary"] == "Accept"
    assert client.get("/", headers={"Accept": "application/json, text/html;q=0.5"}).is_json


def test_the_start_shows_popular_movies_the_most_popular_first(hostile: FlaskClient) -> None:
    assert texts(parsed(hostile, "/"), ".rail .title") == SHOWN


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_what_assistive_technology_needs(hostile: FlaskClient, path: str) -> None:
    page = parsed(hostile, path)
    assert [one.get("lang") for one in select(page, "html")] == ["en"]
    assert page.findtext(".//title")
    assert [len(select(page, one)) for one in ("main", "h1", "header.masthead", "footer")] == [1, 1, 1, 1]
    assert select(page, "a.skip")[0].get("href") == f"#{select(page, 'main')[0].get('id')}"
    labelled = {label.get("for") for label in select(page, "label[for]")}
    for control in select(page, "input, select"):
        assert control.get("id") in labelled or control in select(page, "label input, label select")
    ids = [one.get("id") for one in select(page, "[id]")]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby"):
        for one in select(page, f"[{name}]"):
            assert set(one.get(name).split()) <= set(ids)


@pytest.mark.parametrize("path", [*PAGES, "/movies/60", "/search?q=zzzzzz"])
def test_a_page_shows_no_code_of_its_template(
    client: FlaskClient, publish_line: Callable[..., object], path: str
) -> None:
    publish_line()
    page = visit(client, path).text
    assert "{{" not in page and "{%" not in page


def test_the_dials_say_what_the_data_set_calls_its_items(client: FlaskClient, publish: Publish) -> None:
    publish()
    for path in ("/discover", "/users/1"):
        said = texts(parsed(client, path), ".dial small")
        assert said[:2] == ["Fewer movies that are like one another", "Movies that fewer people know"]


@pytest.mark.parametrize("path", ["/discover", "/users/1"])
def test_dials_and_filters_are_of_what_is_known_of_the_catalogue(store: ArtifactStore, path: str) -> None:
    index = small_index()
    columns = index.movies.to_pydict() | {"year": [None] * 5, "genres": [[]] * 5}
    facts = replace(index.item_facts, genres=np.zeros((5, 0), dtype=np.float32), year=np.zeros(5, dtype=np.int32))
    bare = replace(index, movies=pa.table(columns, schema=index.movies.schema), item_facts=facts)
    for published, names in (
        (index, ["diversity", "novelty", "genre_balance", "decade_balance", "genres", "year_from", "year_to"]),
        (bare, ["novelty"]),
    ):
        store.publish(Slot("faiss_index", "camps", "ease", "cpu"), published.save, key="k", fingerprint="f00d")
        page = parsed(create_app(store.root).test_client(), path)
        offered = [one.get("name") for one in select(page, "label input, label select, .dial input")]
        assert sorted(name for name in offered if name and name not in ("model", "q")) == sorted(names)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_code_of_its_own_and_nothing_from_elsewhere(hostile: FlaskClient, path: str) -> None:
    response = visit(hostile, path)
    page = tree(response.text)
    assert all(not (script.text or "").strip() for script in select(page, "script"))
    assert not select(page, "style, img[onerror], iframe, object, embed, base")
    for one in page.iter():
        assert not [name for name in one.attrib if name.startswith("on") or name == "style"]
    addresses = [one.get(name) for name in ("src", "href", "action") for one in select(page, f"[{name}]")]
    assert all(urlsplit(address).netloc == "" and address[0] in "/#" for address in addresses)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    for address in {one for one in addresses if one.startswith("/static/")}:
        assert hostile.get(address).status_code == 200


def test_hostile_titles_and_genres_are_shown_as_they_are(hostile: FlaskClient) -> None:
    for movie_id, title in zip(IDS, SHOWN, strict=True):
        page = parsed(hostile, f"/movies/{movie_id}")
        assert texts(page, "h1") == [title]
        assert title in page.findtext(".//title")
        assert texts(page, ".facts li") == GENRES
        assert select(page, "#movie")[0].get("data-title") == title
        assert select(page, "star-rating")[0].get("label") == f"Rate {title}"


@pytest.mark.parametrize("term", ["<script>alert(1)</script>", '" onfocus="alert(1)', "{{ 7 * 7 }}", "🦖 عربي"])
def test_a_search_term_comes_back_as_text_alone(hostile: FlaskClient, term: str) -> None:
    response = hostile.get("/search", query_string={"q": term}, headers=BROWSER)
    page = tree(response.text)
    assert response.status_code == 200
    assert texts(page, "h1") == [f"Movies like “{term}”"]
    assert select(page, "#site-search")[0].get("value") == term
    assert not [script for script in select(page, "script") if script.text]


def test_search_works_without_scripts(client: FlaskClient, publish: Publish) -> None:
    publish()
    form = select(parsed(client, "/"), "#site-search-form")[0]
    assert (form.get("action"), form.get("method")) == ("/search", "get")
    found = parsed(client, "/search?q=movie+3")
    assert select(found, ".grid a.title")[0].get("href") == "/movies/40"
    nothing = parsed(client, "/search?q=zzzzzz")
    assert not select(nothing, ".card")
    assert texts(nothing, ".empty b") == ["No title like that"]


def test_a_movies_page_shows_similar_movies_of_the_model_asked_for(hostile: FlaskClient) -> None:
    page = parsed(hostile, "/movies/10?model=lightgcn")
    answer = hostile.get("/api/similar/10?model=lightgcn").json
    links = [one.get("href") for one in select(page, ".grid a.title")]
    assert links == [f"/movies/{movie['movie_id']}" for movie in answer["similar"]]
    assert texts(page, "[aria-current=true]") == ["lightgcn"]
    assert answer["version"] in text_of(select(page, "footer")[0])


def test_a_movies_page_says_how_many_have_rated_it_and_nothing_where_no_model_knows_it(
    store: ArtifactStore, publish_line: Callable[..., dict[str, Artifact]]
) -> None:
    line = publish_line()
    count = np.array([1200, 1, 0, 7, 7], dtype=np.int32)
    index = replace(small_index(), ratings_by_item=RatingsByItem(count, count * 4.0, 0, NO_LIKES))
    parents = {name: line[name] for name in ("trained_model", "splits", "raw_movies")}
    store.publish(line["faiss_index"].slot, index.save, key="k", fingerprint="f00d", parents=parents)
    client = create_app(store.root).test_client()
    leads = {movie: texts(parsed(client, f"/movies/{movie}"), ".movie .lead")[0] for movie in (10, 20, 60)}
    assert leads == {10: "1990 · rated by 1,200 people", 20: "rated by 1 person", 60: "1999"}


def test_a_movies_page_says_of_ratings_what_the_page_for_new_users_says(hostile: FlaskClient) -> None:
    said = "Nothing leaves this browser but the ratings themselves"
    assert said in texts(parsed(hostile, "/movies/10"), "#hint")[0]
    assert said in texts(parsed(hostile, "/discover"), ".lead")[0]


@pytest.mark.parametrize(
    ("movie_id", "model", "address"),
    [
        (10, "", "/movies/10"),
        ("B/0?#%", "", "/movies/B%2F0%3F%23%25"),
        ("...", "", "/movies/..."),
        ("..", "", "/movies?movie_id=.."),
        (".", "", "/movies?movie_id=."),
        (10, "ease", "/movies/10?model=ease"),
        ("..", "ease", "/movies?movie_id=..&model=ease"),
    ],
)
def test_a_movies_page_has_an_address_that_clients_do_not_take_for_a_folder(
    movie_id: int | str, model: str, address: str
) -> None:
    assert address_of(movie_id, model) == address


def test_a_movies_page_is_found_by_its_id_in_the_query_too(hostile: FlaskClient) -> None:
    assert texts(parsed(hostile, "/movies?movie_id=20"), "h1") == texts(parsed(hostile, "/movies/20"), "h1")


def test_a_users_page_offers_every_model_and_knows_the_default_one(hostile: FlaskClient) -> None:
    page = parsed(hostile, "/users/7")
    assert [one.get("value") for one in select(page, "#models input")] == ["ease", "lightgcn"]
    person = select(page, "#person")[0]
    assert (person.get("data-user"), person.get("data-default")) == ("7", "ease")
    looked_up = select(parsed(hostile, "/users?user_id=7"), "#person")[0]
    assert looked_up.get("data-user") == "7"


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/nowhere", 404, "There is no such page"),
        ("/movies/99", 404, "There is no such page"),
        ("/movies/10?model=nothing", 404, "There is no such page"),
        ("/movies/ten", 400, "That address does not fit"),
        ("/search", 400, "That address does not fit"),
        (f"/users/{2**63}", 400, "That address does not fit"),
        ("/static/nothing.js", 404, "There is no such page"),
    ],
)
def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(
    hostile: FlaskClient, path: str, status: int, title: str
) -> None:
    response = visit(hostile, path)
    page = tree(response.text)
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert texts(page, "h1") == [title]
    assert "GET /" not in text_of(select(page, ".lead")[0])
    assert response.headers["X-Request-ID"] in text_of(select(page, "main")[0])
    plain = hostile.get(path)
    assert (plain.status_code, plain.mimetype) == (status, "application/json")


def test_a_page_of_an_error_names_no_parameter_and_the_scripts_words_are_its(hostile: FlaskClient) -> None:
    for path, said in (("/users/x", "User must be a whole number"), ("/movies/x", "Id must be a whole number")):
        assert text_of(select(parsed(hostile, path), ".lead")[0]).startswith(said)
    script = (Path(FOLDER) / "client.js").read_text(encoding="utf-8")
    assert dict(re.findall(r'(\w+): "([^"]+)"', script.partition("const WORDS = {")[2].partition("}")[0])) == WORDS


def test_the_api_answers_a_browser_in_json_even_where_it_fails(hostile: FlaskClient) -> None:
    for path in ("/api/nowhere", "/api/recommend", "/api/movie/99"):
        assert visit(hostile, path).is_json


@pytest.mark.parametrize("path", ["/", "/movies/10", "/discover", "/users/1"])
def test_an_empty_store_is_a_page_that_says_what_to_do(client: FlaskClient, path: str) -> None:
    response = visit(client, path)
    assert response.status_code == 503
    assert "movierec demo" in text_of(select(tree(response.text), ".lead")[0])


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Godfather, The", "The Godfather"),
        ("American in Paris, An", "An American in Paris"),
        ("Avventura, L'", "L'Avventura"),
        ("Dinner Game, The (Dîner de cons, Le)", "The Dinner Game (Le Dîner de cons)"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("I, Robot", "I, Robot"),
        ("Crouching Tiger, Hidden Dragon", "Crouching Tiger, Hidden Dragon"),
        ("The Godfather", "The Godfather"),
        (", The", ", The"),
        ("", ""),
    ],
)
def test_the_article_of_a_title_stands_first(title: str, shown: str) -> None:
    assert display_title(title) == shown


def test_scripts_import_what_is_served_and_move_articles_as_the_server_does(client: FlaskClient) -> None:
    scripts = {path.name: path.read_text(encoding="utf-8") for path in Path(FOLDER).glob("*.js")}
    for text in scripts.values():
        for name in re.findall(r'(?:from|import) "\./([^"]+)"', text):
            assert client.get(f"/static/{name}").mimetype == "text/javascript"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    pages = (Path(__file__).parents[2] / "movierec_engine/data/display_titles.py").read_text(encoding="utf-8")
    articles = r'ARTICLES = "([^"]+)"'
    assert re.findall(articles, scripts["client.js"]) == re.findall(articles, pages)
