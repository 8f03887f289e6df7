"""Files of other people with mapped columns: ratings in one file or split, negatives, and titles."""

import logging
from dataclasses import replace
from pathlib import Path

from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.id_kinds import IdColumns
from movierec_engine.data.movielens import MOVIE_COLUMNS
from movierec_engine.data.table_file import TableFile, open_table
from movierec_engine.errors import DataError

log = logging.getLogger(__name__)


def open_ratings_files(config: DataConfig) -> dict[str, tuple[TableFile, ColumnNames]]:
    """The files of ratings and the columns that each has; by part, which of layout custom is "".

    Raises DataError when a file is not given or unreadable, or lacks a column.
    """
    if config.layout == "presplit":
        files = {"train": config.train_file, "validation": config.valid_file, "test": config.test_file}
        return {part: _open_part(part, path, config) for part, path in files.items() if path or part != "validation"}
    if not config.ratings_file:
        raise DataError(f"{config.name}: data.ratings_file is not set; layout custom needs it")
    opened = _open_ratings(config.ratings_file, config)
    for role in ("rating", "timestamp"):
        wanted = getattr(config.columns, role)
        if wanted and not getattr(opened[1], role):
            log.warning(
                "%s has no column %s; if it is called otherwise, set data.columns.%s", opened[0].path, wanted, role
            )
    return {"": opened}


def open_negatives(config: DataConfig) -> TableFile | None:
    """The file of given negatives, with the columns of users and items; None where there is none."""
    if config.layout != "presplit" or not config.negatives_file:
        return None
    return open_table(Path(config.negatives_file), (config.columns.user, config.columns.item))


def open_titles(config: DataConfig) -> TableFile | None:
    """The file of titles, with the columns MOVIE_COLUMNS; None where there is none."""
    return open_table(Path(config.movies_file), MOVIE_COLUMNS) if config.movies_file else None


def id_columns(config: DataConfig) -> list[IdColumns]:
    """The columns of ids of the files of ratings and negatives."""
    found = [IdColumns(file, columns.user, columns.item) for file, columns in open_ratings_files(config).values()]
    negatives = open_negatives(config)
    return [*found, IdColumns(negatives, config.columns.user, config.columns.item)] if negatives else found


def title_ids(config: DataConfig) -> list[IdColumns]:
    """The column of ids of the file of titles, if there is one."""
    titles = open_titles(config)
    return [IdColumns(titles, item=MOVIE_COLUMNS[0])] if titles else []


def _open_part(part: str, path: str, config: DataConfig) -> tuple[TableFile, ColumnNames]:
    if not path:
        raise DataError(f"{config.name}: data.{part}_file is not set; layout presplit needs train_file and test_file")
    return _open_ratings(path, config, may_lack_ratings=part != "train")


def _open_ratings(path: str, config: DataConfig, may_lack_ratings: bool = False) -> tuple[TableFile, ColumnNames]:
    """A file, and its columns: "" for ratings and times that it lacks, which are required where they were named."""
    columns = config.columns
    if not columns.user or not columns.item:
        raise DataError(f"{config.name}: data.columns.user and data.columns.item must name columns; set both")
    usual = ColumnNames()
    named = {role: str(getattr(columns, role)) for role in ("rating", "timestamp")}
    optional = [name for role, name in named.items() if may_lack_ratings or name == getattr(usual, role)]
    required = [columns.user, columns.item, *(name for name in named.values() if name and name not in optional)]
    file = open_table(Path(path), required, optional)
    there = {role: name if name in file.columns else "" for role, name in named.items()}
    return file, replace(columns, **there)
