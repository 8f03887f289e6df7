"""Measure what a search by title costs, on the bundled titles and on a hundred thousand.

    python benchmarks/title_search.py

The fastest of several runs of each search counts, by the thread's CPU time. The larger catalogue is the bundled titles
over and over, each with a number. Writes benchmarks/results/title_search.md.
"""

import time
from pathlib import Path

from bundled_data import FOLDER
from rich.console import Console

from movierec_engine.data.config import DataConfig
from movierec_engine.data.readers import read_movies
from movierec_engine.recommending.title_search import TitleSearch

RESULT = Path(__file__).with_name("results") / "title_search.md"
SEARCHES = (
    "heat",
    "the matrix",
    "a",
    "1995",
    "harry poter chamber secrets",
    "eternal sunshine of the spotles mind",
    "teh godfather",
    "oceans 11",
    "no such title at all",
)
LARGE = 100_000
REPEATS = 15


def main() -> None:
    table = read_movies(DataConfig(dir=str(FOLDER))).table
    titles, years = table["title"].to_pylist(), table["year"].to_pylist()
    times = LARGE // len(titles) + 1
    many = [f"{title} {number}" if number else title for number in range(times) for title in titles][:LARGE]
    catalogues = {
        f"{len(titles):,} titles": TitleSearch(titles, years, [0] * len(titles)),
        f"{LARGE:,} titles": TitleSearch(many, (years * times)[:LARGE], [0] * LARGE),
    }
    lines = [
        "# What a search by title costs",
        "",
        f"`python benchmarks/title_search.py`; CPU milliseconds, the fastest of {REPEATS} runs.",
        "",
        f"| search | {' | '.join(catalogues)} |",
        "|---|---:|---:|",
        *(
            f"| {text} | {' | '.join(f'{milliseconds(search, text):.2f}' for search in catalogues.values())} |"
            for text in SEARCHES
        ),
        "",
    ]
    Console(highlight=False).print("\n".join(lines))
    RESULT.write_text("\n".join(lines), encoding="utf-8")


def milliseconds(search: TitleSearch, text: str) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.thread_time()
        search.find(text)
        seconds.append(time.thread_time() - started)
    return min(seconds) * 1000


if __name__ == "__main__":
    main()
