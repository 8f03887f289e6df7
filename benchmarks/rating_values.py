"""Measure what a rating's value says: whether to learn it, which to train on, and what a dislike weighs in fold-in.

    OMP_NUM_THREADS=1 python benchmarks/rating_values.py

Splits all ratings of the bundled data twice, trains on those of train that reach each threshold, and ranks for every
user what is not in train, whatever the threshold. Only validation is looked at: its items rated at least 4 should be
found, those rated below 3 should not be listed. Writes benchmarks/results/rating_values.md,
anew after each model, in a few minutes.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from bundled_data import FOLDER
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.split import split
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS, EASE, SVD, ItemCF
from movierec_engine.models.base import ClosedFormRecommender
from movierec_engine.models.fold_in.base import AGAINST, union
from movierec_engine.recommending.fold_in import AGAINST_POPULAR

RESULT = Path(__file__).with_name("results") / "rating_values.md"
SEEDS = (42, 1)
"""Of the split; every number is the mean over both."""
LIKED, DISLIKED = 4.0, 3.0
"""A held-out item of at least so much should be found; one below so much should not be listed."""
THRESHOLDS = (0.0, 3.0, 3.5, 4.0, None)
"""Least rating that is trained on; None for the user's mean in train."""
WEIGHTS = (1.0, 0.5, 0.0, -0.1, -0.25, -0.5, -0.75, -1.0)
POPULAR_WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5)
DEPTH = 10

MODELS: dict[str, Callable[[], ClosedFormRecommender]] = {
    "ease": EASE,
    "als": ALS,
    "item_cf": ItemCF,
    "svd": SVD,
}
OF_VALUES: dict[str, Callable[[str], ClosedFormRecommender]] = {
    "item_cf": lambda feedback: ItemCF(feedback=feedback),
    "item_cf, user-based": lambda feedback: ItemCF(feedback=feedback, user_based=True),
    "svd": lambda feedback: SVD(feedback=feedback),
}
"""Models that may learn what was rated, `explicit`, or which interactions there are, `implicit`."""
FEEDBACK = ("implicit", "explicit")

Measured = tuple[float, float, float]
"""liked_ndcg@10, ndcg@10, and disliked@10."""


@dataclass(frozen=True, eq=False)
class World:
    train: Interactions
    validation: Interactions

    @classmethod
    def of(cls, seed: int) -> "World":
        config = DataConfig(dir=str(FOLDER), rating_threshold=0.0, split_seed=seed)
        ratings = read_ratings(config)
        parts = split(positives(ratings, config), config, ratings)
        return cls(parts.train, parts.validation)

    def reaching(self, threshold: float | None) -> np.ndarray:
        """bool [n], the train ratings that reach a threshold."""
        train = self.train
        if threshold is not None:
            return np.asarray(train.rating >= threshold)
        count = np.bincount(train.user, minlength=train.n_users)
        mean = np.bincount(train.user, weights=train.rating, minlength=train.n_users) / np.maximum(count, 1)
        return np.asarray(train.rating >= mean[train.user])

    @cached_property
    def seen(self) -> np.ndarray:
        return np.asarray(self.train.matrix().toarray() > 0)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.of(self.train)

    def heldout(self, users: np.ndarray, liked_from: float) -> HeldOut:
        """Validation of some users; what they rated below `liked_from` is disliked."""
        own = self.validation.select(np.isin(self.validation.user, users))
        low = own.select(own.rating < liked_from).matrix()
        return HeldOut(own, self.catalogue.train, "train", self.catalogue, disliked=low)

    def measure(self, scores: np.ndarray, users: np.ndarray) -> Measured:
        """scores: [n, n_items] of the users [n]. Who has no such items does not count."""
        scores = np.where(self.seen[users], -np.inf, scores)
        best = np.sort(np.argpartition(-scores, DEPTH, axis=1)[:, :DEPTH], axis=1)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        lists = {
            "user": np.repeat(self.train.users.ids[users], DEPTH),
            "item": self.train.items.ids[np.take_along_axis(best, order, axis=1)].ravel(),
            "rank": np.tile(np.arange(1, DEPTH + 1), len(users)),
        }
        found = Evaluator([DEPTH], ["liked_ndcg", "ndcg"]).evaluate_lists(lists, self.heldout(users, LIKED)).metrics
        low = Evaluator([DEPTH], ["disliked"]).evaluate_lists(lists, self.heldout(users, DISLIKED)).metrics
        return found[f"liked_ndcg@{DEPTH}"], found[f"ndcg@{DEPTH}"], low[f"disliked@{DEPTH}"]


def thresholds(world: World, name: str) -> list[Measured]:
    everybody = np.arange(world.train.n_users)
    rows = []
    for threshold in THRESHOLDS:
        model = MODELS[name]()
        model.fit(Dataset(world.train.select(world.reaching(threshold))))
        rows.append(world.measure(model.score_users(everybody), everybody))
    return rows


def values(world: World, name: str) -> list[Measured]:
    """Of a model that learns from the interactions alone, and of one that learns from their ratings."""
    everybody, rows = np.arange(world.train.n_users), []
    for feedback in FEEDBACK:
        model = OF_VALUES[name](feedback)
        model.fit(Dataset(world.train.select(world.reaching(DISLIKED))))
        rows.append(world.measure(model.score_users(everybody), everybody))
    return rows


