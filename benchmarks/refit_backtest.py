"""Measure whether training on everything before serving is worth it: what comes next, with the refit and without it.

    OMP_NUM_THREADS=1 python benchmarks/refit_backtest.py [MODEL ...]

Two kinds of future. Rolling windows: all that was rated before a moment is the past, and what is rated from then until
the next moment is the future. Few of the bundled users come back in a later window, so the second kind takes the
newest tenth of each user's movies as the future of that user (it leaks across users, into both models alike). The past
is split at random per user 80/10/10, as `data.split` does by default: the measured version is trained on its train
part and stopped by its validation part; the refitted one is made of it by `refit_model`, from all of the past. Both
rank all that the user has not rated in the past. Writes benchmarks/results/refit_backtest.md anew after each future;
about a quarter of an hour on one core.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.backtest_windows import rolling_origin
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.data.split_strategies import TEST, TRAIN, VALIDATION, random_parts, user_time_parts
from movierec_engine.evaluation.comparison import PairedComparison, compare_paired
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.data import publish_split
from movierec_engine.release.refit import refit_model
from movierec_engine.store import Artifact, ArtifactStore, content_key

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "refit_backtest.md"
LIBRARIES = ("torch", "numpy", "scipy")
MODELS = ("popularity", "item_cf", "ease", "als", "gmf", "lightgcn", "hybrid_ensemble")
WINDOWS, FIRST_SHARE = 6, 0.5
METRIC = "ndcg@10"

console = Console(highlight=False)


@dataclass(frozen=True, eq=False)
class Future:
    """The data before a moment, and the interactions after it."""

    kind: str
    past: Split
    heldout: HeldOut


@dataclass(frozen=True, eq=False)
class Measured:
    """Of one model in one future: a value a user with history, float64 [n], and seconds of training."""

    with_refit: NDArray[np.float64]
    without: NDArray[np.float64]
    seconds: float
    refit_seconds: float


def main(names: Sequence[str]) -> None:
    started = time.perf_counter()
    found: dict[str, dict[str, list[Measured]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        settings = {name: settings_of(name, Path(folder)) for name in names}
        data = settings[names[0]].data
        made = pipeline.prepare(store, data)
        interactions = Interactions.load(made["interactions"].folder)
        for number, future in enumerate(futures(interactions, data.split_seed)):
            key = content_key("refit backtest", number)
            splits = publish_split(store, data, key, partial(_past, future), made["interactions"])
            graph = pipeline.build_interaction_graph(store, splits, data)
            for name in names:
                model = pipeline.train_model(store, settings[name], splits, graph)
                one = measured(store, model, future.heldout)
                found.setdefault(future.kind, {}).setdefault(name, []).append(one)
                gain = float(one.with_refit.mean() - one.without.mean())
                console.print(f"{future.kind} {number}: {name} {gain:+.4f} over {len(one.without)} users")
            lines = page(found, names, time.perf_counter() - started)
            RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def settings_of(name: str, folder: Path) -> Settings:
    own = ["device=cpu", "logger.use_mlflow=false", "logger.use_wandb=false", f"paths.checkpoints='{folder / name}'"]
    return load_settings([f"model={name}", f"data.dir='{ROOT / 'data/movielens-small'}'", *own])


def futures(interactions: Interactions, seed: int) -> Iterator[Future]:
    newest = user_time_parts(interactions, 0.9, 0.0, seed) == TEST
    yield future_of("each user's newest tenth", interactions.select(~newest), interactions.select(newest), seed)
    for window in rolling_origin(interactions, WINDOWS, FIRST_SHARE, 0.1):
        since, until = (window.boundaries[name] for name in ("test_from", "test_until"))
        before, after = interactions.timestamp < since, interactions.timestamp >= since
        until_end = after & (interactions.timestamp < until)
        yield future_of("rolling windows", interactions.select(before), interactions.select(until_end), seed)


def future_of(kind: str, past: Interactions, future: Interactions, seed: int) -> Future:
    """The past split at random as by default; the future of those who have one."""
    part = random_parts(past, 0.8, 0.1, seed)
    parts = (past.select(part == number) for number in (TRAIN, VALIDATION, TEST))
    known = past.matrix()
    having = future.select(np.diff(known.indptr)[future.user] > 0)
    return Future(kind, Split(*parts, strategy="random"), HeldOut(having, known, "past", Catalogue.of(past)))


def _past(future: Future) -> Split:
    return future.past


def measured(store: ArtifactStore, trained_model: Artifact, heldout: HeldOut) -> Measured:
    refitted, evaluator = refit_model(store, trained_model), Evaluator((10,), ("ndcg",))
    with_refit, without = (
        evaluator.evaluate(load_model(one.folder), heldout).per_user[METRIC] for one in (refitted, trained_model)
    )
    return Measured(with_refit, without, trained_model.facts["seconds"], refitted.facts["seconds"])


def page(found: dict[str, dict[str, list[Measured]]], names: Sequence[str], seconds: float) -> list[str]:
    threads = f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} " if "OMP_NUM_THREADS" in os.environ else ""
    lines = [
        "# Trained on everything before serving, or served as measured",
        "",
        f"`{threads}python benchmarks/refit_backtest.py {' '.join(names)}`, {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        + f", {seconds:.0f} s beside other programs",
        "",
        "Bundled data. The past is split at random per user 80/10/10; without the refit a model knows its train part, "
        "with it all of the past, with the same settings and the number of epochs that validation kept. Both rank what "
        f"the user has not rated in the past, and are measured by {METRIC} on what the user rates next, full ranking, "
        "over users with a past. The difference is paired by user, with its 95 % interval and the p values of the "
        "bootstrap and of Wilcoxon's signed ranks. Seconds are means of one training.",
    ]
    for kind, by_model in found.items():
        count = len(next(iter(by_model.values())))
        over = (
            f"{count} windows, whose users are pooled: of one who is in two, both count" if count > 1 else "one future"
        )
        lines += [
            "",
            f"## {kind[0].upper()}{kind[1:]}: {over}",
            "",
            "| model | users | without | with | difference [95 %] | p | p ranks | s measured | s refit |",
            "|---|---|---|---|---|---|---|---|---|",
            *(row_of(name, windows) for name, windows in by_model.items()),
        ]
    return lines


def compared_of(windows: Sequence[Measured]) -> PairedComparison:
    """With the refit against without, user by user over all windows."""
    return compare_paired(
        np.concatenate([one.with_refit for one in windows]), np.concatenate([one.without for one in windows])
    )


def row_of(name: str, windows: Sequence[Measured]) -> str:
    compared = compared_of(windows)
    seconds, refit = (float(np.mean([getattr(one, of) for one in windows])) for of in ("seconds", "refit_seconds"))
    return (
        f"| {name} | {compared.users:,} | {compared.mean_b:.4f} | {compared.mean_a:.4f} | {compared.difference:+.4f} "
        f"[{compared.low:+.4f}, {compared.high:+.4f}] | {compared.p_bootstrap:.3f} | {compared.p_wilcoxon:.3f} "
        f"| {seconds:.1f} | {refit:.1f} |"
    )


if __name__ == "__main__":
    main(sys.argv[1:] or MODELS)
