"""Folders and patterns of files as one table."""

import gzip
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_files import TOLD, rows

from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import DataError


def test_a_folder_and_a_pattern_of_files_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / ".made" / "parts"
    folder.mkdir(parents=True)
    (folder / "_SUCCESS").write_text("")
    for number in range(3):
        pq.write_table(pa.table({"user": [f"u{number}"], "item": [number]}), folder / f"part-{number}.parquet")
    for location in (folder, folder / "*.parquet"):
        table = read_ratings(DataConfig(ratings_file=str(location), **TOLD)).table
        assert [row[:2] for row in rows(table)] == [("u0", 0), ("u1", 1), ("u2", 2)]
    with pytest.raises(DataError, match="no file is of this pattern"):
        read_ratings(DataConfig(ratings_file=str(folder / "*.csv")))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("location", ["", "user_id=*/*/*", "user_id=[12]/**/*"])
def test_folders_that_say_a_value_are_columns(tmp_path: Path, suffix: str, location: str) -> None:
    base = tmp_path / "year=1999" / "plays"
    for user, day in (("1", "2021-03-01"), ("2", "2021-03-02"), ("%C3%A4 b", "2021-03-01")):
        folder = base / f"user_id={user}" / f"dt={day}"
        folder.mkdir(parents=True)
        table = pa.table({"item_id": [7, 8], "rating": [3, 5]})
        if suffix == "parquet":
            pq.write_table(table, folder / "part-0.parquet")
        elif suffix == "csv":
            (folder / "part-0.csv").write_text("item_id,rating\n7,3\n8,5\n")
        else:
            (folder / "part-0.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    columns = ColumnNames(timestamp="dt")
    found = read_ratings(DataConfig(ratings_file=str(base / location), columns=columns, **TOLD)).table
    first, second = 1614556800, 1614643200
    expected = [(user, item, rating, first) for user in ("1", "ä b") for item, rating in ((7, 3.0), (8, 5.0))]
    expected[2:2] = [("2", 7, 3.0, second), ("2", 8, 5.0, second)]
    if "[12]" in location:
        expected = [(int(user), *rest) for user, *rest in expected[:4]]
    assert rows(found) == expected


def test_a_column_of_the_file_comes_before_one_of_its_folder(tmp_path: Path) -> None:
    for user in ("1", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / f"user={user}"
        folder.mkdir()
        (folder / "a.csv").write_text("user,item,rating\n5,2,1\n" if user == "1" else "item,rating\n3,1\n")
    with pytest.raises(DataError, match=r"user '' is not a whole number .*; correct the file"):
        read_ratings(DataConfig(ratings_file=str(tmp_path), **TOLD))
    drop = FileFormat(bad_rows="drop")
    assert rows(read_ratings(DataConfig(ratings_file=str(tmp_path), format=drop, **TOLD)).table) == [(5, 2, 1.0, 0)]


def test_a_bad_line_of_one_of_many_files_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n1,2,3\n1,3,4\n")
    for lines, line in (("2,2,3\n2,3,x\n", 3), ("2,2,x\n", 2)):
        (tmp_path / "b.csv").write_text(f"user,item,rating\n{lines}")
        with pytest.raises(DataError, match=rf"\*\.csv: b\.csv: line {line}: rating 'x' is not a number"):
            read_ratings(DataConfig(ratings_file=str(tmp_path / "*.csv"), **TOLD))
    (tmp_path / "b.csv").write_text("user,item,rating\n2,caf\xe9,3\n", encoding="latin-1")
    read = read_ratings(DataConfig(ratings_file=str(tmp_path / "*.csv"), **TOLD))
    assert read.report.latin1_files == (str(tmp_path / "*.csv"),)


def test_numbers_in_one_part_and_texts_in_another_are_texts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1], "item": [7]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"user": [2], "item": ["b07"]}), tmp_path / "1.data")
    table = read_ratings(DataConfig(ratings_file=str(tmp_path), **TOLD)).table
    assert [row[:2] for row in rows(table)] == [(1, "7"), (2, "b07")]


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n1,2,3\n")
    (tmp_path / "b.csv").write_text("user,item\n2,2\n")
    with pytest.raises(
        DataError, match=r"b\.csv: its columns are 'user, item', without 'rating', which other files of"
    ):
        read_ratings(DataConfig(ratings_file=str(tmp_path / "*.csv"), **TOLD))
    (tmp_path / "b.csv").write_text("user,item,rating,item\n2,2,3,4\n")
    with pytest.raises(DataError, match=r"b\.csv: column 'item' stands more than once"):
        read_ratings(DataConfig(ratings_file=str(tmp_path / "*.csv"), **TOLD))
    (tmp_path / "a.csv").write_text("1,2,3\n1,3,4\n")
    for content, columns in (("2,2\n", "column1, column2"), ("item,user,rating\n2,2,2\n", "item, user, rating")):
        (tmp_path / "b.csv").write_text(content)
        with pytest.raises(
            DataError, match=rf"b\.csv: its columns are '{columns}', but those of .*a\.csv are 'column1"
        ):
            read_ratings(DataConfig(ratings_file=str(tmp_path / "*.csv"), **TOLD))


