"""Files as people publish them: read without settings, or refused with the setting that says how."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.config import load_settings
from movierec_engine.data import item_sections
from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.data.text_form import plain_text
from movierec_engine.errors import ConfigError, DataError

TOLD: dict[str, Any] = {"rating_min": 0.0, "rating_max": 0.0}
"""The scale as the group `custom` has it: told from the data."""
Read = Callable[..., Ratings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the ratings of a file with the given content."""

    def reading(content: str | bytes, name: str = "x.csv", encoding: str = "utf-8", **given: Any) -> Ratings:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_ratings(DataConfig(ratings_file=str(path), **{**TOLD, **given}))

    return reading


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


PUBLISHED = {
    "filmtrust": ("ratings.txt", "1 1 2\n1 2 4\n2 1 3.5\n", [(1, 1, 2.0, 0), (1, 2, 4.0, 0), (2, 1, 3.5, 0)]),
    "book-crossing": (
        "BX-Book-Ratings.csv",
        '"User-ID";"ISBN";"Book-Rating"\r\n"276725";"034545104X";"0"\r\n"276762";"\\"0670894605\\"";"5"\r\n'
        '"276762";"3;44 \xe9";"10"\r\n',
        [(276725, "034545104X", 0.0, 0), (276762, '"0670894605"', 5.0, 0), (276762, "3;44 \xe9", 10.0, 0)],
    ),
    "lastfm": (
        "user_artists.dat",
        "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n",
        [(2, 51, 13883.0, 0), (2, 52, 11690.0, 0)],
    ),
    "restaurants": (
        "rating_final.csv",
        "userID,placeID,rating,food_rating,service_rating\nU1077,135085,2,2,2\nU1068,135085,1,1,2\n",
        [("U1068", 135085, 1.0, 0), ("U1077", 135085, 2.0, 0)],
    ),
    "foursquare": (
        "dataset_TSMC2014_NYC.txt",
        "470\t49bbd6c0\t4bf58dd8\tArts & Crafts\t40.7198\t-74.0026\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
        "979\t4a43c0ae\t4bf58dd8\tCaf\xe9\t40.6068\t-74.0442\t-240\tTue Apr 03 18:00:25 +0000 2012\n",
        [(470, "49bbd6c0", 1.0, 1333476009), (979, "4a43c0ae", 1.0, 1333476025)],
    ),
    "ratings four to a line": (
        "ratings.txt", "1 2 5 978300760\n2 2 3 978300761\n", [(1, 2, 5.0, 978300760), (2, 2, 3.0, 978300761)]
    ),
    "check-ins": (
        "checkins.txt", "1,2,1333476009\n2,2,1333476025\n", [(1, 2, 1.0, 1333476009), (2, 2, 1.0, 1333476025)]
    ),
    "items known by their titles, and a column without name": (
        "hours.csv", "user-id,game-title,value,\n7,Fallout 4,87,\n8,Spore,14.9,1\n",
        [(7, "Fallout 4", 1.0, 0), (8, "Spore", 1.0, 0)],
    ),
    "an index that pandas wrote": ("likes.csv", ",user,item\n0,5,7\n1,6,7\n", [(5, 7, 1.0, 0), (6, 7, 1.0, 0)]),
    "several names of one thing": ("x.csv", "userhash,uid,item\nx,1,7\ny,2,7\n", [(1, 7, 1.0, 0), (2, 7, 1.0, 0)]),
    "gowalla": ("train.txt", "0 0 1 2\n1 4 5\n2 1 \n3\n", [(0, 0), (0, 1), (0, 2), (1, 4), (1, 5), (2, 1)]),
    "recbole": (
        "ml.inter",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t0501\t3\t881250949.0\n1\t7\t4\t881250950.5\n",
        [(1, "0501", 3.0, 881250949), (1, "7", 4.0, 881250950)],
    ),
    "netflix": (
        "combined_data_1.txt",
        "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n\n2:\n822109,4,2005-05-14\n",
        [(822109, 1, 5.0, 1115942400), (822109, 2, 4.0, 1116028800), (1488844, 1, 3.0, 1125964800)],
    ),
    "retailrocket": (
        "events.csv",
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n1433224214164,2,view,3,4\n",
        [(2, 3, 1.0, 1433224214), (257597, 355908, 1.0, 1433221332)],
    ),
    "amazon": (
        "reviews.csv",
        "reviewerID,asin,overall,reviewTime\nA1,0001,5,\"09 13, 2009\"\n",
        [("A1", "0001", 5.0, 1252800000)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_data_set_is_read_by_the_name_of_its_file_alone(tmp_path: Path, name: str) -> None:
    file, content, expected = PUBLISHED[name]
    (tmp_path / file).write_bytes(content.encode("latin-1"))
    config = load_settings([f"data.ratings_file={tmp_path / file}", "device=cpu"]).data
    assert [row[: len(expected[0])] for row in rows(read_ratings(config).table)] == expected


def test_a_published_split_needs_no_layout(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 1 2\n1 2 3 4\n")
    (tmp_path / "test.txt").write_text("0 3\n1 1 5\n")
    files = [f"data.{part}_file={tmp_path / part}.txt" for part in ("train", "test")]
    ratings = read_ratings(load_settings([*files, "data.format.rows=lists", "device=cpu"]).data)
    assert ratings.presplit
    assert len(ratings.table) == 8


def test_what_was_decided_is_said_in_one_line(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "movierec_engine"):
        read("User-ID;ISBN;Book-Rating\n1;0501;0\n2;7;10\n")
    (line,) = [record.message for record in caplog.records if "is read as" in record.message]
    assert line.endswith(
        "x.csv is read as UTF-8 text, fields separated by semicolon, with a header; user = User-ID, item = ISBN, "
        "rating = Book-Rating, no times; users are numbers, items are texts; ratings from 0 to 10"
    )


def test_a_bad_row_below_an_items_line_is_named_by_its_line_in_the_file(read: Read) -> None:
    with pytest.raises(DataError, match="line 6: "):
        read("\ufeff1:\r\n7,3,2005-09-06\r\n8,4,2005-09-06\r\n2:\r\n\r\n,5,2005-09-06\r\n9,1,2005-09-06\r\n", "x.txt")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_items_lines_may_lie_across_the_blocks_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    (tmp_path / "x.txt").write_bytes(
        end.join(["12:", "7,3,2005-09-06", "345:", "", "8,4,2005-09-06", "9,1,x"]).encode()
    )
    expected = end.join(["", "7,12,3,2005-09-06", "", "", "8,345,4,2005-09-06", "9,345,1,x"]).encode()
    for size in range(1, 40):
        monkeypatch.setattr(item_sections, "_BLOCK_BYTES", size)
        copy = io.BytesIO()
        item_sections.write_with_items(tmp_path / "x.txt", copy)
        assert copy.getvalue() == expected


def test_a_colon_at_the_end_of_a_line_alone_makes_no_items(read: Read) -> None:
    table = read("user,item\n7,a:\n8,b:\n").table
    assert rows(table.select(["user_id", "movie_id"])) == [(7, "a:"), (8, "b:")]


# --- packing and encoding

PLAIN = "user,item,rating\n\xe9ric,1,3\nbob,2,4\n"


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst", "zip"])
def test_a_packed_file_is_unpacked_whatever_it_is_called(read: Read, tmp_path: Path, packing: str) -> None:
    content = PLAIN.encode()
    if packing == "zip":
        with zipfile.ZipFile(tmp_path / "z", "w") as archive:
            archive.writestr("inside.csv", content)
        packed = (tmp_path / "z").read_bytes()
    elif packing == "zst":
        packed = pa.compress(content, codec="zstd", asbytes=True)
    else:
        packed = {"gz": gzip, "bz2": bz2, "xz": lzma}[packing].compress(content)  # type: ignore[attr-defined]
    assert rows(read(packed, "ratings.data").table) == [("bob", 2, 4.0, 0), ("\xe9ric", 1, 3.0, 0)]
    if packing == "zip":
        with zipfile.ZipFile(tmp_path / "z", "a") as archive:
            archive.writestr("other.csv", content)
        with pytest.raises(DataError, match="the archive holds 2 files, not one"):
            read((tmp_path / "z").read_bytes())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
def test_the_encoding_is_told_from_the_bytes(read: Read, encoding: str) -> None:
    name = "\u20acric" if encoding == "cp1252" else "\xe9ric"
    assert rows(read(PLAIN.replace("\xe9ric", name), encoding=encoding).table)[1][0] == name


def test_a_text_that_ends_within_a_character_is_no_utf8(read: Read) -> None:
    assert rows(read(b"user,item\nann,caf\xc3").table)[0][1] == "caf\xc3"


def test_of_a_file_of_long_lines_whole_ones_alone_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("a" * 200_000 + "\n" + "b" * 200_000 + "\n")
    assert plain_text(path, "", tmp_path).head() == ["a" * 200_000]


@pytest.mark.parametrize("damage", [b"\x1f\x8b\x08\x00broken", b"PK\x03\x04broken", b"\x28\xb5\x2f\xfdbroken"])
def test_a_damaged_archive_is_refused(read: Read, damage: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.csv: cannot be unpacked"):
        read(damage)


@pytest.mark.parametrize(("line", "sign"), [("sep=;", ";"), ("SEP=|", "|"), ("sep=,", ","), ("sep=\t", "\t")])
@pytest.mark.parametrize("header", [["user", "item", "rating"], []])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_excels_first_line_says_the_delimiter(
    read: Read, line: str, sign: str, header: list[str], encoding: str
) -> None:
    lines = [line, *([sign.join(header)] if header else []), sign.join(["1", "2", "3"]), sign.join(["1", "3", "x"])]
    with pytest.raises(DataError, match=rf"line {len(lines)}: \w+ 'x' is not a number"):
        read("\r\n".join(lines), encoding=encoding, columns=ColumnNames(rating="rating" if header else "column3"))
    assert rows(read("\r\n".join(lines[:-1]), encoding=encoding).table) == [(1, 2, 3.0, 0)]


# --- what cannot be told


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("kunde,artikel\nann,b07\nbob,b08\n", "data.format.header=yes or data.format.header=no"),
        ("user,item,rating,time\n1,2,3,03/04/2012\n", "data.format.times"),
        ("user,item,rating,time\n1,2,3,2012\n", "are years"),
        ("user;item;rating\n1;2;352,698\n", "data.format.decimal"),
        ("user,artist,track\n1,2,3\n", "data.columns.item=artist"),
        ("user,item,stars,plays\n1,2,3,4\n", "data.columns.rating=stars"),
        ("1,2,3,5,7\n2,3,4,5,6\n", r"may be column3 or column4 or column5 .* data\.columns\.rating=column3"),
        ("1,2010-10-17T01:48:53Z,39.7,-104.9,88c\n", "column2 of a file without header holds times"),
        ("0 1 2 3 4\n1 2 3 4 5\n", "data.format.rows"),
        ("ann,news\nbob,sports\n", "data.format.header=yes or data.format.header=no"),
        ("nothing\nhere\n", "data.format.delimiter"),
        ('[{"user_id": "a", "stars": 4}]\n', "holds JSON"),
        ("1,2,1333476009,4\n", "data.columns.rating=column4"),
        ("a,b,rating\n1,2,3\n", r"column 'user' is missing .* set data\.columns\.user"),
        (
            "user,item,rating,time\n1,2,3,2012-04-03\n1,3,3,soon\n1,4,3,2012-04-05\n",
            r"line 3: time 'soon' is not a time",
        ),
        ("user,item,item\n1,2,3\n", "column 'item' stands more than once"),
        ("user;item;rating\n1;2;1,5\n1;3;2.5\n", r"line 2: rating '1,5' is not a number"),
        ("user,item,rating,time\n1,2,3,1960-04-03\n", r"line 2: time '1960-04-03' is not a time since 1970"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_setting_that_says_it(read: Read, content: str, remedy: str) -> None:
    with pytest.raises(DataError, match=remedy) as error:
        read(content)
    assert "\n" not in str(error.value)


def test_settings_say_what_cannot_be_told(read: Read) -> None:
    table = read(
        "ann|b07|1,5|03/04/2012\n",
        format=FileFormat(header="no", times="%d/%m/%Y", decimal=","),
        columns=ColumnNames("column1", "column2", "column3", "column4"),
    ).table
    assert rows(table) == [("ann", "b07", 1.5, 1333411200)]
    named = ColumnNames("kunde", "artikel")
    assert rows(read("kunde,artikel\nann,b07\n", columns=named).table) == [("ann", "b07", 1.0, 0)], "a header by them"
    with pytest.raises(DataError, match="'user' is named for two things"):
        read("user,item\n1,2\n", columns=ColumnNames("user", "user"))


def test_bad_settings_of_the_format_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.format\.header=maybe is not known"):
        FileFormat(header="maybe")


# --- bad rows


def test_bad_rows_are_refused_with_their_line_or_dropped_and_counted(read: Read) -> None:
    content = "user;item;rating\n1;2;3\n1;3;4;5\n;4;4\n2;5;bad\n2;b7;2\n3;2;1\n"
    with pytest.raises(DataError, match=r"[Ll]ine 3: 4 field"):
        read(content)
    ratings = read(content, format=FileFormat(bad_rows="drop"))
    assert rows(ratings.table) == [(1, "2", 3.0, 0), (2, "b7", 2.0, 0), (3, "2", 1.0, 0)]
    assert (ratings.report.bad_rows, ratings.report.rows_read) == (3, 6)


def test_a_bad_line_of_a_list_is_named(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 2: column2 '5.5' is not a whole number"):
        read("0 1 2\n1 4 5.5 6\n", format=FileFormat(rows="lists"))


# --- times


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1333476009", 1333476009),
        ("99999999999", 99999999999),
        ("100000000000", 100000000),
        ("30120403", 30120403),
        ("1333476009.75", 1333476009),
        ("1.333476009E9", 1333476009),
        ("1333476009750", 1333476009),
        ("1333476009750000", 1333476009),
        ("1333476009750000000", 1333476009),
        ("2012-04-03", 1333411200),
        ("2012-04-03T18:00:09Z", 1333476009),
        ("2012-04-03 20:00:09.5+02:00", 1333476009),
        ("2012-04-03T20:00:09+0200", 1333476009),
        ("2012-04-03 18:00:09 UTC", 1333476009),
        ("20120403", 1333411200),
        ("20120403180009", 1333476009),
        ("201204031800", 1333476000),
        ("Tue Apr 03 20:00:09 +0200 2012", 1333476009),
        ("25/04/2012 18:00", 1335376800),
        ("25.04.2012", 1335312000),
        ("2012/04/03", 1333411200),
        ("2012-04-03 20:00:09 +0200", 1333476009),
        ("2012-04-03 20:00:09 +02:00", 1333476009),
        ("2012-04-03 20:00:09 +02", 1333476009),
        ("2012-04-03 6:00:09 PM", 1333476009),
        ("20120403T180009Z", 1333476009),
        ("20120403T180009", 1333476009),
        ("20120403T200009+0200", 1333476009),
        ("3. Apr 2012", 1333411200),
        ("3. April 2012 18:00", 1333476000),
        ("Apr 3 2012", 1333411200),
        ("May 3 2012 06:00:09 pm", 1336068009),
        ("3-Apr-2012 18:00:09", 1333476009),
    ],
)
def test_times_are_understood_as_they_are_written(read: Read, written: str, seconds: int) -> None:
    table = read(f'user;item;rating;time\n1;2;3;"{written}"\n').table
    assert table["timestamp"].to_pylist() == [seconds]


@pytest.mark.parametrize(
    ("written", "form", "seconds"),
    [
        ("24.01.21 14:42", "%d.%m.%y %H:%M", 1611499320),
        ("1/24/21", "%m/%d/%y", 1611446400),
        ("24-Jan-21", "%d-%b-%y", 1611446400),
    ],
)
def test_years_of_two_digits_are_refused_with_a_setting_that_reads_them(
    read: Read, written: str, form: str, seconds: int
) -> None:
    content = f"user;item;time\n1;2;{written}\n"
    with pytest.raises(DataError, match=f"has a year of two digits; .*'data.format.times=\"{re.escape(form)}\"'$"):
        read(content)
    assert read(content, format=FileFormat(times=form)).table["timestamp"].to_pylist() == [seconds]


def test_times_of_no_known_form_are_refused_with_an_example(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 2: time 'in Mai' is not a time of a known form; .*data\.format\.times="):
        read("user;item;time\n1;2;in Mai\n1;3;im Juni\n")


def test_one_bad_date_among_others_is_named(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 3: time 'soon' is not a time since 1970 by the form .*%d\.%m\.%Y"):
        read("user;item;time\n1;2;25.04.2012\n1;3;soon\n1;4;26.04.2012\n")


def test_the_newer_of_two_times_within_a_second_wins(read: Read) -> None:
    table = read("user,item,rating,time\n1,2,3,1333476009.75\n1,2,4,1333476009.5\n").table
    assert rows(table) == [(1, 2, 3.0, 1333476009)]


def test_a_unit_that_changes_is_refused(read: Read) -> None:
    for other in (1333476009750000000, 10**17):
        with pytest.raises(DataError, match=r"line 3: the timestamp is not in microseconds"):
            read(f"user,item,rating,time\n1,2,3,1333476009750000\n1,3,4,{other}\n")


# --- scales


def test_the_scale_is_told_from_the_data_unless_it_is_set(read: Read) -> None:
    content = "user,item,plays\n1,2,352698\n2,2,-1.5\n"
    assert read(content).scale() == (-1.5, 352698)
    with pytest.raises(DataError, match=r"plays 352698 is outside 1\.0-5\.0; fix the file or set data\.rating_max"):
        read(content, rating_min=1.0, rating_max=5.0)


def test_a_file_of_which_most_rows_are_bad_is_not_read(read: Read) -> None:
    with pytest.raises(DataError, match="2 of 3 rows cannot be read, too many to drop"):
        read("user,item,rating\n1,2,x\n1,3,y\n2,3,1\n", format=FileFormat(bad_rows="drop"))


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        (["12,50", "999,00", "1.001,30"], [12.5, 999.0, 1001.3]),
        (["12.50", "999.00", "1,001.30"], [12.5, 999.0, 1001.3]),
        (["3,5", "1.001"], [3.5, 1001.0]),
        (["12", "1.234.567"], [12.0, 1234567.0]),
        (["12", "1,234,567"], [12.0, 1234567.0]),
        (["0,500", "2,125"], [0.5, 2.125]),
        (["3.125", "4", "0.500"], [3.125, 4.0, 0.5]),
        (["3.125", "4", "2.875"], [3.125, 4.0, 2.875]),
        (["12", "1.001", "5.25"], [12.0, 1.001, 5.25]),
        (["12", "1234.001"], [12.0, 1234.001]),
        (["-1,5", "2", "1e2"], [-1.5, 2.0, 100.0]),
        ([".5", "2.", "3"], [0.5, 2.0, 3.0]),
    ],
)
def test_numbers_are_understood_as_they_are_written(read: Read, written: list[str], numbers: list[float]) -> None:
    lines = [f"{user};2;{text}" for user, text in enumerate(written)]
    table = read("\n".join(["user;item;rating", *lines, ""])).table
    assert table["rating"].to_pylist() == pytest.approx(numbers)


@pytest.mark.parametrize(
    "written",
    [
        ["12", "999", "1.001", "5.250", "12.000"],
        ["12", "999", "1,001"],
        ["1,001", "5,250"],
        ["1.001", "12.500", "99.125"],
    ],
)
def test_what_may_be_thousands_or_fractions_is_read_as_the_setting_says(read: Read, written: list[str]) -> None:
    lines = [f"{user};2;{text}" for user, text in enumerate(written)]
    content = "\n".join(["user;item;rating", *lines, ""])
    with pytest.raises(DataError, match=r"whether 1.001 is a fraction or a number of thousands cannot be told"):
        read(content)
    for decimal, other in ((".", ","), (",", ".")):
        numbers = [float(text.replace(other, "").replace(",", ".")) for text in written]
        table = read(content, format=FileFormat(decimal=decimal)).table
        assert table["rating"].to_pylist() == pytest.approx(numbers)


def test_numbers_that_are_stored_as_such_have_no_thousands(tmp_path: Path) -> None:
    weights = pa.array([Decimal("12.500"), Decimal("99.125")], pa.decimal128(9, 3))
    pq.write_table(pa.table({"user": [1, 2], "item": [3, 4], "weight": weights}), tmp_path / "x.parquet")
    table = read_ratings(DataConfig(ratings_file=str(tmp_path / "x.parquet"), **TOLD)).table
    assert table["rating"].to_pylist() == [12.5, 99.125]


def test_a_comma_below_rows_of_whole_numbers_is_refused_with_the_setting(read: Read) -> None:
    lines = "".join(f"{user};2;3\n" for user in range(1001))
    with pytest.raises(DataError, match=r"line 1003: rating '3,5' is not a number .* set data\.format\.decimal"):
        read(f"user;item;rating\n{lines}1;3;3,5\n")


def test_a_number_whose_thousands_are_parted_wrongly_is_none(read: Read) -> None:
    with pytest.raises(
        DataError, match=r"line 3: rating '1\.5' is not a number with a comma before the fraction; correct"
    ):
        read("user;item;rating\n1;2;1,5\n1;3;1.5\n", format=FileFormat(decimal=","))


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("1", "0")])
def test_flags_are_1_and_0_and_zeros_that_count_are_warned_of(
    read: Read, caplog: pytest.LogCaptureFixture, words: tuple[str, str]
) -> None:
    yes, no = words
    content = f"user,item,rating\n1,2,{yes}\n1,3,{no}\n2,2,{yes}\n2,4,{yes}\n"
    assert read(content, rating_threshold=0.0).table["rating"].to_pylist() == [1, 0, 1, 1]
    (said,) = [one.getMessage() for one in caplog.records if "count as interactions" in one.getMessage()]
    assert "x.csv: of rating 25.0 % are 0, which count" in said
    caplog.clear()
    read(content, rating_threshold=1.0)
    assert "count as interactions" not in caplog.text


def test_flags_of_parquet_are_1_and_0(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, 2], "item": [7, 7], "rating": [True, False]}), tmp_path / "x.parquet")
    table = read_ratings(DataConfig(ratings_file=str(tmp_path / "x.parquet"), **TOLD)).table
    assert table["rating"].to_pylist() == [1, 0]
    with pytest.raises(DataError, match=r"row 2: rating false is outside 0\.5-5\.0"):
        read_ratings(DataConfig(ratings_file=str(tmp_path / "x.parquet")))


