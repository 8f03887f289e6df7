"""The cache of versions across a power cut: no version has its name before its files are on the disk."""

import hashlib
import os
from pathlib import Path

import pytest

from movierec_engine.store.version_cache import VersionCache

NAME = "splits/small/20260101T000000000Z-a-b"
FILES = {
    name: {"size": len(name), "sha256": hashlib.sha256(name.encode()).hexdigest()}
    for name in ("data.txt", "plots/a.svg")
}


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was fsynced, by its path at that moment."""
    paths: list[Path] = []
    own = os.fsync

    def noted(descriptor: int) -> None:
        own(descriptor)
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noted)
    return paths


def write(folder: Path) -> None:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize("adopted", [True, False])
def test_a_version_is_on_the_disk_before_it_has_its_name(adopted: bool, tmp_path: Path, synced: list[Path]) -> None:
    cache = VersionCache(tmp_path, 10**9)
    begun = tmp_path / "partial" / Path(NAME).name
    if adopted:
        write(begun)
        cache.adopt(NAME, begun)
    else:
        cache.folder(NAME, FILES, lambda missing: write(begun))
    home = tmp_path / "versions" / NAME
    assert {path.relative_to(home).as_posix() for path in home.rglob("*.*")} == set(FILES)
    assert sorted(synced[:-1]) == sorted([begun, begun / "plots", *(begun / name for name in FILES)])
    assert synced[-1] == home.parent
