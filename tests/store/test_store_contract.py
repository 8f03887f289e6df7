"""What every store promises, in a folder and in an object store."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot, artifact_store
from movierec_engine.store.copying import copy_store
from movierec_engine.store.folder_storage import FolderStorage
from movierec_engine.store.permission import asking
from movierec_engine.store.retention import every_version, removable
from movierec_engine.store.storage import Location

MODEL = Slot("trained_model", "small", "ease", "cpu")
SPLITS = Slot("splits", "small")


def publish(
    store: ArtifactStore, text: str = "hello", key: str = "aaaa", slot: Slot = MODEL, **more: object
) -> Artifact:
    def write(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "data.txt").write_text(text)
        (folder / "same.bin").write_bytes(b"the same in all")

    return store.publish(slot, write, key=key, fingerprint="f00d", **more)  # type: ignore[arg-type]


def text_of(artifact: Artifact) -> str:
    return (artifact.verify().folder / "sub" / "data.txt").read_text()


def test_a_published_version_is_the_newest_and_says_what_it_was_made_from(location: Location) -> None:
    store = ArtifactStore(location)
    parent = publish(store, slot=SPLITS)
    made = publish(store, "hi", config={"seed": 1}, parents={"splits": parent}, facts={"n": 2})
    found = ArtifactStore(location).latest(MODEL)
    assert found == made
    assert found is not None
    assert (found.config, found.facts, found.files["sub/data.txt"]["size"]) == ({"seed": 1}, {"n": 2}, 2)
    assert store.resolve(found.parents["splits"]) == parent
    assert (text_of(found), text_of(parent)) == ("hi", "hello")
    assert (list(store.slots("trained_model")), store.data_sets("splits")) == ([MODEL], ["small"])
    assert store.latest(MODEL.beside("faiss_index")) is None
    with pytest.raises(StoreError, match="materialize it first"):
        store.require(MODEL.beside("faiss_index"))


def test_versions_are_ordered_as_they_were_published_and_found_by_their_key(location: Location) -> None:
    store = ArtifactStore(location)
    made = [publish(store, str(number), key=key) for number, key in enumerate(["aaaa", "bbbb", "aaaa"])]
    never = publish(store, "never", key="cccc", newest=False)
    assert store.versions(MODEL) == [*made, never]
    assert (store.latest(MODEL), store.find(MODEL, "aaaa"), store.find(MODEL, "cccc")) == (made[2], made[2], never)
    assert store.find(MODEL, "aaa") is None
    assert [text_of(one) for one in made] == ["0", "1", "2"]
    store.set_latest(made[0])
    assert store.latest(MODEL) == made[0]


def test_of_writers_at_once_each_gets_a_name_of_its_own_and_the_last_is_the_newest(location: Location) -> None:
    writers = [threading.Thread(target=lambda: [publish(ArtifactStore(location)) for _ in range(2)]) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    versions = ArtifactStore(location).versions(MODEL)
    assert len({one.version[:19] for one in versions}) == 6
    assert ArtifactStore(location).latest(MODEL) == versions[-1]


def test_a_writer_that_fails_leaves_nothing(location: Location) -> None:
    store = ArtifactStore(location)
    old = publish(store)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        store.publish(MODEL, fail, key="bbbb", fingerprint="f00d")
    assert (store.versions(MODEL), store.latest(MODEL)) == ([old], old)
    assert not list((store.root / ".incoming").iterdir())


def test_pointers_name_a_version_until_they_are_taken_away(location: Location) -> None:
    store = ArtifactStore(location)
    made = publish(store)
    assert (store.pointed("serving", "small"), store.storage.pointers()) == (None, [])
    store.unpoint("serving", "small")
    before = store.changes("trained_model", "small")
    since = datetime.now(UTC) - timedelta(seconds=1)
    store.point("serving", made, {"why": "test"})
    assert store.changes("trained_model", "small") != before
    content = ArtifactStore(location).pointer("serving", "small")
    assert content is not None
    assert (content["reference"], content["evidence"]) == (made.reference, {"why": "test"})
    assert datetime.fromisoformat(content["since"]) >= since
    assert (store.pointed("serving", "small"), store.pointed("serving", "large")) == (made, None)
    assert store.storage.pointers() == [("small", "serving")]
    store.unpoint("serving", "small")
    assert store.pointed("serving", "small") is None


def test_what_is_asked_for_changes_says_so_when_a_slot_gets_a_newer_version(location: Location) -> None:
    store = ArtifactStore(location)
    seen = []
    for _ in range(2):
        publish(store)
        seen.append((store.changes("trained_model", "small"), store.storage.slot_changes(MODEL)))
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    publish(store, slot=Slot("trained_model", "large", "ease", "cpu"))
    assert (store.changes("trained_model", "small"), store.storage.slot_changes(MODEL)) == seen[1]


def test_a_removed_version_is_gone_and_the_others_are_whole(location: Location) -> None:
    """Though they have files of the same content."""
    store = ArtifactStore(location)
    first, second = publish(store, "1"), publish(store, "2")
    store.remove(first)
    store.storage.sweep()
    assert store.versions(MODEL) == [second]
    with pytest.raises(StoreError, match="no version"):
        store.resolve(first.reference)
    assert text_of(second) == "2"


def test_no_change_is_made_without_permission(location: Location) -> None:
    store = ArtifactStore(location)
    made = publish(store)
    store.point("serving", made, {"why": "first"})

    def refuse() -> None:
        raise PermissionError

    with asking(refuse):
        for change in (
            lambda: publish(store, "new"),
            lambda: store.set_latest(made),
            lambda: store.point("serving", made, {"why": "second"}),
            lambda: store.unpoint("serving", "small"),
            lambda: store.remove(made),
        ):
            with pytest.raises(PermissionError):
                change()
    assert store.versions(MODEL) == [made]
    assert store.pointer("serving", "small")["evidence"] == {"why": "first"}  # type: ignore[index]


def test_a_lock_is_held_by_one_and_given_back(location: Location) -> None:
    store = ArtifactStore(location)
    with store.storage.hold("pointers/small/decisions.lock", 1):
        with (
            pytest.raises(StoreError, match=r"decisions\.lock: another process has held it for 0\.1 s"),
            ArtifactStore(location).storage.hold("pointers/small/decisions.lock", 0.1),
        ):
            pytest.fail("it is held")
        with store.storage.hold("pointers/large/decisions.lock", 1):
            pass
    with ArtifactStore(location).storage.hold("pointers/small/decisions.lock", 1):
        pass


def test_pruning_keeps_what_is_pointed_at_and_what_that_was_made_from(location: Location) -> None:
    store = ArtifactStore(location)
    splits = [publish(store, str(number), slot=SPLITS) for number in range(3)]
    models = [publish(store, str(number), parents={"splits": splits[0]}) for number in range(3)]
    store.point("serving", models[0], {})
    assert every_version(store) == {SPLITS: splits, MODEL: models}
    assert removable(store, "small", keep=1) == [models[1], splits[1]]


def damage_manifest(store: ArtifactStore, made: Artifact, text: str = "{") -> None:
    if isinstance(store.storage, FolderStorage):
        (made.folder / "manifest.json").write_text(text)
    else:
        store.storage._objects.replace(f"versions/{made.reference}.json", text.encode())  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["{", "", "[]", '{"format": 99, "slot": "SLOT"}'])
@pytest.mark.parametrize("data_set", ["small", "large"])
def test_pruning_deletes_nothing_while_a_manifest_cannot_be_read(
    location: Location, damage: str, data_set: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was made from cannot be told, be it of this data set or of another."""
    store = ArtifactStore(location)
    splits = [publish(store, str(number), slot=SPLITS) for number in range(3)]
    child = publish(store, slot=Slot("trained_model", data_set, "ease", "cpu"), parents={"splits": splits[0]})
    assert removable(store, "small", keep=1) == [splits[1]]
    damage_manifest(store, child, damage.replace("SLOT", str(child.slot)))
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))
    elsewhere = ArtifactStore(location)
    with pytest.raises(StoreError, match=f"nothing is deleted, as .* cannot be told: .*{child.version}"):
        removable(elsewhere, "small", keep=1)


