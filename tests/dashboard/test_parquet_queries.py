"""Parquet files as the dashboard's queries read them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.queries.parquet import records


def test_a_file_is_read_as_written_whatever_its_path(tmp_path: Path) -> None:
    rows = {}
    for folder in ("seed=3", "[a]*", "a?"):
        (tmp_path / folder).mkdir()
        rows[folder] = [{"seed": 41, "folder": folder}, {"seed": 42, "folder": folder}]
        pq.write_table(pa.Table.from_pylist(rows[folder]), tmp_path / folder / "runs.parquet")
    for folder, written in rows.items():
        path = str(tmp_path / folder / "runs.parquet")
        assert records("SELECT * FROM parquet_file(?) ORDER BY seed", path) == written
        numbered = records("SELECT seed, file_row_number FROM numbered_parquet_file(?) ORDER BY seed", path)
        assert numbered == [{"seed": 41, "file_row_number": 0}, {"seed": 42, "file_row_number": 1}]
