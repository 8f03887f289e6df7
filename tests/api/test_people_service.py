"""What people say, what is known of them, and forgetting them; movies that no model knows."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.feedback import SqliteLog, log_file
from movierec_engine.pipeline.elicitation import QUESTIONS_SCHEMA
from movierec_engine.store import Artifact, ArtifactStore, Slot
from movierec_engine.store.kinds import ELICITATION
from worlds import MOVIES, Publish

PublishLine = Callable[..., dict[str, Artifact]]
RATING = {"user_id": 1, "movie_id": 10, "kind": "rating", "rating": 4.5}


def statuses(body: Any) -> list[str]:
    return [one["status"] for one in body["results"]]


def test_an_event_is_recorded_once_however_often_it_is_sent(client: FlaskClient, publish: Publish) -> None:
    publish()
    for headers, body in (({"Idempotency-Key": "a"}, RATING), ({}, {**RATING, "key": "b"})):
        first, second = (client.post("/api/feedback", json=body, headers=headers) for _ in range(2))
        assert (statuses(first.json), statuses(second.json)) == (["recorded"], ["already recorded"])
        conflict = client.post("/api/feedback", json={**body, "rating": 1}, headers=headers)
        assert (conflict.status_code, conflict.json["error"]["code"]) == (409, "conflict")
    without = [client.post("/api/feedback", json=RATING).json["results"][0] for _ in range(2)]
    assert [one["status"] for one in without] == ["recorded", "recorded"]
    assert without[0]["key"] != without[1]["key"]


def test_several_events_are_recorded_all_or_none(client: FlaskClient, publish: Publish, store: ArtifactStore) -> None:
    publish()
    click = {"user_id": 1, "movie_id": 10, "kind": "click"}
    wrong = client.post("/api/feedback", json={"events": [click, {**click, "movie_id": 99}]})
    assert (wrong.status_code, wrong.json["error"]["parameter"]) == (404, "events[1].movie_id")
    log = SqliteLog(log_file(store.root, "camps"))
    assert log.newest_seq() == 0
    headers = {"Idempotency-Key": "batch"}
    events = {"events": [click, {**click, "kind": "not_interested", "key": "own"}]}
    body = client.post("/api/feedback", json=events, headers=headers).json
    assert [one["key"] for one in body["results"]] == ["batch#0", "own"]
    again = client.post("/api/feedback", json=events, headers=headers).json
    assert statuses(again) == ["already recorded"] * 2
    assert log.newest_seq() == 2


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        ({}, 400, "user_id"),
        ({"user_id": 1, "movie_id": 10}, 400, "kind"),
        ({**RATING, "movie_id": 99}, 404, "movie_id"),
        ({**RATING, "rating": 6}, 400, "rating"),
        ({**RATING, "rating": None}, 400, "rating"),
        ({"user_id": 1, "movie_id": 10, "kind": "rating"}, 400, "rating"),
        ({**RATING, "kind": "click"}, 422, "rating"),
        ({**RATING, "kind": "love"}, 400, "kind"),
        ({**RATING, "key": "two words"}, 400, "key"),
        ({**RATING, "share": 0.5}, 422, "share"),
        ({"user_id": 1, "movie_id": 10, "kind": "watched", "share": 1.5}, 400, "share"),
        ({**RATING, "timestamp": 20170923}, 400, "timestamp"),
        ({**RATING, "timestamp": 1_700_000_000_000}, 400, "timestamp"),
        ({"events": [{**RATING, "timestamp": 2**40}]}, 400, "events[0].timestamp"),
        ({**RATING, "events": []}, 400, "events"),
        ({"events": [RATING], "user_id": 1}, 422, "user_id"),
        ({"events": [5]}, 400, "events[0]"),
        ({"events": [{**RATING, "x": 1}]}, 400, "events[0]"),
        ({"events": [{"user_id": 1, "movie_id": 10, "kind": "rating"}]}, 400, "events[0].rating"),
        ({"events": [RATING] * 101}, 422, "events"),
    ],
)
def test_feedback_that_makes_no_sense_is_refused_by_name(
    client: FlaskClient, publish: Publish, body: dict[str, Any], status: int, parameter: str
) -> None:
    publish()
    response = client.post("/api/feedback", json=body)
    assert (response.status_code, response.json["error"]["parameter"]) == (status, parameter)


def test_a_time_that_cannot_be_is_told_which_may_be(client: FlaskClient, publish: Publish) -> None:
    publish()
    message = client.post("/api/feedback", json={**RATING, "timestamp": 5}).json["error"]["message"]
    assert message == "timestamp must be a whole number of seconds since 1970, from 31536000 to now"


def test_writing_and_erasing_need_a_key_where_there_are_keys(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setenv("MOVIEREC_API_KEYS", "correct-horse-battery")
    client = create_app(store.root).test_client()
    assert client.post("/api/feedback", json=RATING).status_code == 401
    assert client.delete("/api/users/1").status_code == 401
    headers = {"Authorization": "Bearer correct-horse-battery"}
    assert client.post("/api/feedback", json=RATING, headers=headers).status_code == 200
    assert client.delete("/api/users/1", headers=headers).status_code == 200


def test_what_a_client_sends_undoes_and_dates(client: FlaskClient, publish: Publish, store: ArtifactStore) -> None:
    publish()
    said = [
        {**RATING, "key": "r", "timestamp": 1_000_000_000},
        {"user_id": 1, "movie_id": 20, "kind": "dismissed", "key": "d"},
        {"user_id": 1, "movie_id": 30, "kind": "watched", "share": 0.25, "key": "w"},
        {"user_id": 1, "movie_id": 40, "kind": "added_to_list"},
        {"user_id": 1, "movie_id": 40, "kind": "clicked"},
        {"user_id": 1, "movie_id": 20, "kind": "not_interested"},
    ]
    assert statuses(client.post("/api/feedback", json={"events": said}).json) == ["recorded"] * 6
    body = client.get("/api/users/1").json["feedback"]
    assert [(one["movie_id"], one["share"]) for one in body["watched"]] == [(30, 0.25)]
    for name, movie in (("ratings", 10), ("not_interested", 20), ("added_to_list", 40), ("clicked", 40)):
        assert [one["movie_id"] for one in body[name]] == [movie]
    log = SqliteLog(log_file(store.root, "camps"))
    assert next(log.events()).at_ms == 1_000_000_000_000
    assert log.state(1).masked == {10, 20, 30}, "what was clicked or put on a list may still be recommended"

    undismiss = "/api/feedback?user_id=1&movie_id=20&kind=dismissed"
    assert [client.delete(undismiss).json["undone"] for _ in range(2)] == [2, 0]
    assert client.delete("/api/feedback?user_id=1&key=r").json["undone"] == 1
    assert log.state(1).masked == {30}
    again = client.post("/api/feedback", json=said[0])
    assert (again.status_code, "undone" in again.json["error"]["message"]) == (409, True), (
        "never 200 for what is not kept"
    )
    assert client.delete("/api/feedback?user_id=2&key=w").status_code == 404, "another user's event"
    assert client.delete("/api/feedback?user_id=1&movie_id=10&kind=click").status_code == 404


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ("", 400, "user_id"),
        ("user_id=1", 400, "key"),
        ("user_id=1&kind=click", 400, "movie_id"),
        ("user_id=1&key=a&movie_id=10", 422, "movie_id"),
        ("user_id=1&movie_id=10&kind=love", 400, "kind"),
    ],
)
def test_an_undoing_that_names_nothing_is_refused_by_name(
    client: FlaskClient, publish: Publish, query: str, status: int, parameter: str
) -> None:
    publish()
    response = client.delete(f"/api/feedback?{query}")
    assert (response.status_code, response.json["error"]["parameter"]) == (status, parameter)


def test_a_key_of_an_erased_user_is_another_users_own_and_a_late_repetition_is_no_200(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    client.post("/api/feedback", json={**RATING, "key": "k"})
    client.delete("/api/users/1")
    assert statuses(client.post("/api/feedback", json={**RATING, "user_id": 2, "key": "k"}).json) == ["recorded"]
    late = client.post("/api/feedback", json={**RATING, "key": "k"})
    assert (late.status_code, late.json["error"]["code"]) == (409, "conflict")


def test_a_user_is_shown_with_history_feedback_and_taste(client: FlaskClient, publish_line: PublishLine) -> None:
    publish_line()
    client.post("/api/feedback", json=RATING)
    client.post("/api/feedback", json={"user_id": 1, "movie_id": 20, "kind": "click"})
    body = client.get("/api/users/1").json
    assert [(one["movie_id"], one["rating"]) for one in body["history"]] == [(40, 4.5), (60, 2.0)], "newest first"
    assert [one["timestamp"] for one in body["history"]] == [10**9 + 2, 10**9 + 1]
    assert (body["known"], body["erased"], body["interactions"], body["tier"]) == (True, False, 1, "cold")
    assert (body["rated"], body["mean_rating"]) == (3, round((4.5 + 2 + 4.5) / 3, 4))
    assert [one["movie_id"] for one in body["feedback"]["ratings"]] == [10]
    assert [one["movie_id"] for one in body["feedback"]["clicked"]] == [20]
    assert body["taste"]["genres"] == [{"name": "Drama", "share": 1.0, "everybody": 1.0}]
    decades = {one["name"]: (one["share"], one["everybody"]) for one in body["taste"]["decades"]}
    assert decades == {"1990s": (0.5, round(5 / 11, 4)), "2000s": (0.5, round(6 / 11, 4))}, "10 and 40; 20 has no year"
    assert len(client.get("/api/users/1?top_k=1").json["history"]) == 1
    assert client.get("/api/users/555").status_code == 404


def test_what_was_said_last_comes_first(client: FlaskClient, publish: Publish) -> None:
    publish()
    for movie, rating in ((10, 3.0), (30, 5.0), (20, 4.0), (10, 1.0)):
        client.post("/api/feedback", json={**RATING, "movie_id": movie, "rating": rating})
        client.post("/api/feedback", json={"user_id": 1, "movie_id": movie, "kind": "watched", "share": rating / 10})
    said = client.get("/api/users/1").json["feedback"]
    assert [(one["movie_id"], one["rating"]) for one in said["ratings"]] == [(10, 1.0), (20, 4.0), (30, 5.0)]
    assert [(one["movie_id"], one["share"]) for one in said["watched"]] == [(10, 0.1), (20, 0.4), (30, 0.5)]


def test_an_erased_user_is_shown_without_what_was_before(client: FlaskClient, publish_line: PublishLine) -> None:
    publish_line()
    client.post("/api/feedback", json=RATING)
    client.delete("/api/users/1")
    body = client.get("/api/users/1").json
    assert (body["erased"], body["known"], body["history"], body["rated"]) == (True, False, [], 0)
    assert set(body["feedback"]) == {"ratings", "clicked", "not_interested", "watched", "added_to_list"}
    assert not any(body["feedback"].values())
    client.post("/api/feedback", json={**RATING, "user_id": 555})
    assert client.get("/api/users/555").json["rated"] == 1, "somebody known by feedback alone"


def test_a_new_user_is_asked_what_was_measured_or_else_about_popular_movies(
    client: FlaskClient, publish_line: PublishLine, store: ArtifactStore
) -> None:
    publish_line("ease")
    body = client.get("/api/interview?top_k=2").json
    assert (body["source"], body["chosen_by"], body["fold_in_min_items"]) == ("popular", None, 2)
    assert next(one["movie_id"] for one in body["questions"]) == 10 and len(body["questions"]) == 2

    def hold(model: str, movie_ids: list[int], fingerprint: str = "f00d") -> Artifact:
        rows = [
            {"movie_id": one, "title": "", "year": None, "known_by": 0.3, "value": 0.1, "gain": 0.1}
            for one in movie_ids
        ]
        table = pa.Table.from_pylist(rows, schema=QUESTIONS_SCHEMA)
        return store.publish(
            Slot(ELICITATION, "camps", model, "cpu"),
            lambda folder: pq.write_table(table, folder / "questions.parquet"),
            key="k",
            fingerprint=fingerprint,
        )

    other = hold("als", [30, 99])
    body = client.get("/api/interview").json
    assert (body["source"], body["chosen_by"]) == ("another model's interview", other.reference)
    assert [one["movie_id"] for one in body["questions"]] == [30], "what is not in the catalogue is not asked"
    hold("ease", [20, 10])
    hold("als", [40])
    hold("ease", [40], "another fingerprint")
    body = client.get("/api/interview").json
    assert (body["source"], [one["movie_id"] for one in body["questions"]]) == ("interview", [20, 10])
    assert [one["movie_id"] for one in client.get("/api/interview?top_k=1").json["questions"]] == [20]


def test_movies_that_no_model_knows_are_shown_found_and_have_similar_ones(
    client: FlaskClient, publish_line: PublishLine
) -> None:
    publish_line()
    body = client.get("/api/movie/60").json
    assert (body["movie"]["title"], body["in_catalogue"], body["interactions"]) == ("Love and Peace", False, 0)
    assert client.get("/api/movie/10").json["in_catalogue"] is True
    found = client.get("/api/search?q=love and peace").json["movies"]
    assert [(one["movie_id"], one["in_catalogue"]) for one in found] == [(60, False)]
    similar = client.get("/api/similar/60").json
    assert similar["by"] == "content"
    assert [one["movie_id"] for one in similar["similar"]] == [30, 40, MOVIES[4], 10], "by how near the year is"
    assert client.get("/api/similar/70").json["similar"] == [], "of which nothing is known"
    posted = client.post("/api/feedback", json={**RATING, "movie_id": 60})
    assert posted.status_code == 200


def test_similar_movies_are_narrowed_and_filled(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = client.get(f"/api/similar/{MOVIES[4]}?year_from=2000&top_k=5").json
    assert [one["movie_id"] for one in body["similar"]] == [40, 30]
    body = client.get(f"/api/similar/{MOVIES[4]}?exclude=10&top_k=1").json
    assert [one["movie_id"] for one in body["similar"]] == [20]
    filled = client.get(f"/api/similar/{MOVIES[4]}?top_k=3").json["similar"]
    assert [one["movie_id"] for one in filled] == [10, 20, 40], "two that the index keeps, then the nearest vector"
    assert [one["score"] is None for one in filled] == [False, False, True]
    assert len(client.get("/api/search?q=movie&top_k=2").json["movies"]) == 2


def test_models_come_with_their_metrics_and_runs(client: FlaskClient, publish_line: PublishLine) -> None:
    line = publish_line()
    (row,) = client.get("/api/models").json["models"]
    assert row["metrics"] == {
        "validation": {"ndcg@10": 0.5},
        "test": {"ndcg@10": 0.25},
        "report": line["evaluation_report"].reference,
    }
    assert row["runs"] == {"mlflow_run_id": "m1", "dagster_run_id": "d1"}
    assert row["trained_model"] == line["trained_model"].reference
