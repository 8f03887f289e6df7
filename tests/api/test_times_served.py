"""A model with relative times behind the API: when a movie was rated counts, for trained users and all others."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from flask.testing import FlaskClient
from scipy import sparse

from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA, Movies
from movierec_engine.models import SASRec
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot

N = 12
"""Users 1 to 12 and movies 10, 20, ... 120. User u has watched u to u + 3, an hour after one another."""
OUTSIDE = 99
"""Somebody whom no model was trained on, who has rated 80, and 60 a day later."""
DAY = 86_400
BEGIN = 10**9
LAST = BEGIN + 3 * 3600


@pytest.fixture(autouse=True)
def model(store: ArtifactStore) -> SASRec:
    user, back = np.repeat(np.arange(N), 4), np.tile(np.arange(4), N)
    train = Interactions(
        user=user.astype(np.int32),
        item=((user + back) % N).astype(np.int32),
        rating=np.full(4 * N, 5, dtype=np.float32),
        timestamp=BEGIN + 3600 * back,
        users=IdMap(np.arange(1, N + 1)),
        items=IdMap(np.arange(10, 10 * N + 1, 10)),
    )
    torch.manual_seed(2)
    made = SASRec(embedding_dim=8, max_length=10)
    network = made.build(train, build_graph(train), torch.device("cpu"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.4)
    made.export()
    ids = train.items.ids
    titles = {"movie_id": ids, "title": [f"Film {i}" for i in ids], "year": [2000] * N, "genres": [["Drama"]] * N}
    outside = {"user_id": [OUTSIDE] * 2, "movie_id": [60, 80], "rating": [5.0, 5.0], "timestamp": [LAST + DAY, LAST]}
    rated = pa.concat_tables([train.to_table().cast(RATINGS_SCHEMA), pa.table(outside, schema=RATINGS_SCHEMA)])
    movies = Movies(pa.table(titles, schema=MOVIES_SCHEMA))
    config = RetrievalConfig(similar_items=3, fold_in_min_items=1)
    index = build_index(made, RatedMovies.of(rated), movies, config, "cpu", liked_from=3.0)
    store.publish(Slot("faiss_index", "camps", "sasrec", "cpu"), index.save, key="k", fingerprint="f00d")
    return made


def say(client: FlaskClient, user: int, movie: int, timestamp: int) -> None:
    event = {"user_id": user, "movie_id": movie, "kind": "rating", "rating": 5.0, "timestamp": timestamp}
    assert client.post("/api/feedback", json=event).status_code == 200


def listed(client: FlaskClient, **asked: object) -> dict[int, Any]:
    body = client.post("/api/recommend", json={"top_k": N, **asked}).json
    return {one["movie_id"]: one["score"] for one in body["recommendations"]}


def expected(model: SASRec, *history: tuple[int, int]) -> dict[int, Any]:
    """The scores of movies outside a history of movies and seconds."""
    movies, seconds = zip(*history, strict=True)
    row = sparse.csr_matrix((np.array(seconds, dtype=float), model.items.index(movies), [0, len(movies)]), (1, N))
    scores = dict(zip(model.items.ids.tolist(), model.fold_in(row)[0].tolist(), strict=True))
    return {movie: pytest.approx(score, abs=1e-5) for movie, score in scores.items() if movie not in movies}


TRAINED = [(10 * place, BEGIN + 3600 * (place - 1)) for place in (1, 2, 3, 4)]


def test_what_a_trained_user_rates_has_its_own_time(client: FlaskClient, model: SASRec) -> None:
    assert listed(client, user_id=1) == expected(model, *TRAINED)
    say(client, 1, 90, LAST + 10)
    soon = listed(client, user_id=1)
    assert soon == expected(model, *TRAINED, (90, LAST + 10))
    assert soon != expected(model, *TRAINED, (90, LAST + 90 * DAY))
    say(client, 1, 70, LAST + 90 * DAY)
    assert listed(client, user_id=1) == expected(model, *TRAINED, (90, LAST + 10), (70, LAST + 90 * DAY))


def test_what_is_told_late_of_an_earlier_time_comes_right_after_the_history(client: FlaskClient, model: SASRec) -> None:
    say(client, 1, 90, BEGIN)
    assert listed(client, user_id=1) == expected(model, *TRAINED, (90, LAST + 0.5))


def test_people_who_are_folded_in_have_the_times_of_their_ratings(client: FlaskClient, model: SASRec) -> None:
    assert listed(client, user_id=OUTSIDE) == expected(model, (80, LAST), (60, LAST + DAY))
    say(client, OUTSIDE, 30, LAST + 2 * DAY)
    assert listed(client, user_id=OUTSIDE) == expected(model, (80, LAST), (60, LAST + DAY), (30, LAST + 2 * DAY))
    say(client, 777, 30, LAST)
    say(client, 777, 50, LAST + DAY)
    assert listed(client, user_id=777) == expected(model, (30, LAST), (50, LAST + DAY))


def test_a_history_that_is_told_without_times_is_one_of_a_moment(client: FlaskClient, model: SASRec) -> None:
    assert listed(client, history=[30, 10, 50]) == expected(model, (30, LAST + 0.1), (10, LAST + 0.2), (50, LAST + 0.3))


def test_reasons_are_of_the_history_with_its_times(client: FlaskClient) -> None:
    say(client, 1, 90, LAST + 30 * DAY)
    body = client.post("/api/recommend", json={"user_id": 1, "top_k": 2, "explain": True}).json
    best = body["recommendations"][0]
    whole = best["why"]["base"] + best["why"]["others"]
    whole += sum(one["contribution"] for one in best["why"]["contributions"])
    assert whole == pytest.approx(best["score"], abs=1e-4)


def test_times_of_ratings_are_kept_with_the_index(store: ArtifactStore) -> None:
    version = store.latest(Slot("faiss_index", "camps", "sasrec", "cpu"))
    assert version is not None
    assert RetrievalIndex.load(version.folder).rated.times_by(OUTSIDE) == {80: LAST, 60: LAST + DAY}
