"""Versions are ordered as they were published, whatever clocks say, and the newest is decided as they get there."""

import threading
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from movierec_engine import __version__
from movierec_engine.store import Artifact, ArtifactStore, Slot, artifact_store

MODEL = Slot("trained_model", "small", "ease", "cpu")
INDEX = MODEL.beside("faiss_index")
OTHER = Slot("trained_model", "small", "gmf", "cpu")


def publish(store: ArtifactStore, slot: Slot = MODEL, key: str = "aaaa") -> Artifact:
    return store.publish(slot, lambda folder: None, key=key, fingerprint="f00d")


@pytest.fixture
def clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is two seconds earlier each time that it is looked at, and passes midnight on the way."""
    start = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)

    class Clock(datetime):
        looks = 0

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            cls.looks += 1
            return start - timedelta(seconds=2 * cls.looks)

    monkeypatch.setattr(artifact_store, "datetime", Clock)


@pytest.mark.usefixtures("clock_goes_back")
def test_with_a_clock_that_goes_back_the_last_one_published_is_the_newest(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    made = [publish(store, key="aaaa" if number % 2 else "bbbb") for number in range(6)]
    assert store.versions(MODEL) == made
    assert store.latest(MODEL) == made[-1]
    assert store.find(MODEL, "bbbb") == made[-2]


@pytest.mark.usefixtures("clock_goes_back")
def test_the_order_holds_between_slots_too(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    made = [publish(ArtifactStore(tmp_path), slot) for slot in (MODEL, OTHER, OTHER, MODEL)]
    assert [one.version for one in made] == sorted(one.version for one in made)
    assert store.latest(MODEL) == made[-1]


@pytest.mark.usefixtures("clock_goes_back")
@pytest.mark.parametrize("note", ["", "nonsense", None])
def test_without_the_note_of_the_last_name_the_order_of_a_slot_holds(tmp_path: Path, note: str | None) -> None:
    store = ArtifactStore(tmp_path)
    first = publish(store)
    path = tmp_path / ".order" / "newest"
    if note is None:
        path.unlink()
    else:
        path.write_text(note)
    second = publish(store)
    assert store.versions(MODEL) == [first, second]
    assert store.latest(MODEL) == second


def test_versions_are_named_by_the_millisecond_and_the_next_one_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 12, 31, 23, 59, 59, 998_765, tzinfo=UTC)

    monkeypatch.setattr(artifact_store, "datetime", Still)
    store = ArtifactStore(tmp_path)
    stamps = [publish(store, slot).version.split("-")[0] for slot in (MODEL, OTHER, MODEL)]
    assert stamps == ["20261231T235959998Z", "20261231T235959999Z", "20270101T000000000Z"]


def test_of_writers_at_once_the_newest_is_the_last_in_order(tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [publish(ArtifactStore(tmp_path)) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = ArtifactStore(tmp_path)
    versions = store.versions(MODEL)
    assert len({one.version[:19] for one in versions}) == 40, "no two have one stamp"
    assert store.latest(MODEL) == versions[-1]


def test_an_index_that_was_overtaken_while_it_was_written_is_not_the_newest(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old = publish(store)
    overtaking: list[Artifact] = []

    def write(folder: Path) -> None:
        publish(store)
        overtaking.append(publish(store, INDEX))

    index = store.publish(
        INDEX, write, key="old", fingerprint="f00d", parents={"model": old}, newest=lambda: store.latest(MODEL) == old
    )
    assert store.latest(INDEX) == overtaking[0] != index
    assert index in store.versions(INDEX)


def test_without_git_the_code_version_is_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    artifact_store.code_version.cache_clear()
    try:
        assert artifact_store.code_version() == __version__
    finally:
        artifact_store.code_version.cache_clear()
