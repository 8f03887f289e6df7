import json
import logging
import threading
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.model_service import NO_POINTER
from movierec_engine.data.config import DataConfig
from movierec_engine.data.readers import read_movies
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import MOVIES, Publish


def movies(body: dict[str, object], name: str = "recommendations") -> list[int]:
    return [movie["movie_id"] for movie in body[name]]  # type: ignore[index, attr-defined]


def damage(artifact: Artifact) -> Artifact:
    (artifact.folder / "index.faiss").write_bytes(b"half")
    return artifact


def test_recommendations_are_the_best_unseen_movies_by_public_id(client: FlaskClient, publish: Publish) -> None:
    version = publish().version
    body = client.get("/api/recommend?user_id=1&top_k=3").json
    assert movies(body) == [MOVIES[4], 30, 20], "40 is seen"
    assert [movie["score"] for movie in body["recommendations"]] == [5.0, 3.0, 2.0]
    assert body["recommendations"][1] == {
        "movie_id": 30,
        "title": 'Movie & "2" <b>',
        "year": 2000,
        "genres": ["Drama"],
        "score": 3.0,
    }
    assert (body["model"], body["version"], body["device"], body["fingerprint"]) == ("ease", version, "cpu", "f00d")
    assert (body["user_id"], body["source"]) == (1, "personal")


def test_a_post_answers_like_a_get(client: FlaskClient, publish: Publish) -> None:
    publish()
    posted = client.post("/api/recommend", json={"user_id": 7, "top_k": 2}).json
    got = client.get("/api/recommend?user_id=7&top_k=2").json
    assert movies(posted) == movies(got) == [10, 20]


def test_a_list_is_as_long_as_the_unseen_catalogue_at_most(client: FlaskClient, publish: Publish) -> None:
    publish()
    assert len(movies(client.get("/api/recommend?user_id=1&top_k=500").json)) == 4


@pytest.mark.parametrize(("user", "expected"), [(555, [10, 20]), (9, [20, 30])])
def test_users_without_history_get_popular_movies_that_they_have_not_seen(
    client: FlaskClient, publish: Publish, user: int, expected: list[int]
) -> None:
    publish()
    body = client.get(f"/api/recommend?user_id={user}&top_k=2").json
    assert body["source"] == "popularity"
    assert movies(body) == expected


def test_strict_makes_an_unknown_user_a_404(client: FlaskClient, publish: Publish) -> None:
    publish()
    response = client.get("/api/recommend?user_id=555&strict=true")
    assert response.status_code == 404
    assert response.json["error"]["parameter"] == "user_id"


