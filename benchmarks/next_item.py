"""Measure what models find of what people watch next: sequence models, and models that see a set.

    OMP_NUM_THREADS=1 python benchmarks/next_item.py --folder FOLDER                      # everything
    OMP_NUM_THREADS=1 python benchmarks/next_item.py --folder FOLDER --models sasrec      # a piece; goes on if cut off
    python benchmarks/next_item.py --page                                                 # write the page anew

MovieLens 1M in the order of the sequence papers, as `ml1m_sequences/ratings.parquet` (user, item, place) of
FOLDER: the last item of each history is test and the one before it validation (data.split=next_item). Every model is
told all before the item that is asked for, and the whole catalogue but that history is ranked. The settings of MODELS
were chosen on validation, as WHY says, and training stops by validation too.

A model is a file of benchmarks/results/next_item/; writes benchmarks/results/next_item.md. Training leaves checkpoints
in --checkpoints, from which the same command goes on, and of which `fused` takes sasrec.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split, split
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import ALPHA, compare_paired
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.checkpoint_file import read_checkpoint
from movierec_engine.models.fitting import CheckpointPlace, Epoch, Fitting
from movierec_engine.reporting import numbers

RESULTS = Path(__file__).with_name("results") / "next_item"
PAGE = RESULTS.with_suffix(".md")
METRICS = ("hit_rate@10", "ndcg@10")
EVALUATOR = Evaluator([10], ("ndcg", "hit_rate"))
BASELINE = "markov"
MODELS = {
    **{name: (name, "") for name in ("popularity", "als", "ease", "markov")},
    "sasrec": ("sasrec", ""),
    "fused": ("hybrid_ensemble", "model.models=[ease,als,markov,sasrec]"),
}
"""What is measured -> the model that it is, and its settings beside the defaults; each after what it fuses."""
FUSED = ("ease", "als", "markov", "sasrec")
"""Members of `fused`."""
WHY = "The learning rate of sasrec was chosen by the first epochs on validation; nothing else was searched."
LENGTHS = {"up to 50": (0, 50), "51 to 100": (50, 100), "101 to 200": (100, 200), "over 200": (200, np.inf)}
"""Kinds of histories: more items than the first, and no more than the second."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints") / "next_item")
    parser.add_argument("--cut-off", action="store_true", help="train no further than the checkpoints are")
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in arguments.models if not arguments.page else ():
        measure(name, arguments.folder, arguments.checkpoints, arguments.cut_off)
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    console.print(f"wrote {PAGE}")


@cache
def parts_of(folder: Path | None) -> Split:
    if folder is None:
        raise SystemExit("MovieLens 1M is not bundled; name the folder that has ml1m_sequences by --folder")
    table = pq.read_table(folder / "ml1m_sequences" / "ratings.parquet")
    interactions = Dataset.from_frame(table, user="user", item="item").train
    return split(interactions, DataConfig("ml1m", split="next_item"), Ratings(interactions.to_table()))


def measure(name: str, folder: Path | None, checkpoints: Path, cut_off: bool) -> None:
    """Train a model and write down what it reaches on validation, and each user's metrics on test.

    cut_off: take the best epoch of a training that was ended before it stopped by itself.
    """
    parts, (kind, told) = parts_of(folder), MODELS[name]
    words = told.split()
    settings = load_settings([f"model={kind}", "device=cpu", *words])
    started, used = time.perf_counter(), time.process_time()
    data = Dataset(parts.train, parts.validation_heldout())
    model = model_class(kind)(settings.model)
    epochs: Sequence[Epoch] = ()
    if cut_off:
        model = model_class(kind).load(checkpoints / name / f"{kind}_best.pt")
        epochs = [
            Epoch(**epoch) for epoch in read_checkpoint(checkpoints / name / f"{kind}_last.pt").training["history"]
        ]
    else:
        if name == "fused":
            model.start_from({member: fitted(member, data, checkpoints) for member in FUSED})
        own = CheckpointPlace(checkpoints / name, f"{name} {' '.join(words)}", resume_own=True)
        model.fit(
            data,
            Fitting(
                settings.trainer, settings.device, settings.seed, evaluator=EVALUATOR, on_epoch=tell, checkpoints=own
            ),
        )
        epochs = model.epochs
    took, used = time.perf_counter() - started, time.process_time() - used
    reached = EVALUATOR.evaluate(model.as_validated(), parts.validation_heldout(), deep=False).metrics
    test = parts.test_heldout()
    found = EVALUATOR.evaluate(model, test, deep=False)
    record = {
        "settings": words,
        "validation": {metric: reached[metric] for metric in METRICS},
        "test": {metric: [round(float(value), 6) for value in found.per_user[metric]] for metric in METRICS},
        "lengths": test.activity[found.users].tolist(),
        "epochs": len(epochs),
        "cut_off": cut_off,
        "seconds": round(sum(epoch.seconds for epoch in epochs) or took, 1),
        "cpu_seconds": None if cut_off else round(used, 1),
    }
    file_of(name).write_text(json.dumps(record) + "\n", encoding="utf-8")
    console.print(f"{name}: {record['validation']}, {took:.0f} s", markup=False, soft_wrap=True)