# --- many files


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


# --- titles


def titles(folder: Path, content: str, **given: Any) -> list[tuple[object, ...]]:
    (folder / "titles").write_text(content)
    return rows(read_movies(DataConfig(movies_file=str(folder / "titles"), layout="custom", **given)).table)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id\tname\turl\n51\tDuran \"D\" Duran\thttp://x\n", [(51, 'Duran "D" Duran', None, [])]),
        (
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "1\tToy Story\t1995\tAnimation Comedy\n",
            [(1, "Toy Story", 1995, ["Animation", "Comedy"])],
        ),
        (
            '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"\n'
            '"0195153448";"Classical; Mythology";"Morford";"2002"\n',
            [("0195153448", "Classical; Mythology", 2002, [])],
        ),
        ("1::Heat (1995)::Crime|Drama\n", [(1, "Heat", 1995, ["Crime", "Drama"])]),
        ("business_id,name,categories\nb1,Deli,\"Food, Coffee\"\n", [("b1", "Deli", None, ["Food", "Coffee"])]),
        (
            "id\tname\tgenres\n1\tA\t['Krimi', \"Children's\", 'a\\'b, c']\n2\tB\t[\"Kom\\u00f6die\", \"Sci, Fi\"]\n"
            "3\tC\t[]\n4\tD\t['Drama']\n5\tE\t[x|y]\n",
            [
                (1, "A", None, ["Krimi", "Children's", "a'b, c"]),
                (2, "B", None, ["Komödie", "Sci, Fi"]),
                (3, "C", None, []),
                (4, "D", None, ["Drama"]),
                (5, "E", None, ["[x|y]"]),
            ],
        ),
        (
            "id,name,genres\n1,A,\"x,y\"\n2,B,\"x,z\"\n3,C,a|b\n",
            [(1, "A", None, ["x", "y"]), (2, "B", None, ["x", "z"]), (3, "C", None, ["a|b"])],
        ),
    ],
)  # fmt: skip
def test_titles_genres_and_years_are_found_by_usual_names(
    tmp_path: Path, content: str, expected: list[tuple[object, ...]]
) -> None:
    assert titles(tmp_path, content) == expected


