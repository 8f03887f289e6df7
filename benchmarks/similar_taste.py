"""What a person's taste adds to similar movies, and what it takes away: /api/similar with `taste` from 0 to 1.

    python benchmarks/similar_taste.py

Of each user of the bundled data with validation likes, up to SEEDS movies of their train likes are asked about. Of the
model's 100 most similar movies that the user does not have in train, the best 12 are compared with the validation likes
(does the person like them?) and with the movie asked about (are they still like it?). Test is not looked at. Writes
benchmarks/results/similar_taste.md, in a minute.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from bundled_data import FOLDER
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine.api.requests import DEFAULT_TASTE
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.datamodule import MovieLensDataModule
from movierec_engine.data.dataset import Dataset
from movierec_engine.models import ALS, EASE, Recommender
from movierec_engine.recommending.similar_taste import mixed

RESULT = Path(__file__).with_name("results") / "similar_taste.md"
LENGTH, SEEDS, KEPT = 12, 3, 100
SETTINGS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
Floats = NDArray[np.float64]
console = Console(highlight=False)


def main() -> None:
    data = MovieLensDataModule(FOLDER)
    data.setup()
    parts = [section(model, data) for model in (EASE(), ALS())]
    RESULT.write_text(page("\n".join(parts)), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def measure(model: Recommender, data: MovieLensDataModule) -> dict[float, Floats]:
    """Of each setting, float64 [users, 3]: a user's hits among LENGTH places, likeness and shared genres."""
    train, validation = data.train_data.matrix(), data.split.validation.matrix()
    genres = Catalogue.of(data.train_data, data.movies.of(data.train_data.items)).genres
    users = np.flatnonzero((np.diff(validation.indptr) > 0) & (np.diff(train.indptr) >= SEEDS))
    similar_to, likeness_to, _ = model.all_most_similar(KEPT, genres)
    rng = np.random.default_rng(0)
    found: dict[float, list[Floats]] = {setting: [] for setting in SETTINGS}
    for user, scores in zip(users, model.score_users(users), strict=True):
        own, wanted = train[[user]].indices, validation[[user]].indices
        seeds = rng.choice(own, SEEDS, replace=False)
        of_user: dict[float, list[list[float]]] = {setting: [] for setting in SETTINGS}
        for seed in seeds:
            left = ~np.isin(similar_to[seed], own)
            similar, alike = similar_to[seed][left], likeness_to[seed][left]
            for setting in SETTINGS:
                best = np.argsort(-mixed(alike, scores[similar], setting), kind="stable")[:LENGTH]
                shared = (genres[similar[best]] * genres[seed]).any(axis=1).mean()
                of_user[setting].append([np.isin(similar[best], wanted).mean(), alike[best].mean(), shared])
        for setting in SETTINGS:
            found[setting].append(np.mean(of_user[setting], axis=0))
    return {setting: np.array(rows) for setting, rows in found.items()}


def section(model: Recommender, data: MovieLensDataModule) -> str:
    measured = measure(model.fit(Dataset(data.train_data, data.validation_data)), data)
    base = measured[0.0].mean(axis=0)
    rows = []
    for setting, values in measured.items():
        hits, alike, shared = values.mean(axis=0)
        lift = values[:, 0] - measured[0.0][:, 0]
        margin = 1.96 * lift.std(ddof=1) / np.sqrt(len(lift))
        named = f"**{setting:g}**" if setting == DEFAULT_TASTE else f"{setting:g}"
        rows.append(
            f"| {named} | {hits:.4f} | {lift.mean():+.4f} ± {margin:.4f} | {alike / base[1]:.1%} | {shared:.1%} |"
        )
    table = "\n".join(rows)
    return f"""## {model.name}, {len(measured[0.0]):,} users

| taste | likes among {LENGTH} | than without | likeness kept | share a genre |
|---:|---:|---:|---:|---:|
{table}
"""


def page(sections: str) -> str:
    return f"""# Similar movies to a person's taste

{datetime.now(UTC):%Y-%m-%d}. Written by `python benchmarks/similar_taste.py`, on the bundled data's validation.

`/api/similar` with `user_id` or `history` ranks the {KEPT} most similar movies by (1 - taste) likeness + taste score,
each scaled to 0..1 over them. Of up to {SEEDS} movies of each user's train likes: the share of {LENGTH} places that are
likes of the user's validation part, the mean likeness to the movie asked about as a share of what it is without taste,
and the share of movies that have a genre in common with it. Intervals are of 95 %, over users.

{sections}
The default, in bold, is the largest of these settings that keeps nine tenths of the likeness with every model here.
"""


if __name__ == "__main__":
    main()
