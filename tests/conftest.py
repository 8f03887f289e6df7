"""Small worlds in which the right answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run, so that a failure can be repeated; and no deadline: a busy machine is no failure.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def movielens_folder(tmp_path: Path) -> Path:
    """A MovieLens latest-small folder with 60 users in two camps: even users rate even movies, odd users odd ones."""
    folder = tmp_path / "movies in camps"
    folder.mkdir()
    rng = np.random.default_rng(7)
    ratings = ["userId,movieId,rating,timestamp"]
    for user in range(1, 61):
        camp = np.arange(40)[np.arange(40) % 2 == user % 2]
        for order, movie in enumerate(rng.choice(camp, size=14, replace=False)):
            ratings.append(f"{user},{100 + movie},{rng.integers(6, 11) / 2},{1_000_000_000 + 1000 * user + order}")
    movies = ["movieId,title,genres"]
    movies += [f'{100 + movie},"Camp {movie % 2}, The ({1950 + movie})",Drama|War' for movie in range(40)]
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n", encoding="utf-8")
    (folder / "movies.csv").write_text("\n".join(movies) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def small_data(movielens_folder: Path, tmp_path: Path) -> list[str]:
    """Overrides that train on that folder, without trackers."""
    return [
        f"paths.checkpoints='{tmp_path / 'checkpoints'}'",
        "data.name=camps",
        f"data.dir='{movielens_folder}'",
        "logger.use_mlflow=false",
        "logger.use_wandb=false",
        "device=cpu",
    ]
