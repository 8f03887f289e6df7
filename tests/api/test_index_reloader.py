"""What answers while indices cannot be read, and which of them stay in memory."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.model_service import ModelService
from movierec_engine.api.workers import Workers, forget
from movierec_engine.errors import ConfigError
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.config import IndicesConfig
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import Publish, small_index

MODELS = ("als", "bpr", "ease", "gmf", "slim")


def hidden(artifact: Artifact) -> Path:
    """An index's file moved away, as if the disk failed for a while; rename what this returns to bring it back."""
    file = artifact.folder / "index.faiss"
    return file.rename(artifact.folder / "away")


def decide(store: ArtifactStore, verdict: str, champion: Artifact | None, served: Artifact) -> None:
    facts = {"verdict": verdict, "champion": champion.reference if champion else "", "served": served.reference}
    slot = Slot("release_decision", "camps")
    store.publish(slot, lambda folder: None, key="k", fingerprint="f00d", facts=facts)
    store.point("serving", served, {})


def test_a_version_that_could_not_be_read_is_tried_again_at_growing_intervals(
    store: ArtifactStore, publish: Publish
) -> None:
    now = [0.0]
    artifact = publish()
    store.point("serving", artifact, {})
    away = hidden(artifact)
    reloader = IndexReloader(store, clock=lambda: now[0])
    refusals = []
    reloader._refuse = lambda *about: (refusals.append(now[0]), IndexReloader._refuse(reloader, *about))  # type: ignore[method-assign,assignment]
    while now[0] < 300:
        assert reloader.current() is None
        now[0] += 0.5
    waits = [after - before for before, after in itertools.pairwise(refusals)]
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert set(waits[6:]) == {60.0}
    away.rename(artifact.folder / "index.faiss")
    now[0] += 60
    served = reloader.current()
    assert served is not None
    assert served.artifact == artifact
    assert reloader.state().refused == {}


def test_a_server_that_starts_on_an_unreadable_release_answers_from_the_newest_earlier_one_not_rolled_back_from(
    store: ArtifactStore, publish: Publish
) -> None:
    first, second, bad, promoted = (publish(model) for model in ("als", "bpr", "gmf", "ease"))
    decide(store, "promoted", None, first)
    decide(store, "promoted", first, second)
    decide(store, "promoted", second, bad)
    decide(store, "rolled back", bad, second)
    decide(store, "promoted", second, promoted)
    away = hidden(promoted)
    now = [0.0]
    reloader = IndexReloader(store, clock=lambda: now[0])
    served = reloader.current()
    assert served is not None
    assert served.artifact == second
    health = ModelService(reloader, store, Workers(None, 1)).health()
    assert health["status"] == "ok"
    assert "another one answers in its place" in health["message"]
    assert str(store.root) not in json.dumps(health)
    away.rename(promoted.folder / "index.faiss")
    now[0] = 2.0
    served = reloader.current()
    assert served is not None
    assert served.artifact == promoted


def test_the_measured_version_answers_for_its_refit_that_cannot_be_read(store: ArtifactStore, publish: Publish) -> None:
    publish("als")
    measured = publish("ease")
    parents = {"faiss_index": measured, "refitted_model": measured}
    index = small_index("ease", 1)
    refit = store.publish(measured.slot, index.save, key="k", fingerprint="f00d", parents=parents, newest=False)
    decide(store, "promoted", None, refit)
    hidden(refit)
    served = IndexReloader(store).current()
    assert served is not None
    assert served.artifact == measured


@pytest.mark.parametrize("in_memory", [1, 2, 4])
def test_every_model_that_is_asked_for_answers_however_few_stay_in_memory(
    store: ArtifactStore, publish: Publish, in_memory: int
) -> None:
    for model in MODELS:
        default = publish(model)
    store.point("serving", default, {})
    client = create_app(store.root, ServingConfig(models_in_memory=in_memory)).test_client()
    start = threading.Barrier(len(MODELS))

    def ask(model: str) -> list[tuple[int, str]]:
        own = client.application.test_client()
        start.wait()
        answers = [own.get(f"/api/recommend?user_id=1&model={model}") for _ in range(6)]
        return [(one.status_code, one.json["model"]) for one in answers]

    with ThreadPoolExecutor(len(MODELS)) as pool:
        for model, answers in zip(MODELS, pool.map(ask, MODELS), strict=True):
            assert answers == [(200, model)] * 6
    loaded = {row["model"] for row in client.get("/api/models").json["models"] if row["loaded"]}
    assert len(loaded) <= in_memory
    assert "slim" in loaded, "the default one stays"


