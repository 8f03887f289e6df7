"""A data set's input files, and the digest that tells whether they have changed."""

from pathlib import Path

from movierec_engine.data.config import DataConfig
from movierec_engine.data.movielens import find_layout
from movierec_engine.errors import DataError


def input_files(config: DataConfig) -> list[Path]:
    """The files that ratings, movies and negatives are read from, as far as they are given.

    Raises DataError when a MovieLens folder is none.
    """
    if config.layout == "presplit":
        named = [config.train_file, config.valid_file, config.test_file, config.negatives_file, config.movies_file]
        return [Path(file) for file in named if file]
    if config.layout == "custom":
        return [Path(file) for file in (config.ratings_file, config.movies_file) if file]
    layout = find_layout(config.folder)
    return [config.folder / name for name in (layout.ratings, layout.movies)]


def signature(config: DataConfig) -> str:
    """Times and sizes of the input files, as `mtime_ns:size`; another one when a file has been replaced.

    Files have to arrive by rename: one that is being written has a new signature at every look. Raises DataError when
    a file is not there.
    """
    parts = []
    for file in input_files(config):
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror}); put it in place by renaming it") from error
        parts.append(f"{status.st_mtime_ns}:{status.st_size}")
    return " ".join(parts)
