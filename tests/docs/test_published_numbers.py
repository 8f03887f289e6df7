"""The numbers of documents that a benchmark measured are the benchmark's."""

import re
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN_JOB = ROOT / "benchmarks" / "results" / "main_job.md"


def rows_of(page: Path, columns: int) -> list[list[str]]:
    """The cells of the rows of a page's table of models that has so many columns; the heading is the first row."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    start = next(n for n, row in enumerate(rows) if row[0] == "model" and len(row) == columns)
    return [rows[start], *takewhile(lambda row: len(row) == columns, rows[start + 2 :])]


def measured() -> dict[str, dict[str, str]]:
    """Model -> column -> what main_job.md says."""
    heading, *rows = rows_of(MAIN_JOB, columns=8)
    return {row[0]: dict(zip(heading, row, strict=True)) for row in rows}


def test_the_table_of_the_readme_is_that_of_the_main_job() -> None:
    heading, *rows = rows_of(ROOT / "README.md", columns=7)
    found = measured()
    assert rows
    for row in rows:
        assert row == [found[row[0]][column] for column in heading]


def test_the_page_by_which_a_model_is_chosen_has_the_measured_quality() -> None:
    told = {}
    for row in rows_of(ROOT / "docs" / "explanation" / "choosing_a_model.md", columns=6):
        if number := re.match(r"`(\w+)` \| (\.\d{3})\b", f"{row[0]} | {row[1]}"):
            told[number[1]] = float(number[2])
    assert len(told) >= 10
    found = {name: float(columns["test ndcg@10 [95 %]"].split()[0]) for name, columns in measured().items()}
    assert told == {name: round(found[name], 3) for name in told}
