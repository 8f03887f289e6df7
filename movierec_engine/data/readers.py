"""Ratings and movies of a configured data set, read and validated."""

import logging
from dataclasses import replace
from pathlib import Path

from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.movielens import MOVIE_COLUMNS, RATING_COLUMNS, find_layout, open_movies, open_ratings
from movierec_engine.data.movies import complete_movies, validated_movies
from movierec_engine.data.presplit import read_presplit
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, Ratings
from movierec_engine.data.table_file import open_table
from movierec_engine.data.validation import validated_ratings
from movierec_engine.errors import DataError

__all__ = ["complete_movies", "read_movies", "read_ratings"]

log = logging.getLogger(__name__)


def read_ratings(config: DataConfig) -> Ratings:
    """The validated ratings of a data set: RATINGS_SCHEMA, or PRESPLIT_SCHEMA for layout presplit.

    Sorted by user_id, movie_id with one row for each pair; what was dropped or repaired is in the report.

    Raises DataError, naming file, line and remedy, when a file is missing, unreadable or holds a value that is not
    valid (see `validated_ratings` and `read_presplit`).
    """
    if config.layout == "presplit":
        return read_presplit(config)
    if config.layout == "custom":
        return _read_custom(config)
    folder = config.folder
    return validated_ratings(open_ratings(folder, find_layout(folder)), RATING_COLUMNS, config)


def read_movies(config: DataConfig) -> Movies:
    """The movies of a data set: MOVIES_SCHEMA, sorted by movie_id; empty for layouts custom and presplit without one.

    Raises DataError, naming file, line and remedy, when the file is missing, unreadable or holds an id that is not
    valid (see `validated_movies`).
    """
    if config.layout == "auto":
        folder = config.folder
        return validated_movies(open_movies(folder, find_layout(folder)))
    if not config.movies_file:
        return Movies(MOVIES_SCHEMA.empty_table())
    return validated_movies(open_table(Path(config.movies_file), MOVIE_COLUMNS))


def _read_custom(config: DataConfig) -> Ratings:
    columns = config.columns
    if not config.ratings_file:
        raise DataError(f"{config.name}: data.ratings_file is not set; layout custom needs it")
    if not columns.user or not columns.item:
        raise DataError(f"{config.name}: data.columns.user and data.columns.item must name columns; set both")
    usual = ColumnNames()
    named = {role: str(getattr(columns, role)) for role in ("rating", "timestamp")}
    optional = [name for role, name in named.items() if name == getattr(usual, role)]  # which nobody said is there
    required = [columns.user, columns.item, *(name for name in named.values() if name and name not in optional)]
    file = open_table(Path(config.ratings_file), required, optional)
    for role, name in named.items():
        if name in optional and name not in file.columns:
            log.warning("%s has no column %s; if it is called otherwise, set data.columns.%s", file.path, name, role)
    there = {role: name if name in file.columns else "" for role, name in named.items()}
    return validated_ratings(file, replace(columns, **there), config)
