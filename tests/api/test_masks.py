"""Served lists and known ratings are disjoint, of every person, for every model, whatever became of the rating.

The oracle reads raw_ratings' file and what was posted, and nothing of the index.
"""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from movierec_engine import pipeline
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.config import load_settings
from movierec_engine.feedback import log_file
from movierec_engine.pipeline import model_checks
from movierec_engine.store import SERVING, ArtifactStore, Slot

MODELS = (
    "popularity",
    "item_cf",
    "svd",
    "ease",
    "als",
    "gf_cf",
    "markov",
    "sasrec",
    "gmf",
    "mlp",
    "ncf",
    "recvae",
    "lightgcn",
    "ngcf",
    "hybrid_ensemble",
)
KINDS = ("popularity", "item_cf", "ease", "als", "gf_cf", "markov", "gmf", "hybrid_ensemble")
"""One of each way in which an index scores."""
APPROXIMATE = {"als": "HNSW8", "gmf": "IVF4,Flat"}
MOVIES = (*range(100, 130), *range(140, 145))
DIALLED, NARROWED, NEW = "&diversity=0.7", "&genres=War", "&cold_items=0.5"


class Home(NamedTuple):
    """A store, and the models that it has indices of."""

    root: Path
    models: Sequence[str]


@pytest.fixture(scope="module", params=[pytest.param((0, MODELS), marks=pytest.mark.slow), (4, KINDS)], ids=["0", "4"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The store of models at a threshold; 40 users with 12 ratings each, two more below the core, 5 rare movies."""
    threshold, models = request.param
    folder = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(11)
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(1, 41):
        for movie in rng.choice(30, size=12, replace=False):
            rows.append(f"{user},{100 + movie},{rng.integers(1, 11) / 2},{1_000_000 + len(rows)}")
    for user, movies in ((50, [100, 101]), (51, [102, 103, 104, 105, 106, 107])):
        rows += [f"{user},{movie},{1 if user == 50 else 5},{2_000_000 + movie}" for movie in movies]
    rows += [f"{user},{140 + user % 5},5,3000000" for user in (3, 9, 50)]
    titles = ["movieId,title,genres", *(f"{movie},Film {movie} (1990),Drama|War" for movie in MOVIES)]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "movies.csv").write_text("\n".join(titles) + "\n", encoding="utf-8")
    store = ArtifactStore(folder / "store")
    same = [f"data.dir='{folder}'", "data.name=camps", f"data.rating_threshold={threshold}"]
    same += ["data.min_user_interactions=3", "data.min_item_interactions=3", "retrieval.fold_in_min_items=3"]
    same += ["trainer.max_epochs=1", "device=cpu", f"paths.checkpoints='{folder / 'checkpoints'}'"]
    for model in models:
        own = [f"model={model}", f"retrieval.factory='{APPROXIMATE.get(model, 'Flat')}'"]
        own += ["model.models=[item_cf,gmf]"] if model == "hybrid_ensemble" else []
        pipeline.run(store, load_settings([*same, *own]))
    return Home(store.root, models)


@pytest.fixture
def store(home: Home, tmp_path: Path) -> ArtifactStore:
    """A copy, to be said things to."""
    return ArtifactStore(Path(shutil.copytree(home.root, tmp_path / "store", symlinks=True)))


def rated_in(store: ArtifactStore) -> dict[int, set[int]]:
    """Person -> the movies of every row of raw_ratings."""
    table = pq.read_table(store.require(Slot("raw_ratings", "camps")).folder / "ratings.parquet")
    rated: dict[int, set[int]] = defaultdict(set)
    for user, movie in zip(table["user_id"].to_pylist(), table["movie_id"].to_pylist(), strict=True):
        rated[user].add(movie)
    return rated


def again(client: FlaskClient, hidden: dict[int, set[int]], models: Sequence[str], *queries: str) -> list[Any]:
    """Every (model, query, person, movie) that a list holds though it is hidden; every list must hold something."""
    found = []
    for model in models:
        for query in queries:
            for user, movies in hidden.items():
                body = client.get(f"/api/recommend?user_id={user}&top_k=40&model={model}{query}").json
                listed = {movie["movie_id"] for movie in body["recommendations"]}
                assert listed, (model, query, user)
                found += [(model, query, user, movie) for movie in listed & movies]
        batch = client.post("/api/batch-recommend", json={"user_ids": [*hidden], "top_k": 40, "model": model}).json
        for one in batch["results"]:
            listed = {movie["movie_id"] for movie in one["recommendations"]}
            found += [(model, "batch", one["user_id"], movie) for movie in listed & hidden[one["user_id"]]]
    return found


def test_no_list_of_any_model_holds_what_its_person_has_rated(home: Home, store: ArtifactStore) -> None:
    client, rated = create_app(store.root).test_client(), rated_in(store)
    assert {50, 51} <= rated.keys()
    assert again(client, rated, home.models, "") == []
    some = {user: movies for user, movies in rated.items() if user % 4 == 3 or user > 40}
    assert again(client, some, home.models, NARROWED, DIALLED, NEW) == []


def test_the_check_of_an_index_agrees_and_finds_a_mask_that_lacks_somebody(home: Home, store: ArtifactStore) -> None:
    for model in home.models:
        found = model_checks.nothing_rated_is_served(store, store.require(Slot("faiss_index", "camps", model, "cpu")))
        assert (found.passed, found.numbers["users"]) == (True, 42), found.sentence
    index = store.require(Slot("faiss_index", "camps", "ease", "cpu"))
    with np.load(index.folder / "rated.npz") as saved:
        arrays = {name: values.copy() for name, values in saved.items()}
    arrays["movies"][:12] = 999
    np.savez(index.folder / "rated.npz", **arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("movierec_engine.store.Artifact.verify", lambda self: self)
        found = model_checks.nothing_rated_is_served(store, index)
    assert not found.passed and "such as of user 1; the index does not know all" in found.sentence


def test_after_live_ratings_a_promotion_and_the_loss_of_the_log_nothing_rated_comes_back(
    home: Home, store: ArtifactStore
) -> None:
    client, rated = create_app(store.root).test_client(), rated_in(store)
    said = {user: set(movies) for user, movies in rated.items()}
    rng = np.random.default_rng(5)
    for number in range(100):
        user, movie = int(rng.choice([1, 2, 3, 50, 51, 77])), int(rng.choice(MOVIES))
        rating = {"kind": "rating", "rating": float(rng.integers(1, 11) / 2)}
        what = {"kind": "not_interested"} if number % 5 == 0 else rating
        if len(said.setdefault(user, set())) < 28:
            assert client.post("/api/feedback", json={"user_id": user, "movie_id": movie, **what}).status_code == 200
            said[user].add(movie)
    some = {user: said[user] for user in (1, 2, 3, 50, 51, 77)}
    assert again(client, some, home.models, "", DIALLED, NEW) == []
    for model in ("ease", "hybrid_ensemble"):
        store.point(SERVING, store.require(Slot("faiss_index", "camps", model, "cpu")), {})
        body = client.get("/api/recommend?user_id=1&top_k=40").json
        assert body["model"] == model
        assert not {movie["movie_id"] for movie in body["recommendations"]} & said[1]
    path = log_file(store.root, "camps")
    for name in ("feedback.db", "feedback.db-wal", "feedback.db-shm"):
        (path.parent / name).unlink(missing_ok=True)
    fresh = create_app(store.root).test_client()
    assert again(fresh, rated, home.models[:4], "", NEW) == []
    path.write_bytes(b"SQLite format 3\0" + bytes(50))
    fresh = create_app(store.root).test_client()
    answer = fresh.get("/api/recommend?user_id=1&top_k=40")
    listed = {movie["movie_id"] for movie in answer.json.get("recommendations", ())}
    assert answer.status_code in (200, 503) and not listed & rated[1]


def test_with_repeat_rated_movies_come_again_and_dismissed_ones_never(home: Home, store: ArtifactStore) -> None:
    client, rated = create_app(store.root, ServingConfig(repeat=True)).test_client(), rated_in(store)
    for user in (1, 50, 51):
        body = client.get(f"/api/recommend?user_id={user}&top_k=40").json
        everything = {movie["movie_id"] for movie in body["recommendations"]}
        known = everything & rated[user]
        assert known
        dismissed = min(known)
        client.post("/api/feedback", json={"user_id": user, "movie_id": dismissed, "kind": "not_interested"})
        assert again(client, {user: {dismissed}}, home.models, "", DIALLED, NEW) == []


def test_who_is_below_the_core_is_folded_in_from_the_raw_ratings_until_they_are_erased(store: ArtifactStore) -> None:
    client, rated = create_app(store.root).test_client(), rated_in(store)
    body = client.get("/api/recommend?user_id=51&model=ease&strict=true&explain=true").json
    assert body["source"] in ("fold-in", "personal")
    assert client.delete("/api/users/51").status_code == 200
    body = client.get("/api/recommend?user_id=51&model=ease&top_k=40").json
    assert body["source"] == "popularity"
    assert {movie["movie_id"] for movie in body["recommendations"]} >= rated[51], "nothing is known of them any more"
    assert client.get("/api/recommend?user_id=51&model=ease&strict=true").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "models"), [(0, ["ease"]), (4, MODELS)], ids=["every rating", "likes"])
def test_nobody_of_the_bundled_data_is_shown_what_they_have_rated(
    threshold: int, models: Sequence[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    for model in models:
        own = ["model.models=[item_cf,ease]"] if model == "hybrid_ensemble" else []
        same = [f"data.rating_threshold={threshold}", "trainer.max_epochs=1", "device=cpu"]
        pipeline.run(store, load_settings([f"model={model}", *same, *own, f"paths.checkpoints='{tmp_path / 'saved'}'"]))
    table = pq.read_table(store.require(Slot("raw_ratings", "movielens-small")).folder / "ratings.parquet")
    rated: dict[int, set[int]] = defaultdict(set)
    for user, movie in zip(table["user_id"].to_pylist(), table["movie_id"].to_pylist(), strict=True):
        rated[user].add(movie)
    assert len(rated) == 671
    client = create_app(store.root).test_client()
    for model in models:
        asked = {"user_ids": [*rated], "top_k": 25, "model": model}
        for one in client.post("/api/batch-recommend", json=asked).json["results"]:
            listed = {movie["movie_id"] for movie in one["recommendations"]}
            assert len(listed) == 25 and not listed & rated[one["user_id"]], (model, one["user_id"])
