"""Tables of results: no digit is lost at any width, and programs get every value."""

import csv
import io
import json
import math

import numpy as np
import pytest
from rich.cells import cell_len

from movierec_engine.cli.tables import Format, ResultTable, TableColumn, print_tables

ROWS = [
    {"model": "ease", "version": "20261128T190320527Z-9331025d36f9", "value": 0.123456789012, "n": np.int64(7)},
    {
        "model": "hybrid_ensemble",
        "version": "20261128T190504428Z-0a39a804779b",
        "value": math.nan,
        "n": np.int64(8),
    },
]
TABLE = ResultTable(
    "models of camps in a folder/with/a/long/path/that/has/no/spaces/in/it/and/is/longer/than/any/terminal",
    [
        TableColumn("model", lambda row: row["model"], left=True),
        TableColumn("version", lambda row: row["version"], left=True),
        TableColumn("validation ndcg@10", lambda row: f"{row['value']:.4f}"),
        TableColumn("users", lambda row: f"{row['n']:,}", sheds=2),
        TableColumn("why", lambda row: "because of more words than its column has", left=True, wraps=True, sheds=1),
    ],
    ROWS,
    ["A note in several words that is wrapped where the terminal ends, and nowhere within a word of it."],
    lines=["again: movierec train ease model.l2=500 trainer.max_epochs=5 data.split=global_time seed=1,2,3 device=cpu"],
)


def printed(form: Format = "table", *tables: ResultTable) -> str:
    file = io.StringIO()
    print_tables(tables or [TABLE], form, file)
    return file.getvalue()


@pytest.mark.parametrize("width", [30, 50, 80, 100, 160])
def test_at_every_width_each_number_and_version_is_whole_and_on_one_line(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed().splitlines()
    for row in ROWS:
        assert sum(str(row["version"]) in line for line in lines) == 1
    assert sum("0.1235" in line for line in lines) == 1
    assert "…" not in "".join(lines)
    for line in lines:
        assert cell_len(line.rstrip()) <= width or " " not in line or line.startswith("again: ")


def test_a_narrow_terminal_sheds_the_least_important_columns_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = printed()
    assert "because" not in shown
    assert "users" in shown.splitlines()[2]
    assert "Too wide for this terminal: why" in shown


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    (row,) = [line for line in printed().splitlines() if line.startswith("ease")]
    assert row.split() == ["ease", ROWS[0]["version"], "0.1235", "7", *TABLE.columns[4].text(ROWS[0]).split()]
    assert TABLE.lines[0] in printed().splitlines()


def test_json_has_every_value_in_full_precision_and_null_for_what_is_no_number() -> None:
    assert json.loads(printed("json")) == [{**ROWS[0], "n": 7}, {**ROWS[1], "n": 8, "value": None}]


def test_csv_has_every_value_in_full_precision() -> None:
    first, second = csv.DictReader(io.StringIO(printed("csv")))
    assert float(first["value"]) == ROWS[0]["value"]
    assert (second["value"], second["n"]) == ("", "8")


def test_rows_of_several_tables_say_which_they_are_of() -> None:
    other = ResultTable("another", [], [{"of": "ndcg@10", "users": 3}])
    rows = json.loads(printed("json", TABLE, other))
    assert [row["table"] for row in rows] == [TABLE.title, TABLE.title, "another"]
    assert list(csv.DictReader(io.StringIO(printed("csv", TABLE, other))))[2]["users"] == "3"
