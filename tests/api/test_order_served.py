"""A model of order behind the API: the newest event decides the next list."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from flask.testing import FlaskClient

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA, Movies
from movierec_engine.models import Markov
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot

N = 12
"""Movies 10, 20, ... 120. User u of 1 to 12 has watched u to u + 3, in this order and round the end: everybody goes on
to the next one."""
OUTSIDE = 99
"""Somebody whom no model was trained on, who has rated 80 and then 60."""
YEAR = 365 * 86_400


def following(last: int) -> int:
    """The movie that everybody watches after another one."""
    return last % (10 * N) + 10


@pytest.fixture(autouse=True)
def served(store: ArtifactStore) -> None:
    user, back = np.repeat(np.arange(N), 4), np.tile(np.arange(4), N)
    train = Interactions(
        user=user.astype(np.int32),
        item=((user + back) % N).astype(np.int32),
        rating=np.full(4 * N, 5, dtype=np.float32),
        timestamp=YEAR + back,
        users=IdMap(np.arange(1, N + 1)),
        items=IdMap(np.arange(10, 10 * N + 1, 10)),
    )
    model = Markov(window=1, backward=0.0, decay=3.0, shrinkage=0.1).fit(Dataset(train))
    ids = train.items.ids
    titles = {"movie_id": ids, "title": [f"Film {i}" for i in ids], "year": [2000] * N, "genres": [["Drama"]] * N}
    outside = {"user_id": [OUTSIDE] * 2, "movie_id": [60, 80], "rating": [5.0, 5.0], "timestamp": [YEAR + 9, YEAR]}
    rated = pa.concat_tables([train.to_table().cast(RATINGS_SCHEMA), pa.table(outside, schema=RATINGS_SCHEMA)])
    movies = Movies(pa.table(titles, schema=MOVIES_SCHEMA))
    config = RetrievalConfig(similar_items=3, fold_in_min_items=1)
    index = build_index(model, RatedMovies.of(rated), movies, config, "cpu", liked_from=3.0)
    store.publish(Slot("faiss_index", "camps", "markov", "cpu"), index.save, key="k", fingerprint="f00d")


def say(client: FlaskClient, user: int, movie: int, rating: float = 5.0, **more: object) -> None:
    event = {"user_id": user, "movie_id": movie, "kind": "rating", "rating": rating, **more}
    assert client.post("/api/feedback", json=event).status_code == 200


def listed(client: FlaskClient, **asked: object) -> Any:
    body = client.post("/api/recommend", json={"top_k": 5, **asked}).json
    return body["source"], [(one["movie_id"], one["score"]) for one in body["recommendations"]]


def first(client: FlaskClient, **asked: object) -> tuple[str, int]:
    source, movies = listed(client, **asked)
    return source, movies[0][0]


def test_the_newest_event_changes_what_comes_next(client: FlaskClient) -> None:
    assert first(client, user_id=1) == ("personal", following(40))
    for movie in (90, 70):
        say(client, 1, movie)
        assert first(client, user_id=1) == ("personal", following(movie))
    say(client, 1, 110, timestamp=2 * YEAR)  # told last, and watched before the others
    assert first(client, user_id=1) == ("personal", following(70))
    same = client.post("/api/batch-recommend", json={"user_ids": [1], "top_k": 1}).json["results"][0]
    assert same["recommendations"][0]["movie_id"] == following(70)


def test_a_movie_of_the_history_that_is_rated_again_moves_to_its_end(client: FlaskClient) -> None:
    say(client, 1, 90)
    say(client, 1, 20)
    _, live = listed(client, user_id=1)
    _, anew = listed(client, history=[10, 30, 40, 90, 20])
    _, otherwise = listed(client, history=[10, 20, 30, 40, 90])
    assert live == [(movie, pytest.approx(score, abs=1e-5)) for movie, score in anew]
    assert [score for _, score in live] != pytest.approx([score for _, score in otherwise], abs=1e-5)


def test_what_the_history_ends_with_already_is_nothing_new(client: FlaskClient) -> None:
    """As after a training that has taken in what was said."""
    trained = listed(client, user_id=1)
    for movie in (30, 40):
        say(client, 1, movie)
    assert listed(client, user_id=1) == trained
    assert "live_ratings" not in client.get("/api/recommend?user_id=1").json
    say(client, 1, 90)
    assert client.get("/api/recommend?user_id=1").json["live_ratings"] == 1
    assert first(client, user_id=1) == ("personal", following(90))


def test_dislikes_and_dismissals_are_left_out_and_change_no_order(client: FlaskClient) -> None:
    before = listed(client, user_id=1)[1]
    say(client, 1, 80, rating=1.0)
    dismissed = {"user_id": 1, "movie_id": 100, "kind": "not_interested"}
    assert client.post("/api/feedback", json=dismissed).status_code == 200
    after = dict(listed(client, user_id=1)[1])
    assert not {80, 100} & after.keys()
    for movie, score in before:
        if movie in after:
            assert after[movie] == pytest.approx(score, abs=1e-5)
    say(client, 1, 40, rating=1.0)
    assert dict(listed(client, user_id=1, top_k=N)[1])[50] < after[50] / 2, "what is disliked leaves the history"


def test_reasons_name_the_newest_event_and_add_up(client: FlaskClient) -> None:
    say(client, 1, 90)
    body = client.post("/api/recommend", json={"user_id": 1, "top_k": 3, "explain": True}).json
    best = body["recommendations"][0]
    why = best["why"]
    assert why["contributions"][0]["movie_id"] == 90
    assert why["exact"]
    total = why["base"] + why["others"] + sum(one["contribution"] for one in why["contributions"])
    assert total == pytest.approx(best["score"], abs=1e-5)


def test_people_without_a_model_of_their_own_are_folded_in_by_order(client: FlaskClient) -> None:
    for movie in (30, 60, 30):
        say(client, 777, movie)
        assert first(client, user_id=777) == ("fold-in", following(movie))
    assert first(client, user_id=OUTSIDE) == ("fold-in", following(60))
    say(client, OUTSIDE, 80)
    assert first(client, user_id=OUTSIDE) == ("fold-in", following(80))


@pytest.mark.parametrize(
    ("history", "last"), [([30, 60], 60), ([60, 30], 30), ([30, 60, 30], 30), ([{"movie_id": 60, "rating": 5}, 30], 30)]
)
def test_an_anonymous_history_is_read_oldest_first(client: FlaskClient, history: list[Any], last: int) -> None:
    assert first(client, history=history) == ("fold-in", following(last))


def test_what_a_model_remembers_of_a_user_is_shown_newest_first(client: FlaskClient) -> None:
    history = client.get("/api/users/1").json["history"]
    assert [one["movie_id"] for one in history] == [40, 30, 20, 10]
    assert {one["rating"] for one in history} == {None}


def test_after_an_erasure_the_order_begins_anew(client: FlaskClient) -> None:
    say(client, 1, 90)
    assert client.delete("/api/users/1").status_code == 200
    assert listed(client, user_id=1)[0] == "popularity"
    say(client, 1, 60)
    assert first(client, user_id=1) == ("fold-in", following(60))
    assert client.get("/api/users/1").json["history"] == []
