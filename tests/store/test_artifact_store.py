import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from movierec_engine import __version__
from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, replace_file

SLOT = Slot("trained_model", "small", "ease", "cpu")


def publish(store: ArtifactStore, text: str = "hello", key: str = "aaaa", slot: Slot = SLOT) -> Artifact:
    return store.publish(slot, lambda folder: write(folder, text), key=key, fingerprint="f00d")


def write(folder: Path, text: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "data.txt").write_text(text)


def test_a_published_version_is_the_latest_and_states_its_files(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    parent = publish(store, slot=Slot("splits", "small"))
    artifact = store.publish(
        SLOT,
        lambda folder: write(folder, "hi"),
        key="bbbb",
        fingerprint="f00d",
        config={"seed": 1},
        parents={"splits": parent},
        facts={"n": 2},
    )
    latest = store.latest(SLOT)
    assert latest == artifact.verify()
    assert latest.parents == {"splits": parent.reference}
    assert store.resolve(latest.parents["splits"]) == parent
    assert latest.files["sub/data.txt"]["size"] == 2
    assert (latest.config, latest.facts) == ({"seed": 1}, {"n": 2})
    assert list(store.slots("trained_model")) == [SLOT]


def test_a_writer_that_fails_leaves_nothing_and_the_old_version_stays(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = publish(store)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        store.publish(SLOT, fail, key="bbbb", fingerprint="f00d")
    assert store.latest(SLOT) == old
    assert store.versions(SLOT) == [old]
    assert not list((tmp_path / ".incoming").iterdir())


def test_a_killed_writer_leaves_the_old_version_and_the_next_publication_clears_its_remains(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = publish(store)
    started = tmp_path / "started"

    def hang(folder: Path) -> None:
        (folder / "half").write_text("x")
        started.write_text("")
        time.sleep(60)

    def child() -> None:
        store.publish(SLOT, hang, key="bbbb", fingerprint="f00d")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    while not started.exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert store.latest(SLOT) == old
    assert len(list((tmp_path / ".incoming").iterdir())) == 1
    new = publish(store, "new")
    assert store.latest(SLOT) == new
    assert not list((tmp_path / ".incoming").iterdir())


@pytest.mark.parametrize("damage", ["truncate", "change", "delete"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    artifact = publish(ArtifactStore(tmp_path))
    path = artifact.folder / "sub" / "data.txt"
    if damage == "delete":
        path.unlink()
    else:
        path.write_text("hell" if damage == "truncate" else "hellO")
    with pytest.raises(StoreError, match=r"data\.txt"):
        artifact.verify()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "trained_model"}', "\x00"])
def test_an_unreadable_manifest_is_a_store_error_and_left_out_of_the_listing(tmp_path: Path, text: str) -> None:
    store = ArtifactStore(tmp_path)
    good, bad = publish(store), publish(store)
    (bad.folder / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match="manifest"):
        store.latest(SLOT)
    assert store.versions(SLOT) == [good]


def test_a_version_is_found_by_its_key(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, key="aaaa")
    second = publish(store, key="aaaa")
    publish(store, key="bbbb")
    assert store.find(SLOT, "aaaa") == second
    assert store.find(SLOT, "cccc") is None


def test_a_removed_version_is_gone_and_the_others_are_not(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first, second = publish(store), publish(store)
    store.remove(first)
    assert store.versions(SLOT) == [second]
    with pytest.raises(StoreError, match="no version"):
        store.resolve(first.reference)
    assert not list((tmp_path / ".incoming").iterdir())


def test_a_pointer_that_is_taken_away_names_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    store.unpoint("pinned", "small")
    store.point("pinned", publish(store), {})
    store.unpoint("pinned", "small")
    assert store.pointed("pinned", "small") is None


def test_a_pointer_names_nothing_until_it_is_set(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert store.pointed("serving", "small") is None
    assert store.latest(SLOT) is None
    with pytest.raises(StoreError, match="materialize"):
        store.require(SLOT)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reference": 5}', '{"reference": "nowhere"}'])
def test_a_damaged_pointer_is_a_store_error(tmp_path: Path, text: str) -> None:
    store = ArtifactStore(tmp_path)
    replace_file(store.pointer_file("serving", "small"), text)
    with pytest.raises(StoreError):
        store.pointed("serving", "small")


@pytest.mark.parametrize("name", ["..", "../evil", "a/b", "", ".hidden", "with space", "nul\x00", "LATEST"])
def test_names_that_could_leave_the_store_are_refused(name: str) -> None:
    with pytest.raises(StoreError):
        Slot("trained_model", name)


@pytest.mark.parametrize(
    "reference", ["../../etc/passwd", "trained_model/../x", "x", "trained_model/small/ease/cpu/.."]
)
def test_references_that_could_leave_the_store_are_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(StoreError):
        ArtifactStore(tmp_path).resolve(reference)


def test_a_reader_sees_only_whole_versions_while_a_writer_publishes(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, "0" * 1000)
    done = threading.Event()

    def write_many() -> None:
        for number in range(1, 30):
            publish(store, str(number % 10) * 1000)
        done.set()

    writer = threading.Thread(target=write_many)
    writer.start()
    seen = set()
    while not done.is_set():
        latest = store.require(SLOT).verify()
        text = (latest.folder / "sub" / "data.txt").read_text()
        assert len(set(text)) == 1
        assert len(text) == 1000
        seen.add(latest.version)
    writer.join()
    assert len(seen) > 1


def test_a_content_key_is_the_same_for_equal_values_in_any_order() -> None:
    assert content_key({"a": 1, "b": [2, 3]}) == content_key({"b": [2, 3], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})


def test_the_manifest_names_code_version_and_creation_time(tmp_path: Path) -> None:
    artifact = publish(ArtifactStore(tmp_path))
    manifest = json.loads((artifact.folder / "manifest.json").read_text())
    assert manifest["code_version"].startswith(__version__)
    assert manifest["created_at"].endswith("+00:00")
