"""How times and ratings are written: what is understood, and what is refused with the setting that says it."""

import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_files import TOLD, Read, rows

from movierec_engine.data.config import DataConfig, FileFormat
from movierec_engine.data.readers import read_ratings
from movierec_engine.errors import ConfigError, DataError

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


@pytest.mark.parametrize("times", ["%Q", "%", "second"])
def test_what_is_no_format_of_times_is_a_wrong_setting_and_no_fault_of_the_file(read: Read, times: str) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.format\.times={times} is no format of times; choose seconds, "):
        read("user;item;time\n1;2;2021-01-24\n", format=FileFormat(times=times))


def test_a_format_of_times_may_hold_quotes(read: Read) -> None:
    made = read("user;item;time\n1;2;24. Jan '21\n", format=FileFormat(times="%d. %b '%y"))
    assert made.table["timestamp"].to_pylist() == [1611446400]


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


# --- ratings


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