def test_columns_of_many_files_are_one_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating,time\n1,2,3,1333476009\n")
    (tmp_path / "b.csv").write_text("device;time;item;user;rating\npc;1333476010;4;3;5\n")
    made = {"rating": [4.5], "item": [6], "time": [1333476011], "user": [5], "tag": [["x"]]}
    pq.write_table(pa.table(made), tmp_path / "c.parquet")
    (tmp_path / "d.jsonl").write_text(
        '{"item": 8, "user": 7}\n{"time": 1333476012, "rating": 2, "item": 8, "user": 7}\n'
    )
    with pytest.raises(DataError, match=r"d\.jsonl: line 1: time '' is not a whole number"):
        read_ratings(DataConfig(ratings_file=str(tmp_path), **TOLD))
    table = read_ratings(DataConfig(ratings_file=str(tmp_path), format=FileFormat(bad_rows="drop"), **TOLD)).table
    assert rows(table) == [
        (1, 2, 3.0, 1333476009), (3, 4, 5.0, 1333476010), (5, 6, 4.5, 1333476011), (7, 8, 2.0, 1333476012)
    ]  # fmt: skip


def test_a_column_that_some_files_of_titles_lack_is_empty_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,title,maker\n1,Heat,Mann\n")
    (tmp_path / "b.csv").write_text("title,id\nHope,2\n")
    metadata = read_movies(DataConfig(movies_file=str(tmp_path), layout="custom")).metadata
    assert metadata
    assert metadata.to_pydict() == {"maker": ["Mann", None]}


@pytest.mark.parametrize("name", ["0.csv", "z.csv.gz"])
@pytest.mark.parametrize("content", ["", "\n\n", "rating,item,user\n"])
def test_an_empty_file_among_others_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: str
) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n1,2,3.5\n")
    (tmp_path / name).write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    config = DataConfig(ratings_file=str(tmp_path), **TOLD)
    assert rows(read_ratings(config).table) == [(1, 2, 3.5, 0)]
    assert (f"{name} is empty and passed over" in caplog.text) == (not content.strip())
    (tmp_path / "a.csv").unlink()
    with pytest.raises(DataError, match=r"the file is empty|the file has no ratings"):
        read_ratings(config)


def test_a_text_among_tables_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\n1,2,3.5\n")
    (tmp_path / "README.txt").write_text("hello world this is\na readme\n")
    with pytest.raises(DataError, match=r"README\.txt: what separates the fields cannot be told"):
        read_ratings(DataConfig(ratings_file=str(tmp_path), **TOLD))


def test_times_of_one_type_in_one_file_and_of_another_in_the_next_are_refused(tmp_path: Path) -> None:
    for name, time in (("a", 1333476009), ("b", datetime(2012, 4, 3))):
        pq.write_table(pa.table({"user": [1], "item": [2], "time": [time]}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: row 1: time '2012-04-03 00:00:00' is not a whole number of sec"):
        read_ratings(DataConfig(ratings_file=str(tmp_path), **TOLD))
