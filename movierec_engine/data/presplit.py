"""A data set that somebody else split: files for train, test and, if given, validation and negatives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.ratings import NEGATIVES_SCHEMA, PRESPLIT_SCHEMA, Ratings, ValidationReport
from movierec_engine.data.table_file import TableFile, connect, open_table
from movierec_engine.data.validation import validated_pairs, validated_ratings
from movierec_engine.errors import DataError

_COLUMNS = ColumnNames()


def read_presplit(config: DataConfig) -> Ratings:
    """The parts of a presplit data set in one table of PRESPLIT_SCHEMA, sorted by user_id, movie_id.

    Within a part a repeated pair is handled as in any ratings file. A negative that is a positive of the same user in
    any part is dropped, because no ranking of it against the test item would mean anything; the report counts those.

    Raises DataError when train_file or test_file is not given, when a file is malformed, and when a (user, item) pair
    stands in two parts.
    """
    files = {"train": config.train_file, "validation": config.valid_file, "test": config.test_file}
    parts = {part: _read_part(part, path, config) for part, path in files.items() if path or part != "validation"}
    table = pa.concat_tables(
        ratings.table.append_column("part", pa.repeat(part, len(ratings.table))) for part, ratings in parts.items()
    )
    table = table.sort_by([("user_id", "ascending"), ("movie_id", "ascending")]).combine_chunks().cast(PRESPLIT_SCHEMA)
    _refuse_overlap(table, files)
    report = _summed([ratings.report for ratings in parts.values()])
    if not config.negatives_file:
        return Ratings(table, report)
    pairs, rows = validated_pairs(_open(config.negatives_file), _COLUMNS)
    negatives = _without_positives(pairs, table)
    return Ratings(table, replace(report, negatives_dropped=rows - len(negatives)), negatives)


def _read_part(part: str, path: str, config: DataConfig) -> Ratings:
    if not path:
        raise DataError(f"{config.name}: data.{part}_file is not set; layout presplit needs train_file and test_file")
    file = _open(path)
    columns = replace(
        _COLUMNS,
        rating=_COLUMNS.rating if _COLUMNS.rating in file.columns else "",
        timestamp=_COLUMNS.timestamp if _COLUMNS.timestamp in file.columns else "",
    )
    return validated_ratings(file, columns, config)


def _open(path: str) -> TableFile:
    return open_table(Path(path), (_COLUMNS.user, _COLUMNS.item), (_COLUMNS.rating, _COLUMNS.timestamp))


def _refuse_overlap(table: pa.Table, files: dict[str, str]) -> None:
    """Raises DataError when two neighbours of the sorted table are the same pair: they stem from two parts."""
    user, movie = table["user_id"].to_numpy(), table["movie_id"].to_numpy()
    twice = np.flatnonzero((user[1:] == user[:-1]) & (movie[1:] == movie[:-1]))
    if len(twice):
        row = int(twice[0])
        first, second = (files[part.as_py()] for part in table["part"][row : row + 2])
        raise DataError(
            f"user {user[row]} and item {movie[row]} stand both in {first} and in {second} ({len(twice)} such pairs); "
            "leave each pair in one part only"
        )


def _without_positives(negatives: pa.Table, positives: pa.Table) -> pa.Table:
    with connect() as database:
        database.register("negatives", negatives)
        database.register("positives", positives.select(NEGATIVES_SCHEMA.names))
        kept = database.sql("FROM negatives ANTI JOIN positives USING (user_id, movie_id) ORDER BY ALL")
        return kept.to_arrow_table().cast(NEGATIVES_SCHEMA)


def _summed(reports: list[ValidationReport]) -> ValidationReport:
    return ValidationReport(
        rows_read=sum(report.rows_read for report in reports),
        duplicate_rows=sum(report.duplicate_rows for report in reports),
        duplicate_pairs=sum(report.duplicate_pairs for report in reports),
        millisecond_timestamps=sum(report.millisecond_timestamps for report in reports),
        latin1_files=tuple(path for report in reports for path in report.latin1_files),
    )
