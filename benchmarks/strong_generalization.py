"""Measure how well every model serves people whom it was not trained on, and which movies to ask them about.

    OMP_NUM_THREADS=1 python benchmarks/strong_generalization.py [MODEL ...]

Trains the models on the bundled data, those named or all, and each that took up to two minutes once more for each fold
of the users with long histories, without them, and folds those in with a few of their movies. Their validation items
decide from how many movies on that is enough, their test items report it. Then looks at how far the draw of those
movies decides, and chooses the movies of the interview, for ease and als. Writes
benchmarks/results/strong_generalization.md, anew after each model; all of it takes about a quarter of an hour on one
core.
"""

import os
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.evaluation.comparison import ALPHA
from movierec_engine.evaluation.strong_generalization import (
    DECIDED_ON,
    DRAWS,
    FOLD_IN,
    FOLDS,
    LEAST_HISTORY,
    POPULARITY,
    REPORTED_ON,
    SIZES,
    TRAINED_IN,
    WHOLE_HISTORY,
    Part,
    fold_in_curves,
    fold_in_min_items,
    gains,
    held_out_folds,
    without,
)
from movierec_engine.models.registry import load_model, model_names
from movierec_engine.pipeline.canaries import trained_again
from movierec_engine.pipeline.data import load_split
from movierec_engine.pipeline.elicitation import QUESTIONS_FILE, measure_elicitation
from movierec_engine.pipeline.strong_generalization import curve_rows, measure_strong_generalization
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "strong_generalization.md"
LIBRARIES = ("torch", "numpy", "scipy")
MODELS = tuple(name for name in model_names() if name != "popularity")
ELICITATION_MODELS = ("ease", "als")
"""Models of the interview, and of the other draws."""
REPEATS = 8
"""Measurements with other random choices of the movies that new users come with."""
LONGEST = 120.0
"""Seconds of training beyond which a model is not trained again."""

console = Console(highlight=False)


def main(names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        askers = {name: train(store, name, Path(folder)) for name in ELICITATION_MODELS}
        after = ["", "## How far the draw of the movies decides", "", *draws(store, askers), "", "## The interview", ""]
        for name, one in askers.items():
            after += elicitation_of(name, measure_elicitation(store, one))
        curves: dict[str, Artifact] = {}
        slow: list[str] = []
        for name in names:
            trained = askers.get(name) or train(store, name, Path(folder))
            if trained.facts["seconds"] > LONGEST:
                slow.append(name)
                continue
            curves[name] = measure_strong_generalization(store, trained)
            console.print(row_of(name, curves[name]), soft_wrap=True, markup=False)
            lines = [*page(curves, slow), *after]
            RESULT.write_text("\n".join(lines), encoding="utf-8")
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def train(store: ArtifactStore, name: str, folder: Path) -> Artifact:
    """A model with its default settings on the bundled data; the members of an ensemble, where the store has none."""
    own = ["device=cpu", "logger.use_mlflow=false", "logger.use_wandb=false", f"paths.checkpoints='{folder / name}'"]
    settings = load_settings([f"model={name}", f"data.dir='{ROOT / 'data/movielens-small'}'", *own])
    made = pipeline.prepare(store, settings.data)
    return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])


def page(curves: dict[str, Artifact], slow: list[str]) -> list[str]:
    first = next(iter(curves.values()))
    facts = first.facts
    counts = " | ".join(f"{size} movie{'s' * (size > 1)}" for size in SIZES)
    threads = f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} " if "OMP_NUM_THREADS" in os.environ else ""
    lines = [
        "# People whom a model was not trained on",
        "",
        f"`{threads}python benchmarks/strong_generalization.py {' '.join(curves)}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, Python "
        f"{platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES) + ".",
        "",
        f"Fingerprint {first.fingerprint}; random split per user 80/10/10. All {facts['users']} users with at least "
        f"{LEAST_HISTORY} train interactions are held out in turn, in {facts['folds']} random folds: a model is "
        "trained without what train and validation know of a fold's users, and they are folded in with a random choice "
        f"of their own train movies, {facts['draws']} times, which is averaged. The same scores are measured by "
        "ndcg@10 on the validation items, all that train knows of a user being masked, and on the test items, all that "
        "train and validation know being masked; full ranking, with 95 % intervals over the users. Popularity is that "
        "of the model that has not met the user; trained in is the model that was trained on everybody.",
        "",
        "★: significantly better than popularity on the table's own part, by the paired bootstrap and by Wilcoxon's "
        f"signed ranks, both p < {ALPHA} after Holm's correction over the sizes. Enough: the least size from which on "
        "every measured size is, on validation: it decides what new users are answered with, and nothing is decided on "
        "test.",
        "",
        "On test:",
        "",
        f"| model | {counts} | whole history | trained in | popularity | enough (on validation) | s | of them training "
        "| MB |",
        "|---|" + "---|" * (len(SIZES) + 7),
        *(row_of(name, made) for name, made in curves.items()),
        "",
        "On validation, which decides:",
        "",
        f"| model | {counts} | whole history | trained in | popularity |",
        "|---|" + "---|" * (len(SIZES) + 3),
        *(f"| {name} | {values_of(made, DECIDED_ON)} |" for name, made in curves.items()),
        "",
        "What fold-in adds to popularity: the mean difference with its own 95 % interval, and the larger of both "
        "corrected p values.",
        "",
        f"| model | part | {counts} |",
        "|---|---|" + "---|" * len(SIZES),
        *(gains_of(name, made, part) for name, made in curves.items() for part in (DECIDED_ON, REPORTED_ON)),
        "",
        f"Seconds are of all {facts['folds']} trainings and of the measurement, on a machine that did other work "
        "beside; MB is the largest resident memory that the process had had by then, with all models above.",
    ]
    if slow:
        lines.append(f"Not measured, as training took more than {LONGEST:.0f} s: {', '.join(slow)}.")
    left_out = [name for name in MODELS if name not in curves and name not in slow]
    if left_out:
        lines.append(f"Not run this time: {', '.join(left_out)}.")
    return lines


