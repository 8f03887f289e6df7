import json
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from movierec_engine import __version__
from movierec_engine.errors import StoreError
from movierec_engine.store import (
    Artifact,
    ArtifactStore,
    Slot,
    artifact_store,
    content_key,
    parse_reference,
    process,
    replace_file,
)
from movierec_engine.store.permission import asking

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
    while not started.exists() and process.is_alive():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert store.latest(SLOT) == old
    assert len(list((tmp_path / ".incoming").iterdir())) == 1
    new = publish(store, "new")
    assert store.latest(SLOT) == new
    assert not list((tmp_path / ".incoming").iterdir())


def test_versions_get_their_names_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the lock too long is named, and what was to be published leaves nothing."""
    store = ArtifactStore(tmp_path)
    old = publish(store)
    monkeypatch.setattr(artifact_store, "_LOCK_SECONDS", 0.01)
    with store.storage.hold(".order/lock", 1):
        for change in (lambda: publish(store, "new", key="bbbb"), lambda: store.set_latest(old)):
            with pytest.raises(StoreError, match=r"lock: another process has held it for 0\.01 s"):
                change()
    assert store.versions(SLOT) == [old]
    assert not list((tmp_path / ".incoming").iterdir())
    assert publish(store, "new", key="bbbb").version > old.version


def test_a_writer_that_is_still_at_work_keeps_its_folder_while_others_publish(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    started, go_on = tmp_path / "started", tmp_path / "go on"

    def slow(folder: Path) -> None:
        write(folder, "slowly")
        started.write_text("")
        while not go_on.exists():
            time.sleep(0.005)

    process = multiprocessing.get_context("fork").Process(
        target=lambda: store.publish(SLOT, slow, key="slow", fingerprint="f00d"), daemon=True
    )
    process.start()
    while not started.exists() and process.is_alive():
        time.sleep(0.005)
    quick = publish(store, "quickly", key="quick")
    at_work = list((tmp_path / ".incoming").iterdir())
    go_on.write_text("")
    process.join()
    assert (len(at_work), process.exitcode) == (1, 0)
    late = store.require(SLOT).verify()
    assert (late.key, (late.folder / "sub" / "data.txt").read_text()) == ("slow", "slowly")
    assert store.versions(SLOT) == [quick, late]


def test_what_other_places_and_other_programs_left_is_not_swept_before_a_day_has_gone_by(tmp_path: Path) -> None:
    """Of a process on another host, or in another container of the same name, nobody here can tell if it is alive."""
    store = ArtifactStore(tmp_path)
    gone = multiprocessing.get_context("fork").Process(target=lambda: None)
    gone.start()
    gone.join()
    here = process.place()
    container = f"{here}0"  # the same host and boot, another namespace of processes
    names = {
        f"elsewhere-{gone.pid}-0a1b2c3d": True,
        f"{container}-{gone.pid}-0a1b2c3d": True,
        f"{container}-{gone.pid}-forgotten": False,
        f"{container}-{gone.pid}-begun long ago": True,
        f"{here}-other-0a1b2c3d": True,
        "note": True,
        f"{here}-{gone.pid}-0a1b2c3d": False,
        f"{here}-{os.getpid()}-0a1b2c3d": True,
    }
    for name in names:
        write_into(tmp_path / ".incoming" / name)
    forgotten = tmp_path / ".incoming" / f"{container}-{gone.pid}-forgotten"
    begun = tmp_path / ".incoming" / f"{container}-{gone.pid}-begun long ago"
    for path in (*forgotten.rglob("*"), forgotten, begun):  # of which the latter has a file that was written just now
        os.utime(path, (time.time() - 2 * 86_400,) * 2)
    publish(store)
    assert {path.name for path in (tmp_path / ".incoming").iterdir()} == {
        name for name, stays in names.items() if stays
    }


def write_into(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "half").write_text("x")


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
    first, bad, last = (publish(store) for _ in range(3))
    (bad.folder / "manifest.json").write_text(text)
    assert store.versions(SLOT) == [first, last]
    store.set_latest(bad)
    with pytest.raises(StoreError, match="manifest"):
        store.latest(SLOT)


def test_only_the_named_files_are_verified_and_all_of_them_by_default(tmp_path: Path) -> None:
    def two(folder: Path) -> None:
        (folder / "one.txt").write_text("1")
        (folder / "two.txt").write_text("2")

    artifact = ArtifactStore(tmp_path).publish(SLOT, two, key="k", fingerprint="f00d")
    (artifact.folder / "two.txt").write_text("3")
    assert artifact.verify("one.txt") is artifact
    for names in (("two.txt",), ("one.txt", "two.txt"), ()):
        with pytest.raises(StoreError, match=r"two\.txt: does not match"):
            artifact.verify(*names)
    with pytest.raises(StoreError, match=r"other\.txt: missing from a published version"):
        artifact.verify("other.txt")


def test_a_version_is_found_by_its_key(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, key="aaaa")
    second = publish(store, key="aaaa")
    publish(store, key="bbbb")
    assert store.find(SLOT, "aaaa") == second
    assert store.find(SLOT, "cccc") is None
    assert store.find(SLOT, "aaa") is None, "the beginning of a key is another one"


def test_slots_are_listed_by_kind_data_set_model_and_device(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    wanted = [
        Slot("trained_model", data_set, model, device)
        for data_set in ("large", "small")
        for model in ("als", "ease")
        for device in ("cpu", "cuda")
    ]
    for slot in (*reversed(wanted), Slot("splits", "small"), Slot("trained_model", "tiny")):
        publish(store, slot=slot)
    store.publish(Slot("trained_model", "never", "als", "cpu"), str, key="k", fingerprint="", newest=False)
    everything = list(store.slots("trained_model"))
    assert sorted(map(str, everything)) == sorted(map(str, [*wanted, Slot("trained_model", "tiny")]))
    assert [slot for slot in everything if slot.model] == wanted, "in order"
    for data_set in ("", "small"):
        for model in ("", "als"):
            for device in ("", "cuda"):
                found = list(store.slots("trained_model", data_set, model, device))
                assert found == [
                    slot
                    for slot in everything
                    if data_set in ("", slot.data_set) and model in ("", slot.model) and device in ("", slot.device)
                ]
    assert store.data_sets("trained_model") == ["large", "small", "tiny"]
    assert store.data_sets("splits") == ["small"]


def test_a_pointer_says_what_it_names_since_when_and_why(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = publish(store)
    before = datetime.now(UTC).replace(microsecond=0)
    store.point("serving", artifact, {"why": "test"})
    content = store.pointer("serving", "small")
    assert content is not None
    assert (content["reference"], content["evidence"]) == (artifact.reference, {"why": "test"})
    assert before <= datetime.fromisoformat(content["since"]) <= datetime.now(UTC)
    assert store.pointed("serving", "small") == artifact
    assert store.pointed("serving", "large") is None, "each data set has its own"


@pytest.mark.parametrize(
    "path",
    [
        "pointers/serving.json",
        "trained_model/LATEST",
        *(f"{kind}/ease/cpu/LATEST" for kind in ("trained_model", "evaluation_report", "faiss_index", "backtest")),
    ],
)
def test_a_store_of_the_earlier_layout_is_refused(tmp_path: Path, path: str) -> None:
    replace_file(tmp_path / path, "x")
    with pytest.raises(StoreError, match="a store of an earlier version"):
        ArtifactStore(tmp_path)


def test_slots_have_a_model_and_a_device_or_neither() -> None:
    slot = Slot("trained_model", "small", "ease", "cuda")
    assert str(slot) == "trained_model/small/ease/cuda"
    assert slot.beside("faiss_index") == Slot("faiss_index", "small", "ease", "cuda")
    assert [Slot("trained_model", "small", "ease", device).label for device in ("cpu", "cuda")] == ["ease", "ease/cuda"]
    assert Slot("splits", "small").parts == ("splits", "small")
    for model, device in (("ease", ""), ("", "cpu")):
        with pytest.raises(StoreError):
            Slot("trained_model", "small", model, device)


@pytest.mark.parametrize("reference", ["splits/small", "a/b/c/d", "trained_model/small/ease/cpu/x/y", ""])
def test_a_reference_has_three_or_five_parts(reference: str) -> None:
    with pytest.raises(StoreError, match="is not a reference"):
        parse_reference(reference)
    assert parse_reference("splits/small/v1") == (Slot("splits", "small"), "v1")
    assert parse_reference("trained_model/small/ease/cpu/v1") == (SLOT, "v1")


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
    replace_file(store.storage.pointer_file("serving", "small"), text)
    with pytest.raises(StoreError):
        store.pointed("serving", "small")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00rubbish", b"../../elsewhere"])
def test_a_damaged_latest_is_said_without_its_content(tmp_path: Path, content: bytes) -> None:
    store, slot = ArtifactStore(tmp_path), Slot("splits", "camps")
    store.publish(slot, lambda folder: None, key="k", fingerprint="f00d")
    (tmp_path / "splits" / "camps" / "LATEST").write_bytes(content)
    expected = f"LATEST of splits/camps in {tmp_path} is damaged; remove it and materialize splits/camps again"
    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"):
        store.require(slot)


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


def test_each_change_asks_for_permission_and_none_is_made_where_it_is_refused(tmp_path: Path) -> None:
    store, slot = ArtifactStore(tmp_path), Slot("splits", "camps")
    asked = 0

    def refuse() -> None:
        nonlocal asked
        asked += 1
        raise PermissionError

    made = store.publish(slot, lambda folder: None, key="k", fingerprint="f")
    store.point("serving", made, {})
    changes: list[Callable[[], object]] = [
        lambda: store.publish(slot, lambda folder: None, key="k2", fingerprint="f"),
        lambda: store.set_latest(made),
        lambda: store.point("serving", made, {"reason": "another"}),
        lambda: store.unpoint("serving", "camps"),
        lambda: store.remove(made),
    ]
    with asking(refuse):
        for change in changes:
            with pytest.raises(PermissionError):
                change()
    assert asked == len(changes)
    assert store.versions(slot) == [made]
    assert store.pointer("serving", "camps")["evidence"] == {}  # type: ignore[index]
    assert not list((tmp_path / ".incoming").iterdir())
    changes[0]()
    assert len(store.versions(slot)) == 2, "nobody wants to be asked any more"
