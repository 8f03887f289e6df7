"""Whom a list is for and what it may hold, on an index whose scores are known: user 1's score of item i is i + 1.

Movies 10, 20, 30, 40 and the last are of the years 1990, none, 2000, 2001, 2002 and of popularity 5 to 1; user 1 has
seen 40.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.recommendation_service import _reason
from movierec_engine.data.config import DataConfig
from movierec_engine.data.readers import read_movies
from movierec_engine.models.explanation import Explanation
from movierec_engine.serving.loaded_index import ranked_items
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import MOVIES, Publish, small_index

PublishLine = Callable[..., dict[str, Artifact]]
LAST = MOVIES[4]
ASK = "/api/recommend?user_id=1"


def movies(body: Any) -> list[int]:
    return [movie["movie_id"] for movie in body["recommendations"]]


def say(client: FlaskClient, **event: Any) -> None:
    assert client.post("/api/feedback", json=event).status_code == 200


def rate(client: FlaskClient, user_id: int, movie_id: int, rating: float = 5) -> None:
    say(client, user_id=user_id, movie_id=movie_id, kind="rating", rating=rating)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("year_from=1995", [LAST, 30]),
        ("year_to=2000", [30, 10]),
        ("year_from=2000&year_to=2001", [30]),
        ("genres=DRAMA,drama", [LAST, 30, 20, 10]),
        ("genres_not=Drama", []),
        (f"exclude={LAST},10,777", [30, 20]),
        (f"exclude={LAST}&year_to=2001&top_k=1", [30]),
        ("diversity=1&top_k=2&exclude=30", [LAST, 20]),
    ],
)
def test_a_list_holds_what_the_filters_leave_in_the_models_order(
    client: FlaskClient, publish: Publish, query: str, expected: list[int]
) -> None:
    publish()
    assert movies(client.get(f"{ASK}&{query}").json) == expected


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ("genres=Sci-Fi", 422, "genres"),
        ("year_from=2001&year_to=2000", 422, "year_from"),
        ("history=10", 422, "history"),
        ("explain=true&top_k=51", 422, "top_k"),
        ("diversity=1.5", 400, "diversity"),
        ("cold_items=-0.1", 400, "cold_items"),
        ("exclude=x", 400, "exclude[0]"),
        ("diversity_over=looks", 400, "diversity_over"),
    ],
)
def test_what_cannot_be_asked_together_is_refused_by_name(
    client: FlaskClient, publish: Publish, query: str, status: int, parameter: str
) -> None:
    publish()
    response = client.get(f"{ASK}&{query}")
    assert (response.status_code, response.json["error"]["parameter"]) == (status, parameter)


def test_a_novelty_of_one_turns_the_list_to_the_least_popular(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = client.get("/api/recommend?user_id=7&novelty=1").json
    assert movies(body) == [LAST, 40, 30, 20, 10], "whom the model alone would answer 10, 20, 30, 40 and the last"
    assert body["recommendations"][0]["score"] == -5, "the model's own"


def test_a_history_long_enough_is_folded_in_and_a_shorter_one_is_told_how_long(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    body = client.get(f"/api/recommend?history=30,{LAST}:4.5,777").json
    assert (body["source"], body["history_used"], movies(body)) == ("fold-in", 2, [40, 20, 10])
    body = client.post("/api/recommend", json={"history": [{"movie_id": 30}], "top_k": 2}).json
    assert (body["source"], body["fold_in_min_items"], movies(body)) == ("popularity", 2, [10, 20])
    body = client.get("/api/recommend?history=").json
    assert (body["source"], body["history_used"], "fold_in_min_items" in body) == ("popularity", 0, False)


def test_only_likes_are_enough_for_a_history_and_all_of_it_is_left_out(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    publish_line(liked_from=4.0)
    body = client.get(f"/api/recommend?history=30:5,{LAST}:4,10:3.5,20:1").json
    assert (body["source"], body["history_used"], movies(body)) == ("fold-in", 2, [40])
    body = client.get(f"/api/recommend?history=30:3.5,{LAST}:3,10:3.5,20:1").json
    assert (body["source"], body["fold_in_min_items"], movies(body)) == ("popularity", 2, [40])


def test_the_same_history_hated_gives_another_list_than_liked(client: FlaskClient, publish_line: PublishLine) -> None:
    publish_line(liked_from=2.75)
    liked = client.get(f"/api/recommend?history=30:5,{LAST}:5").json
    hated = client.get(f"/api/recommend?history=30:0.5,{LAST}:0.5").json
    assert (liked["source"], movies(liked)) == ("fold-in", [40, 20, 10])
    assert (hated["source"], movies(hated)) == ("popularity", [10, 20, 40])


def test_a_disliked_movie_is_no_reason_and_not_shown_where_it_raises_the_score(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    """Disliking 10, which early items are like, speaks for the later ones."""
    publish_line(liked_from=2.75)
    body = client.get(f"/api/recommend?history=30:5,{LAST}:5,10:1&explain=true").json
    assert movies(body) == [40, 20]
    why = body["recommendations"][0]["why"]
    assert why["sentence"] == 'because you liked Movie & "2" <b> and Movie & "4" <b>'
    assert {one["movie_id"] for one in why["contributions"]} == {30, LAST}
    assert why["others"] > 0, "what the dislike adds is in the sum"
    shown = sum(one["contribution"] for one in why["contributions"])
    assert why["base"] + shown + why["others"] == pytest.approx(body["recommendations"][0]["score"], abs=1e-6)


def test_live_feedback_masks_at_once_and_a_click_does_not(client: FlaskClient, publish: Publish) -> None:
    publish()
    assert movies(client.get(ASK).json) == [LAST, 30, 20, 10]
    rate(client, 1, LAST, 1)
    say(client, user_id=1, movie_id=20, kind="not_interested")
    say(client, user_id=1, movie_id=10, kind="click")
    body = client.get(ASK).json
    assert (body["source"], movies(body)) == ("personal", [30, 10])
    assert movies(client.get(f"{ASK}&year_from=1990").json) == [30, 10], "with filters too"
    assert movies(client.get("/api/recommend?user_id=7").json) == MOVIES, "of others nothing is masked"
    batch = client.post("/api/batch-recommend", json={"user_ids": [1, 7], "top_k": 1}).json
    assert [movies(one) for one in batch["results"]] == [[30], [10]]


def test_an_unknown_user_with_ratings_is_folded_in_and_is_known_to_strict(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    rate(client, 555, 30)
    assert client.get("/api/recommend?user_id=555").json["source"] == "popularity"
    rate(client, 555, LAST)
    body = client.get("/api/recommend?user_id=555&strict=true").json
    assert (body["source"], movies(body)) == ("fold-in", [40, 20, 10])


def test_a_user_without_train_interactions_is_folded_in_from_live_ratings_without_the_seen(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    rate(client, 9, 30)
    rate(client, 9, LAST)
    body = client.get("/api/recommend?user_id=9").json
    assert (body["source"], movies(body)) == ("fold-in", [40, 20]), "10 is seen"


def test_after_an_erasure_the_model_is_not_asked_until_one_is_trained_that_heeded_it(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    publish_line()
    assert client.get(ASK).json["source"] == "personal"
    rate(client, 1, 30)
    assert client.delete("/api/users/1").json["erasure"] == 1
    body = client.get(ASK).json
    assert (body["source"], movies(body)) == ("popularity", MOVIES), "nothing is known, not even what was seen"
    assert client.get(f"{ASK}&strict=true").status_code == 404
    assert client.get("/api/recommend?user_id=7").json["source"] == "personal"
    rate(client, 1, 30)
    rate(client, 1, LAST)
    body = client.get(ASK).json
    assert (body["source"], movies(body)) == ("fold-in", [40, 20, 10])
    publish_line(newest_erasure=1)
    assert client.get(ASK).json["source"] == "personal"


def test_an_index_of_unknown_origin_is_not_asked_about_an_erased_user(client: FlaskClient, publish: Publish) -> None:
    publish()
    client.delete("/api/users/1")
    assert client.get(ASK).json["source"] == "popularity"


def test_reasons_are_told_with_titles_and_add_up(client: FlaskClient, publish_line: PublishLine) -> None:
    publish_line()
    body = client.get(f"{ASK}&explain=true&top_k=2").json
    for movie in body["recommendations"]:
        why = movie["why"]
        assert [one["movie_id"] for one in why["contributions"]] == [40]
        assert why["base"] + why["contributions"][0]["contribution"] == pytest.approx(movie["score"])
        assert why["others"] == 0
        assert why["contributions"][0]["rating"] == 4.5
        assert why["sentence"] == 'because you liked Movie & "3" <b>'
    popular = client.get("/api/recommend?user_id=555&explain=true&top_k=1").json
    assert popular["recommendations"][0]["why"]["sentence"] == "because it is popular"
    folded = client.get(f"/api/recommend?history=30,{LAST}&explain=true&top_k=1").json
    assert len(folded["recommendations"][0]["why"]["contributions"]) == 2


def test_sentences_have_titles_as_people_read_them(
    store: ArtifactStore, publish_line: PublishLine, tmp_path: Path
) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,5,1\n")
    titles = [f'{movie},"Film {movie}, The (1999)",Drama' for movie in (10, 20, 30, 40, 60, LAST)]
    (tmp_path / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]))
    publish_line()
    client = create_app(store.root, titles=read_movies(DataConfig(dir=str(tmp_path)))).test_client()
    asked = "user_id=1&top_k=1&explain=true"
    (movie,) = client.get(f"/api/recommend?{asked}").json["recommendations"]
    assert movie["why"]["sentence"] == "because you liked The Film 40"
    assert movie["why"]["contributions"][0]["title"] == "Film 40, The", "as the catalogue has it"
    asked = "user_id=7&top_k=2&cold_items=0.5&explain=true"
    new = client.get(f"/api/recommend?{asked}").json["recommendations"][1]
    like = r"because it is new and like The Film \d+(, The Film \d+)* and The Film \d+"
    assert re.fullmatch(like, new["why"]["sentence"])


def test_a_share_of_the_list_goes_to_movies_that_no_model_knows(client: FlaskClient, publish_line: PublishLine) -> None:
    publish_line()
    ask = "/api/recommend?user_id=7"
    body = client.get(f"{ask}&cold_items=0.5&top_k=2&explain=true").json
    assert movies(body) == [20, 60]
    new = body["recommendations"][1]
    assert new["new"] is True and "is new and like" in new["why"]["sentence"]
    assert movies(client.get(f"{ask}&cold_items=0.5&top_k=2&exclude=60").json) == [20, 30]
    assert movies(client.get(f"{ask}&cold_items=1&genres=War").json) == [60]
    rate(client, 7, 60)
    assert movies(client.get(f"{ask}&cold_items=0.5&top_k=2").json) == [20, 30]
    assert movies(client.get(f"{ASK}&cold_items=0.5&top_k=2").json) == [LAST, 30], "user 1 has rated 60 in the raw data"


@given(
    st.floats(-100, 100, width=32),
    st.lists(st.floats(-10, 10, width=32), max_size=12).map(np.array),
    st.booleans(),
)
def test_base_shown_contributions_and_others_add_up_to_the_score(
    score: float, contributions: np.ndarray, exact: bool
) -> None:
    explained = Explanation.of(score, np.arange(len(contributions)), contributions, exact)
    catalogue = [{"movie_id": 10 * item, "title": str(item)} for item in range(len(contributions))]
    why = _reason(explained, {}, 0.0, catalogue)
    shown = [one["contribution"] for one in why["contributions"]]
    assert why["base"] + sum(shown) + why["others"] == pytest.approx(score, abs=1e-6)
    assert shown == pytest.approx(sorted(contributions, reverse=True)[:5], abs=1e-6)
    assert why["others"] == pytest.approx(sum(sorted(contributions, reverse=True)[5:]), abs=1e-5)
    assert len(contributions) > 5 or why["others"] == 0


DIALS = st.sampled_from(["diversity=1", "novelty=0.5", "decade_balance=0.3&genre_balance=0.9", "diversity=0"])


@pytest.fixture
def published(publish: Publish) -> Artifact:
    """One version for all examples of a property."""
    return publish()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(1, 6), st.sets(st.sampled_from(MOVIES)), DIALS, st.sampled_from([1, 7, 9, 555]))
def test_a_list_has_top_k_movies_wherever_that_many_are_left(
    client: FlaskClient, published: Artifact, top_k: int, excluded: set[int], dials: str, user: int
) -> None:
    exclude = f"&exclude={','.join(map(str, excluded))}" if excluded else ""
    body = client.get(f"/api/recommend?user_id={user}&top_k={top_k}&{dials}{exclude}").json
    seen = {1: {40}, 9: {10}}.get(user, set())
    assert len(movies(body)) == min(top_k, len(set(MOVIES) - excluded - seen))
    assert not set(movies(body)) & (excluded | seen)


@pytest.mark.parametrize("user_id", [0, 2, 8, 10])
def test_a_number_beside_those_of_users_is_nobodys(client: FlaskClient, publish: Publish, user_id: int) -> None:
    publish()
    assert client.get(f"/api/recommend?user_id={user_id}").json["source"] == "popularity"
    assert client.get(f"/api/recommend?user_id={user_id}&strict=true").status_code == 404
    asked = {"user_ids": [1, user_id], "strict": True}
    assert client.post("/api/batch-recommend", json=asked).status_code == 404


def test_a_remembered_list_is_the_computed_one(store: ArtifactStore, publish: Publish) -> None:
    publish()
    remembering, computing = (
        create_app(store.root, ServingConfig(remembered_lists=size)).test_client() for size in (8, 0)
    )
    for query in ("", "&top_k=2", "&top_k=1&genres=Drama"):
        for user in (1, 7, 9, 1):
            address = f"/api/recommend?user_id={user}{query}"
            first, second = remembering.get(address).json, computing.get(address).json
            assert first["recommendations"] == second["recommendations"]
    rate(remembering, 7, 20)
    for client in (remembering, computing):
        assert movies(client.get("/api/recommend?user_id=7&top_k=3").json) == [10, 30, 40]


def test_a_remembered_list_is_as_long_as_asked_for_whatever_is_left_out_of_it(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three movies are remembered; where two of them were dismissed since, the list is made anew."""
    monkeypatch.setattr("movierec_engine.serving.loaded_index.SHORT_LIST", 3)
    publish()
    client = create_app(store.root, ServingConfig(remembered_lists=8)).test_client()
    assert movies(client.get("/api/recommend?user_id=7&top_k=3").json) == [10, 20, 30]
    for number, movie in enumerate((10, 20), start=1):
        say(client, user_id=7, movie_id=movie, kind="not_interested")
        for top_k in (1, 2, 3, 4):
            expected = [one for one in MOVIES if one not in (10, 20)[:number]][:top_k]
            assert movies(client.get(f"/api/recommend?user_id=7&top_k={top_k}").json) == expected
    rate(client, 1, 30)
    for top_k in (1, 2, 3, 4):
        assert len(movies(client.get(f"{ASK}&top_k={top_k}").json)) == min(top_k, 3), "of 10, 20 and the last"


