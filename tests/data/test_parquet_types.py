"""Parquet columns of every type are read where they are used, and are in nobody's way where they are not."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.readers import read_movies, read_ratings

MOMENT = datetime(2021, 1, 24, 14, 42, 10, tzinfo=UTC)
TIMES = {
    **{f"{unit} {zone}": pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")},
    "ns of another zone": pa.timestamp("ns", "Europe/Berlin"),
    "date32": pa.date32(),
    "date64": pa.date64(),
}
VALUES: dict[str, tuple[Any, pa.DataType | None, str]] = {
    "bool": (True, pa.bool_(), "true"),
    "uint64": (2**62 + 1, pa.uint64(), str(2**62 + 1)),
    "half": (1.5, pa.float16(), "1.5"),
    "decimal": (Decimal("1.25"), pa.decimal128(9, 2), "1.25"),
    "decimal256": (Decimal(7), pa.decimal256(50, 0), "7.0"),
    "time of day": (time(14, 42, 10), pa.time32("ms"), "14:42:10"),
    "time of nanoseconds": (time(14, 42, 10), pa.time64("ns"), "14:42:10"),
    "duration": (timedelta(microseconds=5), pa.duration("us"), "5"),
    "blob": (b"abc", pa.binary(), "abc"),
    "null": (None, pa.null(), ""),
    "enum": ("x", pa.dictionary(pa.int8(), pa.string()), "x"),
    "list": (["a", "b"], None, "a|b"),
    "array": ([1, 2], pa.list_(pa.int32(), 2), "1|2"),
    "list of days": ([date(2021, 1, 24)], None, "2021-01-24"),
    "list of lists": ([[1], [2]], None, "[1]|[2]"),
    "struct": ({"a": 1}, None, "{'a': 1}"),
    "struct of a moment": ({"a": MOMENT.replace(tzinfo=None)}, None, "{'a': '2021-01-24 14:42:10'}"),
    "map": ([("k", 1)], pa.map_(pa.string(), pa.int64()), "{k=1}"),
}


def day_or_moment(name: str) -> pa.Array:
    return pa.array([MOMENT.date() if name.startswith("date") else MOMENT], TIMES[name])


EVERY_TYPE = {
    **{name: day_or_moment(name) for name in TIMES},
    **{name: pa.array([value], kind) for name, (value, kind, _) in VALUES.items()},
}


def ratings(file: Path, **columns: Any) -> list[dict[str, Any]]:
    pq.write_table(pa.table({"user": [1], "item": [2], "rating": [3.5], **columns}), file)
    return read_ratings(DataConfig(ratings_file=str(file))).table.to_pylist()


@pytest.mark.parametrize("name", TIMES)
def test_times_of_every_type_are_seconds(tmp_path: Path, name: str) -> None:
    (row,) = ratings(tmp_path / "x.parquet", timestamp=day_or_moment(name))
    assert row["timestamp"] == (1611446400 if name.startswith("date") else 1611499330)


def test_unused_columns_of_any_type_are_in_nobodys_way(tmp_path: Path) -> None:
    expected = {"user_id": 1, "movie_id": 2, "rating": 3.5, "timestamp": 0}
    assert ratings(tmp_path / "x.parquet", **EVERY_TYPE) == [expected]
    assert ratings(tmp_path / "y.parquet", **EVERY_TYPE) == [expected]
    assert read_ratings(DataConfig(ratings_file=str(tmp_path / "*.parquet"))).table.to_pylist() == [expected]


def test_metadata_of_every_type_are_texts_that_can_be_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [2], "title": ["Heat"], **EVERY_TYPE}), tmp_path / "titles.parquet")
    metadata = read_movies(DataConfig(layout="custom", movies_file=str(tmp_path / "titles.parquet"))).metadata
    assert metadata
    told = {name: "" if value is None else str(value) for name, value in metadata.to_pylist()[0].items()}
    assert told == {
        **{name: "2021-01-24" if name.startswith("date") else "2021-01-24 14:42:10" for name in TIMES},
        **{name: text for name, (*_, text) in VALUES.items()},
    }


@pytest.mark.parametrize("name", ["date32", "ns UTC"])
def test_the_day_of_a_release_gives_the_year(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"id": [2], "title": ["Heat"], "released": day_or_moment(name)}), tmp_path / "t.parquet")
    columns = ColumnNames(year="released")
    movies = read_movies(DataConfig(layout="custom", movies_file=str(tmp_path / "t.parquet"), columns=columns))
    assert movies.table["year"].to_pylist() == [2021]