def row_of(name: str, made: Artifact) -> str:
    facts = made.facts
    cost = f"{facts['seconds']:.0f} | {facts['training_seconds']:.0f} | {facts['peak_memory_mb']:.0f}"
    return f"| {name} | {values_of(made, REPORTED_ON)} | {facts['fold_in_min_items'] or 'none'} | {cost} |"


def values_of(made: Artifact, part: Part) -> str:
    found = {(row["source"], row["size"]): row for row in curve_rows(made, part)}
    places = [*((FOLD_IN, size) for size in SIZES), (WHOLE_HISTORY, None), (TRAINED_IN, None), (POPULARITY, 0)]
    return " | ".join(with_interval(found[place]) for place in places)


def with_interval(row: dict[str, Any]) -> str:
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]{' ★' if row['better'] else ''}"


def gains_of(name: str, made: Artifact, part: Part) -> str:
    cells = [
        f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}], p "
        f"{max(row['p_bootstrap'], row['p_wilcoxon']):.3f}"
        for row in curve_rows(made, part)
        if row["source"] == FOLD_IN
    ]
    return f"| {name} | {part} | {' | '.join(cells)} |"


def draws(store: ArtifactStore, trained: dict[str, Artifact]) -> list[str]:
    """The same folds, and other movies of the same new users."""
    counts = " | ".join(f"{size} movie{'s' * (size > 1)}" for size in SIZES)
    lines = [
        f"The same new users in the same folds, measured {REPEATS} times more with other random choices of their "
        "movies, on validation. Mean difference to popularity: the mean of the measurements, the least and the "
        "largest. Enough: how often it was what. Averaged: how many choices each value is the mean of.",
        "",
        f"| model | averaged | {counts} | enough |",
        "|---|" + "---|" * (len(SIZES) + 2),
    ]
    for name, one in trained.items():
        parts, seed = load_split(store.resolve(one.parents["splits"])), one.config["data"]["split_seed"]
        models = [
            (users, trained_again(store, one, without(parts, users))) for users in held_out_folds(parts, FOLDS, seed)
        ]
        model = load_model(one.folder)
        for averaged in (1, DRAWS):
            found = [
                gains(curve)
                for repeat in range(1, REPEATS + 1)
                for curve in fold_in_curves(models, model, parts, draws=averaged, seed=seed + repeat)
                if curve.part == DECIDED_ON
            ]
            reached = np.array([[gain.comparison.difference for gain in one] for one in found])
            cells = [f"{own.mean():+.3f} ({own.min():+.3f} to {own.max():+.3f})" for own in reached.T]
            often = Counter(fold_in_min_items(one) for one in found)
            least = ", ".join(f"{size or 'none'} in {count}" for size, count in often.most_common())
            lines.append(f"| {name} | {averaged} | {' | '.join(cells)} | {least} |")
    return lines


def elicitation_of(name: str, made: Artifact) -> list[str]:
    facts, compared = made.facts, made.facts["comparison"]
    worst = max(compared["p_bootstrap"], compared["p_wilcoxon"])
    verdict = "significantly better" if worst < ALPHA and compared["difference"] > 0 else "not significantly better"
    rows = pq.read_table(made.folder / QUESTIONS_FILE).to_pylist()
    return [
        f"{name}, chosen by ndcg@10 on validation of {facts['users']} users ({facts['validation']['nothing']:.4f} when "
        "nothing is asked), who are folded in from only those movies that they know:",
        "",
        "| question | known by | ndcg@10 after it | gain |",
        "|---|---|---|---|",
        *(
            f"| {row['title']} ({row['year']}) | {row['known_by']:.0%} | {row['value']:.4f} | {row['gain']:+.4f} |"
            for row in rows
        ),
        "",
        f"On the test items of {compared['users']} other users: {facts['test']['nothing']:.4f} when nothing is asked, "
        f"{facts['test']['popular']:.4f} when asked about the {facts['questions']} most popular movies, "
        f"{facts['test']['chosen']:.4f} when asked about the chosen ones. Chosen - popular: "
        f"{compared['difference']:+.4f} [{compared['low']:+.4f}, {compared['high']:+.4f}], bootstrap p "
        f"{compared['p_bootstrap']:.4f}, Wilcoxon p {compared['p_wilcoxon']:.4f}, better for {compared['wins']}, equal "
        f"for {compared['ties']}, worse for {compared['losses']}: {verdict}.",
        "",
    ]


if __name__ == "__main__":
    main(sys.argv[1:] or MODELS)
