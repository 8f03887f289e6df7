"""Titles, years and genres from the movies file of a data set."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, ValidationReport
from movierec_engine.data.table_file import TableFile, connect, reading
from movierec_engine.data.validation import first_record, id_fault, require_rows, whole_number
from movierec_engine.errors import DataError

NO_GENRES = "(no genres listed)"
_YEAR = r"\(\s*([0-9]{4})\s*(?:[-–]\s*(?:[0-9]{4})?\s*)?\)$"
"""The year at the end of a title; of `(2007-2008)` and `(1995-)` the first."""


def validated_movies(file: TableFile) -> Movies:
    """The movies of a file with columns movieId, title and genres, sorted by movie_id.

    `Toy Story (1995)` becomes the title `Toy Story` and the year 1995; a title without a year keeps a null year. An
    empty title becomes `Movie <id>`. Genres are separated by `|`. Of several rows of a movie the first is kept.

    Raises DataError, naming the first bad line, for an id that is not a whole number from 0 to 2^63-1, and
    EmptyDataError when there are no rows.
    """
    title, genres = file.columns["title"], file.columns["genres"]
    with reading(file.path, file.delimiter), connect() as database:
        database.execute(
            f"""
            CREATE TEMP TABLE entries AS SELECT
                {whole_number(file.columns["movieId"])} AS movie_id,
                coalesce({title}, '') AS full_title,
                coalesce({genres}, '') AS genres
            FROM {file.relation}
            """
        )
        rows = require_rows(database, file, "entries")
        if (record := first_record(database, "movie_id IS NULL")) is not None:
            raise DataError(id_fault(file, "movieId", record))
        table = database.sql(
            """
            SELECT
                movie_id,
                CASE WHEN full_title = '' THEN 'Movie ' || movie_id
                     WHEN bare_title = '' THEN full_title ELSE bare_title END AS title,
                TRY_CAST(nullif(regexp_extract(full_title, $year, 1), '') AS INTEGER) AS year,
                list_filter(list_transform(string_split(genres, '|'), lambda genre: trim(genre)),
                            lambda genre: genre <> '' AND genre <> $no_genres) AS genres,
                full_title = '' AS untitled
            FROM (SELECT *, trim(regexp_replace(full_title, $year, '')) AS bare_title, rowid AS record FROM entries)
            QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY record) = 1
            ORDER BY movie_id
            """,
            params={"year": _YEAR, "no_genres": NO_GENRES},
        ).to_arrow_table()
    report = ValidationReport(
        rows_read=rows,
        duplicate_movies=rows - len(table),
        movies_without_title=int(np.count_nonzero(table["untitled"].to_numpy())),
        latin1_files=(str(file.path),) if file.latin1 else (),
    )
    return Movies(table.drop_columns("untitled").cast(MOVIES_SCHEMA), report)


def complete_movies(movies: Movies, movie_ids: NDArray[np.int64]) -> Movies:
    """The movies, and a row with the title `Movie <id>`, no year and no genres for each id that lacks one.

    movie_ids: int64 [n] of rated movies, repeats allowed. The added rows count in `report.movies_without_title`.
    """
    missing = np.setdiff1d(movie_ids, movies.table["movie_id"].to_numpy())
    if not len(missing):
        return movies
    placeholders = pa.table(
        {
            "movie_id": missing,
            "title": [f"Movie {movie_id}" for movie_id in missing],
            "year": pa.nulls(len(missing), pa.int32()),
            "genres": pa.array([[]] * len(missing), pa.list_(pa.string())),
        },
        schema=MOVIES_SCHEMA,
    )
    table = pa.concat_tables([movies.table, placeholders]).sort_by("movie_id").combine_chunks()
    untitled = movies.report.movies_without_title + len(missing)
    return Movies(table, replace(movies.report, movies_without_title=untitled))