def test_titles_are_mapped_and_their_genres_split_as_settings_say(tmp_path: Path) -> None:
    columns = ColumnNames(id="nr", title="heading", genres="kinds", year="made")
    content = "nr,heading,kinds,made\n1,One,a/b,1999-05-01\n2,,c,\n"
    assert titles(tmp_path, content, columns=columns, genres_separator="/", item_noun="book") == [
        (1, "One", 1999, ["a", "b"]),
        (2, "Book 2", None, ["c"]),
    ]


# --- any dialect

_names = st.text(
    st.characters(codec="latin-1", exclude_categories=("C", "Z"), exclude_characters='"\\,;|\t:'),
    min_size=1,
    max_size=8,
)
_tables = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 10**6).map(str), _names),
        st.one_of(st.integers(0, 10**6).map(lambda n: f"{n:07}"), st.uuids().map(str)),
        st.integers(-100, 1000).map(lambda quarters: quarters / 4),
        st.integers(10**8, 4 * 10**9),
    ),
    min_size=2,
    max_size=12,
    unique_by=lambda row: row[:2],
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    _tables,
    st.sampled_from(["\t", ";", "|", ",", "::"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_table_written_in_any_dialect_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[tuple[str, str, float, int]],
    delimiter: str,
    quoted: bool,
    encoding: str,
    comma: bool,
    iso: bool,
    packed: bool,
) -> None:
    quoted = quoted and delimiter != "::"
    comma = comma and delimiter in "\t;|"

    def field(value: str) -> str:
        return f'"{value}"' if quoted else value

    lines = [delimiter.join(map(field, ("userId", "item_id", "rating", "timestamp")))]
    for user, item, rating, time in table:
        written = f"{rating:.2f}".replace(".", ",") if comma else str(rating)
        moment = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") if iso else str(time)
        lines.append(delimiter.join(map(field, (user, item, written, moment))))
    content = ("\n".join(lines) + "\n").encode(encoding)
    path = tmp_path_factory.mktemp("dialect") / "table"
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    read = read_ratings(DataConfig(ratings_file=str(path), **TOLD)).table
    users = [user for user, *_ in table]
    numbers = all(user == "0" or (user.isascii() and user.isdecimal() and user[0] != "0") for user in users)
    kind = int if numbers else str
    assert rows(read) == sorted((kind(user), *rest) for user, *rest in table)
