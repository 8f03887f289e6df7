"""Measure the ensemble: what fusion gains over its best member, and what optimism there is in what validation says.

    OMP_NUM_THREADS=1 python benchmarks/fusion.py                 # five split seeds of the bundled data
    OMP_NUM_THREADS=1 python benchmarks/fusion.py --seeds 42 1    # a piece; the page holds every seed that was run
    OMP_NUM_THREADS=1 python benchmarks/fusion.py --default       # the ensemble of the default members beside them

A seed is a split of its own: all candidates are trained by their defaults, the ensemble chooses among them on
validation, and test is looked at once. The in-sample value is of the ensemble on the very users that its weights were
learned from; the cross-fitted one is what training reports. For models that stop by validation, the favour is measured
by halves of its users: each half stops a training of its own, and the favour is what a half gains on itself over the
other's model, (A by A - A by B + B by B - B by A) / 2. Writes benchmarks/results/fusion.md after each seed.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bundled_data import FOLDER

from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.split import Split, split
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.registry import single_models

RESULTS = Path(__file__).with_name("results")
CELLS = RESULTS / "fusion.json"
SEEDS = (42, 1, 2, 3, 4)
WANTED = ("popularity", "item_cf", "ease", "als", "gf_cf", "gmf", "lightgcn", "recvae")
STOPPED = ("gmf", "lightgcn")
METRIC = "ndcg@10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    parser.add_argument("--default", action="store_true", help="only the ensemble of the default members")
    asked = parser.parse_args()
    cells = json.loads(CELLS.read_text()) if CELLS.exists() else {}
    for seed in () if asked.page else asked.seeds:
        cells.setdefault(str(seed), {}).update(of_default(seed) if asked.default else measured(seed))
        CELLS.write_text(json.dumps(cells, indent=1) + "\n")
    (RESULTS / "fusion.md").write_text(page(cells))


def measured(seed: int) -> dict:
    parts = bundled(seed)
    data = Dataset(parts.train, parts.validation_heldout(), lambda: build_graph(parts.train))
    members, seconds = {}, {}
    for name in (one for one in WANTED if one in single_models()):
        started = time.perf_counter()
        members[name] = trained(name, data)
        seconds[name] = time.perf_counter() - started
        print(f"seed {seed}: {name} in {seconds[name]:.0f} s", flush=True)
    ensemble = model_class("hybrid_ensemble")(models=()).start_from(members).fit(data)
    chosen = [member.name for member in ensemble.members]
    validation = {name: mean(model, data.validation) for name, model in members.items()}
    test = {name: values(model, parts.test_heldout()) for name, model in {**members, "hybrid": ensemble}.items()}
    against = {name: compare_paired(test["hybrid"], test[name]) for name in members}
    return {
        "members": chosen,
        "validation": validation,
        "in_sample": mean(ensemble, data.validation),
        "cross_fitted": mean(ensemble.as_validated(), data.validation),
        "test": {name: float(np.mean(one)) for name, one in test.items()},
        "against": {
            name: [one.difference, one.low, one.high, one.p_bootstrap, one.p_wilcoxon] for name, one in against.items()
        },
        "favour": {name: favour(name, data) for name in STOPPED},
        "seconds": seconds,
    }


def of_default(seed: int) -> dict:
    """The ensemble of the default members, to compare with the chosen ones."""
    parts = bundled(seed)
    data = Dataset(parts.train, parts.validation_heldout(), lambda: build_graph(parts.train))
    ensemble = model_class("hybrid_ensemble")()
    members = {name: trained(name, data) for name in ensemble.config.models}
    ensemble.start_from(members).fit(data)
    found, of_ease = (values(model, parts.test_heldout()) for model in (ensemble, members["ease"]))
    one = compare_paired(found, of_ease)
    print(f"seed {seed}: default members {one.mean_a:.4f}", flush=True)
    return {
        "default": [one.mean_a, one.difference, one.low, one.high, one.p_bootstrap, one.p_wilcoxon],
        "default_validation": mean(ensemble.as_validated(), data.validation),
    }


def bundled(seed: int) -> Split:
    config = DataConfig(dir=str(FOLDER), split_seed=seed)
    ratings = read_ratings(config)
    return split(positives(ratings, config), config, ratings)


def trained(name: str, data: Dataset) -> Recommender:
    settings = load_settings([f"model={name}"])
    evaluator = Evaluator((10,), ("ndcg",))
    return model_class(name)(settings.model).fit(
        data, Fitting(settings.trainer, "cpu", settings.seed, evaluator=evaluator)
    )


def values(model: Recommender, heldout: HeldOut) -> np.ndarray:
    return Evaluator((10,), ("ndcg",)).evaluate(model, heldout, deep=False).per_user[METRIC]


def mean(model: Recommender, heldout: HeldOut) -> float:
    return float(values(model, heldout).mean())


def favour(name: str, data: Dataset) -> float:
    """What half of validation gains on itself by having stopped the training, over the other half's model."""
    held = data.validation.interactions
    first = np.random.default_rng(0).random(held.n_users) < 0.5
    halves = [replace(data.validation, interactions=held.select(first[held.user] == side)) for side in (True, False)]
    models = [trained(name, Dataset(data.train, half, lambda: build_graph(data.train))) for half in halves]
    own = sum(mean(model, half) for model, half in zip(models, halves, strict=True))
    other = sum(mean(model, half) for model, half in zip(models, reversed(halves), strict=True))
    return (own - other) / 2


