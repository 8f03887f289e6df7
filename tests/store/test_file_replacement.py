"""Files that are put in place in one step: what a reader, a full disk and a power cut leave."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from movierec_engine.feedback.erasures import Erasure, ErasureFile
from movierec_engine.store.files import replace_file, replacing
from movierec_engine.tuning.measure import Measurement


def test_a_reader_sees_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "list"
    replace_file(path, "old")
    with replacing(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "list"
    replace_file(path, "old")

    def fill(unfinished: Path) -> None:
        unfinished.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"), replacing(path) as unfinished:
        fill(unfinished)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "list", "x" * 1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda path: replace_file(path, "new"),
        lambda path: ErasureFile(path).write([Erasure(1, 7, 1000)]),
        lambda path: Measurement(np.array([0.5]), 1.0, 1).save(path),
    ],
)
def test_the_new_name_is_on_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    """The folder is synced after the file has its name: without it a power cut may bring the old file back."""
    path, synced, own = tmp_path / "file", [], os.fsync

    def noted(descriptor: int) -> None:
        is_folder = os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
        synced.append(("folder" if is_folder else "file", path.exists()))
        own(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(path)
    assert synced == [("file", False), ("folder", True)]


def test_a_record_of_erasures_is_private(tmp_path: Path) -> None:
    path = tmp_path / "erasures.tsv"
    ErasureFile(path).write([Erasure(1, 7, 1000)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