@pytest.mark.parametrize("damage", ["manifest", "pointer"])
def test_texts_that_cannot_be_read_are_named(location: Location, damage: str) -> None:
    store = ArtifactStore(location)
    good, bad = publish(store), publish(store)
    if damage == "pointer":
        store.storage.set_pointer("small", "serving", "{")
        for look in (lambda: store.pointed("serving", "small"), lambda: removable(store, "small", keep=1)):
            with pytest.raises(StoreError, match=r"pointers/small/serving\.json: not a readable pointer"):
                look()
        return
    if isinstance(location, Path):
        (bad.folder / "manifest.json").write_text("{")
    else:
        store.storage._objects.replace(f"versions/{bad.reference}.json", b"{")  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match="not a readable manifest"):
            store.latest(MODEL)
    assert [one for one in store.versions(MODEL) if one != good] == []


@pytest.mark.parametrize("back", [False, True], ids=["out", "and back"])
def test_a_copy_has_every_version_and_pointer_and_is_not_made_twice(
    location: Location, bucket: str, tmp_path: Path, back: bool
) -> None:
    source = ArtifactStore(location)
    parent = publish(source, slot=SPLITS)
    models = [publish(source, str(number), parents={"splits": parent}) for number in range(3)]
    source.set_latest(models[1])
    source.point("serving", models[0], {"why": "test"})
    target = ArtifactStore(tmp_path / "other" if back else f"{bucket}-other")
    publish(target, "another data set's", slot=Slot("splits", "large"))
    copied = copy_store(source, target)
    assert (copied.versions, copied.present, copied.pointers) == (4, 0, 1)
    found = target.versions(MODEL)
    assert [(one.reference, one.created_at, text_of(one)) for one in found] == [
        (one.reference, one.created_at, text_of(one)) for one in models
    ]
    assert (target.latest(MODEL), target.pointed("serving", "small")) == (found[1], found[0])
    assert target.pointer("serving", "small") == source.pointer("serving", "small")
    later = publish(target, "later")
    again = copy_store(source, target)
    assert (again.versions, again.megabytes, again.present, again.pointers) == (0, 0, 4, 0)
    assert target.latest(MODEL) == later, "its own, which is newer"


