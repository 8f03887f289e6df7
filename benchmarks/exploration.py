"""What exploration buys new movies, and what it costs: users arrive on the bundled data, and new movies enter.

    python benchmarks/exploration.py

A hundred movies are taken out of the data and enter one after the other. Users arrive at random and are shown ten
movies by EASE, which is trained again every 2,000 lists. A new movie's likes come in over time, as people find it
without any list; one that a list shows to somebody who likes it in the data is liked at once. Once it has 5 likes the
next training knows it. Each setting meets the same users, movies and likes. ndcg is on validation likes; test is not
looked at. Writes benchmarks/results/exploration.md.
"""

import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bundled_data import FOLDER, bundled
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.data.split import split
from movierec_engine.models.classic.ease import EASE
from movierec_engine.recommending.cold_items import Content, Likeness, neighbours_of, placed_scores
from movierec_engine.recommending.exploration import ExplorationConfig, draw

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "exploration.png"
RESULT = Path(__file__).parent / "results" / "exploration.md"
LISTS, K, NEW, FIRST, KNOWN_FROM = 20_000, 10, 100, 20, 5
RETRAIN = 2_000
SEEDS = (0, 1)
SETTINGS = {
    "none": ExplorationConfig(),
    "5 % of places 8 to 10, Thompson": ExplorationConfig(share=0.05, from_place=8),
    "5 % of places 6 to 10, Thompson": ExplorationConfig(share=0.05, from_place=6),
    "5 % of places 8 to 10, epsilon-greedy": ExplorationConfig(share=0.05, from_place=8, strategy="epsilon"),
    "10 % of places 8 to 10, Thompson": ExplorationConfig(share=0.1, from_place=8),
}
COLOURS = ("#8A8A8A", "#3FA0D8", "#0072B2", "#C98A00", "#D55E00")
_DISCOUNT = 1 / np.log2(np.arange(K) + 2)

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """One setting in one world. first: float64 [NEW], lists from a movie's entrance to its twentieth impression, to the
    end of the traffic where it has none. reached: bool [NEW], who has it. ndcg: float64 [LISTS]."""

    first: Floats
    reached: NDArray[np.bool_]
    ndcg: Floats
    explored: int
    liked: int


