"""Measure how well every model serves people whom it was not trained on, and which movies to ask them about.

    python benchmarks/fold_in_fidelity.py

Trains the models that take up to about a minute on the bundled data, and each once more without a tenth of the users
with long histories, and folds those in with a few of their movies; then chooses the movies of the interview for ease
and als. Writes benchmarks/results/fold_in_fidelity.md, in about six minutes on one core.
"""

import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.evaluation.comparison import ALPHA
from movierec_engine.evaluation.fidelity import FOLD_IN, LEAST_HISTORY, POPULARITY, SIZES, TRAINED_IN, WHOLE_HISTORY
from movierec_engine.models.registry import SINGLE_MODELS
from movierec_engine.pipeline.fidelity import CURVE_FILE, measure_fold_in
from movierec_engine.pipeline.interview import QUESTIONS_FILE, hold_interview
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "fold_in_fidelity.md"
LIBRARIES = ("torch", "numpy", "scipy")
INTERVIEWERS = ("ease", "als")
LONGEST = 120.0
"""Seconds of training beyond which a model is not trained again: a minute, on a machine that does other work beside."""

console = Console(highlight=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder) / "store")
        trained = {name: train(store, name, Path(folder)) for name in SINGLE_MODELS if name != "popularity"}
        quick = {name: one for name, one in trained.items() if one.facts["seconds"] <= LONGEST}
        curves = {}
        for name, one in quick.items():
            curves[name] = measure_fold_in(store, one)
            console.print(row_of(name, curves[name]), soft_wrap=True, markup=False)
        interviews = {name: hold_interview(store, trained[name]) for name in INTERVIEWERS}
        lines = page(curves, interviews, [name for name in trained if name not in quick])
    RESULT.write_text("\n".join(lines), encoding="utf-8")
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def train(store: ArtifactStore, name: str, folder: Path) -> Artifact:
    """A model with its default settings on the bundled data."""
    own = ["device=cpu", "logger.use_mlflow=false", "logger.use_wandb=false", f"paths.checkpoints='{folder / name}'"]
    settings = load_settings([f"model={name}", f"data.dir='{ROOT / 'data/movielens-small'}'", *own])
    made = pipeline.prepare(store, settings.data)
    return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])


def page(curves: dict[str, Artifact], interviews: dict[str, Artifact], slow: list[str]) -> list[str]:
    first = next(iter(curves.values()))
    counts = " | ".join(f"{size} movie{'s' * (size > 1)}" for size in SIZES)
    lines = [
        "# People whom a model was not trained on",
        "",
        f"`python benchmarks/fold_in_fidelity.py`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        + ".",
        "",
        f"Fingerprint {first.fingerprint}; random split per user 80/10/10. {first.facts['users']} users, a random "
        f"tenth of those with at least {LEAST_HISTORY} train interactions, are left out of train and validation and "
        "folded in with a random choice of their own train movies. ndcg@10 on their test items, full ranking, with 95 "
        "% intervals over the users. The same items are masked in every column, all that train and validation know of "
        "a user. Enough: the number of movies from which on fold-in is significantly better than popularity (bootstrap "
        f"and Wilcoxon, both p < {ALPHA}). So few users show only large differences: none does not say that fold-in is "
        "no better.",
        "",
        f"| model | {counts} | whole history | trained in | popularity | enough | s |",
        "|---|" + "---|" * (len(SIZES) + 5),
        *(row_of(name, made) for name, made in curves.items()),
        "",
        "Seconds are of one training without those users and of the measurement, on a machine that did other work "
        "beside.",
    ]
    if slow:
        lines.append(f"Not measured, as training took more than {LONGEST:.0f} s: {', '.join(slow)}.")
    lines += ["", "## The interview", ""]
    for name, made in interviews.items():
        lines += interview_of(name, made)
    return lines


def row_of(name: str, made: Artifact) -> str:
    rows = pq.read_table(made.folder / CURVE_FILE).to_pylist()
    found = {(row["source"], row["size"]): row for row in rows}
    places = [*((FOLD_IN, size) for size in SIZES), (WHOLE_HISTORY, None), (TRAINED_IN, None), (POPULARITY, 0)]
    cells = [with_interval(found[place]) for place in places]
    return f"| {name} | {' | '.join(cells)} | {made.facts['enough'] or 'none'} | {made.facts['seconds']:.1f} |"


def with_interval(row: dict[str, Any]) -> str:
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def interview_of(name: str, made: Artifact) -> list[str]:
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
    main()
