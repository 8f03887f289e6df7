"""What ratings files may not hold, how it is said, and what is repaired."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import DataError, EmptyDataError

HEADER = "userId,movieId,rating,timestamp"
Read = Callable[..., Ratings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a ratings.csv with the given lines under its header."""

    def reading(*lines: str, header: str = HEADER) -> Ratings:
        (tmp_path / "ratings.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return read_ratings(DataConfig(dir=str(tmp_path)))

    return reading


def read_bytes(tmp_path: Path, content: bytes, name: str = "ratings.csv") -> Ratings:
    (tmp_path / name).write_bytes(content)
    return read_ratings(DataConfig(dir=str(tmp_path)))


# --- values


@pytest.mark.parametrize(
    "text", ["3.5", "-1", "abc", "nan", "inf", "", " ", "9223372036854775808", "1e3", "0x10", "1_0"]
)
@pytest.mark.parametrize("column", ["userId", "movieId"])
def test_an_id_that_is_not_a_whole_number_in_range_is_refused(read: Read, column: str, text: str) -> None:
    fields = ["1", "10", "3.0", "5"]
    fields[HEADER.split(",").index(column)] = text
    with pytest.raises(DataError, match=rf"ratings\.csv: line 3: {column} '.*' is not a whole number from 0 to 92233"):
        read("1,9,3.0,5", ",".join(fields))


@pytest.mark.parametrize("text", ["0", "9223372036854775807", "7.0", " 7 ", "007"])
def test_whole_numbers_from_0_to_the_largest_int64_are_ids(read: Read, text: str) -> None:
    assert read(f"{text},10,3.0,5").table["user_id"].to_pylist() == [int(text.strip().removesuffix(".0"))]


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-inf", "", "4,5"])
def test_a_rating_that_is_not_a_number_is_refused(read: Read, text: str) -> None:
    with pytest.raises(DataError, match=r"line 2: rating '.*' is not a number"):
        read(f'1,10,"{text}",5')


def test_a_rating_out_of_range_is_refused_with_line_scale_and_setting(tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError) as error:
        read("1,10,3.0,5", "1,11,7.5,5", "1,12,9,5")
    assert str(error.value) == (
        f"{tmp_path / 'ratings.csv'}: line 3: rating 7.5 is outside 0.5-5.0 (MovieLens scale); "
        "fix the file or set data.rating_max, or leave such rows out by data.format.bad_rows=drop"
    )


def test_a_rating_below_the_range_names_the_other_setting(read: Read) -> None:
    with pytest.raises(DataError, match=r"rating 0 is outside .*set data\.rating_min"):
        read("1,10,0,5")
    with pytest.raises(DataError, match=r"rating 5\.0001 is outside"):
        read("1,9,5,5", "1,10,5.0001,5")


def test_the_rating_scale_can_be_set(tmp_path: Path, read: Read) -> None:
    read("1,10,3,5")
    (tmp_path / "ratings.csv").write_text(f"{HEADER}\n1,10,87,5\n")
    config = DataConfig(dir=str(tmp_path), rating_min=0, rating_max=100)
    assert read_ratings(config).table["rating"].to_pylist() == [87.0]


@pytest.mark.parametrize("text", ["-5", "soon", "", "1.5", "nan"])
def test_a_timestamp_that_is_not_a_whole_number_of_seconds_is_refused(read: Read, text: str) -> None:
    with pytest.raises(DataError, match=r"line 2: timestamp '.*' is not a whole number of seconds"):
        read(f"1,10,3.0,{text}")


def test_the_first_of_several_bad_lines_is_named_counting_blank_lines(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 5: rating 'x'"):
        read("1,10,3.0,5", "", "", "1,11,x,5", "y,12,3.0,5")


def test_the_first_bad_line_of_a_large_file_is_named(read: Read) -> None:
    lines = [f"{n},10,3.0,5" for n in range(200_000)]
    lines[150_000] = "x,10,3.0,5"
    lines[199_000] = "1,10,99,5"
    with pytest.raises(DataError, match=r"line 150002: userId 'x'"):
        read(*lines)


# --- repairs


def test_an_exact_duplicate_is_dropped_and_counted(read: Read) -> None:
    ratings = read("1,10,3.0,5", "2,10,3.0,5", "1,10,3.0,5")
    assert len(ratings.table) == 2
    assert (ratings.report.duplicate_rows, ratings.report.duplicate_pairs) == (1, 0)


def test_the_newest_rating_of_a_pair_is_kept(read: Read) -> None:
    ratings = read("1,10,3.0,5", "1,10,4.0,9", "1,10,2.0,7")
    assert ratings.table.to_pylist() == [{"user_id": 1, "movie_id": 10, "rating": 4.0, "timestamp": 9}]
    assert (ratings.report.duplicate_rows, ratings.report.duplicate_pairs) == (0, 2)


def test_the_later_row_wins_among_equally_new_ratings(read: Read) -> None:
    ratings = read("1,10,4.0,5", "1,10,3.0,5")
    assert ratings.table["rating"].to_pylist() == [3.0]


def test_the_later_row_wins_in_a_file_that_many_threads_read(tmp_path: Path) -> None:
    """400,000 ratings of one second: 2,000 pairs over and over, where only the last round is of another rating."""
    rows = [(user, movie) for user in range(1, 41) for movie in range(1, 51)]
    earlier = "".join(f"{user},{movie},1.0,5\n" for user, movie in rows) * 199
    last = "".join(f"{user},{movie},{1 + (user + movie) % 9 / 2},5\n" for user, movie in rows)
    ratings = read_bytes(tmp_path, f"{HEADER}\n{earlier}{last}".encode())
    assert ratings.table["rating"].to_pylist() == [1 + (user + movie) % 9 / 2 for user, movie in rows]


def test_repeated_rows_and_older_ratings_are_counted_apart(read: Read) -> None:
    report = read("1,10,4.0,5", "1,10,3.0,5", "1,10,4.0,5", "1,11,3.0,5").report
    assert (report.rows_read, report.duplicate_rows, report.duplicate_pairs) == (4, 1, 1)


def test_dates_written_as_a_number_are_refused_and_not_read_as_seconds_of_1970(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 2: the timestamp 20170923 is a date .* convert"):
        read("1,1,4,20170923", "1,2,4,20180101")


def test_seconds_that_look_like_a_date_among_others_are_seconds(read: Read) -> None:
    assert read("1,1,4,20170923", "1,2,4,964982703").table["timestamp"].to_pylist() == [20170923, 964982703]


def test_milliseconds_become_seconds_when_every_timestamp_is_one(read: Read) -> None:
    ratings = read("1,10,3.0,964982703999", "1,11,3.0,964982224000")
    assert ratings.table["timestamp"].to_pylist() == [964982703, 964982224]
    assert ratings.report.millisecond_timestamps == 2


def test_of_two_ratings_within_a_second_the_newer_millisecond_wins(read: Read) -> None:
    ratings = read("1,10,4.0,964982703900", "1,10,3.0,964982703100")
    assert ratings.table["rating"].to_pylist() == [4.0]


@pytest.mark.parametrize(
    ("timestamps", "unit"),
    [((964982703, 964982703, 964982703000), "milliseconds"), ((964982703000, 964982703000, 5), "seconds")],
)
def test_seconds_mixed_with_milliseconds_are_refused_at_the_first_odd_line(
    read: Read, timestamps: tuple[int, ...], unit: str
) -> None:
    with pytest.raises(DataError, match=rf"line 4: the timestamp is in {unit} but"):
        read(*(f"1,{n},3.0,{timestamp}" for n, timestamp in enumerate(timestamps)))


def test_microseconds_are_refused(read: Read) -> None:
    with pytest.raises(DataError, match="line 2: the timestamp is neither in seconds nor in milliseconds"):
        read("1,10,3.0,964982703000000")


# --- form


@pytest.mark.parametrize(("line", "found"), [("1,10,3.0", 3), ("1,10,3.0,5,6", 5)])
def test_a_wrong_number_of_fields_is_refused_with_its_line(read: Read, line: str, found: int) -> None:
    with pytest.raises(DataError, match=rf"line 3: {found} field\(s\) where 4 separated by ',' are expected"):
        read("1,9,3.0,5", line)


def test_a_missing_column_is_named(read: Read) -> None:
    with pytest.raises(DataError, match="column 'rating' is missing among the columns 'userId, movieId, timestamp'"):
        read("1,10,5", header="userId,movieId,timestamp")


def test_a_column_that_stands_twice_is_refused(read: Read) -> None:
    with pytest.raises(DataError, match="column 'rating' stands more than once"):
        read("1,10,3,4,5", header="userId,movieId,rating,rating,timestamp")


def test_a_wrong_delimiter_is_said_with_the_header(read: Read) -> None:
    with pytest.raises(
        DataError, match="'userId;movieId;rating;timestamp'; its header must name columns separated by ','"
    ):
        read("1;10;3;5", header=HEADER.replace(",", ";"))


def test_a_wrong_delimiter_in_a_file_without_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: 1 field\(s\) where 4 separated by '::' are expected"):
        read_bytes(tmp_path, b"1,10,3,5\n", "ratings.dat")


def test_a_file_with_only_a_header_is_refused(read: Read) -> None:
    with pytest.raises(EmptyDataError, match=r"ratings\.csv: the file has no ratings"):
        read()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        read_bytes(tmp_path, b"")


def test_a_file_of_blank_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'userId' is missing"):
        read_bytes(tmp_path, b"\n\n\n")


@pytest.mark.parametrize(
    "content", [f"{HEADER}\n1,10,3\0,5\n".encode(), bytes(range(256)) * 20, gzip.compress(b"x" * 99, mtime=0)]
)
def test_binary_content_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"ratings\.csv: the file holds NUL bytes"):
        read_bytes(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        f'{HEADER}\n1,10,"3,5\n'.encode(),
        f"{HEADER}\r\n1,10,3,5\n1,11,3,5\r\n".encode(),
        f"{HEADER},note\n1,10,3,5,\x80\n".encode("latin-1"),
        f"{HEADER}\n1,10,3,5".encode() + b"x" * 3_000_000,
        b"x" * 3_000_000,
        f"{HEADER}\r1,10,3,5\r1,11,x,5\r".encode(),
    ],
    ids=[
        "unterminated quote",
        "mixed line ends",
        "neither UTF-8 nor Latin-1",
        "an endless line",
        "an endless header",
        "a bad value after old Mac line ends",
    ],
)
def test_malformed_text_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"ratings\.csv: ") as error:
        read_bytes(tmp_path, content)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_missing_folder_says_how_to_get_the_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ml-1m: no such folder; run `movierec data fetch ml-1m`"):
        read_ratings(DataConfig(dir=str(tmp_path / "ml-1m")))


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no ratings\.csv, u\.data or ratings\.dat in this folder"):
        read_ratings(DataConfig(dir=str(tmp_path)))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(HEADER)
    with pytest.raises(DataError, match=r"data\.dir is a file"):
        read_ratings(DataConfig(dir=str(tmp_path / "ratings.csv")))


