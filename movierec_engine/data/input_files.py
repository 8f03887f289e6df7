"""Tells whether a data set's input files have changed, here or at an address."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from movierec_engine.data.any_file import local_files
from movierec_engine.data.config import DataConfig
from movierec_engine.data.movielens import find_layout
from movierec_engine.data.remote_files import is_address, version_at
from movierec_engine.errors import DataError


def signature(config: DataConfig) -> str:
    """A cheap signature of the input files: `mtime_ns:size` of each, or the version that the object store reports.

    Files have to arrive by rename: one that is being written has a new signature at every look. Raises DataError when
    a MovieLens folder is none, and when a file, folder, pattern or address names nothing that can be read.
    """
    parts = []
    for location in _locations(config):
        parts += [version_at(location)] if is_address(location) else _versions(location)
    return " ".join(parts)


def content(config: DataConfig) -> str:
    """SHA-256 of the input files' bytes, in hex; of files at an address of what its store says, as they are not read.

    Raises DataError as `signature` does.
    """
    digest = hashlib.sha256()
    for location in _locations(config):
        if is_address(location):
            digest.update(version_at(location).encode())
            continue
        for path in local_files(location):
            with _readable(path), path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _locations(config: DataConfig) -> list[str]:
    """Where ratings, movies and negatives are read from, as far as they are given."""
    if config.layout == "presplit":
        named = [config.train_file, config.valid_file, config.test_file, config.negatives_file, config.movies_file]
    elif config.layout == "custom":
        named = [config.ratings_file, config.movies_file]
    else:
        layout = find_layout(config.folder)
        named = [str(config.folder / name) for name in (layout.ratings, layout.movies)]
    return [location for location in named if location]


def _versions(location: str) -> list[str]:
    """The `mtime_ns:size` of each file."""
    versions = []
    for file in local_files(location):
        with _readable(file):
            status = file.stat()
        versions.append(f"{status.st_mtime_ns}:{status.st_size}")
    return versions


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """A file that is not there, or not to be read, as a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); put it in place by renaming it") from error