def test_the_lists_of_a_version_are_remembered_before_it_answers(store: ArtifactStore, publish: Publish) -> None:
    publish()
    app = create_app(store.root)
    served = app.extensions["movierec"]["reloader"].current()
    before = served._remembered.cache_info()
    assert (before.currsize, before.hits) == (3, 0)
    app.test_client().get(ASK)
    assert served._remembered.cache_info() == before._replace(hits=1)


def test_titles_that_are_damaged_do_not_keep_an_index_from_answering(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    line = publish_line()
    (line["raw_movies"].folder / "movies.parquet").write_bytes(b"half")
    (line["raw_ratings"].folder / "ratings.parquet").unlink()
    assert movies(client.get(ASK).json) == [LAST, 30, 20, 10]
    assert client.get("/api/movie/60").status_code == 404
    assert [one["movie_id"] for one in client.get("/api/users/1").json["history"]] == [40]


def test_a_batch_with_dials_and_cold_items_is_made_of_the_lists_of_each(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    publish_line()
    asked = {"top_k": 3, "diversity": 0.5, "cold_items": 0.4, "exclude": [20]}
    batch = client.post("/api/batch-recommend", json={"user_ids": [7, 1, 555], **asked}).json
    for one in batch["results"]:
        alone = client.post("/api/recommend", json={"user_id": one["user_id"], **asked}).json
        assert one["source"] == alone["source"]
        for listed, other in zip(one["recommendations"], alone["recommendations"], strict=True):
            assert listed["movie_id"] == other["movie_id"]
            assert listed["score"] == pytest.approx(other["score"], abs=1e-5)


def test_a_dial_whose_facts_are_known_of_no_movie_is_a_422_that_names_it(
    client: FlaskClient, store: ArtifactStore
) -> None:
    index = small_index()
    without = replace(index, item_facts=replace(index.item_facts, genres=np.zeros((5, 0), dtype=np.float32)))
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), without.save, key="k", fingerprint="f00d")
    batch = client.post("/api/batch-recommend", json={"user_ids": [1, 7], "genre_balance": 0.5})
    for answer in (client.get("/api/recommend?user_id=1&genre_balance=0.5"), batch):
        assert answer.status_code == 422
        assert answer.json["error"] == {
            "code": "unprocessable",
            "message": "genre_balance needs facts that are known of no movie here; set it to 0",
            "parameter": "genre_balance",
        }


