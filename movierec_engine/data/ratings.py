"""The values a reader returns: ratings, movies, and what validation changed on the way."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from movierec_engine.data.id_map import IdMap, as_ids
from movierec_engine.reporting.numbers import rating

RATINGS_SCHEMA = pa.schema(
    [("user_id", pa.int64()), ("movie_id", pa.int64()), ("rating", pa.float32()), ("timestamp", pa.int64())]
)
PRESPLIT_SCHEMA = RATINGS_SCHEMA.append(pa.field("part", pa.string()))
MOVIES_SCHEMA = pa.schema(
    [("movie_id", pa.int64()), ("title", pa.string()), ("year", pa.int32()), ("genres", pa.list_(pa.string()))]
)
_IDS = ("user_id", "movie_id")
ROWS_PER_GROUP = 1 << 15
"""Rows of the file of ratings that are read together: being sorted by user, one person's are in one or two groups."""
NEGATIVES_SCHEMA = pa.schema([("user_id", pa.int64()), ("movie_id", pa.int64())])
"""Schema of negatives whose ids are whole numbers; where ids are texts `with_ids_of` has their columns as strings."""


def with_ids_of(like: pa.Schema, schema: pa.Schema) -> pa.Schema:
    """A schema with its columns of ids of the types that they have in another one, as far as that has them."""
    for name in ("user_id", "movie_id"):
        if name in schema.names and name in like.names:
            schema = schema.set(schema.get_field_index(name), pa.field(name, like.field(name).type))
    return schema


@dataclass(frozen=True)
class ValidationReport:
    """Counts of the rows that validation read, dropped and repaired."""

    rows_read: int = 0
    duplicate_rows: int = 0
    """Rows that repeat another row in every column; one is kept."""
    duplicate_pairs: int = 0
    """Further ratings of the same movie by the same user; the newest is kept."""
    millisecond_timestamps: int = 0
    """Timestamps given in milliseconds, turned into seconds."""
    bad_rows: int = 0
    """Rows that could not be read and were left out, as `data.format.bad_rows=drop` allows."""
    rows_without_id: int = 0
    """Bad rows without a user or an item, such as NULL."""
    latin1_files: tuple[str, ...] = ()
    """Files that were not UTF-8 and were read as Latin-1."""
    movies_without_title: int = 0
    """Rated movies that the movies file lacks, and movies with an empty title; they get the title `Movie <id>`."""

    duplicate_movies: int = 0
    """Further rows of a movie in the movies file; the first is kept."""
    negatives_dropped: int = 0
    """Given negatives that repeat another one or are positives of the same user."""

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Validated ratings: one row for each (user, movie), timestamps in seconds.

    table: columns of RATINGS_SCHEMA, sorted by user_id then movie_id; a presplit data set has PRESPLIT_SCHEMA, whose
    `part` is train, validation or test. user_id and movie_id are int64 or string, each as the files have them.
    negatives: NEGATIVES_SCHEMA, with ids of the same types, the given candidates of a presplit data set, or None.
    """

    table: pa.Table
    report: ValidationReport = field(default_factory=ValidationReport)
    negatives: pa.Table | None = None

    def __str__(self) -> str:
        """The types of the ids, the scale, and what was left out, in words."""
        kinds = ["texts" if pa.types.is_string(self.table[name].type) else "numbers" for name in _IDS]
        low, high = self.scale()
        dropped = (
            f"; {self.report.bad_rows:,} rows that could not be read were left out" if self.report.bad_rows else ""
        )
        return f"users are {kinds[0]}, items are {kinds[1]}; ratings from {rating(low)} to {rating(high)}{dropped}"

    def scale(self) -> tuple[float, float]:
        """The smallest and the largest rating."""
        ends = pc.min_max(self.table["rating"])
        return float(ends["min"].as_py()), float(ends["max"].as_py())

    @property
    def presplit(self) -> bool:
        return "part" in self.table.column_names

    def save(self, folder: Path) -> None:
        pq.write_table(self.table, folder / "ratings.parquet", compression="zstd", row_group_size=ROWS_PER_GROUP)
        if self.negatives is not None:
            pq.write_table(self.negatives, folder / "negatives.parquet", compression="zstd")

    @classmethod
    def load(cls, folder: Path) -> "Ratings":
        negatives = folder / "negatives.parquet"
        return cls(
            table=pq.read_table(folder / "ratings.parquet"),
            negatives=pq.read_table(negatives) if negatives.exists() else None,
        )


@dataclass(frozen=True, eq=False)
class Movies:
    """Titles, years and genres: columns of MOVIES_SCHEMA, sorted by movie_id; a year that is not known is null.

    movie_id is int64 or string, as that of the ratings is. metadata: the file's other columns, a row for each of the
    table's; rows that are chosen or added leave them behind, as models and evaluation have no use for them.
    """

    table: pa.Table
    report: ValidationReport = field(default_factory=ValidationReport)
    metadata: pa.Table | None = None

    def of(self, items: IdMap) -> "Movies":
        """One row for each item, in the items' order; every item must have a row."""
        rows = IdMap(as_ids(self.table["movie_id"])).index(items.ids)
        if (rows < 0).any():
            raise ValueError(f"movie {items.ids[int(np.argmin(rows))]} has no row; complete the movies first")
        return Movies(self.table.take(rows), self.report)

    def save(self, folder: Path) -> None:
        whole = self.table
        for name in self.metadata.column_names if self.metadata else ():
            whole = whole.append_column(name, self.metadata[name])  # type: ignore[index]
        pq.write_table(whole, folder / "movies.parquet", compression="zstd")

    @classmethod
    def load(cls, folder: Path) -> "Movies":
        """The movies that `save` wrote, without the metadata."""
        return cls(table=pq.read_table(folder / "movies.parquet", columns=MOVIES_SCHEMA.names))

    @staticmethod
    def columns_of(folder: Path, items: IdMap) -> pa.Table:
        """All columns that `save` wrote, metadata among them: one row for each item, in the items' order.

        Of an item without a row, as of data without titles, the id is known and all else is null.
        """
        whole = pq.read_table(folder / "movies.parquet")
        rows = IdMap(as_ids(whole["movie_id"])).index(items.ids)
        found = whole.take(pa.array(rows, mask=rows < 0))
        return found.set_column(found.column_names.index("movie_id"), "movie_id", pa.array(items.ids))
