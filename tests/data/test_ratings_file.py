"""The file of validated ratings, as it is read for one person."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings, with_ids_of


@pytest.mark.parametrize("ids", [pa.int64(), pa.string()])
def test_one_persons_ratings_are_found_without_reading_most_of_the_others(tmp_path: Path, ids: pa.DataType) -> None:
    """100 ratings of each of 2,000 people; a reader passes over the row groups that are of others by their ends."""
    n = 200_000
    users = pa.array(np.repeat(np.arange(10_000, 12_000), 100)).cast(ids)
    schema = with_ids_of(pa.schema([("user_id", ids)]), RATINGS_SCHEMA)
    columns = [users, pa.array(np.tile(np.arange(100), 2_000)), np.full(n, 3.0, dtype=np.float32), np.arange(n)]
    ratings = Ratings(pa.table([*columns], schema=schema))
    ratings.save(tmp_path)
    written = pq.ParquetFile(tmp_path / "ratings.parquet").metadata
    groups = [written.row_group(number) for number in range(written.num_row_groups)]
    user = pa.scalar(11_234).cast(ids).as_py()
    ends = [(group.column(0).statistics.min, group.column(0).statistics.max) for group in groups]
    read = sum(group.num_rows for group, (low, high) in zip(groups, ends, strict=True) if low <= user <= high)
    assert 0 < read < n / 4
    assert Ratings.load(tmp_path).table == ratings.table
