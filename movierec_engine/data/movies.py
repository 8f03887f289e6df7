"""Titles, years and genres from the movies file of a data set."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from movierec_engine.data.any_file import head_of
from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_kinds import IdKinds, known
from movierec_engine.data.id_map import Ids, as_ids
from movierec_engine.data.mapped_files import TitlesFile
from movierec_engine.data.nouns import MOVIES, at_the_start
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, ValidationReport
from movierec_engine.data.table_file import connect, reading
from movierec_engine.data.validation import NUMBERS, bad_id, drop_bad_rows, first_record, require_rows

NO_GENRES = "(no genres listed)"
_YEAR = r"\(\s*([0-9]{4})\s*(?:[-–]\s*(?:[0-9]{4})?\s*)?\)$"
"""The year at the end of a title; of `(2007-2008)` and `(1995-)` the first."""
MOST_METADATA = 64
"""Further columns of a file of titles that are kept."""
_SEPARATORS = ("|", ";", ",")
"""Separators of genres; the one that most items' genres have is theirs, the first of equals."""
_QUOTED = r"""'([^'\\]|\\.)*'|"([^"\\]|\\.)*["]"""
_NAMED = rf"""['"](?:name|title)['"]\s*:\s*({_QUOTED})"""
_GENRES = r"""
    CASE WHEN objects IS NOT NULL AND json_valid(objects) THEN
             list_transform(from_json(objects, '["JSON"]'), lambda one: coalesce(one ->> 'name', one ->> 'title'))
         WHEN objects IS NOT NULL THEN
             list_transform(regexp_extract_all(objects, $named, 1),
                            lambda text: regexp_replace(text[2:-2], '\\(.)', '\1', 'g'))
         WHEN NOT regexp_full_match(genres, '\[\s*(["''].*["''])?\s*\]') THEN string_split(genres, $separator)
         WHEN json_valid(genres) THEN from_json(genres, '["VARCHAR"]')
         ELSE list_transform(regexp_extract_all(genres, $quoted),
                             lambda text: regexp_replace(text[2:-2], '\\(.)', '\1', 'g'))
    END
"""
"""SQL for the genres in a text: between separators, or a list as JSON or Python writes it, such as `["A", "B"]` or
`[{'id': 1, 'name': 'A'}]`, of whose objects the names count."""
_OBJECTS = r"""
    CASE WHEN regexp_matches(genres, '^\[\s*\{') THEN genres
         WHEN regexp_matches(genres, '^\{') THEN '[' || replace(genres, '}|{', '},{') || ']' END
"""
"""SQL for a list of objects, which in JSON Lines are joined by `|`; null for other genres."""


def validated_movies(opened: TitlesFile, config: DataConfig, kinds: IdKinds = NUMBERS) -> Movies:
    """The movies of a file of titles, sorted by movie_id.

    `Toy Story (1995)` becomes the title `Toy Story` and the year 1995; a title without a year keeps a null year, unless
    a column of years has it. An empty title becomes `Movie <id>`, by `data.item_noun`; a word for a missing value, such
    as `\\N`, is empty. Of several rows of a movie the first is kept. Further columns of a file of one's own are kept as
    metadata: numbers where all their values are, else texts.

    Raises BadIdError, naming the first bad line, for an id that is not of its kind, and EmptyDataError when there are
    no rows.
    """
    file, columns = opened.file, opened.columns
    title, genres, year = (
        f"coalesce({known(file.columns[name])}, '')" if name else "''"
        for name in (columns.title, columns.genres, columns.year)
    )
    others = _metadata_columns(opened, config)
    kept = "".join(f", {known(file.columns[name])} AS metadata{n}" for n, name in enumerate(others))
    shown = "".join(f", metadata{n}" for n in range(len(others)))
    with reading(file.name, file.delimiter, may_drop=bool(file.plain)), connect() as database:
        database.execute(
            f"""
            CREATE TEMP TABLE entries AS SELECT
                {kinds.item_id(file.columns[columns.id])} AS movie_id,
                {title} AS full_title,
                {genres} AS genres,
                TRY_CAST(nullif(regexp_extract({year}, '^([0-9]{{4}})([-./].*)?$', 1), '') AS INTEGER) AS given_year
                {kept}
            FROM {file.relation}
            """
        )
        dropped = drop_bad_rows(database, file, "movie_id IS NULL") if config.format.bad_rows == "drop" else 0
        rows = require_rows(database, file, "entries")
        if (record := first_record(database, "movie_id IS NULL")) is not None:
            raise bad_id(database, file, "movie_id", columns.id, record, kinds.item)
        table = database.sql(
            f"""
            SELECT
                movie_id,
                CASE WHEN full_title = '' THEN $noun || ' ' || movie_id
                     WHEN bare_title = '' THEN full_title ELSE bare_title END AS title,
                coalesce(nullif(given_year, 0),
                         TRY_CAST(nullif(regexp_extract(full_title, $year, 1), '') AS INTEGER)) AS year,
                list_filter(words, lambda word, place: word NOT IN ('', $no_genres)
                                                       AND list_position(words, word) = place) AS genres,
                full_title = '' AS untitled
                {shown}
            FROM (SELECT *, list_transform({_GENRES}, lambda word: trim(word)) AS words FROM
                  (SELECT *, {_OBJECTS} AS objects, rowid AS record,
                          trim(regexp_replace(full_title, $year, '')) AS bare_title FROM entries))
            QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY record) = 1
            ORDER BY movie_id
            """,
            params={
                "year": _YEAR,
                "no_genres": NO_GENRES,
                "named": _NAMED,
                "quoted": _QUOTED,
                "noun": at_the_start(config.item_noun),
                "separator": config.genres_separator or _separator(opened, config),
            },
        ).to_arrow_table()
    report = ValidationReport(
        rows_read=rows + dropped,
        bad_rows=dropped,
        duplicate_movies=rows - len(table),
        movies_without_title=int(np.count_nonzero(table["untitled"].to_numpy())),
        latin1_files=(file.name,) if file.latin1 else (),
    )
    usual = table.select(MOVIES_SCHEMA.names).cast(kinds.schema(MOVIES_SCHEMA))
    if not others:
        return Movies(usual, report)
    values = [_as_numbers(table[f"metadata{n}"].combine_chunks()) for n in range(len(others))]
    return Movies(usual, report, pa.table(dict(zip(others, values, strict=True))))


