"""Where things stand in the store, as the pages find them."""

from pathlib import Path

import pytest

from dashboard.queries import store_files
from movierec_engine.store import Artifact, ArtifactStore, Slot


def publish(store: ArtifactStore, model: str = "ease", data: str = "small", kind: str = "faiss_index") -> Artifact:
    return store.publish(Slot(kind, data, model, "cpu"), lambda folder: None, key="k", fingerprint="")


def test_of_each_slot_the_version_that_latest_names_is_first_and_then_the_newest(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    made = [publish(store) for _ in range(3)]
    store.set_latest(made[0])
    folder = made[0].folder.parent
    assert list(store_files.wanted_first(folder)) == [made[place].version for place in (0, 2, 1)]
    assert list(store_files.newest(tmp_path, "faiss_index")) == [made[0]]
    (made[0].folder / "manifest.json").unlink()
    assert list(store_files.newest(tmp_path, "faiss_index")) == [made[2]], "the newest that can be read, and no more"
    (folder / "LATEST").write_text("../../evil")
    assert store_files.latest_name(folder) == ""


def test_a_slot_of_which_nothing_can_be_read_is_passed_by(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    broken, other = publish(store, "als"), publish(store, "ease")
    (broken.folder / "manifest.json").write_text("half")
    assert list(store_files.newest(tmp_path, "faiss_index")) == [other]


def test_slots_are_of_a_data_set_or_of_a_model_and_device(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    ours, theirs, longer = publish(store), publish(store, data="large"), publish(store, data="smaller")
    splits = store.publish(Slot("splits", "small"), lambda folder: None, key="k", fingerprint="")
    found = store_files.slot_folders(tmp_path, "faiss_index")
    assert found == [one.folder.parent for one in (theirs, ours, longer)]
    assert store_files.slot_folders(tmp_path, "faiss_index", "small") == [ours.folder.parent]
    assert store_files.slot_folders(tmp_path, "splits") == [splits.folder.parent]
    assert store_files.slot_of(tmp_path, ours.folder.parent) == ours.slot
    assert list(store_files.newest(tmp_path, "faiss_index", "large")) == [theirs]
    (tmp_path / "faiss_index" / "small" / ".hidden").mkdir()
    (tmp_path / "faiss_index" / "small" / "a file").touch()
    assert store_files.folders(tmp_path / "faiss_index" / "small") == [ours.folder.parents[1]]
    assert store_files.folders(tmp_path / "nowhere") == []


def test_a_parent_is_found_by_its_reference(tmp_path: Path) -> None:
    artifact = publish(ArtifactStore(tmp_path))
    assert store_files.parent_folder(tmp_path, artifact.reference) == artifact.folder
    for reference in (f"{artifact.slot}/other", "nonsense", None, 3):
        assert store_files.parent_folder(tmp_path, reference) is None


def test_the_store_is_where_the_environment_says_or_beside_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOVIEREC_ARTIFACTS", raising=False)
    assert store_files.store_root() == tmp_path / "artifacts"
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", "elsewhere")
    assert store_files.store_root() == tmp_path / "elsewhere"


def test_the_signature_is_of_the_kinds_that_are_asked_for(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store)
    before = store_files.signature(tmp_path, "faiss_index"), store_files.signature(tmp_path, "trained_model")
    publish(store, kind="trained_model")
    assert store_files.signature(tmp_path, "faiss_index") == before[0]
    assert store_files.signature(tmp_path, "trained_model") != before[1]
    assert store_files.stamp(tmp_path / "nowhere") == (str(tmp_path / "nowhere"), 0, 0)
