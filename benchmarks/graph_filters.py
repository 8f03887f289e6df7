"""Measure the graph filter gf_cf, its parts, and GF-CF as published.

    python benchmarks/graph_filters.py --folder FOLDER
    python benchmarks/graph_filters.py --data bundled sparse dense local      # those that need no folder

The data is that of benchmarks/defaults.py, and a made-up graph of 30,000 users who stay near a few places, and 41,000
items. Settings were chosen on validation (ndcg@10); test is reported. `lastfm, whole train` trains on the validation
part too, as the published figures of that split do. Seconds are of the process' CPU. What is in
benchmarks/results/graph_filters.json is not measured again but with --again; benchmarks/results/graph_filters.md is
written anew.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import defaults
import numpy as np
from rich.console import Console
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS, EASE, GFCF, LightGCN, Popularity, Recommender
from movierec_engine.models.classic.gf_cf import strongest_directions
from movierec_engine.models.classic.linear import LinearRecommender
from movierec_engine.models.fitting import Fitting
from movierec_engine.training.config import TrainerConfig

RESULT = Path(__file__).with_name("results") / "graph_filters.md"
EVALUATOR = Evaluator([10, 20], ("ndcg", "recall"))
METRICS = ("ndcg@10", "recall@20", "ndcg@20")
LARGEST_DENSE = 6_000
"""Items up to which GF-CF as published, whose weights are held as a dense matrix here, is measured."""

console = Console(highlight=False)


@dataclass(frozen=True)
class PublishedConfig:
    alpha: float = 0.3
    n_factors: int = 256


class Published(LinearRecommender):
    """G + alpha D_i^-1/2 V V^T D_i^1/2 (Shen et al. 2021), the weights of 0.3 and 256 of the paper's Gowalla."""

    name = "published"
    Config = PublishedConfig

    def learn(self, train: Interactions) -> None:
        of_users, of_items = (np.maximum(self.history.sum(axis=axis), 1) for axis in (1, 0))
        scale = [sparse.diags_array(np.asarray(n).ravel() ** -0.5) for n in (of_users, of_items)]
        graph = sparse.csr_matrix(scale[0] @ self.history @ scale[1], dtype=np.float32)
        _, vectors = strongest_directions(graph, self.config.n_factors)
        root = np.sqrt(np.asarray(of_items, dtype=np.float32)).ravel()
        ideal = (vectors / root[:, None]) @ (vectors * root[:, None]).T
        self.rows = (graph.T @ graph).toarray() + np.float32(self.config.alpha) * ideal


MODELS: dict[str, Callable[[], Recommender]] = {
    "popularity": Popularity,
    "GF-CF as published": Published,
    "gf_cf": GFCF,
    "gf_cf without prior": lambda: GFCF(prior=0.0),
    "gf_cf without shrinkage": lambda: GFCF(shrinkage=0.0),
    "gf_cf without sharpening": lambda: GFCF(sharpening=0.0),
    "gf_cf without the ideal filter": lambda: GFCF(alpha=0.0),
    "gf_cf, exponent 0": lambda: GFCF(exponent=0.0),
    "gf_cf, directions alone": lambda: GFCF(neighbours=1),
    "ease": EASE,
    "als": ALS,
    "lightgcn": LightGCN,
}


