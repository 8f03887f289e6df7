"""A store of the last release, 0.1.0, under this one: what is used on, what is refused, and how it goes on.

`store_of_0_1_0.tar.xz` was written by that release: popularity and ease trained on the two camps of `camps.py`, with
`data.dir=ml`, ease promoted, ratings of users 1 and 2, and user 2 erased.
"""

import json
import tarfile
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from camps import camps_settings, write_camps

from movierec_engine import pipeline
from movierec_engine.backup import back_up, restore
from movierec_engine.config import load_settings
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.feedback import SqliteLog, log_file
from movierec_engine.models.registry import load_model
from movierec_engine.release import decide_release, manual
from movierec_engine.release.decisions import decisions, releases
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import SERVING, ArtifactStore, Slot, kinds

STORE = Path(__file__).with_name("store_of_0_1_0.tar.xz")
RELEASE = ReleaseConfig()
EASE = Slot(kinds.TRAINED_MODEL, "camps", "ease", "cpu")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    for name in ("DAGSTER_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    with tarfile.open(STORE) as archive:
        archive.extractall(tmp_path / "store", filter="data")
    return ArtifactStore(tmp_path / "store")


def test_feedback_decisions_models_and_reports_of_the_last_release_are_read_on(store: ArtifactStore) -> None:
    with closing(SqliteLog(log_file(store.root, "camps"))) as log:
        assert log.state(1).ratings == {100: 4.0}
        assert (log.state(2).ratings, log.state(2).erasure) == ({}, 1)
    assert [one.verdict for one in decisions(store, "camps")] == ["promoted"]
    assert [reference.split("/")[2] for reference in releases(store, "camps")] == ["ease"]
    for slot in store.slots(kinds.TRAINED_MODEL):
        assert load_model(store.require(slot).verify().folder).name == slot.model
    board = pipeline.rank_models(store, "camps", "ndcg@10")
    assert pq.read_table(board.folder / "leaderboard.parquet")["model"].to_pylist() == ["ease", "popularity"]


@pytest.mark.slow
def test_an_index_of_the_last_release_is_refused_in_one_sentence_until_it_is_made_again(
    store: ArtifactStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="built by a version of Movierec with other files; materialize it again"):
        RetrievalIndex.load(store.require(EASE.beside(kinds.FAISS_INDEX)).folder)
    assert IndexReloader(store).current() is None, "the API answers that it has nothing, and goes on"
    write_camps(tmp_path / "ml")
    for model in ("popularity", "ease"):
        settings = [*camps_settings(tmp_path / "ml", tmp_path / "checkpoints"), f"model={model}"]
        pipeline.run(store, load_settings(settings))
    board = pipeline.rank_models(store, "camps", "ndcg@10")
    decision = decide_release(store, board, RELEASE, None)
    assert decision.verdict == "promoted"
    assert "what was served cannot be used" in decision.sentence
    answering = IndexReloader(store).current()
    assert answering is not None
    assert answering.artifact == store.pointed(SERVING, "camps")
    with pytest.raises(StoreError, match="with other files"):
        manual.roll_back(store, "camps", RELEASE)
    ratings = store.require(Slot(kinds.RAW_RATINGS, "camps"))
    assert ratings.facts["feedback"]["events"] == 1, "feedback of the last release is learned from, without the erased"


def test_a_store_of_the_last_release_is_backed_up_and_restored(store: ArtifactStore, tmp_path: Path) -> None:
    made = back_up(store.root, tmp_path / "backup", RELEASE)
    restore(tmp_path / "new", made.folder)
    new = ArtifactStore(tmp_path / "new")
    assert new.pointer(SERVING, "camps") == store.pointer(SERVING, "camps")
    assert new.require(EASE).verify().facts == store.require(EASE).facts


def test_what_a_newer_release_has_written_is_refused_in_one_sentence(store: ArtifactStore) -> None:
    manifest = store.require(EASE).folder / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**content, "format": 2, "code_version": "9.0"}), encoding="utf-8")
    with pytest.raises(StoreError, match=r"has format 2, of movierec 9\.0, .* use the release that wrote it"):
        store.require(EASE)