def weights(world: World, name: str) -> tuple[list[Measured], list[Measured]]:
    """Weights of dislikes in fold-in by likes, and in popularity for people known by dislikes alone."""
    like = world.reaching(DISLIKED)
    model = MODELS[name]()
    model.fit(Dataset(world.train.select(like)))
    scorer = model.fold_in_scorer()
    liked, disliked = (
        part.history(scorer.history_values) for part in (world.train.select(like), world.train.select(~like))
    )
    having = np.flatnonzero(np.diff(disliked.indptr) > 0)
    both = np.flatnonzero((np.diff(liked.indptr) > 0) & (np.diff(disliked.indptr) > 0))
    likes = scorer.scores(liked[both])
    moved = scorer.scores(union(liked[both], scorer.as_likes(disliked[both]))) - likes
    folded = [world.measure(likes + weight * moved, both) for weight in WEIGHTS]
    nothing = sparse.csr_matrix((1, disliked.shape[1]), dtype=np.float32)
    raised = (scorer.scores(scorer.as_likes(disliked[having])) - scorer.scores(nothing)).astype(np.float64)
    raised = (raised - raised.mean(axis=1, keepdims=True)) / np.maximum(raised.std(axis=1, keepdims=True), 1e-12)
    popularity = model.popularity.astype(np.float64)
    popular = [world.measure(popularity - w * popularity.std() * raised, having) for w in POPULAR_WEIGHTS]
    return folded, popular


def mean(several: list[list[Measured]]) -> np.ndarray:
    """[rows, 3], over the seeds."""
    return np.asarray(np.array(several).mean(axis=0))


def table(first: str, names: list[str], rows: dict[str, np.ndarray]) -> list[str]:
    lines = [f"| model | {first} | ndcg@10, liked | ndcg@10, all | disliked |", "|---|---|---|---|---|"]
    for model, values in rows.items():
        for name, (liked, every, disliked) in zip(names, values, strict=True):
            lines.append(f"| {model} | {name} | {liked:.4f} | {every:.4f} | {disliked:.2%} |")
    return lines


def main() -> None:
    worlds = [World.of(seed) for seed in SEEDS]
    learned = {name: mean([values(world, name) for world in worlds]) for name in OF_VALUES}
    trained: dict[str, np.ndarray] = {}
    folded: dict[str, np.ndarray] = {}
    popular: dict[str, np.ndarray] = {}
    for name in MODELS:
        trained[name] = mean([thresholds(world, name) for world in worlds])
        both = [weights(world, name) for world in worlds]
        folded[name], popular[name] = mean([one for one, _ in both]), mean([one for _, one in both])
        RESULT.write_text("\n".join(page(learned, trained, folded, popular)), encoding="utf-8")


def page(
    learned: dict[str, np.ndarray],
    trained: dict[str, np.ndarray],
    folded: dict[str, np.ndarray],
    popular: dict[str, np.ndarray],
) -> list[str]:
    chosen = f"{-AGAINST:g}"
    return [
        "# What a rating's value means",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/rating_values.py`, {datetime.now(UTC):%Y-%m-%d}, Python "
        f"{platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy")) + ".",
        "",
        f"Bundled data, random split per user 80/10/10 of all ratings, means of the split seeds {SEEDS[0]} and "
        f"{SEEDS[1]}, validation alone; all rows rank the same users and items, train being masked. Liked: "
        f"liked_ndcg@10, of the held-out items rated at least {LIKED:g}; all: ndcg@10, of all held-out items, whatever "
        f"their rating; disliked: disliked@10, places with held-out items rated below {DISLIKED:g}, of users who have "
        "any.",
        "",
        "## Whether the values are learned",
        "",
        f"Trained on ratings of at least {DISLIKED:g}, by which interactions there are (implicit, the default) or by "
        "what they were rated (explicit).",
        "",
        *table("learned", list(FEEDBACK), learned),
        "",
        "## Which ratings are trained on",
        "",
        *table(
            "trained on",
            [f"at least {t:g}" if t else "user's mean" if t is None else "all" for t in THRESHOLDS],
            trained,
        ),
        "",
        "## What a dislike weighs in fold-in",
        "",
        f"Trained on ratings of at least {DISLIKED:g}. Users who have both kinds are folded in with "
        f"f(L) + w (f(L u D) - f(L)), L being what they rated at least {DISLIKED:g}, D the rest. 1: a dislike counts "
        f"as a like does; 0: not at all; below 0: against what it is like. {chosen} is what is done.",
        "",
        *table("w", [f"{weight:g}" for weight in WEIGHTS], folded),
        "",
        "## Who is known by dislikes alone",
        "",
        "Popularity less w of its standard deviations for each standard deviation of what the dislikes would raise as "
        f"likes. Lowering finds fewer liked items than popularity alone: {AGAINST_POPULAR:g}, which is done, keeps the "
        "list near it, and yet another than after likes.",
        "",
        *table("w", [f"{weight:g}" for weight in POPULAR_WEIGHTS], popular),
        "",
    ]


if __name__ == "__main__":
    main()
