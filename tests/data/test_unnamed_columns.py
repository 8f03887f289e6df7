"""Files without header: columns are told by their places and values, or asked for."""

import logging
from pathlib import Path
from typing import Any

import pytest
from own_files import TOLD, Read, rows

from movierec_engine.data.config import ColumnNames, DataConfig, TextFormat
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import ConfigError, DataError

# --- ratings and times beside users and items that are named


@pytest.mark.parametrize(
    ("content", "user", "item", "expected"),
    [
        ("b1,ann,4.0,1325833600\n", "column2", "column1", ("ann", "b1", 4.0, 1325833600)),
        ("7,2014-04-01T10:51:09Z,42,S\n", "column1", "column3", (7, 42, 1.0, 1396349469)),
        ("ann,,Tool,37\nann,m,Korn,5\n", "column1", "column3", ("ann", "Korn", 5.0, 0)),
        ("0,2010-10-09T23:55:27Z,30.87,-98.57,229\n", "column1", "column5", (0, 229, 1.0, 1286668527)),
        ("1,7,9,1333476009,3\n", "column2", "column3", (7, 9, 1.0, 1333476009)),
        ("1,2,3,5,7\n", "column1", "column2", (1, 2, 1.0, 0)),
        ("1,2,2520377,pv,1511647397\n", "column1", "column2", (1, 2, 1.0, 1511647397)),
    ],
    ids=["exchanged", "time between", "plays", "check-ins", "a row's number", "several numbers", "a category"],
)
def test_the_rating_and_time_are_found_beside_users_and_items_that_are_named(
    read: Read, content: str, user: str, item: str, expected: tuple[object, ...]
) -> None:
    assert rows(read(content, columns=ColumnNames(user, item)).table)[0] == expected


def test_what_may_be_the_rating_or_the_time_is_named_where_it_is_left_out(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    content = "0,2010-10-09T23:55:27Z,30.87,-98.57,229,2010-10-09\n1,2010-10-09T23:55:27Z,30.87,-98.57,228,2010-10-09\n"
    named = ColumnNames("column1", "column5")
    with caplog.at_level(logging.WARNING, "movierec_engine"):
        read(content, columns=named)
    rating, time = (record.message for record in caplog.records)
    assert rating.endswith("a column of ratings; if column3 or column4 is one, set data.columns.rating=column3")
    assert time.endswith("a column of times; if column2 or column6 is one, set data.columns.timestamp=column2")
    caplog.clear()
    with caplog.at_level(logging.WARNING, "movierec_engine"):
        read(content, columns=ColumnNames("column1", "column5", rating="", timestamp=""))
        read("1,7,ann\n2,8,bob\n", columns=ColumnNames("column3", "column2"))
    assert not caplog.records, "settings say that there are none; a row's number is none"


# --- what speaks against the custom


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (
            "1,2,2520377,pv,1511647397\n2,3,2520378,pv,1511647398\n",
            r"numbers such as 2520377.*rating=column3, or .*\"\"",
        ),
        (
            "0001713353,A1C6M8LCIX4M6M,5.0,1123804800\nB00005N7P0,AG2L9H23R5LLKDKLBEF2Q3L2MVDA,2.0,1123804801\n",
            r"products .* say so by data\.columns\.user=column2 data\.columns\.item=column1",
        ),
        (
            "".join(f"{n},U{n % 5},{n % 7},3\n" for n in range(25)),
            r"column1 .* is another in every row.*data\.columns\.user=column2 data\.columns\.item=column3",
        ),
        ("\n".join(",".join(["3", *["-6.74", "99", "-8"] * 8]) for _ in range(3)), r"25 columns of numbers.*melt"),
        (
            "1,2," + ",".join("3456789") + "\n2,4," + ",".join("3456789") + "\n",
            r"may be column3 or column4 or column5 or another of 4 of",
        ),
    ],
    ids=["category", "amazon", "row's number", "matrix", "many numbers"],
)
def test_what_speaks_against_the_custom_is_asked_about(read: Read, content: str, remedy: str) -> None:
    with pytest.raises(DataError, match=remedy) as error:
        read(content)
    assert len(str(error.value)) < 400


def test_a_users_only_row_may_be_any_where_settings_say_so_or_another_part_has_more(read: Read, tmp_path: Path) -> None:
    content = "".join(f"{n},{n % 7},3\n" for n in range(25))
    named = ColumnNames("column1", "column2")
    assert len(read(content, columns=named).table) == 25
    (tmp_path / "test").write_text(content)
    (tmp_path / "train").write_text("".join(f"{n},{n % 7 + 1},3\n{n},{n % 7 + 2},3\n" for n in range(25)))
    parts = DataConfig(train_file=str(tmp_path / "train"), test_file=str(tmp_path / "test"), **TOLD)
    assert len(read_ratings(parts).table) == 75
    many = "".join(f"{n},{item},3\n" for item in (1, 2) for n in range(1500))
    assert len(read(many).table) == 3000, "they repeat below the first rows"


def test_users_alone_or_items_alone_cannot_be_named(read: Read) -> None:
    with pytest.raises(DataError, match=r"column 'user' is missing .*; set data\.columns\.user"):
        read("1,2,3\n2,2,3\n", columns=ColumnNames(item="column1"))
    with pytest.raises(DataError, match=r"column 'kunde' is missing"):
        read("1,2,3\n2,2,3\n", columns=ColumnNames("kunde", "column1"))