def simulate(
    train: Interactions, validation: Interactions, catalogue: Catalogue, config: ExplorationConfig, seed: int
) -> Arm:
    rng = np.random.default_rng(seed)
    n_users, n_items = train.n_users, train.n_items
    new = np.sort(rng.choice(n_items, NEW, replace=False))
    row_of = np.full(n_items, -1)
    row_of[new] = np.arange(NEW)
    entered = np.sort(rng.integers(0, LISTS // 2, NEW))[rng.permutation(NEW)]
    likes = np.zeros((n_users, NEW), dtype=np.bool_)
    of_new = row_of[train.item] >= 0
    likes[train.user[of_new], row_of[train.item[of_new]]] = True
    arrives = np.where(likes, rng.uniform(entered, LISTS, size=likes.shape), np.inf)
    arriving = rng.integers(0, n_users, LISTS)
    chance, ndcg = np.random.default_rng([seed, 1]), np.zeros(LISTS)
    relevant = np.zeros((n_users, n_items), dtype=np.bool_)
    relevant[validation.user, validation.item] = True
    ideal = np.cumsum(_DISCOUNT)[np.minimum(relevant.sum(axis=1), K) - 1]
    ideal[~relevant.any(axis=1)] = np.inf
    impressions, twentieth = np.zeros(NEW), np.full(NEW, np.inf)
    told, explored, liked = np.zeros_like(likes), 0, 0
    old, content = train.select(np.flatnonzero(~of_new)), Content.of(catalogue)
    for now in range(0, LISTS, RETRAIN):
        told |= arrives <= now
        known = told.sum(axis=0) >= KNOWN_FROM
        users, rows = np.nonzero(told & known)
        interactions = Interactions(
            np.concatenate([old.user, users.astype(np.int32)]),
            np.concatenate([old.item, new[rows].astype(np.int32)]),
            np.full(len(old) + len(users), 5, dtype=np.float32),
            np.zeros(len(old) + len(users), dtype=np.int64),
            train.users,
            train.items,
        )
        scores, lists = lists_of(interactions, new[~known])
        popularity = np.bincount(interactions.item, minlength=n_items)
        neighbours, weights = neighbours_of(content.take(new), Likeness.to(content), popularity)
        gains = np.take_along_axis(relevant, lists, axis=1) * _DISCOUNT
        listed_new = row_of[lists]
        for number in range(now, min(now + RETRAIN, LISTS)):
            user = int(arriving[number])
            shown_new = listed_new[user].copy()
            gain = gains[user].copy()
            able = np.flatnonzero(~known & (entered <= number) & (impressions < config.impressions) & ~told[user])
            exploration = config.of_list(K, len(able))
            places = exploration.explored(chance) if config.on else np.empty(0, dtype=np.int64)
            if len(places):
                placed = placed_scores(neighbours[able], weights[able], scores[user]).astype(np.float64)
                pool = able[np.argsort(-placed, kind="stable")[: config.pool]]
                of_pool = np.sort(placed)[::-1][: config.pool]
                weight = config.weights(of_pool, impressions[pool], len(exploration.places))
                for place, at in draw(places, weight, chance).items():
                    row = int(pool[at])
                    shown_new[place], gain[place] = row, relevant[user, new[row]] * _DISCOUNT[place]
                    explored += 1
                    if likes[user, row] and not told[user, row]:
                        told[user, row] = True
                        liked += 1
            for row in shown_new[shown_new >= 0].tolist():
                impressions[row] += 1
                if impressions[row] == FIRST:
                    twentieth[row] = number
            ndcg[number] = gain.sum() / ideal[user]
    first = np.minimum(twentieth, LISTS) - entered
    return Arm(first, np.isfinite(twentieth), ndcg[np.isfinite(ideal[arriving])], explored, liked)


def lists_of(interactions: Interactions, unknown: Numbers) -> tuple[NDArray[np.float32], Numbers]:
    """All users' scores, and their ten best movies without what they like already and what no model knows."""
    model = EASE()
    model.fit(Dataset(interactions))
    scores = model.score_users(np.arange(interactions.n_users))
    masked = scores.copy()
    masked[interactions.user, interactions.item] = -np.inf
    masked[:, unknown] = -np.inf
    best = np.argpartition(-masked, K, axis=1)[:, :K]
    order = np.argsort(-np.take_along_axis(masked, best, axis=1), axis=1, kind="stable")
    return scores, np.take_along_axis(best, order, axis=1)


def main(seeds: tuple[int, ...]) -> None:
    began = time.time()
    config = DataConfig(dir=str(FOLDER))
    parts = split(bundled(), config, read_ratings(config))
    catalogue = Catalogue.of(parts.train, read_movies(config))
    arms: dict[str, list[Arm]] = {}
    for name, setting in SETTINGS.items():
        arms[name] = [simulate(parts.train, parts.validation, catalogue, setting, seed) for seed in seeds]
        print(row(name, arms[name], arms["none"]), f"{time.time() - began:.0f} s", flush=True)
    RESULT.write_text(written(arms), encoding="utf-8")
    draw_picture(arms)


def row(name: str, own: list[Arm], plain: list[Arm]) -> str:
    first, without = (np.concatenate([arm.first for arm in one]) for one in (own, plain))
    base = float(np.mean([arm.ndcg.mean() for arm in plain]))
    apart = [arm.ndcg.mean() - other.ndcg.mean() for arm, other in zip(own, plain, strict=True)]
    cost, worst = 100 * float(np.mean(apart)) / base, 100 * min(apart) / base
    per_list = sum(arm.explored for arm in own) / (len(own) * LISTS)
    setting = SETTINGS[name]
    always = cost * setting.share * len(setting.of_list(K, NEW).places) / per_list if per_list else 0.0
    times = "1" if own is plain else f"{np.median(without) / np.median(first):.0f}"
    cells = [
        name,
        f"{np.median(first):,.0f}",
        times,
        f"{sum(int(arm.reached.sum()) for arm in own)} of {len(first)}",
        f"{base + np.mean(apart):.4f}",
        f"{cost:+.2f} %",
        f"{worst:+.2f} %",
        f"{always:+.2f} %",
        f"{per_list:.3f}",
        f"{sum(arm.liked for arm in own):,}",
    ]
    return f"| {' | '.join(cells)} |"


def written(arms: dict[str, list[Arm]]) -> str:
    rows = "\n".join(row(name, own, arms["none"]) for name, own in arms.items())
    worlds = len(next(iter(arms.values())))
    return f"""# Exploration of new movies: what it buys and what it costs

By `python benchmarks/exploration.py` on the bundled data, {platform.machine()}, Python {platform.python_version()}.
{worlds} {"world" if worlds == 1 else "worlds"} of {LISTS:,} lists of {K}, in which {NEW} movies enter over the first half of the traffic; EASE is
trained again every {RETRAIN:,} lists. Lists to the first {FIRST} impressions are counted from a movie's entrance, and to
the end of the traffic for one that never has them, so that the median without exploration is less than the true one.
ndcg@{K} is on validation likes, of the same users in the same order. "Worst" is the worst world; "always" is what it
would cost if there were new movies to explore at every moment, and not only while one has fewer than {FIRST} impressions.

| places explored | lists to the first {FIRST} impressions, median | times as soon | have them | ndcg@{K} | cost | worst | always | explored a list | likes found |
|---|---|---|---|---|---|---|---|---|---|
{rows}

Without exploration a new movie waits until people have found it by other ways and the model is trained again, and most
are not in {FIRST} lists even then.
"""  # noqa: E501


def draw_picture(arms: dict[str, list[Arm]]) -> None:
    """How many new movies have had their first impressions, by lists since they entered."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.6), dpi=110)
    for (name, own), colour in zip(arms.items(), COLOURS, strict=True):
        first = np.sort(np.concatenate([np.where(arm.reached, arm.first, np.inf) for arm in own]))
        has = np.isfinite(first)
        share = 100 * np.arange(1, len(first) + 1) / len(first)
        ends = np.append(first[has], LISTS), np.append(share[has], share[has][-1] if has.any() else 0)
        axes.step(*ends, where="post", color=colour, linewidth=2.2, label=name)
    axes.set(xscale="log", xlim=(5, LISTS), ylim=(0, 102))
    axes.set_xlabel("Lists shown to anybody since the movie entered")
    axes.set_ylabel(f"New movies with {FIRST} impressions, %")
    axes.set_title(
        "New movies are seen within hundreds of lists where a tenth of the last places is explored", loc="left"
    )
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main(SEEDS[: int(sys.argv[1])] if len(sys.argv) > 1 else SEEDS)
