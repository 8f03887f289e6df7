"""The document of kept views in a folder and in an object store, whoever changes it, and the names that it takes."""

import errno
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from object_store import ObjectStoreServer, as_host, object_store_server

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.reporting.kept_views import SLOT, VIEWS_FILE, delete_view, keep_view, kept_views, rename_view
from movierec_engine.store import Artifact, ArtifactStore
from movierec_engine.store.objects import Objects

_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStoreServer]:
    with object_store_server() as started:
        yield started


@pytest.fixture(params=["folder", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    if request.param == "folder":
        yield ArtifactStore(tmp_path / "store")
        return
    server: ObjectStoreServer = request.getfixturevalue("server")
    with as_host(server, tmp_path / "host"):
        yield ArtifactStore(f"{server.bucket(f'views-{next(_numbers)}')}/of-a-team")


def test_views_are_kept_renamed_and_deleted_and_another_reader_sees_it(store: ArtifactStore) -> None:
    keep_view(store, " b ", "compare", {"metric": "mrr", "a": "ease"})
    keep_view(store, "A", "", {})
    other = ArtifactStore(store.location) if "://" in store.location else ArtifactStore(Path(store.location))
    assert [(name, view.page) for name, view in kept_views(other).items()] == [("A", ""), ("b", "compare")]
    assert kept_views(other)["b"].choices == {"metric": "mrr", "a": "ease"}
    with pytest.raises(ConfigError, match="already"):
        keep_view(store, "b", "segments", {})
    keep_view(store, "b", "segments", {}, replace=True)
    with pytest.raises(ConfigError, match="already"):
        rename_view(store, "A", "b")
    rename_view(store, "A", "c")
    delete_view(store, "b")
    assert list(kept_views(other)) == ["c"]
    with pytest.raises(ConfigError, match="no kept view named 'b'"):
        delete_view(store, "b")


def test_two_who_keep_a_view_at_the_same_moment_lose_none(store: ArtifactStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda place: keep_view(store, f"view {place}", "", {}), range(8)))
    assert len(kept_views(store)) == 8


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\nb", "a\x00b", "\u202egnp.exe", "\x1b[31m"])
def test_a_hostile_name_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    store = ArtifactStore(tmp_path / "store")
    with pytest.raises(ConfigError, match="printable characters"):
        keep_view(store, name, "", {})
    assert kept_views(store) == {}


def test_a_name_that_looks_like_a_path_or_markup_is_but_a_name(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for name in ("../../etc/passwd", "<script>alert(1)</script>", "LATEST", "a/b?c#d&e=f", "日本語 · é"):
        keep_view(store, name, "", {})
        assert name in kept_views(store)
    assert {path.parent.name for path in tmp_path.rglob("manifest.json")} == {
        made.version for made in store.versions(SLOT)
    }


def damage(store: ArtifactStore, version: Artifact) -> None:
    """Cut the views of a version short, where they are stored and in this host's copy."""
    if "://" not in store.location:
        (version.folder / VIEWS_FILE).write_text('{"views": [', encoding="utf-8")
        return
    objects = Objects(store.location)
    for one in objects.list(""):
        if version.files[VIEWS_FILE]["sha256"] in one.key:
            objects.upload(one.key, b'{"views": [')
    store.storage.discard(version.slot, version.version)


def newest(store: ArtifactStore) -> Artifact:
    return store.versions(SLOT)[-1]


def test_where_the_newest_version_is_damaged_the_one_before_holds_until_the_next_change(
    store: ArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two", "three"):
        keep_view(store, name, "", {})
    damage(store, newest(store))
    assert list(kept_views(store)) == ["one", "two"]
    assert newest(store).version in caplog.text
    keep_view(store, "four", "", {})
    rename_view(store, "one", "five")
    caplog.clear()
    assert list(kept_views(store)) == ["five", "four", "two"]
    assert not caplog.text


@pytest.mark.parametrize("gone", [VIEWS_FILE, "manifest.json", ""])
def test_where_the_newest_version_is_gone_or_has_lost_a_file_the_one_before_holds(tmp_path: Path, gone: str) -> None:
    store = ArtifactStore(tmp_path / "store")
    for name in ("one", "two"):
        keep_view(store, name, "", {})
    folder = newest(store).folder
    if gone:
        (folder / gone).unlink()
    else:
        shutil.rmtree(folder)
    assert list(kept_views(store)) == ["one"]
    keep_view(store, "three", "", {})
    assert list(kept_views(store)) == ["one", "three"]


def test_where_no_version_is_whole_the_remedy_that_is_told_helps(store: ArtifactStore) -> None:
    for name in ("one", "two"):
        keep_view(store, name, "", {})
    for version in store.versions(SLOT):
        damage(store, version)
    for ask in (lambda: kept_views(store), lambda: keep_view(store, "three", "", {})):
        with pytest.raises(StoreError, match=r"remove the versions of kept_views/dashboard in "):
            ask()
    for version in store.versions(SLOT):
        store.remove(version)
    assert kept_views(store) == {}
    keep_view(store, "three", "", {})
    assert list(kept_views(store)) == ["three"]


def test_views_that_cannot_be_read_at_this_moment_are_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path / "store")
    for name in ("one", "two"):
        keep_view(store, name, "", {})
    manifest, version = newest(store).folder / "manifest.json", newest(store).version
    read = Path.read_text

    def hanging(path: Path, *how: Any, **more: Any) -> str:
        if path == manifest:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", hanging)
        with pytest.raises(StoreError, match="Stale file handle"):
            keep_view(store, "three", "", {})
    assert newest(store).version == version


def test_a_document_of_another_release_is_said(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")

    def write(folder: Path) -> None:
        (folder / VIEWS_FILE).write_text('{"views": [{"title": "one"}]}', encoding="utf-8")

    store.publish(SLOT, write, key="k", fingerprint="")
    with pytest.raises(StoreError, match="no document of views for this release"):
        kept_views(store)
