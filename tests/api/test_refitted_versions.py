"""What answers and what vouches for it, named wherever one is, where a refitted index is served."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.store import SERVING, Artifact, ArtifactStore
from worlds import MOVIES, Publish, small_index


@pytest.fixture
def refitted(store: ArtifactStore, publish_line: Callable[..., dict[str, Artifact]]) -> tuple[Artifact, Artifact]:
    """A measured index of ease and the refitted one that is served in its place, with the reverse of its lists."""
    line = publish_line("ease")
    measured, trained = line["faiss_index"], line["trained_model"]
    slot = trained.slot.beside("refitted_model")
    model = store.publish(slot, lambda folder: None, key="r", fingerprint="f00d", parents={"trained_model": trained})
    parents = {name: line[name] for name in ("trained_model", "splits", "raw_movies")}
    answering = store.publish(
        measured.slot,
        small_index("ease", -1).save,
        key="r",
        fingerprint="f00d",
        parents={**parents, "refitted_model": model, "faiss_index": measured},
        newest=False,
    )
    store.point(SERVING, answering, {})
    return measured, answering


def test_every_answer_names_what_answers_and_what_was_measured(
    client: FlaskClient, refitted: tuple[Artifact, Artifact]
) -> None:
    measured, answering = refitted
    for path in ("/api/recommend?user_id=1", "/api/recommend?user_id=1&model=ease", "/api/similar/10", "/api/users/7"):
        body = client.get(path).json
        assert (body["version"], body["measured_version"]) == (answering.version, measured.version), path
    assert client.get("/api/recommend?user_id=1&model=ease").json["recommendations"][0]["movie_id"] == 10, "the refit's"
    ready = client.get("/api/health").json["serving"]
    assert (ready["version"], ready["measured_version"]) == (answering.version, measured.version)


def test_an_experiment_says_which_of_its_variants_was_refitted(
    store: ArtifactStore, publish: Publish, refitted: tuple[Artifact, Artifact]
) -> None:
    measured, answering = refitted
    other = publish("lightgcn")
    config = ExperimentConfig("x", "ab", "", (Variant("a", "ease"), Variant("b", "lightgcn"), Variant("c", "als")))
    client = create_app(store.root, ServingConfig(experiment=config)).test_client()
    variants = client.get("/api/experiments").json["running"]["variants"]
    said = [(one["version"], one["measured_version"], one["refitted"]) for one in variants]
    assert said == [
        (answering.version, measured.version, True),
        (other.version, other.version, False),
        (None, None, None),
    ]


def test_the_models_list_shows_the_metrics_of_the_measured_version_for_the_refitted_one(
    client: FlaskClient, refitted: tuple[Artifact, Artifact]
) -> None:
    measured, answering = refitted
    (row,) = client.get("/api/models").json["models"]
    assert (row["version"], row["measured_version"], row["default"]) == (answering.version, measured.version, True)
    assert row["metrics"]["validation"] == {"ndcg@10": 0.5}
    assert row["refitted_model"] == answering.parents["refitted_model"]
    assert row["trained_model"] == measured.parents["trained_model"]
    versions = {one["version"]: one for one in row["versions"]}
    assert versions[measured.version]["refitted_model"] is None
    assert versions[measured.version]["measured_version"] == measured.version


def test_pages_say_what_answers_and_what_vouches_for_it(
    client: FlaskClient, refitted: tuple[Artifact, Artifact]
) -> None:
    measured, answering = refitted
    page = client.get("/", headers={"Accept": "text/html"}).text
    said = f"version {answering.version}, trained on all ratings and measured as version {measured.version}"
    assert said in page


def test_a_newer_measured_index_answers_by_name(
    client: FlaskClient, publish: Publish, refitted: tuple[Artifact, Artifact]
) -> None:
    newer = publish("ease")
    assert client.get("/api/recommend?user_id=1").json["version"] == refitted[1].version
    assert client.get("/api/recommend?user_id=1&model=ease").json["version"] == newer.version


def test_a_refit_that_is_not_served_never_stands_in_for_a_damaged_version(
    client: FlaskClient, store: ArtifactStore, publish: Publish, refitted: tuple[Artifact, Artifact]
) -> None:
    (publish("ease").folder / "index.faiss").write_bytes(b"half")
    store.point(SERVING, publish("lightgcn"), {})
    body = client.get("/api/recommend?user_id=1&model=ease").json
    assert (body["version"], body["recommendations"][0]["movie_id"]) == (refitted[0].version, MOVIES[4])
