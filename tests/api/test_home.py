"""The home page in rows: full, without a movie twice, by the person's taste, never stale, each row continued."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from movierec_engine.models import EASE, Popularity
from movierec_engine.models.base import Recommender
from movierec_engine.recommending.rows.config import RowsConfig
from movierec_engine.recommending.rows.ratings_by_item import DAY, RatingsByItem
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot
from worlds import TEXT_USERS, text_index

N_USERS, N_MOVIES = 60, 90
NEWEST = 16_000 * DAY
Page = dict[str, Any]


def rated_world() -> pa.Table:
    """Users like movies of one parity of the ten: users 0 to 29 of War, the others of Romance; later movies later."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(N_USERS):
        own = [movie for movie in range(N_MOVIES) if (movie // 10) % 2 == (user >= 30)]
        for place, movie in enumerate(rng.choice(own, 12, replace=False).tolist()):
            rows.append((user, movie, 3.5 + (movie % 4) / 2, NEWEST - (N_MOVIES - movie) * 5 * DAY - place))
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            name: list(column)
            for name, column in zip(("user_id", "movie_id", "rating", "timestamp"), columns, strict=True)
        }
    )


def index_of(
    table: pa.Table, times: bool = True, genres: bool = True, model: Recommender | None = None, factory: str = "Flat"
) -> RetrievalIndex:
    """model: EASE unless given."""
    users, items = IdMap.of(table["user_id"]), IdMap.of(table["movie_id"])
    seconds = table["timestamp"].to_numpy() * times
    values = table["rating"].to_numpy().astype(np.float32)
    train = Interactions(
        users.index(table["user_id"]).astype(np.int32),
        items.index(table["movie_id"]).astype(np.int32),
        values,
        seconds,
        users,
        items,
    )
    model = (model or EASE()).fit(Dataset(train))
    ids = items.ids.tolist()
    titles = ["Saga", "Saga 2", "Saga 3", *(f"Film {one}" for one in ids[3:])]
    of_genre = [["War"] if (ids.index(one) // 10) % 2 == 0 else ["Romance"] for one in ids]
    columns = {
        "movie_id": ids,
        "title": titles,
        "year": [1990] * len(ids),
        "genres": of_genre if genres else [[]] * len(ids),
    }
    movies = Movies(pa.table(columns, schema=MOVIES_SCHEMA))
    by_item = RatingsByItem.of(train.item, values, seconds, len(items), 3.0)
    return build_index(
        model,
        RatedMovies.of(table),
        movies,
        RetrievalConfig(factory=factory, similar_items=30),
        "cpu",
        liked_from=3.0,
        ratings_by_item=by_item,
    )


def client_of(index: RetrievalIndex, root: Any) -> FlaskClient:
    store = ArtifactStore(root / "store")
    store.publish(Slot("faiss_index", "rows", "ease", "cpu"), index.save, key="k", fingerprint="f00d")
    return create_app(store.root, ServingConfig(rows=RowsConfig(trending_seconds=0))).test_client()


@pytest.fixture(scope="module")
def index() -> RetrievalIndex:
    return index_of(rated_world())


@pytest.fixture(scope="module")
def shared(index: RetrievalIndex, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """Its tests say nothing."""
    return client_of(index, tmp_path_factory.mktemp("home"))


@pytest.fixture
def own(index: RetrievalIndex, tmp_path: Any) -> Iterator[FlaskClient]:
    yield client_of(index, tmp_path)


def page(client: FlaskClient, query: str = "") -> Page:
    answer = client.get(f"/api/home?{query}")
    assert answer.status_code == 200, answer.text
    body: Page = answer.get_json()
    shown = [movie["movie_id"] for row in body["rows"] for movie in row["movies"]]
    assert len(shown) == len(set(shown)) and all(row["title"] and row["reason"] for row in body["rows"])
    return body


def names(body: Page) -> list[str]:
    return [row["row"] for row in body["rows"]]


def ids_of(row: Page) -> list[Any]:
    return [movie["movie_id"] for movie in row["movies"]]


def test_a_users_page_begins_with_their_list_and_shows_nothing_that_they_have_rated(
    shared: FlaskClient, index: RetrievalIndex
) -> None:
    body = page(shared, "user_id=3&top_k=6")
    listed = shared.get("/api/recommend?user_id=3&top_k=6").get_json()
    assert body["rows"][0]["row"] == "for-you" and body["source"] == listed["source"] == "personal"
    assert ids_of(body["rows"][0]) == ids_of({"movies": listed["recommendations"]})
    rated = set(index.rated.by(3)[0].tolist())
    assert not rated.intersection(movie for row in body["rows"] for movie in ids_of(row))
    assert all(len(row["movies"]) == 6 for row in body["rows"] if row["next"])
    assert {"trending", "genre:War"} <= set(names(body)) and any(name.startswith("because:") for name in names(body))


def test_rows_are_to_ones_own_taste(shared: FlaskClient) -> None:
    war, romance = (names(page(shared, f"user_id={user}&rows=20")) for user in (3, 40))
    assert war.index("genre:War") < war.index("genre:Romance") if "genre:Romance" in war else "genre:War" in war
    assert "genre:Romance" in romance and (
        "genre:War" not in romance or romance.index("genre:Romance") < romance.index("genre:War")
    )


@pytest.mark.parametrize("query", ["", "user_id=12345", "history=", "history=3"])
def test_people_without_a_history_or_unknown_get_a_sensible_page(shared: FlaskClient, query: str) -> None:
    body = page(shared, query)
    assert body["source"] == "popularity" and names(body)[0] == "popular" and "trending" in names(body)
    assert len(body["rows"]) > 2


def test_what_the_model_popularity_lists_is_called_popular_whoever_asks(tmp_path: Any) -> None:
    client = client_of(index_of(rated_world(), model=Popularity()), tmp_path)
    for whose in ("user_id=3", "history=22,24,26,41", "user_id=3&genres=War", "user_id=99999"):
        body = page(client, whose)
        assert (body["source"], body["rows"][0]["title"]) == ("popularity", "Popular with everyone"), whose
        assert client.get(f"/api/recommend?{whose}").get_json()["source"] == "popularity", whose
    told = client.get("/api/recommend?history=22,24").get_json()
    assert told["fold_in_min_items"] is None, "no number of likes makes the list another one"
    rated = {"user_id": 3, "movie_id": 20, "kind": "rating", "rating": 5}
    client.post("/api/feedback", json=rated)
    batch = client.post("/api/batch-recommend", json={"user_ids": [3, 4]}).get_json()["results"]
    assert [one["source"] for one in batch] == ["popularity"] * 2


def test_the_next_part_of_a_series_that_was_begun_is_offered(shared: FlaskClient) -> None:
    row = shared.get("/api/home/continue-series?history=0,20,21").get_json()
    assert (row["title"], ids_of(row)) == ("Continue a series", [1])


def test_because_names_the_movie_and_holds_similar_ones(shared: FlaskClient) -> None:
    body = page(shared, "history=22:5,24:5,26:5,28:4,41:5,43:5")
    because = [row for row in body["rows"] if row["row"].startswith("because:")]
    assert because and because[0]["title"].startswith("Because you liked Film ")


@pytest.mark.parametrize(
    ("whose", "title", "reason"),
    [
        ("history=22:5,24:4,26:5,41:1", "Because you liked Film 22", "like Film 22, and to your taste"),
        ("history=22:1,24:4,26:5,41:5", "More like Film 22", "like Film 22, and to your taste"),
        ("user_id=99999", "More like Film 22", "like Film 22"),
    ],
)
def test_a_row_of_similar_movies_claims_no_like_that_nobody_told(
    shared: FlaskClient, whose: str, title: str, reason: str
) -> None:
    row = shared.get(f"/api/home/because:22?{whose}").get_json()
    assert (row["title"], row["reason"]) == (title, reason) and row["movies"]


def test_a_row_continues_to_its_end_without_what_the_page_showed(shared: FlaskClient) -> None:
    body = page(shared, "user_id=3&top_k=5&rows=4")
    on_page = {movie for row in body["rows"] for movie in ids_of(row)}
    for row in body["rows"]:
        seen, cursor = set(on_page), row["next"]
        while cursor:
            more = shared.get(f"/api/home/{row['row']}?user_id=3&top_k=7&next={cursor}").get_json()
            assert not seen.intersection(ids_of(more)) and more["row"] == row["row"]
            seen.update(ids_of(more))
            cursor = more["next"]
        whole = shared.get(f"/api/home/{row['row']}?user_id=3&top_k=90").get_json()
        assert seen - on_page == set(ids_of(whole)) - on_page


def test_what_is_rated_or_dismissed_leaves_every_row_at_once_and_comes_back_when_it_is_undone(own: FlaskClient) -> None:
    before = page(own, "user_id=3")
    first = ids_of(before["rows"][0])[0]
    other = ids_of(before["rows"][1])[0]
    own.post("/api/feedback", json={"user_id": 3, "movie_id": first, "kind": "rating", "rating": 4.5})
    own.post("/api/feedback", json={"user_id": 3, "movie_id": other, "kind": "not_interested"})
    after = page(own, "user_id=3&rows=20&top_k=50")
    assert not {first, other}.intersection(movie for row in after["rows"] for movie in ids_of(row))
    for movie, kind in ((first, "rating"), (other, "not_interested")):
        own.delete("/api/feedback", query_string={"user_id": 3, "movie_id": movie, "kind": kind})
    assert [row["movies"] for row in page(own, "user_id=3")["rows"]] == [row["movies"] for row in before["rows"]]


def test_the_cursor_of_a_row_continues_it_though_feedback_arrives(own: FlaskClient) -> None:
    row = page(own, "user_id=3&top_k=4&rows=3")["rows"][0]
    seen, cursor = ids_of(row), row["next"]
    gone = set()
    while cursor:
        gone.add(seen[-1])
        own.post("/api/feedback", json={"user_id": 3, "movie_id": seen[-1], "kind": "not_interested"})
        more = own.get(f"/api/home/{row['row']}?user_id=3&top_k=4&next={cursor}").get_json()
        seen += ids_of(more)
        cursor = more["next"]
    assert len(seen) == len(set(seen))


def test_what_people_like_now_is_trending_and_one_person_alone_makes_no_trend(own: FlaskClient) -> None:
    for user in (100, 101, 102):
        own.post("/api/feedback", json={"user_id": user, "movie_id": 7, "kind": "click"})
    own.post("/api/feedback", json={"user_id": 100, "movie_id": 8, "kind": "added_to_list"})
    trending = ids_of(own.get("/api/home/trending?top_k=90").get_json())
    assert trending[0] == 7 and trending.index(7) < (trending.index(8) if 8 in trending else 90)
    for user in (100, 101):
        own.delete("/api/feedback", query_string={"user_id": user, "movie_id": 7, "kind": "click"})
    assert ids_of(own.get("/api/home/trending?top_k=90").get_json())[0] != 7


def test_filters_and_exclusions_hold_in_every_row(shared: FlaskClient) -> None:
    body = page(shared, "user_id=3&genres=romance&exclude=11,12,13&rows=20")
    assert all(movie["genres"] == ["Romance"] for row in body["rows"] for movie in row["movies"])
    assert not {11, 12, 13}.intersection(movie for row in body["rows"] for movie in ids_of(row))
    cursor = next(row for row in body["rows"] if row["next"])
    wrong = shared.get(f"/api/home/{cursor['row']}?user_id=3&next={cursor['next']}")
    assert wrong.status_code == 400 and "other parameters" in wrong.get_json()["error"]["message"]


@pytest.mark.parametrize(
    "address, status, said",
    [
        ("/api/home/nothing", 404, "there is no row 'nothing'"),
        ("/api/home/genre:Nonsense", 404, "there is no row"),
        ("/api/home/because:123456", 404, "there is no row"),
        ("/api/home/because:", 404, "there is no row"),
        ("/api/home/trending?next=AAAA", 400, "no cursor"),
        ("/api/home?rows=0", 400, "rows must be"),
        ("/api/home?rows=21", 400, "rows must be"),
        ("/api/home?user_id=1&history=3", 422, "give user_id or history"),
        ("/api/home?genres=Nonsense", 422, "there is no genre"),
        ("/api/home?model=nothing", 404, "no index of model"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(shared: FlaskClient, address: str, status: int, said: str) -> None:
    answer = shared.get(address)
    assert answer.status_code == status and said in answer.get_json()["error"]["message"]


def test_a_page_is_made_of_data_without_times_genres_and_ratings(tmp_path: Any) -> None:
    table = rated_world().set_column(2, "rating", pa.array([1.0] * (12 * N_USERS)))
    client = client_of(index_of(table, times=False, genres=False), tmp_path)
    body = page(client, "user_id=3")
    assert names(body)[0] == "for-you"
    assert not any(name.partition(":")[0] in ("genre", "trending", "rising", "hidden-gems") for name in names(body))


def test_ids_that_are_texts_and_an_index_of_before_rows_make_a_page(tmp_path: Any) -> None:
    client = client_of(text_index(), tmp_path)
    for user in TEXT_USERS.values():
        answer = client.get("/api/home", query_string={"user_id": user})
        assert answer.status_code == 200 and answer.get_json()["rows"][0]["row"] in ("for-you", "popular")