def test_the_store_is_looked_at_as_often_as_it_is_said_until_told_to_stop(
    store: ArtifactStore, publish: Publish
) -> None:
    first, second = publish(), publish(sign=-1)
    store.point("serving", first, {})
    reloader, served, waited = IndexReloader(store), [], []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            store.point("serving", second, {})
            return len(waited) == 2

    reloader.expect_watcher()
    reloader.watch(0.25, Stop(), lambda: served.append(reloader.current()))
    assert waited == [0.25, 0.25]
    assert [one.artifact for one in served if one] == [first, second]
    assert ServingConfig().follow_seconds <= 1, "a promotion is taken over within two seconds"


def test_what_most_requests_would_wait_for_is_made_before_a_version_answers(
    store: ArtifactStore, publish: Publish
) -> None:
    publish()
    reloader = IndexReloader(store)
    made: set[str] = set()
    reloader._on_change = lambda before, now: made.update(vars(now.served[None].catalogue))
    reloader.refresh()
    assert {"titles", "_genres"} <= made


def test_new_movies_are_placed_after_a_version_answers_and_keep_the_next_one_from_nothing(
    store: ArtifactStore,
    publish_line,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each worker needs seconds for it."""
    line, reloader = publish_line(), IndexReloader(store)
    made: list[set[str]] = []
    reloader._on_change = lambda before, now: made.append(set(vars(now.served[None].catalogue)))
    place_new, may_place = MovieCatalogue.place_new, threading.Event()
    monkeypatch.setattr(MovieCatalogue, "place_new", lambda of: (may_place.wait(60), place_new(of)))
    reloader.refresh()
    index = small_index("ease")
    parents = {name: line[name] for name in ("trained_model", "splits", "raw_movies")}
    for popularity in (index.popularity[::-1].copy(), np.roll(index.popularity, 1)):
        other = replace(index, popularity=popularity)
        store.publish(line["faiss_index"].slot, other.save, key="k", fingerprint="f00d", parents=parents)
        reloader.refresh()
    assert [("titles" in one, "new" in one) for one in made] == [(True, False)] * 3
    catalogue = reloader.state().served[None].catalogue
    assert "new" not in vars(catalogue)
    may_place.set()
    for thread in threading.enumerate():
        if thread.name == "new movies":
            thread.join(60)
    assert "new" in vars(catalogue)


def test_a_list_with_new_movies_is_asked_to_come_again_while_they_are_placed(
    store: ArtifactStore,
    publish_line,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_line()
    place_new = MovieCatalogue.place_new
    monkeypatch.setattr(MovieCatalogue, "place_new", lambda of: None)
    app = create_app(store.root)
    catalogue = app.extensions["movierec"]["reloader"].current().catalogue
    monkeypatch.setattr("movierec_engine.serving.catalogue.PLACES_SECONDS", 0.01)
    catalogue.expect_places()
    with catalogue._placing:
        refused = app.test_client().get("/api/recommend?user_id=1&cold_items=0.5")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "10"
    assert refused.json["error"]["code"] == "not_yet"
    assert "the new movies are being placed among the others; ask again in a minute" in refused.json["error"]["message"]
    place_new(catalogue)
    assert app.test_client().get("/api/recommend?user_id=1&cold_items=0.5").status_code == 200


def test_the_settings_of_serving_reach_what_answers(store: ArtifactStore, publish: Publish) -> None:
    publish("als")
    publish("ease")
    serving = ServingConfig(remembered_lists=7, repeat=True, follow="latest")
    served = create_app(store.root, serving).extensions["movierec"]["reloader"].current()
    assert (served.model, served.remembered, served.repeat) == ("ease", 7, True)
    usual = create_app(store.root).extensions["movierec"]["reloader"].current()
    assert (usual.remembered, usual.repeat) == (ServingConfig().remembered_lists, False)


def test_movies_are_shared_by_versions_of_the_same_titles_alone(store: ArtifactStore, publish_line) -> None:  # type: ignore[no-untyped-def]
    line, reloader = publish_line(), IndexReloader(store)
    first = reloader.current()
    again = {name: line[name] for name in ("trained_model", "splits", "raw_movies")}
    index = small_index("ease")

    def published(**parents: Artifact) -> Artifact:
        return store.publish(line["faiss_index"].slot, index.save, key="k", fingerprint="f00d", parents=again | parents)

    published()
    second = reloader.current()
    assert first and second and second is not first
    assert second.catalogue is first.catalogue
    table = pq.read_table(line["raw_movies"].folder / "movies.parquet")
    titles = pa.array([f"new {title}" for title in table["title"].to_pylist()])
    renamed = table.set_column(table.schema.get_field_index("title"), "title", titles)
    raw_movies = store.publish(
        line["raw_movies"].slot, lambda folder: pq.write_table(renamed, folder / "movies.parquet"),
        key="other", fingerprint="f00d",
    )  # fmt: skip
    published(raw_movies=raw_movies)
    third = reloader.current()
    assert third
    assert [movie["title"] for movie in third.catalogue.movies if movie["movie_id"] == 60] == ["new Love and Peace"]
    index = replace(index, popularity=index.popularity[::-1].copy())
    published(raw_movies=raw_movies)
    fourth = reloader.current()
    assert fourth and fourth.catalogue is not third.catalogue, "of other interactions"


def test_an_index_that_a_request_still_uses_is_not_loaded_again(store: ArtifactStore, publish: Publish) -> None:
    for model in ("als", "bpr", "ease"):
        publish(model)
    reloader = IndexReloader(store, IndicesConfig(models_in_memory=1))
    used = reloader.current("als")
    reloader.current("bpr")
    assert reloader.current("als") is used


def test_the_models_that_were_asked_for_last_stay_in_memory(store: ArtifactStore, publish: Publish) -> None:
    for model in MODELS:
        default = publish(model)
    store.point("serving", default, {})
    reloader = IndexReloader(store, IndicesConfig(models_in_memory=3))
    for model in ("gmf", "als", "bpr", "als", "ease"):
        reloader.current(model)
    assert set(reloader.state().served) == {None, "als", "ease"}


def test_fewer_models_in_memory_than_an_experiment_needs_are_refused() -> None:
    experiment = ExperimentConfig("trial", variants=(Variant("a", "ease"), Variant("b", "als")))
    with pytest.raises(ConfigError, match="models_in_memory=2"):
        ServingConfig(models_in_memory=2, experiment=experiment)
    assert ServingConfig(models_in_memory=3, experiment=experiment)


def test_readiness_is_that_of_all_workers(store: ArtifactStore, publish: Publish, tmp_path: Path) -> None:
    publish()
    workers = Workers(tmp_path, 2)
    service = ModelService(IndexReloader(store), store, workers)
    body, status = service.readiness()
    assert (status, body["status"], body["workers"]) == (503, "loading", {"expected": 2, "ready": 1})
    (tmp_path / "1.json").write_text('{"status": "damaged", "refused": {"faiss_index/x": "torn"}}')
    body, status = service.readiness()
    assert (status, body["status"], body["refused"]) == (503, "damaged", {"faiss_index/x": "torn"})
    (tmp_path / "1.json").write_text('{"status": "ok", "refused": {}}')
    assert service.readiness()[1] == 200
    workers.draining.set()
    assert service.readiness()[0]["status"] == "draining"
    workers.draining.clear()
    forget(tmp_path, 1)
    assert service.readiness()[1] == 503


def test_a_worker_that_cannot_tell_the_others_goes_on_and_tells_them_later(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    workers, state = Workers(folder, 2), {"status": "ok", "refused": {}}
    workers.say(state)
    folder.mkdir()
    workers.say(state)
    assert len(list(folder.glob("*.json"))) == 1


def test_metrics_measured_again_are_shown(store: ArtifactStore, publish_line) -> None:  # type: ignore[no-untyped-def]
    line = publish_line()
    client = create_app(store.root).test_client()
    shown = client.get("/api/models").json["models"][0]["metrics"]
    assert shown["test"] == {"ndcg@10": 0.25}
    report = line["evaluation_report"]
    store.publish(
        report.slot, lambda folder: None, key="k", fingerprint="f00d",
        parents={"trained_model": line["trained_model"]}, facts={"metrics": {"ndcg@10": 0.75}},
    )  # fmt: skip
    assert client.get("/api/models").json["models"][0]["metrics"]["test"] == {"ndcg@10": 0.75}
