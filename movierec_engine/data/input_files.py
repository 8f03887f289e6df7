"""A data set's input files, and the digest that tells whether they have changed."""

from pathlib import Path

from movierec_engine.data.any_file import local_files
from movierec_engine.data.config import DataConfig
from movierec_engine.data.movielens import find_layout
from movierec_engine.data.remote_files import is_address
from movierec_engine.errors import DataError


def input_files(config: DataConfig) -> list[Path]:
    """The files that ratings, movies and negatives are read from, as far as they are given and on this machine.

    Raises DataError when a MovieLens folder is none, and when a file, folder or pattern names none.
    """
    if config.layout == "presplit":
        named = [config.train_file, config.valid_file, config.test_file, config.negatives_file, config.movies_file]
    elif config.layout == "custom":
        named = [config.ratings_file, config.movies_file]
    else:
        layout = find_layout(config.folder)
        return [config.folder / name for name in (layout.ratings, layout.movies)]
    return [path for location in named if location and not is_address(location) for path in local_files(location)]


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
