"""Experiments on live answers: who sees which variant, and what is noted of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.config import load_serving
from movierec_engine.feedback import SqliteLog, log_file
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.store import ArtifactStore
from worlds import MOVIES, Publish

VARIANTS = (Variant("calm", "ease"), Variant("bold", "lightgcn"))


def running(store: ArtifactStore, kind: str) -> FlaskClient:
    return create_app(store.root, ServingConfig(experiment=ExperimentConfig("first", kind, "", VARIANTS))).test_client()


def exposures(client: FlaskClient, store: ArtifactStore) -> list[tuple[Any, ...]]:
    client.application.extensions["movierec"]["live"].flush()
    return SqliteLog(log_file(store.root, "camps")).query(
        "SELECT request_id, user_id, model, version, experiment, variant, movie_ids, teams FROM exposures"
    )


def test_a_user_sees_one_variants_model_and_that_is_noted(store: ArtifactStore, publish: Publish) -> None:
    versions = {"ease": publish("ease").version, "lightgcn": publish("lightgcn", sign=-1).version}
    client = running(store, "ab")
    variants = {}
    for user in (1, 7, *range(100, 120)):
        first, second = (client.get(f"/api/recommend?user_id={user}&top_k=2").json for _ in range(2))
        assert (first["experiment"], first["variant"], first["model"]) == (
            "first",
            second["variant"],
            {one.name: one.model for one in VARIANTS}[first["variant"]],
        )
        variants[user] = first["variant"]
    assert set(variants.values()) == {"calm", "bold"}
    rows = exposures(client, store)
    assert len(rows) == 2 * len(variants)
    assert {row[1]: row[5] for row in rows} == variants
    assert all(row[3] == versions[row[2]] for row in rows)


def test_a_named_model_a_history_and_a_batch_are_outside_of_the_experiment(
    store: ArtifactStore, publish: Publish
) -> None:
    publish("ease")
    publish("lightgcn")
    client = running(store, "ab")
    for query in ("user_id=1&model=ease", "history=10"):
        assert "experiment" not in client.get(f"/api/recommend?{query}").json
    client.post("/api/batch-recommend", json={"user_ids": [1]})
    assert exposures(client, store) == []


def test_two_lists_are_interleaved_with_teams_and_a_click_is_credited(store: ArtifactStore, publish: Publish) -> None:
    publish("ease")
    publish("lightgcn", sign=-1)
    client = running(store, "interleaving")
    body = client.get("/api/recommend?user_id=1&top_k=4").json
    assert (body["experiment"], body["variant"]) == ("first", None)
    assert body["model"] == "ease+lightgcn" and "+" in body["version"]
    shown = body["recommendations"]
    assert {one["movie_id"] for one in shown} == set(MOVIES) - {40}
    assert [one["team"] for one in shown].count("calm") == [one["team"] for one in shown].count("bold") == 2
    first_of = {one["team"]: one["movie_id"] for one in reversed(shown)}
    assert first_of == {"calm": MOVIES[4], "bold": 10}, "each its best"
    click = {"user_id": 1, "movie_id": first_of["bold"], "kind": "click", "request_id": body["request_id"]}
    assert client.post("/api/feedback", json=click).status_code == 200
    found = client.get("/api/experiments").json
    assert found["running"]["name"] == "first"
    assert [one["refitted"] for one in found["running"]["variants"]] == [False, False]
    (duel,) = found["duels"]
    assert (duel["first"], duel["second"], duel["first_wins"], duel["second_wins"]) == ("bold", "calm", 1, 0)


def test_a_draft_is_the_same_all_day_and_another_one_on_another_day(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("ease")
    publish("lightgcn", sign=-1)
    client, days = running(store, "interleaving"), {}
    for day in range(1, 13):
        for hour in (0, 23):
            moment = datetime(2026, 11, day, hour, 59, tzinfo=UTC)
            clock = type("Clock", (), {"now": staticmethod(lambda zone, moment=moment: moment.astimezone(zone))})
            monkeypatch.setattr("movierec_engine.api.live_experiment.datetime", clock)
            shown = client.get("/api/recommend?user_id=1&top_k=4").json["recommendations"]
            days.setdefault(day, set()).add(tuple((one["movie_id"], one["team"]) for one in shown))
    assert {len(drafts) for drafts in days.values()} == {1}
    assert len(set.union(*days.values())) > 1


def test_a_like_is_what_the_served_index_says(store: ArtifactStore, publish: Publish) -> None:
    for one in VARIANTS:
        publish(one.model, facts={"liked_from": 3.0})
    client = running(store, "ab")
    body = client.get("/api/recommend?user_id=1&top_k=2").json
    said = {"user_id": 1, "movie_id": body["recommendations"][0]["movie_id"], "kind": "rating", "rating": 3.0}
    assert client.post("/api/feedback", json={**said, "request_id": body["request_id"]}).status_code == 200
    assert [row["like_rate"] for row in client.get("/api/experiments").json["rates"]] == [1.0]


def test_without_an_experiment_none_is_running(client: FlaskClient, publish: Publish) -> None:
    publish("ease")
    assert client.get("/api/experiments").json["running"] is None
    assert "experiment" not in client.get("/api/recommend?user_id=1").json


def test_two_users_of_one_request_id_have_a_list_each_and_clicks_name_it(
    store: ArtifactStore, publish: Publish
) -> None:
    publish("ease")
    publish("lightgcn", sign=-1)
    client = running(store, "ab")
    headers = {"X-Request-ID": "same"}
    answers = [client.get(f"/api/recommend?user_id={user}", headers=headers).json for user in (1, 7)]
    assert len({one["exposure_id"] for one in answers}) == 2
    click = {"movie_id": answers[1]["recommendations"][0]["movie_id"], "kind": "click"}
    for user, answer in zip((1, 7), answers, strict=True):
        client.post("/api/feedback", json={**click, "user_id": user, "exposure_id": answers[1]["exposure_id"]})
        assert answer["request_id"] == "same"
    rates = client.get("/api/experiments").json["rates"]
    assert sum(row["lists"] for row in rates) == 2
    assert sum(row["clicks"] for row in rates) == 1, "the other user's click is of no list of theirs"


def test_a_variant_without_an_index_leaves_the_answers_to_the_default_and_is_logged_once(
    store: ArtifactStore, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    publish("ease")
    client = running(store, "interleaving")
    for _ in range(3):
        body = client.get("/api/recommend?user_id=1").json
        assert (body["model"], "experiment" in body) == ("ease", False)
    assert caplog.text.count("experiment first waits: there is no index of lightgcn yet") == 1


def test_rates_have_intervals(store: ArtifactStore, publish: Publish) -> None:
    publish("ease")
    publish("lightgcn")
    client = running(store, "ab")
    body = client.get("/api/recommend?user_id=1").json
    click = {"user_id": 1, "movie_id": MOVIES[4], "kind": "click", "request_id": body["request_id"]}
    client.post("/api/feedback", json=click)
    (row,) = client.get("/api/experiments").json["rates"]
    assert (row["variant"], row["lists"], row["lists_clicked"], row["click_rate"]) == (body["variant"], 1, 1, 1.0)
    assert 0 < row["click_rate_low"] < row["click_rate_high"] <= 1


def test_an_experiment_is_set_like_any_other_setting() -> None:
    assert not load_serving([]).experiment.running
    variants = "[{name: a, model: ease, weight: 1.0}, {name: b, model: als}]"
    serving = load_serving(["serving.experiment.name=x", f"serving.experiment.variants={variants}"])
    assert [one.model for one in serving.experiment.variants] == ["ease", "als"]


@pytest.mark.parametrize("kind", ["ab", "interleaving"])
def test_an_unusable_log_fails_no_answer_of_an_experiment(store: ArtifactStore, publish: Publish, kind: str) -> None:
    publish("ease")
    publish("lightgcn")
    client = running(store, kind)
    folder = log_file(store.root, "camps").parent.parent
    folder.write_text("a file where a folder is needed")
    assert client.get("/api/recommend?user_id=1").status_code == 200
