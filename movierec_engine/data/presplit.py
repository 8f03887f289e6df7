"""A data set that somebody else split: files for train, test and, if given, validation and negatives."""

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_kinds import IdKinds, read_typed
from movierec_engine.data.mapped_files import MappedFiles, open_files
from movierec_engine.data.ratings import NEGATIVES_SCHEMA, PRESPLIT_SCHEMA, Ratings, ValidationReport
from movierec_engine.data.table_file import connect
from movierec_engine.data.validation import same_pair_follows, validated_pairs, validated_ratings
from movierec_engine.errors import DataError

log = logging.getLogger(__name__)


def read_presplit(config: DataConfig) -> Ratings:
    """The parts of a presplit data set in one table of PRESPLIT_SCHEMA, sorted by user_id, movie_id.

    All files together decide whether ids are numbers or texts. Within a part a repeated pair is handled as in any
    ratings file. A negative that is a positive of the same user in any part is dropped, because no ranking of it
    against the test item would mean anything; the report counts those.

    Raises DataError when train_file or test_file is not given, when a file is malformed, and when a (user, item) pair
    stands in two parts.
    """
    files = open_files(config)
    ratings = read_typed(
        files.ids(),
        lambda kinds: _read(files, config, kinds),
        files.title_ids(),
        bad_ids_are_said=config.format.bad_rows == "refuse",
    )
    train = files.ratings["train"]
    log.info("%s is read as %s; with the other parts: %s", train.file.name, train, ratings)
    return ratings


def _read(files: MappedFiles, config: DataConfig, kinds: IdKinds) -> Ratings:
    parts: dict[str, Ratings] = {}
    rated_first = sorted(files.ratings.items(), key=lambda one: not one[1].columns.rating)
    for part, one in rated_first:
        most = max((_largest(ratings) for ratings in parts.values()), default=1.0)
        parts[part] = validated_ratings(one, config, kinds, absent=most)
    parts = {part: parts[part] for part in files.ratings}
    table = pa.concat_tables(
        ratings.table.append_column("part", pa.repeat(part, len(ratings.table))) for part, ratings in parts.items()
    )
    table = table.sort_by([("user_id", "ascending"), ("movie_id", "ascending")]).combine_chunks()
    table = table.cast(kinds.schema(PRESPLIT_SCHEMA))
    _refuse_overlap(table, {part: one.file.name for part, one in files.ratings.items()})
    report = _summed([ratings.report for ratings in parts.values()])
    if files.negatives is None:
        return Ratings(table, report)
    pairs, rows, bad = validated_pairs(files.negatives, config, kinds)
    kept = _without_positives(pairs, table)
    report = replace(report, bad_rows=report.bad_rows + bad, negatives_dropped=rows - len(kept))
    return Ratings(table, report, kept)


def _largest(ratings: Ratings) -> float:
    return float(pc.max(ratings.table["rating"]).as_py())


def _refuse_overlap(table: pa.Table, files: dict[str, str]) -> None:
    """Raises DataError when two neighbours of the sorted table are the same pair: they stem from two parts."""
    twice = np.flatnonzero(same_pair_follows(table))
    if len(twice):
        row = int(twice[0])
        first, second = (files[part.as_py()] for part in table["part"][row : row + 2])
        user, movie = (table[name][row].as_py() for name in ("user_id", "movie_id"))
        raise DataError(
            f"user {user} and item {movie} stand both in {first} and in {second} ({len(twice)} such pairs); "
            "leave each pair in one part only"
        )


def _without_positives(negatives: pa.Table, positives: pa.Table) -> pa.Table:
    with connect() as database:
        database.register("negatives", negatives)
        database.register("positives", positives.select(NEGATIVES_SCHEMA.names))
        kept = database.sql("FROM negatives ANTI JOIN positives USING (user_id, movie_id) ORDER BY ALL")
        return kept.to_arrow_table().cast(negatives.schema)


def _summed(reports: list[ValidationReport]) -> ValidationReport:
    return ValidationReport(
        rows_read=sum(report.rows_read for report in reports),
        duplicate_rows=sum(report.duplicate_rows for report in reports),
        duplicate_pairs=sum(report.duplicate_pairs for report in reports),
        bad_rows=sum(report.bad_rows for report in reports),
        rows_without_id=sum(report.rows_without_id for report in reports),
        millisecond_timestamps=sum(report.millisecond_timestamps for report in reports),
        latin1_files=tuple(path for report in reports for path in report.latin1_files),
    )
