"""What pruning may delete: against the plain definition on a random store, and what is left when it is killed."""

from pathlib import Path

import numpy as np
import pytest

from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot, replace_file
from movierec_engine.store.retention import every_version, removable

SLOT = Slot("trained_model", "small", "ease", "cpu")


def publish(store: ArtifactStore, slot: Slot = SLOT, newest: bool = True, **parents: Artifact) -> Artifact:
    return store.publish(
        slot,
        lambda folder: replace_file(folder / "data.txt", "some"),
        key="k",
        fingerprint="f",
        parents=parents,
        newest=newest,
    )


def prune(store: ArtifactStore, keep: int, **options: object) -> list[Artifact]:
    gone = removable(store, "small", keep, **options)  # type: ignore[arg-type]
    for version in gone:
        store.remove(version)
    return gone


def test_pruning_keeps_the_newest_and_whatever_is_pointed_at(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    versions = [publish(store) for _ in range(5)]
    store.point("serving", versions[0], {"why": "test"})
    assert prune(store, keep=2) == [versions[2], versions[1]]
    assert store.versions(SLOT) == [versions[0], versions[3], versions[4]]
    assert store.pointed("serving", "small") == versions[0]


def test_pruning_never_deletes_the_latest_even_when_it_is_an_old_one(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    first, second = publish(store), publish(store)
    store.set_latest(first)
    assert prune(store, keep=1) == []
    assert store.versions(SLOT) == [first, second]


def test_what_a_kept_version_was_made_from_stays_to_the_last_ancestor(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    ratings = [publish(store, Slot("raw_ratings", "small")) for _ in range(3)]
    splits = [publish(store, Slot("splits", "small"), raw_ratings=one) for one in ratings]
    models = [publish(store, splits=one) for one in splits]
    store.point("serving", models[0], {})
    gone = {one.reference for one in prune(store, keep=1)}
    assert gone == {one.reference for one in (ratings[1], splits[1], models[1])}
    assert store.resolve(store.resolve(models[0].parents["splits"]).parents["raw_ratings"]) == ratings[0]


def test_protected_versions_and_records_stay(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    models = [publish(store) for _ in range(3)]
    records = [publish(store, Slot("release_decision", "small")) for _ in range(3)]
    assert removable(store, "small", 1, {models[0].reference}, records=("release_decision",)) == [models[1]]
    assert store.versions(Slot("release_decision", "small")) == records


def test_other_folders_and_other_stores_below_the_root_are_no_versions(tmp_path: Path) -> None:
    store, other = ArtifactStore(tmp_path), ArtifactStore(tmp_path / "backtests")
    publish(store)
    windows = [publish(other, Slot("splits", "small")) for _ in range(3)]
    replace_file(tmp_path / "mlflow" / "LATEST", "x")
    assert list(every_version(store)) == [SLOT]
    assert prune(store, keep=1) == []
    assert other.versions(Slot("splits", "small")) == windows


def test_of_other_data_sets_nothing_goes_and_what_they_rest_on_stays(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    ours = [publish(store) for _ in range(3)]
    theirs = [publish(store, Slot("trained_model", "large", "ease", "cpu")) for _ in range(3)]
    publish(store, Slot("faiss_index", "large", "ease", "cpu"), model=ours[0])
    assert prune(store, keep=1) == [ours[1]]
    assert store.versions(theirs[0].slot) == theirs


def test_hidden_folders_are_passed_by_and_those_after_them_are_not(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    one, other = publish(store), publish(store, Slot("splits", "small"))
    replace_file(tmp_path / ".old" / "small" / "LATEST", "x")
    assert every_version(store) == {SLOT: [one], Slot("splits", "small"): [other]}


def test_an_unreadable_pointer_stops_pruning(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store)
    replace_file(store.storage.pointer_file("serving", "small"), "{")
    with pytest.raises(StoreError, match="cannot be told"):
        removable(store, "small", 1)


def test_a_damaged_latest_stops_pruning(tmp_path: Path) -> None:
    """It may have named an old version."""
    store = ArtifactStore(tmp_path)
    versions = [publish(store) for _ in range(3)]
    store.set_latest(versions[0])
    store.storage.latest_file(SLOT).write_text("")
    with pytest.raises(StoreError, match=r"LATEST of .* is damaged"):
        removable(store, "small", 1)


def test_manifests_of_something_else_below_the_root_do_not_stop_pruning(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    versions = [publish(store) for _ in range(3)]
    replace_file(tmp_path / "site" / "assets" / "LATEST", "x")
    replace_file(tmp_path / "site" / "assets" / "x" / "manifest.json", '{"icons": []}')
    assert prune(store, keep=1) == versions[1::-1]
    assert list(every_version(store)) == [SLOT]


@pytest.mark.parametrize("seed", range(3))
def test_whenever_pruning_is_killed_no_version_has_lost_a_parent(tmp_path: Path, seed: int) -> None:
    """A random lineage over three kinds; after each single deletion every version left has all of its parents."""
    rng = np.random.default_rng(seed)
    store = ArtifactStore(tmp_path)
    made: list[Artifact] = []
    for _ in range(25):
        kind = ("raw", "model", "index")[rng.integers(3)]
        parents = (
            {f"p{i}": made[i] for i in rng.choice(len(made), size=min(len(made), 2), replace=False)} if made else {}
        )
        made.append(publish(store, Slot(kind, "small"), newest=bool(rng.random() < 0.7), **parents))
    store.point("serving", made[int(rng.integers(25))], {})
    kept = {one.reference for found in every_version(store).values() for one in found[-2:]}
    gone = removable(store, "small", 2)
    for version in gone:
        store.remove(version)
        left = {one.reference for found in every_version(store).values() for one in found}
        assert kept <= left
        for reference in left:
            assert set(store.resolve(reference).parents.values()) <= left