def fitted(member: str, data: Dataset, checkpoints: Path) -> Recommender:
    """A member of `fused`: of sasrec its best epoch, of the others a new fit, which takes seconds."""
    trained = checkpoints / member / f"{member}_best.pt"
    if member != "sasrec":
        return model_class(member)(load_settings([f"model={member}"]).model).fit(data)
    if not trained.exists():
        raise SystemExit(f"{trained} is missing; measure {member} first")
    return model_class(member).load(trained)


def tell(epoch: Epoch) -> None:
    """One line an epoch, so that a long run shows where it is."""
    reached = ", ".join(f"{name} {epoch.metrics[name]:.4f}" for name in METRICS)
    console.print(f"epoch {epoch.number}: loss {epoch.loss:.4f}, {reached}, {epoch.seconds:.0f} s", markup=False)


def file_of(name: str) -> Path:
    return RESULTS / f"{name}.json"


def page() -> list[str]:
    records: dict[str, dict[str, Any]] = {
        name: json.loads(file_of(name).read_text(encoding="utf-8")) for name in MODELS if file_of(name).exists()
    }
    return [
        "# What people watch next",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/next_item.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "MovieLens 1M in the order of the sequence papers (`data.split=next_item`): the last item of each history is "
        "test, the one before it validation, every model is told all before the item that is asked for, and all other "
        f"items are ranked. {WHY} Training stopped by ndcg@10 on validation. 95 % intervals are over users, and the "
        f"difference to {BASELINE} in ndcg@10 is of the same users; ★: significant by the paired bootstrap and "
        f"Wilcoxon's test, both p < {ALPHA}. Seconds are of one thread, by the clock of a machine that did other work "
        "beside, and of its CPU. A training that is cut off is measured by its best epoch until then.",
        "",
        *table(records),
        "",
        "By the length of the history that is told, hit_rate@10 / ndcg@10:",
        "",
        *by_length(records),
    ]


def best_first(records: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(records, key=lambda name: -float(np.mean(records[name]["test"]["ndcg@10"])))


def table(records: dict[str, dict[str, Any]]) -> list[str]:
    """A row a model, the best on test first."""
    lines = [
        f"| model | ndcg@10 on validation | {' | '.join(METRICS)} | - {BASELINE} | p | epochs | s | s of CPU |",
        "|---|" + "---|" * (len(METRICS) + 6),
    ]
    for name in best_first(records):
        record = records[name]
        values = np.array([record["test"][metric] for metric in METRICS]).T
        bounds = bootstrap_intervals(values)
        cells = [
            f"{mean:.4f} [{low:.4f}, {high:.4f}]" for mean, (low, high) in zip(values.mean(axis=0), bounds, strict=True)
        ]
        difference, p = "", ""
        if name != BASELINE and BASELINE in records:
            one = compare_paired(values[:, -1], np.array(records[BASELINE]["test"]["ndcg@10"]))
            difference = f"{one.difference:+.4f} {numbers.signed_interval(one.low, one.high)}"
            worst = max(one.p_bootstrap, one.p_wilcoxon)
            p = f"{worst:.4f}{' ★' if worst < ALPHA and one.difference * one.rank_biserial > 0 else ''}"
        lines.append(
            f"| {name} | {record['validation']['ndcg@10']:.4f} | {' | '.join(cells)} | {difference} | {p} "
            f"| {record['epochs'] or ''}{', cut off' if record.get('cut_off') else ''} | {record['seconds']:.1f} "
            f"| {'' if record['cpu_seconds'] is None else format(record['cpu_seconds'], '.1f')} |"
        )
    told = [f"{name}: `{' '.join(records[name]['settings'])}`" for name in records if records[name]["settings"]]
    lines += ["", f"Settings beside the defaults: {'; '.join(told)}."] if told else []
    if "fused" in records and (best := next((one for one in best_first(records) if one in FUSED), None)):
        ours, theirs = (np.array(records[name]["test"]["ndcg@10"]) for name in ("fused", best))
        one = compare_paired(ours, theirs)
        lines += [
            "",
            f"fused - {best}, its best member: {one.difference:+.4f} {numbers.signed_interval(one.low, one.high)} in "
            f"ndcg@10, p {max(one.p_bootstrap, one.p_wilcoxon):.4f}. Its value on validation is cross-fitted, as its "
            "weights were learned there.",
        ]
    absent = [name for name in MODELS if name not in records]
    return [*lines, *(["", f"Not run: {'; '.join(absent)}."] if absent else [])]


def by_length(records: dict[str, dict[str, Any]]) -> list[str]:
    """A row a model, and a column a kind of history."""
    lines = []
    for name in best_first(records):
        record = records[name]
        length = np.array(record["lengths"])
        values = [np.array(record["test"][metric]) for metric in METRICS]
        masks = [(length > low) & (length <= high) for low, high in LENGTHS.values()]
        cells = [" / ".join(f"{one[mask].mean():.4f}" if mask.any() else "" for one in values) for mask in masks]
        if not lines:
            heads = [f"{kind} ({int(mask.sum()):,})" for kind, mask in zip(LENGTHS, masks, strict=True)]
            lines = [f"| model | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
