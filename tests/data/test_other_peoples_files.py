"""Files as people publish them: read without settings, or refused with the setting that says how."""

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_files import TOLD, Read, rows
from pyarrow import feather

from movierec_engine.config import load_settings
from movierec_engine.data import item_sections
from movierec_engine.data.config import ColumnNames, DataConfig, FileFormat
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.data.text_form import plain_text
from movierec_engine.errors import ConfigError, DataError

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


def test_files_of_databases_and_of_other_programs_are_called_by_their_name(read: Read, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "r.db") as database:
        database.execute("CREATE TABLE r (user_id INT, item_id INT)")
    database.close()
    feather.write_feather(pa.table({"user": [1], "item": [2]}), str(tmp_path / "r.feather"), compression="uncompressed")
    with zipfile.ZipFile(tmp_path / "r.xlsx", "w") as book:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            book.writestr(name, "<x/>")
    said = {
        "r.db": "a SQLite database; export",
        "r.feather": "an Arrow or Feather",
        "r.xlsx": "an Excel workbook; save",
    }
    for name, sentence in said.items():
        with pytest.raises(DataError, match=f"{name}: this is {sentence}"):
            read((tmp_path / name).read_bytes(), name)
    for dump in (
        "-- MySQL dump\nDROP TABLE IF EXISTS `r`;\nINSERT INTO `r` VALUES (1,2);\n",
        "insert into r values (1,2)",
    ):
        with pytest.raises(DataError, match=r"these are SQL statements; load them into a database and export"):
            read(dump)


def test_a_table_whose_texts_look_like_other_files_is_read(read: Read) -> None:
    content = "ORCID,item\nARROW1,Drop table tennis\nINSERT INTO,2\n"
    found = rows(read(content, columns=ColumnNames(user="ORCID")).table)
    assert [row[:2] for row in found] == [("ARROW1", "Drop table tennis"), ("INSERT INTO", "2")]


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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("above", "sign", "header"),
    [
        (["# exported 2021", "# by \"me, myself"], ",", ["user", "item", "rating"]),
        (["% bip weighted", "% 100 100 100"], "\t", []),
        (["% bip weighted", "% 100 100 100"], " ", []),
        (["# a list", "", "## of ratings", ""], ";", ["#user", "item", "rating"]),
        (["# Nodes: 10 Edges: 20"], "\t", ["# user", "item", "rating"]),
        ([], ",", []),
        (["", ""], ",", ["user", "item", "rating"]),
        (["sep=;", "", "# exported"], ";", ["user", "item", "rating"]),
    ],
    ids=["csv", "konect", "konect by spaces", "blank lines", "snap", "none", "blank", "excel"],
)  # fmt: skip
def test_comments_above_the_rows_are_passed_over(
    read: Read, above: list[str], sign: str, header: list[str], end: str
) -> None:
    lines = [*above, *([sign.join(header)] if header else []), *(sign.join(row) for row in ("123", "134", "143"))]
    user, item, rating = header or ("column1", "column2", "column3")
    columns = ColumnNames(user=user, item=item, rating=rating)
    assert rows(read(end.join(lines), columns=columns).table) == [(1, 2, 3.0, 0), (1, 3, 4.0, 0), (1, 4, 3.0, 0)]
    with pytest.raises(DataError, match=rf"line {len(lines) + 1}: {rating} 'x' is not a number"):
        read(end.join([*lines, sign.join("15x")]), columns=columns)


def test_rows_that_begin_like_comments_are_rows(read: Read) -> None:
    table = read("#one,#a,1\n#two,#b,2\n%,#c,3\n", format=FileFormat(header="no")).table
    assert [row[:2] for row in rows(table)] == [("#one", "#a"), ("#two", "#b"), ("%", "#c")]


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


def test_a_row_that_is_dropped_does_not_decide_what_ids_are(read: Read) -> None:
    rest = "2,5,4,1600000003\n"
    for content in (
        f"user,item,rating,time\n1,2,3,1600000000\nuser,item,rating,time\n{rest}",
        f"user,item,rating\n1,2,3\nuser,item,rating\n{rest[:6]}\n",
        f"user,item,time\n1,2,1600000000\nuser,item,time\n{rest[:4]}1600000003\n",
    ):
        with pytest.raises(DataError, match=r"line 3: .* or leave such rows out by data\.format\.bad_rows=drop$"):
            read(content)
        ratings = read(content, format=FileFormat(bad_rows="drop"))
        assert [row[:2] for row in rows(ratings.table)] == [(1, 2), (2, 5)]
        assert ratings.report.bad_rows == 1


def test_a_word_among_numbers_makes_texts_of_them_where_its_row_can_be_read(read: Read) -> None:
    table = read(
        "user,item,liked\n1,2,True\nann,2,false\n2,5,\n",
        format=FileFormat(bad_rows="drop"),
        columns=ColumnNames(rating="liked"),
    ).table
    assert rows(table) == [("1", 2, 1.0, 0), ("ann", 2, 0.0, 0)]


def test_a_line_of_other_fields_is_refused_with_how_to_drop_it(read: Read) -> None:
    with pytest.raises(
        DataError, match=r"line 3: 1 field.* correct the line, or leave such lines out by data\.format\.bad"
    ):
        read("user,item,rating\n1,2,3\n# part two\n2,2,3\n")


def test_a_bad_line_of_a_list_is_named(read: Read) -> None:
    with pytest.raises(DataError, match=r"line 2: column2 '5.5' is not a whole number"):
        read("0 1 2\n1 4 5.5 6\n", format=FileFormat(rows="lists"))


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
        (
            "id\tname\tgenres\trelease_date\n"
            "1\tA\t[{'id': 16, 'name': 'Animation'}, {'id': 35, 'name': \"Children's\"}]\t1995-10-30\n"
            '2\tB\t[{"id": 16, "name": "Kom\\u00f6die"}, {"id": 3}]\t\n'
            "3\tC\t[{'title': 'It\\'s', 'more': None}]\t\n4\tD\t[{'id': 16}]\t\n5\tE\t[]\t\n",
            [
                (1, "A", 1995, ["Animation", "Children's"]),
                (2, "B", None, ["Komödie"]),
                (3, "C", None, ["It's"]),
                (4, "D", None, []),
                (5, "E", None, []),
            ],
        ),
        (
            "id\tname\tyear\tgenres\n1\t\\N\t\\N\t\\N\n2\tB\t1990\tBooks,Crime,Books,Drama,Crime\n",
            [(1, "Movie 1", None, []), (2, "B", 1990, ["Books", "Crime", "Drama"])],
        ),
    ],
)  # fmt: skip
def test_titles_genres_and_years_are_found_by_usual_names(
    tmp_path: Path, content: str, expected: list[tuple[object, ...]]
) -> None:
    assert titles(tmp_path, content) == expected


def test_words_for_a_missing_value_are_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "titles").write_text("id\tname\tminutes\tlast\n1\tA\t90\t\\N\n2\tB\t\\N\tx\n")
    found = read_movies(DataConfig(movies_file=str(tmp_path / "titles"), layout="custom")).metadata
    assert found and found.to_pydict() == {"minutes": [90, None], "last": [None, "x"]}


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


def test_a_column_of_users_that_was_named_wrongly_makes_no_file_of_titles(read: Read) -> None:
    content = "listener,track,plays\n1,2,3\n"
    with pytest.raises(DataError, match=r"column 'listner' is missing .*; set data\.columns\.user$"):
        read(content, columns=ColumnNames(user="listner", item="track", rating="plays"))
