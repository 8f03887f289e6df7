"""The data set that comes with the repository."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import ValidationReport
from movierec_engine.data.readers import complete_movies, read_movies, read_ratings

GENRES = {
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
}  # fmt: skip
FOLDER = Path(__file__).parents[2] / "data" / "movielens-small"


@pytest.fixture(scope="module")
def config() -> DataConfig:
    return DataConfig(dir=str(FOLDER))


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv"])
def test_its_readme_gives_the_checksums(name: str) -> None:
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    assert f"`{digest}`" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_it_has_the_published_numbers_of_ratings_users_and_movies(config: DataConfig) -> None:
    table = read_ratings(config).table
    counts = len(table), len(np.unique(table["user_id"].to_numpy())), len(np.unique(table["movie_id"].to_numpy()))
    assert counts == (100_004, 671, 9_066)


def test_nothing_in_it_needs_repair(config: DataConfig) -> None:
    assert read_ratings(config).report == ValidationReport(rows_read=100_004)
    assert read_movies(config).report == ValidationReport(rows_read=9_066)


def test_every_rated_movie_has_a_row(config: DataConfig) -> None:
    movies = read_movies(config)
    assert complete_movies(movies, read_ratings(config).table["movie_id"].to_numpy()) is movies


def test_five_movies_have_a_placeholder_and_no_invented_year(config: DataConfig) -> None:
    movies = read_movies(config).table.to_pylist()
    assert [movie["title"] for movie in movies if movie["year"] is None] == [
        "Movie 108548",
        "Movie 108583",
        "Movie 143410",
        "Movie 151307",
        "Movie 162376",
    ]


def test_its_genres_are_those_of_movielens(config: DataConfig) -> None:
    genres = {genre for movie in read_movies(config).table["genres"].to_pylist() for genre in movie}
    assert genres == GENRES
