"""Ratings of any scale, from the file to the answer and back into training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from html_tree import select, tree

from movierec_engine import pipeline
from movierec_engine.api.app import create_app
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale
from movierec_engine.data.ratings import Ratings
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.serving.known_ids import KnownIds
from movierec_engine.store import ArtifactStore, Slot
from worlds import small_index, with_scale

USERS, MOVIES = range(1, 41), range(100, 130)


@dataclass
class Line:
    """What is made of a file of ratings, and a client of its API."""

    store: ArtifactStore
    settings: Settings
    client: FlaskClient


def line(folder: Path, ratings: list[int]) -> Line:
    """Of 40 users with 12 movies each; without ratings where all are one number."""
    rng = np.random.default_rng(3)
    rows = ["user,item,rating" if len(ratings) > 1 else "user,item"]
    for user in USERS:
        for movie in rng.permutation(MOVIES)[:12]:
            rows.append(f"{user},{movie}" + (f",{rng.choice(ratings)}" if len(ratings) > 1 else ""))
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = load_settings([
        "data=custom", "data.name=scaled", f"data.ratings_file={folder / 'ratings.csv'}", "model=ease",
        f"paths.artifacts={folder / 'store'}",
    ])  # fmt: skip
    store = ArtifactStore(folder / "store")
    pipeline.run(store, settings)
    return Line(store, settings, create_app(store.root).test_client())


def rated(made: Line, rating: object, movie: int = 100) -> Any:
    event = {"user_id": 1, "movie_id": movie, "kind": "rating", "rating": rating}
    return made.client.post("/api/feedback", json=event)


@pytest.mark.parametrize(
    ("ratings", "good", "bad", "said"),
    [
        ([*range(1, 11)], [1, 9, 10], [0.5, 4.5, 11], "a rating from 1 to 10 in steps of 1"),
        ([*range(1, 101)], [1, 63, 100], [0.5, 4.5, 101], "a rating from 1 to 100 in steps of 1"),
        ([1], [1], [0.5, 5], "1, which is a like: the data have no ratings"),
    ],
    ids=["to ten", "to a hundred", "likes"],
)
def test_the_data_decide_what_is_a_rating_from_the_file_to_the_next_training(
    tmp_path: Path, ratings: list[int], good: list[float], bad: list[float], said: str
) -> None:
    made = line(tmp_path, ratings)
    for rating in good:
        assert rated(made, rating).status_code == 200
        assert made.client.get(f"/api/recommend?history=100:{rating},101").status_code == 200
        assert made.client.post("/api/home", json={"history": [{"movie_id": 100, "rating": rating}]}).status_code == 200
    for rating in bad:
        refused = rated(made, rating)
        assert (refused.status_code, refused.json["error"]["message"]) == (400, f"rating must be {said}")
        refused = made.client.get(f"/api/similar/101?history=100:{rating}")
        assert refused.json["error"]["message"] == f"history[0].rating must be {said}"
    body = made.client.get("/api/openapi.json").json["paths"]["/api/v1/feedback"]["post"]["requestBody"]
    described = body["content"]["application/json"]["schema"]["properties"]["rating"]
    assert (described["minimum"], described["maximum"]) == (ratings[0], ratings[-1])
    assert described.get("multipleOf") == (1 if len(ratings) > 1 else None)
    assert rated(made, body["content"]["application/json"]["example"]["rating"], 101).status_code == 200
    assert rated(made, good[-1]).status_code == 200
    said_live = made.client.get("/api/users/1").json["feedback"]["ratings"]
    assert {one["movie_id"]: one["rating"] for one in said_live}[100] == good[-1]
    own = made.client.get("/api/users/2").json
    likes_only = len(ratings) == 1
    assert {one["timestamp"] for one in own["history"]} == {None}, "the file has no times"
    assert {one["rating"] is None for one in own["history"]} == {likes_only} == {own["mean_rating"] is None}
    (listed,) = made.client.get("/api/recommend?user_id=2&top_k=1&explain=true").json["recommendations"]
    assert {one["rating"] is None for one in listed["why"]["contributions"]} == {likes_only}
    root = select(tree(made.client.get("/discover", headers={"Accept": "text/html"}).text), "html")[0]
    assert [float(root.get(f"data-{name}") or "") for name in ("lowest", "highest")] == [ratings[0], ratings[-1]]

    again = pipeline.ingest_ratings(made.store, made.settings.data)
    rows = Ratings.load(again.folder).table.to_pylist()
    assert {row["movie_id"]: row["rating"] for row in rows if row["user_id"] == 1}[100] == good[-1]


def test_each_line_that_answers_has_a_scale_of_its_own_and_one_of_before_scales_has_movielens(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    to_ten = with_scale(small_index("ease"), RatingScale(1.0, 10.0, 1.0))
    for model, index in (("lightgcn", small_index("lightgcn")), ("ease", to_ten)):
        store.publish(Slot("faiss_index", "camps", model, "cpu"), index.save, key="k", fingerprint="f00d")
    client = create_app(store.root).test_client()
    for query, status in (
        ("history=10:9", 200),
        ("history=10:4.5", 400),
        ("history=10:9&model=lightgcn", 400),
        ("history=10:4.5&model=lightgcn", 200),
        ("history=10:9&model=none", 404),
    ):
        assert client.get(f"/api/recommend?{query}").status_code == status, query


def test_an_index_keeps_its_scale_and_an_older_one_is_read_without(tmp_path: Path) -> None:
    scale = RatingScale(1.0, 100.0, 1.0)
    with_scale(small_index(), scale).save(tmp_path)
    assert RetrievalIndex.load(tmp_path).facts.rating_scale == scale
    written = (tmp_path / "index.json").read_text(encoding="utf-8")
    start, end = written.index(',\n "rating_scale"'), written.rindex("\n}")
    (tmp_path / "index.json").write_text(written[:start] + written[end:], encoding="utf-8")
    assert RetrievalIndex.load(tmp_path).facts.rating_scale == MOVIELENS == KnownIds().scale