def test_a_batch_that_takes_too_long_is_answered_in_a_sentence(store: ArtifactStore, publish: Publish) -> None:
    publish()
    hurried = create_app(store.root, ServingConfig(batch_seconds=1e-9)).test_client()
    refused = hurried.post("/api/batch-recommend", json={"user_ids": [1, 7], "novelty": 1})
    assert refused.status_code == 503
    assert "0 of 2 lists were made" in refused.json["error"]["message"]
    assert refused.json["error"]["code"] == "took_too_long"
    assert int(refused.headers["Retry-After"]) > 0


def test_newer_likes_of_a_known_user_move_the_list_and_are_named_as_reasons_that_add_up(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    assert movies(client.get("/api/recommend?user_id=7").json) == MOVIES
    rate(client, 7, 30, 5)
    rate(client, 7, LAST, 5)
    body = client.get("/api/recommend?user_id=7&explain=true").json
    assert (body["source"], body["live_ratings"]) == ("personal", 2)
    assert {one["movie_id"] for one in body["recommendations"][0]["why"]["contributions"]} == {10, 30, LAST}
    for movie in body["recommendations"]:
        why = movie["why"]
        added = sum(one["contribution"] for one in why["contributions"])
        assert why["base"] + added + why["others"] == pytest.approx(movie["score"], abs=1e-5)
    # trained -(i + 1); fold-in of 10 alone -(i + 1), of 10, 30 and the last (-1 + 1 + 1) (i + 1) / sqrt(3)
    scores = {movie["movie_id"]: movie["score"] for movie in body["recommendations"]}
    assert scores[20] == pytest.approx(2 * (-1 + 1 / 3**0.5 + 1), abs=1e-5)
    assert client.get("/api/recommend?user_id=7").json["recommendations"] == [
        {name: value for name, value in movie.items() if name != "why"} for movie in body["recommendations"]
    ]
    assert movies(client.get("/api/recommend?user_id=7&genres=Drama").json) == movies(body)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_scores_are_rounded_as_python_rounds_them(scores: list[float]) -> None:
    given = np.array(scores, dtype=np.float32)
    assert ranked_items(np.arange(len(scores)), given, "personal")[1] == [round(one, 6) for one in given.tolist()]