def _metadata_columns(opened: TitlesFile, config: DataConfig) -> list[str]:
    """The columns of a file of one's own that are none of those that everything else needs."""
    if config.layout == "auto":
        return []
    columns = opened.columns
    used = {columns.id, columns.title, columns.genres, columns.year, *MOVIES_SCHEMA.names}
    return [name for name in opened.file.columns if name not in used][:MOST_METADATA]


def _as_numbers(texts: pa.Array) -> pa.Array:
    """Whole numbers or numbers where all texts are, else the texts."""
    for kind in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            return texts.cast(kind)
    return texts


def _separator(opened: TitlesFile, config: DataConfig) -> str:
    """The separator of genres in a file: a space in RecBole's, a pipe sign in MovieLens'."""
    name = opened.columns.genres
    if config.layout == "auto" or not name:
        return "|"
    if name.endswith(":token_seq"):
        return " "
    texts = head_of(opened.file, name)
    counts = {sign: sum(sign in text for text in texts) for sign in _SEPARATORS}
    return max(counts, key=lambda sign: counts[sign])


def items_with_title(movies: Movies, item_ids: Ids, noun: str = MOVIES[0]) -> int:
    """The number of items that the movies have a title for, other than the one that `validated_movies` gives.

    item_ids: int64 or texts [n], of the type of the movies' ids. noun: what the data set calls an item.
    """
    ids = movies.table["movie_id"]
    given = pc.binary_join_element_wise(at_the_start(noun), pc.cast(ids, pa.string()), " ")
    titled = as_ids(ids.filter(pc.not_equal(movies.table["title"], given)))
    return int(np.count_nonzero(np.isin(as_ids(item_ids), titled)))


def lacking_titles(movies: Movies, item_ids: Ids, noun: str = MOVIES[0]) -> str:
    """A sentence of how many of the items have a title where that is under half of them, else "".

    item_ids, noun: as of `items_with_title`. Ids that are written otherwise than in the ratings leave all items without
    a title, and so does a column of titles that was not found.
    """
    items, there = as_ids(item_ids), as_ids(movies.table["movie_id"])
    found = items_with_title(movies, items, noun)
    if 2 * found >= len(items):
        return ""
    said = f"{found:,} of {len(items):,} items have a title"
    if not found and np.isin(items, there).any():
        said += "; their rows have none; name the column of titles by data.columns.title"
    elif not found and len(there):
        said += f"; ids there look like {there[0]}, here like {items[0]}; write both alike, or set data.columns.id"
    return said


def complete_movies(movies: Movies, movie_ids: Ids, noun: str = MOVIES[0]) -> Movies:
    """The movies, and a row with the title `Movie <id>`, no year and no genres for each id that lacks one.

    noun: what the data set calls an item.
    movie_ids: int64 or texts [n] of rated movies, repeats allowed, of the type of the movies' ids where there are any.
    The added rows count in `report.movies_without_title`.
    """
    wanted = as_ids(movie_ids)
    missing = np.setdiff1d(wanted, as_ids(movies.table["movie_id"]))
    if not len(missing):
        return movies
    schema = IdKinds(item="text" if wanted.dtype.kind == "U" else "number").schema(MOVIES_SCHEMA)
    placeholders = pa.table(
        {
            "movie_id": missing,
            "title": [f"{at_the_start(noun)} {movie_id}" for movie_id in missing],
            "year": pa.nulls(len(missing), pa.int32()),
            "genres": pa.array([[]] * len(missing), pa.list_(pa.string())),
        },
        schema=schema,
    )
    table = pa.concat_tables([movies.table.cast(schema), placeholders]).sort_by("movie_id").combine_chunks()
    untitled = movies.report.movies_without_title + len(missing)
    return Movies(table, replace(movies.report, movies_without_title=untitled))
