"""Measure the default of every model against popularity on made-up data of odd shapes and densities.

    OMP_NUM_THREADS=1 python benchmarks/odd_densities.py [--models als ease] [--worlds "short rows"]

Items are as popular as Zipf's law has them, and each user's are drawn without replacement: from all alike, or with
taste, where the items of a user's own group are drawn more often. A random tenth of the interactions is validation and
one is test. A default should not rank below popularity; where there is no taste to learn, popularity is the best there
is. Cells that are there are kept; --again measures them anew. Writes benchmarks/results/odd_densities.md.
"""

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_engine import Dataset, Evaluator, Fitting
from movierec_engine.models.registry import model_class, single_models

RESULT = Path(__file__).with_name("results") / "odd_densities.md"
EVALUATOR = Evaluator((10,), ("ndcg",))
SEED = 0
WEIGHTED = ("item_cf", "svd", "ease", "als", "gf_cf", "markov", "gmf", "ngcf", "lightgcn", "sasrec")
MEASURED: dict[str, tuple[str, dict[str, float]]] = {
    **{name: (name, {}) for name in sorted(single_models(), key=lambda name: name != "popularity")},
    **{f"{name}, prior=0": (name, {"prior": 0.0}) for name in ("ease", "item_cf", "gf_cf")},
    **{f"{name}, popularity_weight=0": (name, {"popularity_weight": 0.0}) for name in WEIGHTED},
}
"""What is measured -> a model, and settings other than its defaults; popularity first."""
Cells = dict[str, dict[str, list[float]]]
"""World -> what is measured -> ndcg@10 on validation and on test."""


@dataclass(frozen=True)
class World:
    """lengths: interactions of a user, [least, mean]. exponent: Zipf's. groups: of taste, 1 for none.

    lift: times as often an item of one's own group is drawn. crawlers: users who have almost everything.
    """

    users: int
    items: int
    lengths: tuple[int, float]
    exponent: float = 0.8
    groups: int = 1
    lift: float = 1.0
    crawlers: int = 0

    def draw(self) -> dict[str, NDArray[np.int64]]:
        rng = np.random.default_rng(SEED)
        popularity = 1 / np.arange(1, self.items + 1) ** self.exponent
        popularity = rng.permutation(popularity)
        least, mean = self.lengths
        lengths = np.minimum(least + rng.poisson(mean - least, self.users), self.items)
        lengths[: self.crawlers] = round(0.96 * self.items)
        users, items = [], []
        for user, length in enumerate(lengths.tolist()):
            weight = popularity.copy()
            weight[user % self.groups :: self.groups] *= self.lift
            items.append(rng.choice(self.items, length, replace=False, p=weight / weight.sum()))
            users.append(np.full(length, user))
        return {"user_id": np.concatenate(users), "item_id": np.concatenate(items).astype(np.int64)}


WORLDS = {
    "short rows, no taste": World(6_000, 800, (1, 1.5)),
    "short rows, four tastes": World(6_000, 800, (1, 1.5), groups=4, lift=20),
    "rows of 12, no taste": World(1_500, 400, (12, 12)),
    "skewed": World(1_500, 1_000, (3, 10), exponent=1.6),
    "15 items": World(6_000, 15, (3, 5), exponent=0.7, groups=3, lift=4),
    "40 users": World(40, 4_000, (300, 300), exponent=0.7, groups=3, lift=4),
    "five crawlers": World(1_000, 500, (4, 4), exponent=0.7, groups=5, lift=6, crawlers=5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MEASURED, default=list(MEASURED))
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--again", action="store_true", help="measure what is there anew")
    asked = parser.parse_args()
    store = RESULT.with_suffix(".json")
    cells: Cells = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    for world in asked.worlds:
        data, test = Dataset.from_frame(WORLDS[world].draw()).split()
        for name in asked.models:
            if asked.again or name not in cells.setdefault(world, {}):
                kind, settings = MEASURED[name]
                model = model_class(kind)(**settings).fit(data, Fitting(seed=SEED))
                both = (data.validation, test)
                cells[world][name] = [EVALUATOR.evaluate(model, one).metrics["ndcg@10"] for one in both]
                print(world, name, *(f"{value:.4f}" for value in cells[world][name]), flush=True)
                store.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
        RESULT.write_text("\n".join(page(cells)) + "\n", encoding="utf-8")


def page(cells: Cells) -> list[str]:
    models = [name for name in MEASURED if any(name in cell for cell in cells.values())]
    floors = [" / ".join(f"{value:.4f}" for value in cell["popularity"]) for cell in cells.values()]
    lines = [
        "# Defaults on odd densities",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/odd_densities.py`, {datetime.now(UTC):%Y-%m-%d}. ndcg@10 over that of "
        "popularity, on validation / on test, with default settings, ranked in full; in bold what is below .95 on "
        "test.",
        "",
        f"| model | {' | '.join(cells)} |",
        "|---|" + "---|" * len(cells),
        f"| popularity, ndcg@10 | {' | '.join(floors)} |",
    ]
    for name in models:
        if name != "popularity":
            lines.append(f"| {name} | {' | '.join(ratio(cells[one], name) for one in cells)} |")
    what = "; ".join(f"{name}: {world.users:,} users, {world.items:,} items" for name, world in WORLDS.items())
    return [*lines, "", f"Of the data: {what}."]


def ratio(cell: dict[str, list[float]], name: str) -> str:
    if name not in cell:
        return ""
    validation, test = (own / floor for own, floor in zip(cell[name], cell["popularity"], strict=True))
    return f"{validation:.2f} / " + (f"**{test:.2f}**" if test < 0.95 else f"{test:.2f}")


if __name__ == "__main__":
    main()