def decide(store: ArtifactStore, text: str, served: Artifact | None = None, pinned: Artifact | None = None) -> None:
    """A decision as releases record it, and the pointers that it moves; a promotion takes a pin away."""
    made = publish(store, text, slot=Slot("release_decision", "small"))
    if pinned:
        store.point("pinned", pinned, {"decision": made.reference})
    if served:
        store.point("serving", served, {"decision": made.reference})
        store.unpoint("pinned", "small")


@pytest.mark.parametrize("decided", ["promoted", "pinned"])
def test_a_copy_leaves_what_was_decided_in_the_other_store_since(location: Location, bucket: str, decided: str) -> None:
    live, kept = ArtifactStore(location), ArtifactStore(f"{bucket}-other")
    first, second = publish(live, "first"), publish(live, "second")
    decide(live, "serve the first", served=first)
    copy_store(live, kept)
    decide(kept, "serve the second", served=kept.resolve(second.reference))
    if decided == "promoted":
        decide(live, "serve the second here, too", served=second)
    else:
        decide(live, "hold the first", pinned=first)
    before = [live.storage.pointer("small", name) for name in ("serving", "pinned")]
    copied = copy_store(kept, live)
    left = ("small/serving",) if decided == "promoted" else ("small/serving", "small/pinned")
    assert (copied.versions, copied.pointers, copied.left) == (1, 0, left)
    assert [live.storage.pointer("small", name) for name in ("serving", "pinned")] == before
    copied = copy_store(kept, live, overwrite_pointers=True)
    assert (copied.pointers, copied.left) == (len(left), ())
    assert live.pointer("serving", "small") == kept.pointer("serving", "small")
    assert live.pointer("pinned", "small") is None


def test_a_copy_follows_promotions_pins_and_what_ends_a_pin(location: Location, bucket: str) -> None:
    live, kept = ArtifactStore(location), ArtifactStore(f"{bucket}-other")
    first, second = publish(live, "first"), publish(live, "second")
    for text, pointers in (("serve", {"served": first}), ("hold", {"pinned": first}), ("force", {"served": second})):
        decide(live, text, **pointers)
        assert copy_store(live, kept).left == ()
        for name in ("serving", "pinned"):
            assert kept.storage.pointer("small", name) == live.storage.pointer("small", name)


