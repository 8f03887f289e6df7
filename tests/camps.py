"""A MovieLens folder of two camps, and the settings of runs on it."""

from pathlib import Path

import numpy as np


def write_camps(folder: Path) -> None:
    """MovieLens latest-small with 60 users in two camps: even users rate even movies, odd users odd ones."""
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


def camps_settings(folder: Path, checkpoints: Path) -> list[str]:
    """Overrides that train on that folder, without trackers."""
    return [
        f"paths.checkpoints='{checkpoints}'",
        "data.name=camps",
        f"data.dir='{folder}'",
        "logger.use_mlflow=false",
        "logger.use_wandb=false",
        "device=cpu",
    ]