def test_columns_that_are_empty_are_passed_over(read: Read) -> None:
    table = read("1\t\t5\t\t-8\n1\t\t7\t\t8.5\n2\t\t5\t\t-3.25\n").table
    assert rows(table) == [(1, 5, -8.0, 0), (1, 7, 8.5, 0), (2, 5, -3.25, 0)]


# --- negatives


def test_negatives_need_users_and_items_alone(tmp_path: Path) -> None:
    def negatives(content: str, **given: Any) -> list[tuple[object, ...]]:
        for name, text in (("train", "1,1,3\n1,2,3\n"), ("test", "1,3,3\n"), ("negatives", content)):
            (tmp_path / name).write_text(text)
        files: dict[str, Any] = {f"{part}_file": str(tmp_path / part) for part in ("train", "test", "negatives")}
        found = read_ratings(DataConfig(**files, **TOLD, **given)).negatives
        assert found is not None
        return rows(found)

    assert negatives("1,7,5,978300760\n1,8,5,978300761\n") == [(1, 7), (1, 8)]
    for several in ("(1,3)\t7\t8\t9\n(2,3)\t8\t9\t4\n", "1\t7\t8\t9\n1\t5\t4\t6\n"):
        with pytest.raises(DataError, match="give a row of user,item for each negative"):
            negatives(several)
    named = {"columns": ColumnNames("column1", "column2")}
    assert negatives("1\t7\t8\t9\n1\t5\t4\t6\n", **named) == [(1, 5), (1, 7)]


# --- titles


def titles(folder: Path, content: str, **given: Any) -> list[tuple[object, ...]]:
    (folder / "titles").write_text(content, encoding="latin-1")
    return rows(read_movies(DataConfig(movies_file=str(folder / "titles"), layout="custom", **given)).table)


MOVIELENS_100K = "1|Heat (1995)|01-Jan-1995||http://x|0|1\n2|Babe|01-Jan-1995||http://y|1|0\n"
NEWS = 'N1\tlife\tmore\tThe "Brands" Queen\tShop\nN2\tlife\tless\tKing\tShop\n'


def test_titles_without_header_are_read_by_the_columns_that_settings_name(tmp_path: Path) -> None:
    named = ColumnNames(title="column2")
    assert titles(tmp_path, MOVIELENS_100K, columns=named) == [(1, "Heat", 1995, []), (2, "Babe", None, [])]
    all_named = ColumnNames(id="column2", title="column1", genres="column3", year="column4")
    assert titles(tmp_path, "Heat|7|Crime, Drama|1995\n", columns=all_named) == [(7, "Heat", 1995, ["Crime", "Drama"])]
    assert titles(tmp_path, "7|Heat|Crime\n", columns=ColumnNames(genres="")) == [(7, "Heat", None, [])]
    with pytest.raises(DataError, match=r"column 'name' is missing among .*; set data\.columns\.title"):
        titles(tmp_path, MOVIELENS_100K, columns=ColumnNames(title="name"))


def test_a_column_of_years_is_no_title_and_titles_may_hold_commas_without_quotes(tmp_path: Path) -> None:
    lines = [*(f"{n},{1990 + n},Planet {n}" for n in range(10, 30)), "1,NULL,Caf\xe9, The, Again", "", "2,2003, Up"]
    found = titles(tmp_path, "\n".join(lines))
    assert found[:3] == [(1, "Caf\xe9, The, Again", None, []), (2, "Up", 2003, []), (10, "Planet 10", 2000, [])]
    assert len(found) == 22
    quoted = "".join(f'{n},"The, {n}",Crime\n' for n in range(20))
    assert titles(tmp_path, quoted)[0] == (0, "The, 0", None, ["Crime"])
    with pytest.raises(DataError, match="line 21: 4 field"):
        titles(tmp_path, quoted + "20,The, End,Crime\n")


def test_settings_say_how_a_file_of_titles_is_written(tmp_path: Path) -> None:
    texts = "code,libelle,rayon\nA1,Poire,Fruits\n"
    with pytest.raises(DataError, match=r"set data\.movies_format\.header=yes or data\.movies_format\.header=no$"):
        titles(tmp_path, texts)
    named = {"id": "code", "title": "libelle"}
    assert titles(tmp_path, texts, columns=ColumnNames(**named)) == [("A1", "Poire", None, [])]
    assert titles(tmp_path, NEWS, columns=ColumnNames(title="column4"))[0] == ("N1", 'The "Brands" Queen', None, [])
    no_header = TextFormat(header="no", delimiter="tab", encoding="latin-1")
    assert titles(tmp_path, "N1\tRoi d'\xe9t\xe9\n", movies_format=no_header) == [("N1", "Roi d'\xe9t\xe9", None, [])]
    with pytest.raises(ConfigError, match=r"data\.movies_format\.header=maybe"):
        TextFormat(header="maybe")


def test_a_named_column_of_ratings_says_whether_there_is_a_header(read: Read) -> None:
    texts = "ann,news\nbob,sports\n"
    assert len(read(texts, columns=ColumnNames("column1", "column2")).table) == 2
    assert rows(read("kunde,item\nbob,b7\n", columns=ColumnNames("kunde")).table) == [("bob", "b7", 1.0, 0)]


def test_columns_of_ratings_without_header_say_nothing_of_the_titles(tmp_path: Path) -> None:
    (tmp_path / "ratings").write_text("1,A1\n2,A1\n")
    with pytest.raises(DataError, match=r"data\.movies_format\.header=yes"):
        titles(tmp_path, "code,libelle\nA1,Poire\n", ratings_file=str(tmp_path / "ratings"))
