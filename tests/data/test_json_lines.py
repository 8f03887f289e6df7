"""JSON Lines are read as the same rows in CSV are, and what is none is refused with its line."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.cli.start import data
from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"reviewerID": "A1", "asin": "0501", "overall": 5.0, "unixReviewTime": 1380000000, "helpful": [0, 1]},
    {"reviewerID": "A1", "asin": "B2", "overall": 3, "unixReviewTime": 1380000010, "style": {"Color": "red"}},
    {"reviewerID": "A3", "asin": "0501", "overall": 4, "unixReviewTime": 1380000020, "text": 'a "b", {c}\n'},
]


def written(file: Path, rows: list[Any]) -> Path:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def read(file: Path, bad_rows: str = "refuse") -> Ratings:
    config = DataConfig(ratings_file=str(file), rating_min=0, rating_max=0, format=FileFormat(bad_rows=bad_rows))
    return read_ratings(config)


@pytest.mark.parametrize("name", ["reviews.jsonl", "reviews.json.gz", "reviews"])
def test_rows_are_those_of_the_same_csv(tmp_path: Path, name: str) -> None:
    csv = tmp_path / "same.csv"
    lines = [f"{row['reviewerID']},{row['asin']},{row['overall']},{row['unixReviewTime']}" for row in ROWS]
    csv.write_text("\n".join(["reviewerID,asin,overall,unixReviewTime", *lines, ""]))
    assert read(written(tmp_path / name, ROWS)).table.equals(read(csv).table)


def test_a_folder_of_them_is_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for place, row in enumerate(ROWS):
        names = ("reviewerID", "asin", "overall", "unixReviewTime")
        written(folder / f"{place}.jsonl", [{name: row[name] for name in names}])
    assert read(folder, "drop").table.equals(read(written(tmp_path / "all.jsonl", ROWS)).table)


def test_a_json_file_beside_other_tables_is_none_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.csv").write_text("user,item\n1,2\n")
    (folder / "schema.json").write_text('{"name": "ratings"}\n')
    assert len(read(folder).table) == 1


def test_members_below_the_first_lines_are_found_where_they_are_needed(tmp_path: Path) -> None:
    first = [{"who": number, "item": 2} for number in range(1200)]
    late = {"user": 7, "item": 3, "stars": 4.5, "genres": [None], "style": {"a": 1}}
    folder = tmp_path / "parts"
    folder.mkdir()
    file = written(folder / "a.jsonl", [*first, late])
    for location in (file, folder):
        config = DataConfig(
            ratings_file=str(location),
            rating_min=0,
            rating_max=0,
            columns=ColumnNames(rating="stars"),
            format=FileFormat(bad_rows="drop"),
        )
        with pytest.raises(DataError, match=r"1,200 of 1,201 rows cannot be read"):
            read_ratings(config)
        named = replace(config, columns=ColumnNames(user="who", rating="nothing"))
        with pytest.raises(DataError, match=r"column 'nothing' is missing .* 'who, item, genres, stars, user'"):
            read_ratings(named)
    written(file, [{**row, "user": row["who"]} for row in first] + [late] * 2 + [{**late, "item": 4}] * 1200)
    assert read_ratings(config).table["rating"].to_pylist() == [4.5, 4.5]
    assert len(read(file).table) == 1202, "where nobody names a rating there is none"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('{"reviewerID": "A1", "asin": "B', "near line"),
        ("nonsense", "near line"),
        ({"reviewerID": "A1", "overall": 2, "unixReviewTime": 1}, "line 4: asin is empty"),
        ({**ROWS[0], "asin": "B9", "overall": "good"}, "line 4: overall 'good' is not a number"),
        ({**ROWS[0], "asin": "B9", "overall": float("nan")}, "line 4: overall 'NaN' is not a number"),
    ],
)
def test_a_bad_line_is_named_or_left_out(tmp_path: Path, row: Any, sentence: str) -> None:
    file = written(tmp_path / "reviews.jsonl", [*ROWS, row, {**ROWS[0], "asin": "B3"}])
    with pytest.raises(DataError, match=sentence):
        read(file)
    kept = read(file, "drop")
    assert len(kept.table) == 4
    assert kept.report.bad_rows == 1


def test_objects_as_python_writes_them_are_refused_with_how_to_rewrite_them(tmp_path: Path) -> None:
    file = tmp_path / "reviews.json"
    file.write_text("{'user': 1, 'text': \"it's ok\", 'early': False}\n")
    with pytest.raises(
        DataError, match=r"as Python writes them, not JSON; rewrite each by json\.dumps\(ast\.literal_ev"
    ):
        read(file)


@pytest.mark.parametrize("text", ['[{"user": 1, "item": 2}]', '[\n{"user": 1, "item": 2}\n]', "{user: 1, item: 2}"])
def test_json_of_another_form_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "reviews.json"
    file.write_text(text)
    with pytest.raises(DataError, match="no object on its first line; write one object a line"):
        read(file)


def test_it_must_be_utf8(tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_bytes('{"user": "Jörg", "item": 2}\n'.encode("latin-1"))
    with pytest.raises(DataError, match="JSON must be UTF-8"):
        read(file)


def test_titles_may_have_lists_of_genres(tmp_path: Path) -> None:
    titles = [
        {"asin": "0501", "title": "Heat", "genres": ["Crime", "Drama"]},
        {"asin": "B2", "title": "B", "genres": []},
    ]
    config = DataConfig(
        ratings_file=str(written(tmp_path / "reviews.jsonl", ROWS)),
        movies_file=str(written(tmp_path / "meta.jsonl", titles)),
        rating_min=0,
        rating_max=0,
    )
    rows = read_movies(config).table.to_pylist()
    assert [(row["title"], row["genres"]) for row in rows] == [("Heat", ["Crime", "Drama"]), ("B", [])]


@pytest.mark.parametrize("packed", ["jsonl", "parquet"])
def test_genres_may_be_objects_with_names(tmp_path: Path, packed: str) -> None:
    movies = [
        {"id": 1, "title": "Heat", "genres": [{"id": 5, "name": 'Crime, "noir"'}, {"id": 6, "name": "Krimikömödie"}]}
    ]
    file = tmp_path / f"meta.{packed}"
    if packed == "parquet":
        pq.write_table(pa.Table.from_pylist(movies), file)
    else:
        written(file, movies)
    table = read_movies(DataConfig(layout="custom", movies_file=str(file))).table
    assert table["genres"].to_pylist() == [['Crime, "noir"', "Krimikömödie"]]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "folder"])
@pytest.mark.parametrize("column", ["user", "items"])
def test_a_list_of_ids_is_refused_with_how_to_unfold_it(tmp_path: Path, kind: str, column: str) -> None:
    rows = [{"user": 1, "items": 5, column: [1, 2, 3]}, {"user": 2, "items": 6, column: [4]}]
    file = tmp_path / f"lists.{kind}"
    if kind == "jsonl":
        written(file, rows)
    else:
        file = file / "part.parquet" if kind == "folder" else file
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), file)
    with pytest.raises(DataError, match=rf"column '{column}' holds lists.* frame\.explode\('{column}'\) does"):
        read(tmp_path if kind == "folder" else file)


def test_describe_says_what_it_is(tmp_path: Path) -> None:
    file = written(tmp_path / "reviews.json.gz", ROWS)
    result = CliRunner().invoke(data, ["describe", str(file), "--format", "json"])
    told = {row["about"]: row["value"] for row in json.loads(result.stdout)}
    assert told["form"] == "JSON Lines unpacked from gzip"
    assert [told[f"{role} column"] for role in ("user", "item", "rating", "time")] == [*ROWS[0]][:4]
    assert told["other columns"] == ["helpful", "text"], "and not the object"


@given(st.text(min_size=1, max_size=20).filter(str.strip), st.sampled_from(["User", "item", 'a"b', "it's", "ü"]))
def test_any_text_is_read_as_it_stands(tmp_path_factory: pytest.TempPathFactory, user: str, extra: str) -> None:
    if any(ord(sign) < 32 or 127 <= ord(sign) < 160 or 0xD800 <= ord(sign) < 0xE000 for sign in user):
        return
    file = tmp_path_factory.mktemp("json") / "r.jsonl"
    written(
        file, [{"user": f"x{user}x", "item": "i", extra: 1} if extra != "item" else {"user": f"x{user}x", "item": "i"}]
    )
    assert read(file).table["user_id"].to_pylist() == [f"x{user}x"]