def test_no_pointer_is_copied_while_somebody_decides(
    location: Location, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ArtifactStore(location), ArtifactStore(f"{bucket}-other")
    source.point("serving", publish(source), {})
    monkeypatch.setattr(artifact_store, "_DECISION_SECONDS", 0.01)
    with target.deciding("small"), pytest.raises(StoreError, match=r"decisions\.lock: another process has held it"):
        copy_store(source, target)
    assert target.pointer("serving", "small") is None


def test_a_copy_that_was_interrupted_goes_on_where_it_was(
    location: Location, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ArtifactStore(location), ArtifactStore(f"{bucket}-other")
    made = [publish(source, str(number)) for number in range(3)]
    source.point("serving", made[2], {})
    put, done = target.storage.put, iter([True, False])

    def fail_at_the_second(*version: object, cached: bool) -> None:
        if not next(done):
            raise KeyboardInterrupt
        put(*version, cached=cached)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(target.storage, "put", fail_at_the_second)
        copy_store(source, target)
    assert (len(target.versions(MODEL)), target.latest(MODEL), target.pointed("serving", "small")) == (1, None, None)
    copied = copy_store(source, target)
    assert (copied.versions, copied.present, copied.pointers) == (2, 1, 1)
    assert target.latest(MODEL) == target.pointed("serving", "small")
    assert [text_of(one) for one in target.versions(MODEL)] == ["0", "1", "2"]


def damage(store: ArtifactStore, made: Artifact) -> None:
    """Change a file of a version, and leave its size."""
    if isinstance(store.storage, FolderStorage):
        (made.folder / "sub" / "data.txt").write_text("hellO")
    else:
        digest = made.files["sub/data.txt"]["sha256"]
        store.storage._objects.replace(f"content/{made.content}/{digest}", b"hellO")  # type: ignore[attr-defined]


@pytest.mark.parametrize("gone", [False, True], ids=["changed", "gone"])
def test_a_copy_that_verifies_repairs_the_other_store(
    location: Location, tmp_path: Path, bucket: str, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ArtifactStore(f"{bucket}-other"), ArtifactStore(location)
    publish(source, "sound")
    publish(source)
    copy_store(source, target)
    bad = target.versions(MODEL)[1]
    damage(target, bad)
    if gone and isinstance(location, Path):
        (bad.folder / "sub" / "data.txt").unlink()
    elif gone:
        target.storage._objects.delete([f"content/{bad.content}/{bad.files['sub/data.txt']['sha256']}"])  # type: ignore[attr-defined]
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))  # which has no copies of what was sound
    found = ArtifactStore(location).versions(MODEL)[1]
    assert copy_store(source, target).repaired == ()
    with pytest.raises(StoreError, match=r"data\.txt|content/"):
        found.verify()
    again = copy_store(source, target, verify=True)
    assert (again.versions, again.repaired) == (0, (bad.reference,))
    assert text_of(found) == "hello"
    assert copy_store(source, target, verify=True).repaired == ()


@pytest.mark.parametrize("damage", ["{", "", "[]", "another size", None])
def test_a_copy_that_verifies_repairs_manifests_and_goes_on(
    location: Location, tmp_path: Path, bucket: str, damage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ArtifactStore(f"{bucket}-other"), ArtifactStore(location)
    publish(source, "sound")
    made = publish(source)
    copy_store(source, target)
    bad = target.resolve(made.reference)
    source.point("serving", made, {})
    if damage is not None:
        text = target.storage.manifest(MODEL, bad.version) or ""
        damage_manifest(target, bad, text.replace('"size": 5', '"size": 6') if damage == "another size" else damage)
    elif isinstance(location, Path):
        (bad.folder / "manifest.json").unlink()
    else:
        target.storage._objects.delete([f"versions/{bad.reference}.json"])  # type: ignore[attr-defined]
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))
    elsewhere = ArtifactStore(location)
    copied = copy_store(source, elsewhere, verify=True)
    assert (copied.versions, copied.repaired) == ((1, ()) if damage is None else (0, (bad.reference,)))
    assert elsewhere.pointed("serving", "small") == elsewhere.versions(MODEL)[1]
    assert text_of(elsewhere.resolve(made.reference)) == "hello"
    again = copy_store(source, elsewhere, verify=True)
    assert (again.versions, again.repaired) == (0, ())


def test_what_is_copied_into_an_object_store_is_not_kept_on_this_host(
    location: Location, bucket: str, tmp_path: Path
) -> None:
    source = ArtifactStore(location)
    made = publish(source)
    target = ArtifactStore(f"{bucket}-other")
    before = sorted((tmp_path / "host").rglob("data.txt"))
    copy_store(source, target)
    assert sorted((tmp_path / "host").rglob("data.txt")) == before
    assert text_of(target.resolve(made.reference)) == "hello"


def test_a_version_with_a_damaged_manifest_is_not_left_out_of_a_copy_in_silence(
    location: Location, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ArtifactStore(location), ArtifactStore(f"{bucket}-other")
    publish(source)
    bad, other = publish(source), publish(source, slot=Slot("splits", "large"))
    damage_manifest(source, bad)
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))
    with pytest.raises(StoreError, match=f"{bad.version}: not a readable manifest .*; repair it from another store"):
        copy_store(ArtifactStore(location), target)
    assert target.versions(MODEL) == []
    assert copy_store(ArtifactStore(location), target, "large").versions == 1
    assert text_of(target.resolve(other.reference)) == "hello"


def test_a_version_that_is_made_again_is_sound_though_its_object_was_damaged(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(bucket)
    damage(store, publish(store))
    made = publish(store)
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))
    assert text_of(ArtifactStore(bucket).resolve(made.reference)) == "hello"


def test_a_damaged_version_is_not_copied(location: Location, bucket: str) -> None:
    source = ArtifactStore(location)
    damage(source, publish(source))
    target = ArtifactStore(f"{bucket}-other")
    with pytest.raises(StoreError, match=r"data\.txt"):
        copy_store(source, target)
    assert list(target.slots("trained_model")) == target.versions(MODEL) == []
    with pytest.raises(StoreError, match="has no versions of large to copy"):
        copy_store(source, target, "large")


def test_the_manifest_says_where_an_artifact_comes_from(location: Location) -> None:
    store = ArtifactStore(location)
    made = publish(store)
    manifest = json.loads(store.storage.manifest(MODEL, made.version) or "")
    assert (manifest["slot"], manifest["key"]) == (str(MODEL), "aaaa")
