"""The document of kept views in a folder and in an object store, whoever changes it, and the names that it takes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from object_store import ObjectStoreServer, as_host, object_store_server

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.reporting.kept_views import delete_view, keep_view, kept_views, rename_view
from movierec_engine.store import ArtifactStore, Slot

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
        made.version for made in store.versions(Slot("kept_views", "dashboard"))
    }


def test_a_damaged_document_is_said(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    keep_view(store, "one", "", {})
    next(tmp_path.rglob("views.json")).write_text("[]", encoding="utf-8")
    with pytest.raises(StoreError, match="checksum"):
        kept_views(store)
