"""Whoever changes what a data step makes of the same input is told to raise its code version."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.graph import InteractionGraph
from movierec_engine.pipeline import code_versions
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

KNOWN = {
    kinds.RAW_RATINGS: ("1", "e4f1797e073e"),
    kinds.RAW_MOVIES: ("1", "e88d655dcb2e"),
    kinds.INTERACTIONS: ("1", "e4f1797e073e"),
    kinds.SPLITS: ("2, metrics 2", "447631248e04"),
    kinds.INTERACTION_GRAPH: ("1", "30aff77a6b90"),
}
"""Kind -> its code version, and the hash of what that makes of the two camps' folder."""
TABLES = {
    kinds.RAW_RATINGS: "ratings.parquet",
    kinds.RAW_MOVIES: "movies.parquet",
    kinds.INTERACTIONS: "interactions.parquet",
    kinds.SPLITS: "split.parquet",
}


def content(artifact: Artifact) -> str:
    """The beginning of a hash of an artifact's values, whatever file holds them."""
    if artifact.slot.kind == kinds.INTERACTION_GRAPH:
        graph = InteractionGraph.load(artifact.folder).adjacency.tocsr()
        values = repr((graph.shape, graph.indptr.tolist(), graph.indices.tolist(), graph.data.round(5).tolist()))
    else:
        values = repr(pq.read_table(artifact.folder / TABLES[artifact.slot.kind]).to_pydict())
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def test_a_data_step_that_makes_something_else_has_another_code_version(
    store: ArtifactStore, small_data: list[str]
) -> None:
    pipeline.prepare(store, load_settings([*small_data, "model=popularity"]).data)
    made = {
        kind: (code_versions.code_version(kind), content(store.require(Slot(kind, "camps")))) for kind in kinds.DATA
    }
    assert made == KNOWN, "raise the number in pipeline/code_versions.py, and let this test know what it makes"


def test_a_data_step_of_another_code_version_is_made_anew(
    store: ArtifactStore, small_data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_settings([*small_data, "model=popularity"]).data
    ratings = pipeline.ingest_ratings(store, config)
    before = pipeline.filter_interactions(store, ratings, config)
    assert pipeline.filter_interactions(store, ratings, config) == before
    monkeypatch.setitem(code_versions.STEPS, kinds.INTERACTIONS, "2")
    assert pipeline.filter_interactions(store, ratings, config).key != before.key


def test_the_version_of_trained_models_names_the_model_whose_code_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    step = code_versions.STEPS[kinds.TRAINED_MODEL]
    monkeypatch.setattr(code_versions, "MODELS", {"svd": 3, "ease": 2})
    assert code_versions.code_version(kinds.TRAINED_MODEL) == f"{step}, ease 2, svd 3"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")
