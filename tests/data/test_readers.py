"""Reading ratings and movies: the layouts, custom files and presplit files."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.input_files import signature
from movierec_engine.data.ratings import MOVIES_SCHEMA, NEGATIVES_SCHEMA, PRESPLIT_SCHEMA, RATINGS_SCHEMA, Movies
from movierec_engine.data.readers import complete_movies, read_movies, read_ratings
from movierec_engine.data.table_file import check_text_file, open_table, sql_name
from movierec_engine.errors import DataError

RATINGS = "userId,movieId,rating,timestamp\n2,10,3.5,200\n1,20,4.0,101\n1,10,0.5,100\n"
MOVIES = "movieId,title,genres\n10,Toy Story (1995),Animation|Comedy\n20,Heat (1995),Crime\n"
SORTED_ROWS = [(1, 10, 0.5, 100), (1, 20, 4.0, 101), (2, 10, 3.5, 200)]


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def movies_of(tmp_path: Path) -> Callable[..., Movies]:
    """Reads a movies.csv with the given lines under its header."""

    def read(*lines: str, encoding: str = "utf-8") -> Movies:
        write(tmp_path / "ratings.csv", RATINGS)
        write(tmp_path / "movies.csv", "\n".join(["movieId,title,genres", *lines, ""]).encode(encoding))
        return read_movies(DataConfig(dir=str(tmp_path)))

    return read


# --- MovieLens layouts


def test_csv_layout_gives_sorted_ratings_of_exactly_the_schema(tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", RATINGS)
    ratings = read_ratings(DataConfig(dir=str(tmp_path)))
    assert ratings.table.schema == RATINGS_SCHEMA
    assert rows(ratings.table) == SORTED_ROWS
    assert ratings.report.rows_read == 3


def test_100k_layout_is_read_with_flags_as_genres_and_latin1_titles(tmp_path: Path) -> None:
    write(tmp_path / "u.data", "2\t10\t3\t200\n1\t20\t4\t101\n1\t10\t1\t100\n")
    flags = {10: "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0", 20: "1" + "|0" * 18}
    lines = [
        f"10|Misérables, Les (1995)|01-Jan-1995||http://x/?a|{flags[10]}",
        f'20|Heat "Two"|||http://y|{flags[20]}',
    ]
    write(tmp_path / "u.item", "\n".join([*lines, ""]).encode("latin-1"))
    config = DataConfig(dir=str(tmp_path))
    assert rows(read_ratings(config).table) == [(1, 10, 1.0, 100), (1, 20, 4.0, 101), (2, 10, 3.0, 200)]
    movies = read_movies(config)
    assert rows(movies.table) == [
        (10, "Misérables, Les", 1995, ["Animation", "Children's", "Comedy"]),
        (20, 'Heat "Two"', None, []),
    ]
    assert movies.report.latin1_files == ()


@pytest.mark.parametrize(("marker", "encoding"), [("users.dat", "latin-1"), ("tags.dat", "utf-8")])
def test_1m_and_10m_layouts_are_read_with_their_encodings(tmp_path: Path, marker: str, encoding: str) -> None:
    write(tmp_path / marker, "")
    write(tmp_path / "ratings.dat", "2::10::3.5::200\n1::20::4::101\n1::10::0.5::100\n")
    titles = '10::Misérables: "Les" (1995)::Drama|War\n20::Face/Off (1997)::Action\n'
    write(tmp_path / "movies.dat", titles.encode(encoding))
    config = DataConfig(dir=str(tmp_path))
    assert rows(read_ratings(config).table) == SORTED_ROWS
    movies = read_movies(config)
    assert rows(movies.table) == [
        (10, 'Misérables: "Les"', 1995, ["Drama", "War"]),
        (20, "Face/Off", 1997, ["Action"]),
    ]
    assert movies.report.latin1_files == ()


def test_latin1_titles_in_a_utf8_layout_are_read_and_reported(movies_of: Callable[..., Movies]) -> None:
    movies = movies_of("10,Misérables (1995),Drama", encoding="latin-1")
    assert rows(movies.table) == [(10, "Misérables", 1995, ["Drama"])]
    assert [Path(file).name for file in movies.report.latin1_files] == ["movies.csv"]


@pytest.mark.parametrize(
    ("end", "latin1"),
    [
        ("Café".encode(), False),
        ("Café".encode("latin-1"), True),
        ("Café".encode()[:-1], True),  # the first byte of two, and then the file ends
    ],
    ids=["utf-8", "latin-1", "cut off"],
)
def test_a_text_is_latin1_where_it_is_not_utf8_to_its_last_byte(tmp_path: Path, end: bytes, latin1: bool) -> None:
    path = tmp_path / "movies.csv"
    path.write_bytes(b"movieId,title,genres\n1,Plain,Drama\n2,Other,Drama|" + end)
    assert check_text_file(path) == latin1
    file = open_table(path, ["movieId", "title", "genres"])
    assert file.text("genres", 1) == "Drama|" + end.decode("latin-1" if latin1 else "utf-8")


def test_a_character_that_lies_across_two_blocks_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    start = b"movieId,title\n1,"
    for block in (1 << 20, 1 << 21):
        path.write_bytes(start + b"a" * (block - len(start) - 1) + "é\n".encode())
        assert not check_text_file(path)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", b"\xef\xbb\xbf" + RATINGS.replace("\n", "\r\n").encode())
    assert rows(read_ratings(DataConfig(dir=str(tmp_path))).table) == SORTED_ROWS


def test_a_byte_order_mark_in_a_file_without_header_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "u.data", b"\xef\xbb\xbf1\t10\t3\t200\r\n")
    assert rows(read_ratings(DataConfig(dir=str(tmp_path))).table) == [(1, 10, 3.0, 200)]


def test_blank_lines_and_a_missing_last_line_end_change_nothing(tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", RATINGS.replace("\n", "\n\n").rstrip("\n"))
    assert rows(read_ratings(DataConfig(dir=str(tmp_path))).table) == SORTED_ROWS


def test_a_folder_name_with_glob_characters_and_a_quote_is_taken_literally(tmp_path: Path) -> None:
    folder = tmp_path / "it's [1]*?"
    folder.mkdir()
    write(folder / "ratings.csv", RATINGS)
    assert rows(read_ratings(DataConfig(dir=str(folder))).table) == SORTED_ROWS


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_name_with_glob_characters_is_not_its_neighbour(tmp_path: Path, suffix: str) -> None:
    for name, user in ((f"r[1]{suffix}", 1), (f"r1{suffix}", 2)):
        table(tmp_path / name, user)
    config = DataConfig(layout="custom", ratings_file=str(tmp_path / f"r[1]{suffix}"))
    assert rows(read_ratings(config).table) == [(1, 10, 3.5, 100)]


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".TSV", ".parquet", ".PARQUET", ".pq", ".txt"])
def test_the_kind_of_a_table_is_told_by_its_suffix_in_any_case(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    if suffix.lower() in (".parquet", ".pq"):
        pq.write_table(pa.table({"a": [1], "b": ["x"]}), path)
    else:
        between = "\t" if suffix.lower() == ".tsv" else ","
        path.write_text(f"a{between}b\n1{between}x\n")
    file = open_table(path, ["a", "b"])
    assert [file.text(name, 0) for name in ("a", "b")] == ["1", "x"]
    assert file.place(0) == ("row 1" if suffix.lower() in (".parquet", ".pq") else "line 2")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_folder_name_is_no_column(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "user=99" / "rating=1"
    folder.mkdir(parents=True)
    table(folder / f"ratings{suffix}", 1)
    config = DataConfig(layout="custom", ratings_file=str(folder / f"ratings{suffix}"))
    assert rows(read_ratings(config).table) == [(1, 10, 3.5, 100)]


def table(path: Path, user: int) -> None:
    """A file with one rating."""
    if path.suffix == ".csv":
        write(path, f"user,item,rating,timestamp\n{user},10,3.5,100\n")
    else:
        pq.write_table(pa.table({"user": [user], "item": [10], "rating": [3.5], "timestamp": [100]}), path)


# --- titles and genres


@pytest.mark.parametrize(
    ("written", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Toy Story (1995)  ", "Toy Story", 1995),
        ("Babylon 5", "Babylon 5", None),
        ("Pasolini (1995-)", "Pasolini", 1995),
        ("Death Note (2006–2007)", "Death Note", 2006),
        ("Death Note (2007-2008)", "Death Note", 2007),
        ("1984 (1956) (1984)", "1984 (1956)", 1984),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Seven (a.k.a. Se7en)", "Seven (a.k.a. Se7en)", None),
        ("(1995)", "(1995)", 1995),
        ("<script>alert(1)</script> (2001)", "<script>alert(1)</script>", 2001),
        ('"American ""President"", The (1995)"', 'American "President", The', 1995),
    ],
)
def test_the_year_is_taken_from_the_end_of_the_title(
    movies_of: Callable[..., Movies], written: str, title: str, year: int | None
) -> None:
    assert rows(movies_of(f"10,{written},Drama").table) == [(10, title, year, ["Drama"])]


@pytest.mark.parametrize(
    ("written", "genres"),
    [("A|B", ["A", "B"]), ("(no genres listed)", []), ("", []), ("A||B|", ["A", "B"]), ("A | B", ["A", "B"])],
)
def test_genres_become_a_list(movies_of: Callable[..., Movies], written: str, genres: list[str]) -> None:
    assert movies_of(f"10,Heat (1995),{written}").table["genres"].to_pylist() == [genres]


def test_movies_are_sorted_and_have_exactly_the_schema(movies_of: Callable[..., Movies]) -> None:
    table = movies_of("20,B (1990),X", "10,A,Y").table
    assert table.schema == MOVIES_SCHEMA
    assert table["movie_id"].to_pylist() == [10, 20]


def test_an_empty_title_becomes_a_placeholder_and_is_counted(movies_of: Callable[..., Movies]) -> None:
    movies = movies_of('10,"",Drama', "20,  ,Drama", "30,Heat,Drama")
    assert movies.table["title"].to_pylist() == ["Movie 10", "Movie 20", "Heat"]
    assert movies.report.movies_without_title == 2


def test_the_first_of_two_rows_of_a_movie_is_kept_and_the_other_counted(movies_of: Callable[..., Movies]) -> None:
    movies = movies_of("10,First,Drama", "20,Other,Drama", "10,Second,Drama")
    assert movies.table["title"].to_pylist() == ["First", "Other"]
    assert movies.report.duplicate_movies == 1


def test_a_bad_movie_id_is_named_with_its_line_also_after_a_quoted_line_break(movies_of: Callable[..., Movies]) -> None:
    with pytest.raises(DataError, match=r"movies.csv: line 4: movieId 'x' is not a whole number"):
        movies_of('10,"Two\nlines",Drama', "x,Heat,Drama")


def test_rated_movies_without_a_row_get_placeholders_and_are_counted(movies_of: Callable[..., Movies]) -> None:
    movies = complete_movies(movies_of("10,,Drama", "20,Heat (1995),Crime"), np.array([5, 10, 30, 30, 20]))
    assert rows(movies.table) == [
        (5, "Movie 5", None, []),
        (10, "Movie 10", None, ["Drama"]),
        (20, "Heat", 1995, ["Crime"]),
        (30, "Movie 30", None, []),
    ]
    assert movies.table.schema == MOVIES_SCHEMA
    assert movies.report.movies_without_title == 3


def test_placeholders_are_called_what_items_are_called() -> None:
    movies = complete_movies(read_movies(DataConfig(layout="custom")), np.array([5]), "TV show")
    assert movies.table["title"].to_pylist() == ["TV show 5"]


def test_complete_movies_are_left_as_they_are(movies_of: Callable[..., Movies]) -> None:
    movies = movies_of("10,Heat,Crime")
    assert complete_movies(movies, np.array([10])) is movies


# --- custom


def test_a_custom_file_is_read_through_its_column_names(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", 'when,who,note,what,stars\n7,1,"a, b",2,4\n')
    config = DataConfig(layout="custom", ratings_file=str(path), columns=ColumnNames("who", "what", "stars", "when"))
    assert rows(read_ratings(config).table) == [(1, 2, 4.0, 7)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".tsv"])
def test_absent_ratings_read_as_the_maximum_and_absent_timestamps_as_zero(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"likes{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"user": pa.array([2, 1], pa.int32()), "item": pa.array([3, 4], pa.int32())}), path)
    else:
        write(path, "user,item\n2,3\n1,4\n".replace(",", "\t" if suffix == ".tsv" else ","))
    config = DataConfig(layout="custom", ratings_file=str(path), columns=ColumnNames(rating="", timestamp=""))
    assert rows(read_ratings(config).table) == [(1, 4, 5.0, 0), (2, 3, 5.0, 0)]


def test_a_custom_file_of_users_and_items_alone_is_implicit_feedback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "likes.csv", "uid,film\n2,3\n1,4\n")
    config = DataConfig(layout="custom", ratings_file=str(path), columns=ColumnNames("uid", "film"))
    assert rows(read_ratings(config).table) == [(1, 4, 5.0, 0), (2, 3, 5.0, 0)]
    assert "no column rating; if it is called otherwise, set data.columns.rating" in caplog.text


@pytest.mark.parametrize("role", ["rating", "timestamp"])
def test_a_column_that_was_named_has_to_be_there(tmp_path: Path, role: str) -> None:
    path = write(tmp_path / "likes.csv", "user,item\n2,3\n")
    columns = ColumnNames(**{role: "mine"})
    with pytest.raises(DataError, match="column 'mine' is missing"):
        read_ratings(DataConfig(layout="custom", ratings_file=str(path), columns=columns))


def test_parquet_timestamps_of_a_date_type_become_seconds(tmp_path: Path) -> None:
    moment = pa.array([86_400_000], pa.timestamp("ms"))
    pq.write_table(pa.table({"user": [1], "item": [2], "rating": [3.5], "timestamp": moment}), tmp_path / "x.parquet")
    config = DataConfig(layout="custom", ratings_file=str(tmp_path / "x.parquet"))
    assert rows(read_ratings(config).table) == [(1, 2, 3.5, 86_400)]


def test_custom_movies_come_from_the_movies_file(tmp_path: Path) -> None:
    path = write(tmp_path / "titles.csv", MOVIES)
    config = DataConfig(layout="custom", movies_file=str(path))
    assert read_movies(config).table["title"].to_pylist() == ["Toy Story", "Heat"]


def test_custom_movies_are_empty_without_a_movies_file() -> None:
    movies = read_movies(DataConfig(layout="custom"))
    assert movies.table.schema == MOVIES_SCHEMA
    assert len(movies.table) == 0


ratings_rows = st.lists(
    st.tuples(
        st.integers(0, 2**63 - 1),
        st.integers(0, 2**63 - 1),
        st.integers(1, 10).map(lambda halves: halves / 2),
        st.integers(10**8, 10**11 - 1),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=20)
@given(ratings_rows)
def test_ratings_written_to_csv_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[int, int, float, int]]
) -> None:
    path = tmp_path_factory.mktemp("round-trip") / "ratings.csv"
    lines = [",".join(map(str, row)) for row in written]
    write(path, "\n".join(["user,item,rating,timestamp", *lines, ""]))
    ratings = read_ratings(DataConfig(layout="custom", ratings_file=str(path)))
    assert rows(ratings.table) == sorted(written)


# --- presplit


@pytest.fixture
def presplit(tmp_path: Path) -> DataConfig:
    """Two users with a train, a validation and a test item each, and negatives for the test items."""
    for name, lines in {
        "train": "user,item,rating,timestamp\n2,10,4,1\n1,10,5,1\n",
        "valid": "user,item,rating,timestamp\n1,20,5,2\n2,20,3,2\n",
        "test": "user,item\n1,30\n2,30\n",
        "negatives": "user,item\n2,50\n1,50\n1,40\n",
    }.items():
        write(tmp_path / f"{name}.csv", lines)
    return DataConfig(
        layout="presplit",
        train_file=str(tmp_path / "train.csv"),
        valid_file=str(tmp_path / "valid.csv"),
        test_file=str(tmp_path / "test.csv"),
        negatives_file=str(tmp_path / "negatives.csv"),
    )


def test_presplit_parts_are_kept_apart_in_one_sorted_table(presplit: DataConfig) -> None:
    ratings = read_ratings(presplit)
    assert ratings.table.schema == PRESPLIT_SCHEMA
    assert rows(ratings.table) == [
        (1, 10, 5.0, 1, "train"),
        (1, 20, 5.0, 2, "validation"),
        (1, 30, 5.0, 0, "test"),
        (2, 10, 4.0, 1, "train"),
        (2, 20, 3.0, 2, "validation"),
        (2, 30, 5.0, 0, "test"),
    ]
    assert ratings.report.rows_read == 6


def test_a_change_of_any_file_of_a_presplit_data_set_is_seen(presplit: DataConfig) -> None:
    names = ("train", "valid", "test", "negatives")
    seen = {signature(presplit)}
    for name in names:
        path = Path(getattr(presplit, f"{name}_file"))
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        seen.add(signature(presplit))
    assert len(seen) == 5


def test_presplit_negatives_are_sorted_pairs(presplit: DataConfig) -> None:
    negatives = read_ratings(presplit).negatives
    assert negatives is not None
    assert negatives.schema == NEGATIVES_SCHEMA
    assert rows(negatives) == [(1, 40), (1, 50), (2, 50)]


def test_validation_and_negatives_may_be_left_out(presplit: DataConfig) -> None:
    ratings = read_ratings(replace(presplit, valid_file="", negatives_file=""))
    assert set(ratings.table["part"].to_pylist()) == {"train", "test"}
    assert ratings.negatives is None


def test_a_train_file_is_required(presplit: DataConfig) -> None:
    with pytest.raises(DataError, match=r"data\.train_file is not set"):
        read_ratings(replace(presplit, train_file=""))
    with pytest.raises(DataError, match=r"train\.csv: column 'stars' is missing"):
        read_ratings(replace(presplit, columns=ColumnNames(rating="stars")))


def test_where_no_scale_is_set_a_part_without_ratings_has_the_best_of_the_others(presplit: DataConfig) -> None:
    write(Path(presplit.valid_file), "user,item,rating,timestamp\n1,20,2,2\n")
    table = read_ratings(replace(presplit, rating_min=0, rating_max=0)).table
    assert [row[2] for row in rows(table) if row[4] == "test"] == [5.0, 5.0]


def test_a_test_file_is_required(presplit: DataConfig) -> None:
    with pytest.raises(DataError, match=r"data\.test_file is not set"):
        read_ratings(replace(presplit, test_file=""))


def test_a_pair_in_two_parts_is_refused_with_both_files(presplit: DataConfig) -> None:
    write(Path(presplit.test_file), "user,item\n1,30\n2,10\n")
    with pytest.raises(DataError, match=r"user 2 and item 10 stand both in .*train\.csv and in .*test\.csv"):
        read_ratings(presplit)


def test_a_negative_that_is_a_positive_of_its_user_or_repeated_is_dropped_and_counted(presplit: DataConfig) -> None:
    write(Path(presplit.test_file), "user,item\n1,30\n2,31\n")
    write(Path(presplit.negatives_file), "user,item\n1,10\n1,30\n2,40\n2,40\n1,40\n2,30\n")
    ratings = read_ratings(presplit)
    assert ratings.negatives is not None
    assert rows(ratings.negatives) == [(1, 40), (2, 30), (2, 40)], "a positive of another user is a negative"
    assert ratings.report.negatives_dropped == 3


def test_a_bad_negative_is_named_with_its_line(presplit: DataConfig) -> None:
    write(Path(presplit.negatives_file), "user,item\n1,40\n1,2.5\n")
    with pytest.raises(DataError, match=r"negatives\.csv: line 3: item '2.5' is not a whole number"):
        read_ratings(presplit)


# --- ids that are texts


def test_an_id_column_is_text_where_one_of_its_ids_is_no_number(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item,rating,timestamp\n2,0330281747,3,5\n10,033028174X,4,5\n")
    table = read_ratings(DataConfig(layout="custom", ratings_file=str(path))).table
    assert table.schema.field("user_id").type == pa.int64()
    assert table.schema.field("movie_id").type == pa.string()
    assert rows(table) == [(2, "0330281747", 3.0, 5), (10, "033028174X", 4.0, 5)]


@pytest.mark.parametrize(
    "ids", [["0501", "501"], ["7", "99999999999999999999"], ["b0a1-4", "ann"], ["1", "Nan", "é"], ["-49", "7"]]
)
def test_ids_that_are_texts_stay_as_they_are_written(tmp_path: Path, ids: list[str]) -> None:
    path = write(tmp_path / "x.csv", "user,item\n" + "".join(f"{one},1\n" for one in ids))
    table = read_ratings(DataConfig(layout="custom", ratings_file=str(path))).table
    assert table["user_id"].to_pylist() == sorted(ids)
    assert table["movie_id"].to_pylist() == [1] * len(ids)


def test_a_text_far_down_a_file_makes_texts_of_all_ids(tmp_path: Path) -> None:
    lines = "".join(f"{n},1\n" for n in range(20_000))
    path = write(tmp_path / "x.csv", f"user,item\n{lines}last,1\n")
    users = read_ratings(DataConfig(layout="custom", ratings_file=str(path))).table["user_id"].to_pylist()
    assert set(users) == {"last", *map(str, range(20_000))}


@pytest.mark.parametrize("name", ["train", "valid", "test", "negatives"])
def test_one_text_in_any_part_makes_texts_of_the_ids_of_all(presplit: DataConfig, name: str) -> None:
    with Path(getattr(presplit, f"{name}_file")).open("a") as file:
        file.write("2,B07,5,9\n" if name in ("train", "valid") else "2,B07\n")
    ratings = read_ratings(presplit)
    assert ratings.negatives is not None
    for table in (ratings.table, ratings.negatives):
        assert table.schema.field("user_id").type == pa.int64()
        assert table.schema.field("movie_id").type == pa.string()
    assert "B07" in {*ratings.table["movie_id"].to_pylist(), *ratings.negatives["movie_id"].to_pylist()}


@pytest.mark.parametrize("text", ["ratings", "titles"])
def test_titles_have_ids_of_the_type_of_the_ratings(tmp_path: Path, text: str) -> None:
    ratings = write(tmp_path / "r.csv", f"user,item\n1,{'a1' if text == 'ratings' else '1'}\n1,2\n")
    movies = write(tmp_path / "t.csv", f"movieId,title,genres\n{'a1' if text == 'titles' else '1'},One,X\n2,Two,Y\n")
    config = DataConfig(layout="custom", ratings_file=str(ratings), movies_file=str(movies))
    of_ratings, of_movies = read_ratings(config).table, read_movies(config)
    assert of_ratings.schema.field("movie_id").type == of_movies.table.schema.field("movie_id").type == pa.string()
    complete = complete_movies(of_movies, of_ratings["movie_id"].to_numpy())
    assert set(of_ratings["movie_id"].to_pylist()) <= set(complete.table["movie_id"].to_pylist())


def test_titles_of_texts_alone_are_placeholders() -> None:
    movies = complete_movies(read_movies(DataConfig(layout="custom")), np.array(["b", "a", "b"]))
    assert rows(movies.table) == [("a", "Movie a", None, []), ("b", "Movie b", None, [])]


def test_presplit_files_have_their_own_column_names(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "uid,film,stars\nann,1,4\nbob,1,2\n")
    test = write(tmp_path / "b.csv", "uid,film\nann,2\n")
    config = DataConfig(
        layout="presplit",
        train_file=str(train),
        test_file=str(test),
        columns=ColumnNames("uid", "film", "stars", ""),
    )
    assert rows(read_ratings(config).table) == [
        ("ann", 1, 4.0, 0, "train"),
        ("ann", 2, 5.0, 0, "test"),
        ("bob", 1, 2.0, 0, "train"),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_empty_id_among_texts_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".csv":
        write(path, "user,item\nann,1\n,2\n")
    else:
        pq.write_table(pa.table({"user": ["ann", None], "item": [1, 2]}), path)
    with pytest.raises(DataError, match=rf"x{suffix}: (line 3|row 2): user is empty"):
        read_ratings(DataConfig(layout="custom", ratings_file=str(path)))


@pytest.mark.parametrize("word", ["NULL", "null", "None", "nan", "NaN", "N/A", "<NA>", r"\N", ""])
@pytest.mark.parametrize("column", ["user", "item"])
def test_a_word_for_a_missing_id_is_no_id_among_texts(tmp_path: Path, word: str, column: str) -> None:
    lines = ["ann,b1", "bob,b2", f"{word},b2" if column == "user" else f"bob,{word}", "cid,b1", "dan,b1", ",b1"]
    path = write(tmp_path / "x.csv", "\n".join(["user,item", *lines, ""]))
    config = DataConfig(layout="custom", ratings_file=str(path))
    with pytest.raises(DataError, match=rf"line 4: {column} (is empty|'.*' stands for a missing id).*bad_rows=drop$"):
        read_ratings(config)
    ratings = read_ratings(replace(config, format=FileFormat(bad_rows="drop")))
    pairs = [("ann", "b1"), ("bob", "b2"), ("cid", "b1"), ("dan", "b1")]
    assert rows(ratings.table.select(["user_id", "movie_id"])) == pairs
    assert (ratings.report.rows_read, ratings.report.bad_rows, ratings.report.rows_without_id) == (6, 2, 2)


def test_a_missing_id_says_how_many_rows_have_none(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,item\nann,1\n" + "NULL,2\n" * 1500)
    with pytest.raises(DataError, match="line 3: user 'NULL' stands for a missing id, as in 1,500 rows; correct"):
        read_ratings(DataConfig(layout="custom", ratings_file=str(path)))


def test_whole_numbers_below_0_and_beyond_64_bits_make_texts_of_stored_ones(tmp_path: Path) -> None:
    users = pa.array([7, 2**63], pa.uint64())
    for name, first in (("a", -49), ("b", 3)):
        pq.write_table(pa.table({"user": users, "item": [first, 2]}), tmp_path / f"{name}.parquet", row_group_size=1)
    for location in (tmp_path / "a.parquet", tmp_path):
        table = read_ratings(DataConfig(layout="custom", ratings_file=str(location))).table
        assert set(table["movie_id"].to_pylist()) >= {"-49", "2"}
        assert set(table["user_id"].to_pylist()) == {"7", "9223372036854775808"}
    path = write(tmp_path / "c.csv", "user,item\n" + "1,2\n" * 2000 + "-1,2\n")
    assert read_ratings(DataConfig(layout="custom", ratings_file=str(path))).table["user_id"].to_pylist() == ["-1", "1"]


def test_a_negative_candidate_without_id_is_dropped_and_counted(presplit: DataConfig) -> None:
    write(Path(presplit.negatives_file), "user,item\n1,40\n1,50\n,50\n2,50\n")
    with pytest.raises(DataError, match=r"negatives\.csv: line 4"):
        read_ratings(presplit)
    ratings = read_ratings(replace(presplit, format=FileFormat(bad_rows="drop")))
    assert ratings.negatives is not None
    assert rows(ratings.negatives) == [(1, 40), (1, 50), (2, 50)]
    assert (ratings.report.bad_rows, ratings.report.negatives_dropped) == (1, 0)


def test_a_columns_name_with_quotes_is_one_identifier() -> None:
    name = 'a "b"'
    assert duckdb.sql(f"SELECT 1 AS {sql_name(name)}").columns == [name]