def local(folder: Path | None) -> Split:
    """30,000 users near a few places each, 41,000 items at 2,500 places in 60 cities, about a million interactions."""
    rng = np.random.default_rng(3)
    n_users, n_items, n_places = 30_000, 41_000, 2_500
    city_of = rng.choice(60, n_places, p=rng.dirichlet(np.full(60, 0.5)))
    weight = rng.dirichlet(np.full(n_places, 0.7))
    place_of, popular = rng.choice(n_places, n_items, p=weight), np.exp(rng.normal(0, 1.3, n_items))
    at = [np.flatnonzero(place_of == place) for place in range(n_places)]
    cities = [own for own in (np.flatnonzero(city_of == city) for city in range(60)) if len(own)]
    share = np.array([weight[own].sum() for own in cities])
    homes = rng.choice(len(cities), n_users, p=share / share.sum())
    counts = np.clip(rng.lognormal(2.9, 1.0, n_users) * 1.3, 8, 900).astype(int)
    pairs = []
    for user, count in enumerate(counts):
        places = cities[homes[user]]
        chance = weight[places] / weight[places].sum()
        often = rng.choice(places, min(len(places), rng.integers(3, 9)), replace=False, p=chance)
        near = np.concatenate([at[place] for place in often])
        found = [rng.choice(n_items, max(1, count // 5), p=popular / popular.sum())]
        if len(near):
            found.append(rng.choice(near, count, p=popular[near] / popular[near].sum()))
        items = np.unique(np.concatenate(found))
        pairs.append(np.column_stack([np.full(len(items), user), items]))
    user, item = np.concatenate(pairs).T
    return defaults.at_random(defaults.interactions(user, item, IdMap(np.arange(n_users)), IdMap(np.arange(n_items))))


def lastfm_whole(folder: Path | None) -> Split:
    """The LightGCN authors' train and test of LastFM."""
    train, test = defaults.given((folder or Path()) / "lastfm")
    return Split(train, train.select(np.arange(0)), test, "given")


DATA = {**defaults.DATA, "lastfm, whole train": lastfm_whole, "local": local}


@cache
def split_of(data: str, folder: Path | None) -> Split:
    return DATA[data](folder or Path())


def measure(data: str, name: str, folder: Path | None) -> dict[str, object] | None:
    parts = split_of(data, folder)
    if name in ("GF-CF as published", "ease") and parts.train.n_items > LARGEST_DENSE:
        return None
    whole = not len(parts.validation)
    if name == "lightgcn" and (whole or len(parts.train) > 100_000):
        return None
    heldout: dict[str, HeldOut] = {} if whole else {"validation": parts.validation_heldout()}
    dataset = Dataset(parts.train, heldout.get("validation"))
    heldout["test"] = parts.test_heldout()
    if whole:
        heldout["test"] = HeldOut(parts.test, parts.train.matrix(), "train", heldout["test"].catalogue)
    started = time.process_time()
    model = MODELS[name]().fit(dataset, Fitting(TrainerConfig(), "cpu", 42, evaluator=EVALUATOR))
    row: dict[str, object] = {"seconds": round(time.process_time() - started, 2)}
    for part, held in heldout.items():
        row[part] = {m: float(EVALUATOR.evaluate(model, held, deep=False).metrics[m]) for m in METRICS}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_ncf, ml1m_sequences and lastfm")
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    asked = parser.parse_args()
    file = RESULT.with_suffix(".json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for data in asked.data:
        for name in asked.models:
            if asked.again or name not in rows.get(data, {}):
                made = measure(data, name, asked.folder)
                if made is not None:
                    rows.setdefault(data, {})[name] = made
                    console.print(data, name, made, soft_wrap=True)
                    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    RESULT.write_text("\n".join(page(rows)), encoding="utf-8")


def page(rows: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    lines = [
        "# Graph filters",
        "",
        f"`python benchmarks/graph_filters.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. "
        f"Everything ranked in full. Validation and test: {', '.join(METRICS)}; seconds of CPU of fitting. `gf_cf` is "
        "the default; below it one part is left out at a time. GF-CF as published is linear and ideal filter with a "
        "weight of 0.3 and 256 directions. What is missing was not measured.",
        "",
    ]
    for data, make in DATA.items():
        if data not in rows:
            continue
        lines += [f"## {data}", "", str(make.__doc__), ""]
        lines += ["| model | validation | test | fit s |", "|---|---|---|---|"]
        for name in MODELS:
            if name in rows[data]:
                row = rows[data][name]
                texts = [
                    " / ".join(f"{row[part][m]:.4f}" for m in METRICS) if part in row else ""
                    for part in ("validation", "test")
                ]
                lines.append(f"| {name} | {' | '.join(texts)} | {row['seconds']:.1f} |")
        lines.append("")
    return lines


if __name__ == "__main__":
    main()
