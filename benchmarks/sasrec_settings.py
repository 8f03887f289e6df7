"""Measure what the settings of sasrec are worth on validation, all in the same processor time.

    OMP_NUM_THREADS=1 python benchmarks/sasrec_settings.py --folder FOLDER                         # everything
    OMP_NUM_THREADS=1 python benchmarks/sasrec_settings.py --folder FOLDER --settings default gbce # a piece
    python benchmarks/sasrec_settings.py --page                                                    # the page anew

MovieLens 1M in the order of the sequence papers, as `ml1m_sequences/ratings.parquet` (user, item, place) of FOLDER,
split by data.split=next_item; the test part is not looked at. A training is cut off when its processor time is
used, whichever epoch that is, and is measured by its best epoch until then; where the learning rate falls by a
schedule, its end is the epoch at which that will be. Seconds are of this process's CPU and one thread, so that
what else the machine does counts little.

A training is a file of benchmarks/results/sasrec_settings/; writes benchmarks/results/sasrec_settings.md.
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from next_item import EVALUATOR, METRICS, parts_of
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.models import model_class
from movierec_engine.models.fitting import Epoch, Fitting, StopTraining

RESULTS = Path(__file__).with_name("results") / "sasrec_settings"
PAGE = RESULTS.with_suffix(".md")
WIDE = "model.embedding_dim=128 model.num_heads=2"
COSINE = "trainer.scheduler.name=cosine"
SETTINGS = {
    "default": "",
    "cosine": COSINE,
    "gated": "model.block=gated",
    "sampled softmax": "model.loss_type=sampled_softmax",
    "gbce": "model.loss_type=gbce",
    "128 wide": WIDE,
    "2 heads": "model.num_heads=2",
    "batch 4096": "trainer.batch_size=4096",
    "rate .002": "trainer.learning_rate=0.002",
    "dropout .1": "model.dropout=0.1",
    "dropout .3": "model.dropout=0.3",
    "gated, 128 wide, cosine": f"model.block=gated {WIDE} {COSINE}",
}
"""What is measured -> its settings beside the defaults."""
TIMES = (100, 150, 215, 300)
SLACK = 1.05
"""An epoch that ends a little later counts too."""
LEVELS = (0.02, 0.05, 0.10, 0.12, 0.14, 0.15, 0.16, 0.17)

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seconds", type=float, default=300, help="of CPU that a training may take")
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in arguments.settings if not arguments.page else ():
        measure(name, arguments.folder, arguments.seconds)
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    console.print(f"wrote {PAGE}")


def measure(name: str, folder: Path | None, budget: float) -> None:
    """Train for so many seconds of CPU, and write down when each epoch ended and what it reached on validation."""
    told = SETTINGS[name].split()
    if COSINE in told:
        took = trained(name, [*told, "trainer.max_epochs=2"], folder, budget, 1)[0]["seconds"]
        told = [*told, f"trainer.max_epochs={max(2, round(budget / took))}"]
    trained(name, told, folder, budget)


def trained(
    name: str, told: list[str], folder: Path | None, budget: float, most: int | None = None
) -> list[dict[str, Any]]:
    """Each epoch of a training that is cut off at the budget: its metrics, and the seconds until its end."""
    settings = load_settings(["model=sasrec", "device=cpu", *told])
    parts = parts_of(folder)
    epochs: list[dict[str, Any]] = []
    measures = Timed()
    started = time.process_time()

    def told_of(epoch: Epoch) -> None:
        seconds = time.process_time() - started - measures.seconds
        epochs.append({"seconds": round(seconds, 1), **{metric: round(epoch.metrics[metric], 5) for metric in METRICS}})
        console.print(f"{name}: {epochs[-1]}, loss {epoch.loss:.4f}", markup=False, soft_wrap=True)
        if most is None:  # after each epoch, for a run that is ended from outside
            record = {"settings": told, "budget": budget, "epochs": epochs}
            file_of(name).write_text(json.dumps(record) + "\n", encoding="utf-8")
        if seconds * (1 + 0.5 / epoch.number) > budget:
            raise StopTraining

    how = Fitting(settings.trainer, settings.device, settings.seed, epochs=most, evaluator=measures, on_epoch=told_of)
    model_class("sasrec")(settings.model).fit(Dataset(parts.train, parts.validation_heldout()), how)
    return epochs


class Timed:
    """EVALUATOR, and the seconds of CPU that it has taken."""

    metric_names = EVALUATOR.metric_names
    seconds = 0.0

    def evaluate(self, model: Any, heldout: HeldOut, deep: bool = True) -> Any:
        started = time.process_time()
        found = EVALUATOR.evaluate(model, heldout, deep)
        self.seconds += time.process_time() - started
        return found


def file_of(name: str) -> Path:
    return RESULTS / f"{name}.json".replace(",", "").replace(" ", "_")


def page() -> list[str]:
    records: dict[str, dict[str, Any]] = {
        name: json.loads(file_of(name).read_text(encoding="utf-8")) for name in SETTINGS if file_of(name).exists()
    }
    rivals = {
        path.stem.replace("_", " "): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RESULTS.glob("rectools*.json"))
    }
    return [
        "# What the settings of sasrec are worth",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/sasrec_settings.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores that did other work beside, Python {platform.python_version()}.",
        "",
        "MovieLens 1M in the order of the sequence papers, each user's item before the last (`data.split=next_item`, "
        "validation alone; test is not looked at), all other items ranked. Each row changes the named settings alone. "
        "All trainings are cut off at the same seconds of CPU of one thread, validation not counted, which is far from "
        "where they would stop, so that what learns fast is ahead; the best epoch until then counts. One that was "
        "ended from outside has no value at the times after its end.",
        "",
        *table(records),
        "",
        "## Beside RecTools",
        "",
        "RecTools' SASRec (`benchmarks/rectools_sasrec.py`) of the same size on the same rows, a plain softmax over "
        "the catalogue, its own batches and its own rate: seconds of CPU until the level of ndcg@10 on validation is "
        "first reached. Asked for: ours at most .6 of its.",
        "",
        *beside(records.get("default"), rivals),
    ]


def best_until(record: dict[str, Any], seconds: float) -> float | None:
    """The best ndcg@10 of the epochs until then; None before the first, and where training was ended earlier."""
    epochs = record["epochs"]
    reached = [epoch["ndcg@10"] for epoch in epochs if epoch["seconds"] <= seconds * SLACK]
    return max(reached) if reached and epochs[-1]["seconds"] * SLACK >= seconds else None


def table(records: dict[str, dict[str, Any]]) -> list[str]:
    """A row a training, the best at the longest time first, those that were ended before it last."""
    times = sorted({second for second in TIMES if any(best_until(one, second) for one in records.values())})
    rows = []
    for name, record in records.items():
        found = [best_until(record, second) for second in times]
        each = record["epochs"][-1]["seconds"] / len(record["epochs"])
        told = f"`{' '.join(record['settings'])}`" if record["settings"] else ""
        rows.append((found[::-1], [name, told, f"{each:.0f}", *("" if one is None else f"{one:.4f}" for one in found)]))
    rows.sort(key=lambda row: [-(one or 0) for one in row[0]])
    return [
        f"| settings | | s an epoch | {' | '.join(f'ndcg@10 in {second} s' for second in times)} |",
        "|---|---|---|" + "---|" * len(times),
        *(f"| {' | '.join(cells)} |" for _, cells in rows),
    ]


def beside(ours: dict[str, Any] | None, rivals: dict[str, dict[str, Any]]) -> list[str]:
    """A row a level of ndcg@10: the seconds of ours and of each rival, and the ratio to the faster rival."""
    if not ours or not rivals:
        return ["Not run."]
    lines = [f"| ndcg@10 | ours | {' | '.join(rivals)} | ours / the faster |", "|---|" + "---|" * (len(rivals) + 2)]
    for level in LEVELS:
        own, theirs = until(ours, level), [until(record, level) for record in rivals.values()]
        reached = [one for one in theirs if one is not None]
        if own is None and not reached:
            continue
        ratio = f"{own / min(reached):.2f}" if own is not None and reached else ""
        cells = ["not reached" if one is None else f"{one:.0f}" for one in (own, *theirs)]
        lines.append(f"| {level:.2f} | {' | '.join(cells)} | {ratio} |")
    ends = [
        f"{name} {record['epochs'][-1]['seconds']:.0f} s, {len(record['epochs'])} epochs, best "
        f"{max(epoch['ndcg@10'] for epoch in record['epochs']):.4f}"
        for name, record in {"ours": ours, **rivals}.items()
    ]
    return [*lines, "", f"Trained until: {'; '.join(ends)}."]


def until(record: dict[str, Any], level: float) -> float | None:
    """Seconds until the end of the first epoch of at least that ndcg@10."""
    return next((epoch["seconds"] for epoch in record["epochs"] if epoch["ndcg@10"] >= level), None)


if __name__ == "__main__":
    main()