def page(cells: dict) -> str:
    lines = [
        "# The ensemble",
        "",
        "Written by `benchmarks/fusion.py`: the bundled data under several split seeds, every candidate with its",
        "default settings, members chosen and weights learned on validation, test looked at once; NDCG@10.",
        "",
        "| split seed | members | test: ensemble | EASE | difference | p: bootstrap, Wilcoxon | best member on test |",
        "|---|---|---|---|---|---|---|",
    ]
    ahead = 0
    for seed, cell in cells.items():
        difference, low, high, p, q = cell["against"]["ease"]
        ahead += difference > 0 and max(p, q) < 0.05
        best = max((name for name in cell["test"] if name != "hybrid"), key=cell["test"].__getitem__)
        lines.append(
            f"| {seed} | {', '.join(cell['members'])} | {cell['test']['hybrid']:.4f} | {cell['test']['ease']:.4f} | "
            f"{difference:+.4f} [{low:+.4f}, {high:+.4f}] | {p:.3f}, {q:.3f} | {best} {cell['test'][best]:.4f} |"
        )
    lines += [
        "",
        f"Significantly ahead of EASE, by both paired tests, in {ahead} of {len(cells)} splits.",
        "",
        "The default members, ease, als, gmf and lightgcn, of which none is chosen:",
        "",
        "| split seed | cross-fitted: default, chosen | test | difference from EASE | p: bootstrap, Wilcoxon |",
        "|---|---|---|---|---|",
        *default_rows(cells),
        "",
        "## What validation says",
        "",
        "| split seed | best member | ensemble, in-sample | cross-fitted | optimism / in-sample lead | "
        + " | ".join(f"favour of stopping, {name}" for name in STOPPED)
        + " |",
        "|---|---|---|---|---|" + "---|" * len(STOPPED),
    ]
    for seed, cell in cells.items():
        best = max(cell["validation"], key=cell["validation"].__getitem__)
        lead = cell["in_sample"] - cell["validation"][best]
        share = f"{(cell['in_sample'] - cell['cross_fitted']) / lead:.0%}" if lead > 0 else "no lead"
        favours = " | ".join(f"{cell['favour'][name]:+.4f}" for name in STOPPED)
        lines.append(
            f"| {seed} | {best} {cell['validation'][best]:.4f} | {cell['in_sample']:.4f} | "
            f"{cell['cross_fitted']:.4f} | {share} | {favours} |"
        )
    lines += [
        "",
        "Training, the gate and the leaderboard take the cross-fitted value. Half as many users stop a training here",
        "as usually do, so that the favour of a usual training is smaller.",
        "",
        "## Test, all models",
        "",
        "| split seed | " + " | ".join(name for name in (*WANTED, "hybrid")) + " |",
        "|---|" + "---|" * (len(WANTED) + 1),
    ]
    for seed, cell in cells.items():
        row = (f"{cell['test'][name]:.4f}" if name in cell["test"] else "–" for name in (*WANTED, "hybrid"))
        lines.append(f"| {seed} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def default_rows(cells: dict) -> list[str]:
    rows = []
    for seed, cell in cells.items():
        if "default" in cell:
            found, difference, low, high, p, q = cell["default"]
            rows.append(
                f"| {seed} | {cell['default_validation']:.4f}, {cell['cross_fitted']:.4f} | {found:.4f} | "
                f"{difference:+.4f} [{low:+.4f}, {high:+.4f}] | {p:.3f}, {q:.3f} |"
            )
    return rows


if __name__ == "__main__":
    main()