def test_a_missing_movies_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(HEADER)
    with pytest.raises(DataError, match=r"movies\.csv: no such file; run `movierec data fetch"):
        read_movies(DataConfig(dir=str(tmp_path)))


@pytest.mark.parametrize(("name", "problem"), [("nothing.csv", "no such file"), ("", "this is a folder")])
def test_a_custom_path_that_is_no_file_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_ratings(DataConfig(layout="custom", ratings_file=str(tmp_path / name)))


def test_a_custom_layout_without_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.ratings_file is not set"):
        read_ratings(DataConfig(layout="custom"))


def test_a_custom_layout_needs_user_and_item_columns(tmp_path: Path) -> None:
    config = DataConfig(layout="custom", ratings_file=str(tmp_path / "x.csv"), columns=ColumnNames(user=""))
    with pytest.raises(DataError, match=r"data\.columns\.user and data\.columns\.item"):
        read_ratings(config)


# --- Parquet


def custom(path: Path) -> DataConfig:
    return DataConfig(layout="custom", ratings_file=str(path))


@pytest.mark.parametrize("content", [b"user,item\n1,2\n", b"PAR1", b"\0" * 100])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ratings.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"ratings\.parquet: this is not a complete Parquet file"):
        read_ratings(custom(path))


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"user": list(range(1000)), "item": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="this is not a complete Parquet file"):
        read_ratings(custom(path))


@pytest.mark.parametrize("bad", [None, 2.5, -1.0, float("nan")])
def test_a_bad_id_in_parquet_is_named_with_its_row(tmp_path: Path, bad: float | None) -> None:
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"user": [1.0, bad], "item": [1, 2], "rating": [3.0, 3.0], "timestamp": [1, 1]}), path)
    with pytest.raises(DataError, match=r"ratings\.parquet: row 2: user '.*' is not a whole number"):
        read_ratings(custom(path))


def test_a_missing_parquet_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"user": [1], "rating": [1.0]}), path)
    with pytest.raises(DataError, match="column 'item' is missing"):
        read_ratings(custom(path))