def test_a_batch_keeps_order_and_repeats(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = client.post("/api/batch-recommend", json={"user_ids": [7, 1, 7, 555], "top_k": 1}).json
    assert [(r["user_id"], movies(r), r["source"]) for r in body["results"]] == [
        (7, [10], "personal"),
        (1, [MOVIES[4]], "personal"),
        (7, [10], "personal"),
        (555, [10], "popularity"),
    ]


def test_similar_movies_come_with_the_movie_itself(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = client.get(f"/api/similar/{MOVIES[4]}?top_k=5").json
    assert body["movie"]["movie_id"] == MOVIES[4]
    assert body["by"] == "model"
    assert movies(body, "similar") == [10, 20, 40, 30], "what the index keeps, then by the cosine of the vectors"
    assert [movie["score"] for movie in body["similar"]] == [0.9, 0.5, None, None]


def test_a_movie_is_shown_with_its_interactions(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = client.get("/api/movie/20").json
    assert body["movie"] == {"movie_id": 20, "title": 'Movie & "1" <b>', "year": None, "genres": ["Drama"]}
    assert body["interactions"] == 4


def test_another_model_answers_when_asked(client: FlaskClient, publish: Publish) -> None:
    publish("lightgcn", sign=-1)
    publish("ease")
    assert movies(client.get("/api/recommend?user_id=1&top_k=1").json) == [MOVIES[4]]
    body = client.get("/api/recommend?user_id=1&top_k=1&model=lightgcn").json
    assert (body["model"], movies(body)) == ("lightgcn", [10])


def test_models_lists_each_models_newest_version_and_marks_the_default(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    publish("ease")
    promoted, newest = publish("ease"), publish("lightgcn")
    store.point("serving", promoted, {})
    body = client.get("/api/models").json
    assert [(row["model"], row["version"], row["default"]) for row in body["models"]] == [
        ("ease", promoted.version, True),
        ("lightgcn", newest.version, False),
    ]
    assert body["default"]["version"] == promoted.version


def test_the_newest_index_answers_while_none_is_promoted(client: FlaskClient, publish: Publish) -> None:
    publish("ease")
    assert client.get("/api/recommend?user_id=1").json["model"] == "ease"
    publish("lightgcn")
    assert client.get("/api/recommend?user_id=1").json["model"] == "lightgcn"


def test_a_promotion_is_taken_over_by_the_next_request(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    first, second = publish("ease"), publish("ease", sign=-1)
    for version, best in ((first, MOVIES[4]), (second, 10), (first, MOVIES[4])):
        store.point("serving", version, {})
        body = client.get("/api/recommend?user_id=1&top_k=1").json
        assert (body["version"], movies(body)) == (version.version, [best])


def test_a_damaged_version_is_refused_and_the_old_one_goes_on_serving(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    good = publish("ease")
    store.point("serving", good, {})
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version
    bad = damage(publish("ease"))
    store.point("serving", bad, {})
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version
    health = client.get("/api/health").json
    assert health["serving"]["version"] == good.version
    assert "index.faiss" in health["refused"][bad.reference]


def test_a_damaged_newest_version_does_not_hand_its_requests_to_another_model(
    client: FlaskClient, publish: Publish
) -> None:
    publish("lightgcn")
    good = publish("ease")
    client.get("/api/recommend?user_id=1")
    damage(publish("ease"))
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version


def test_a_server_that_starts_on_a_damaged_newest_version_serves_the_next_newest(
    client: FlaskClient, publish: Publish
) -> None:
    publish("popularity")
    publish("lightgcn")
    bad = damage(publish("ease"))
    assert client.get("/api/recommend?user_id=1").json["model"] == "lightgcn"
    assert bad.reference in client.get("/api/health").json["refused"]


def test_a_server_that_starts_on_a_damaged_promoted_version_serves_nothing_unpromoted(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    publish("lightgcn")
    store.point("serving", damage(publish("ease")), {})
    response = client.get("/api/recommend?user_id=1")
    assert response.status_code == 503
    assert "damaged" in response.json["error"]["message"]
    assert client.get("/api/health").json["status"] == "damaged"
    assert client.get("/api/recommend?user_id=1&model=lightgcn").status_code == 200


def test_a_refusal_is_logged_once_however_often_the_store_changes(
    client: FlaskClient, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    publish("ease")
    client.get("/api/recommend?user_id=1")
    damage(publish("ease"))
    logger = logging.getLogger("movierec_engine.serving.index_reloader")
    logger.addHandler(caplog.handler)
    logger.propagate = False
    try:
        for _ in range(3):
            client.get("/api/recommend?user_id=1&model=ease")
            publish("lightgcn")
    finally:
        logger.removeHandler(caplog.handler)
        logger.propagate = True
    assert [record.getMessage().count("index.faiss") for record in caplog.records] == [1]


def test_a_latest_file_of_garbage_keeps_what_was_served(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    good = publish("ease")
    client.get("/api/recommend?user_id=1")
    store.storage.latest_file(good.slot).write_bytes(b"\xff\xfe")
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version
    assert "faiss_index/camps/ease/cpu" in client.get("/api/health").json["refused"]


def test_a_fact_that_is_not_a_number_is_null(client: FlaskClient, publish: Publish) -> None:
    publish(facts={"recall": float("nan"), "times": [1.5, float("inf")]})
    text = client.get("/api/models").get_data(as_text=True)
    row = json.loads(text, parse_constant=pytest.fail)["models"][0]
    assert row["index"] == {"recall": None, "times": [1.5, None]}


def test_a_damaged_pointer_keeps_what_was_served(client: FlaskClient, publish: Publish, store: ArtifactStore) -> None:
    good = publish("ease")
    store.point("serving", good, {})
    client.get("/api/recommend?user_id=1")
    publish("lightgcn")
    store.storage.pointer_file("serving", "camps").write_text("{")
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version
    ready = client.get("/api/ready")
    assert ready.status_code == 200
    assert ready.json["message"] == NO_POINTER
    assert "not a readable pointer" in ready.json["refused"]["serving"]


def test_a_version_deleted_from_under_the_server_goes_on_answering(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    import shutil

    artifact = publish("ease")
    client.get("/api/recommend?user_id=1")
    shutil.rmtree(artifact.folder)
    assert client.get("/api/recommend?user_id=1").json["version"] == artifact.version


def test_an_empty_store_says_what_to_run(client: FlaskClient) -> None:
    response = client.get("/api/recommend?user_id=1")
    assert response.status_code == 503
    assert "movierec demo" in response.json["error"]["message"]
    assert client.get("/api/health").json["status"] == "empty"
    assert client.get("/api/models").json["models"] == []


def test_only_indices_of_the_asked_device_are_served(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", device="cpu")
    publish("lightgcn", device="cuda")
    cpu = create_app(store.root, device="cpu").test_client()
    assert cpu.get("/api/recommend?user_id=1").json["model"] == "ease"
    assert cpu.get("/api/recommend?user_id=1&model=lightgcn").status_code == 404


def test_a_promoted_index_of_another_device_is_passed_by(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", device="cpu")
    store.point("serving", publish("lightgcn", device="cuda"), {})
    cpu, mps = (create_app(store.root, device=device).test_client() for device in ("cpu", "mps"))
    assert cpu.get("/api/recommend?user_id=1").json["model"] == "ease"
    response = mps.get("/api/recommend?user_id=1")
    assert response.status_code == 503
    assert "trained on mps" in response.json["error"]["message"]


def test_a_promoted_artifact_that_is_no_index_is_refused(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    good = publish("ease")
    client.get("/api/recommend?user_id=1")
    report = store.publish(Slot("leaderboard", "camps"), lambda folder: None, key="k", fingerprint="f00d")
    store.point("serving", report, {})
    assert client.get("/api/recommend?user_id=1").json["version"] == good.version
    assert "no index" in client.get("/api/health").json["refused"]["serving"]


def test_models_lists_every_version_newest_first(client: FlaskClient, publish: Publish, store: ArtifactStore) -> None:
    first, second, third = publish("ease"), publish("ease", device="cuda"), publish("ease")
    store.point("serving", first, {})
    (row,) = client.get("/api/models").json["models"]
    assert [(v["version"], v["device"], v["default"]) for v in row["versions"]] == [
        (third.version, "cpu", False),
        (second.version, "cuda", False),
        (first.version, "cpu", True),
    ]


def test_titles_of_a_data_folder_replace_those_of_the_index(
    store: ArtifactStore, publish: Publish, tmp_path: Path
) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,5,1\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n5,Nobody's (1901),War\n10,Heat (1995),Crime\n")
    publish()
    client = create_app(store.root, titles=read_movies(DataConfig(dir=str(tmp_path)))).test_client()
    shown = {movie["movie_id"]: movie for movie in client.get("/api/recommend?user_id=7").json["recommendations"]}
    assert (shown[10]["title"], shown[10]["year"]) == ("Heat", 1995)
    assert shown[20]["title"] == 'Movie & "1" <b>', "a movie that the folder lacks keeps its title"


def test_the_request_id_comes_back_and_a_hostile_one_does_not(client: FlaskClient, publish: Publish) -> None:
    publish()
    kept = client.get("/api/health", headers={"X-Request-ID": "abc-1"})
    assert kept.headers["X-Request-ID"] == kept.json["request_id"] == "abc-1"
    assert client.get("/api/health", headers={"X-Request-ID": "<script>"}).json["request_id"] != "<script>"


def test_the_root_lists_the_endpoints_and_their_bounds(client: FlaskClient) -> None:
    assert client.get("/").json["at_most"] == {
        "top_k": 500,
        "user_ids": 1000,
        "user_ids_times_top_k": 20_000,
        "body_bytes": 2**20,
    }
    assert "GET, POST /api/v1/recommend" in client.get("/").json["endpoints"]


def test_movies_are_found_by_title_with_how_they_were_found(client: FlaskClient, publish: Publish) -> None:
    version = publish().version
    body = client.get("/api/search", query_string={"q": 'MOVIE and "3" <b>', "top_k": 2}).json
    assert [(movie["movie_id"], movie["found"], movie["interactions"]) for movie in body["movies"]] == [
        (40, "exact", 2)
    ]
    assert (body["version"], body["q"]) == (version, 'MOVIE and "3" <b>')
    assert movies(client.get("/api/search?q=movi").json, "movies") == MOVIES
    assert client.get("/api/search?q=zzz").json["movies"] == []


def test_ready_says_whether_there_is_something_to_answer_from(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    response = client.get("/api/ready")
    assert (response.status_code, response.json["status"]) == (503, "empty")
    assert response.json["error"]["code"] == "nothing_to_serve"
    good = publish()
    assert client.get("/api/ready").status_code == 200
    bad = damage(publish())
    body = client.get("/api/ready").json
    assert (body["status"], body["serving"]["version"]) == ("ok", good.version)
    assert bad.reference in body["refused"]


def test_following_the_latest_answers_from_the_newest_version_whatever_is_promoted(
    store: ArtifactStore, publish: Publish
) -> None:
    store.point("serving", publish("ease"), {})
    client = create_app(store.root, ServingConfig(follow="latest")).test_client()
    assert client.get("/api/recommend?user_id=1").json["model"] == "ease"
    newest = publish("lightgcn", sign=-1)
    assert client.get("/api/recommend?user_id=1").json["version"] == newest.version


def test_few_models_stay_in_memory_and_the_default_one_always_does(store: ArtifactStore, publish: Publish) -> None:
    store.point("serving", publish("ease"), {})
    for model in ("als", "gmf", "svd"):
        publish(model)
    client = create_app(store.root, ServingConfig(models_in_memory=2)).test_client()

    def loaded() -> set[str]:
        return {row["model"] for row in client.get("/api/models").json["models"] if row["loaded"]}

    for model in ("als", "gmf", "svd", "als"):
        assert client.get(f"/api/recommend?user_id=1&model={model}").json["model"] == model
        assert loaded() == {"ease", model}
    newer = publish("als", sign=-1)
    assert client.get("/api/recommend?user_id=1&model=als").json["version"] == newer.version
    publish("gmf")
    assert loaded() == {"ease", "als"}, "a model that nobody asks for is not loaded when it gets a new version"


def test_a_model_whose_newest_version_is_damaged_answers_from_the_one_before(
    client: FlaskClient, publish: Publish
) -> None:
    publish("ease")
    sound = publish("lightgcn")
    damage(publish("lightgcn"))
    publish("ease")
    assert client.get("/api/recommend?user_id=1&model=lightgcn").json["version"] == sound.version


def test_requests_are_answered_by_the_old_version_while_a_new_one_is_loaded(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = publish("ease")
    app = create_app(store.root, ServingConfig(follow_seconds=0.01), watch=True)
    client = app.test_client()
    assert client.get("/api/recommend?user_id=1").json["version"] == old.version
    loading, go_on, load = threading.Event(), threading.Event(), RetrievalIndex.load

    def slow_load(folder: Path) -> RetrievalIndex:
        loading.set()
        assert go_on.wait(60)
        return load(folder)

    monkeypatch.setattr(RetrievalIndex, "load", slow_load)
    new = publish("ease", sign=-1)
    assert loading.wait(60)
    for _ in range(20):
        assert client.get("/api/recommend?user_id=1").json["version"] == old.version
    go_on.set()
    deadline = time.monotonic() + 60
    while client.get("/api/recommend?user_id=1").json["version"] != new.version:
        assert time.monotonic() < deadline


def test_a_batch_whose_answer_would_be_huge_is_a_422(client: FlaskClient, publish: Publish) -> None:
    publish()
    response = client.post("/api/batch-recommend", json={"user_ids": [1] * 100, "top_k": 201})
    assert response.status_code == 422
    assert "at most 20000" in response.json["error"]["message"]
    assert client.post("/api/batch-recommend", json={"user_ids": [1] * 100, "top_k": 200}).status_code == 200
