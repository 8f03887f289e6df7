"""Tables as CSV."""

import csv
import io

from dashboard.downloads import as_csv


def test_a_spreadsheet_runs_neither_a_value_nor_a_header() -> None:
    text = as_csv([{"=HYPERLINK(1)": "@SUM(A1)", "title": "\t=1", "score": -0.5}, {"score": 2}])
    assert list(csv.reader(io.StringIO(text))) == [
        ["'=HYPERLINK(1)", "title", "score"],
        ["'@SUM(A1)", "'\t=1", "-0.5"],
        ["", "", "2"],
    ]
