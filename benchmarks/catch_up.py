"""Measure how long a model that is trained by gradient takes to rank as well as als, on large data.

    python benchmarks/catch_up.py --interactions ratings.parquet --name "25 million"
    python benchmarks/catch_up.py --interactions ratings.parquet --name "25 million" --model ngcf --minutes 30

The Parquet file has the integer columns `user` and `item`. Of each part that is held out, a tenth of the interactions,
the same 10,000 users are ranked in full. als is fitted with its defaults; then the model, with its own, until its
ndcg@10 on validation is als's or the minutes are over, on all cores. What test says is only reported. The clock counts
the measuring after each epoch, which the model's training does. Writes a section of benchmarks/results/catch_up.md.
"""

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from recbole.pairs_file import held_out, read_pairs
from result_sections import write_section
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.fitting import Epoch, Fitting, StopTraining

RESULT = Path(__file__).with_name("results") / "catch_up.md"
TITLE = "# How long a model trained by gradient takes to rank as well as als\n\n`python benchmarks/catch_up.py`"
METRIC, USERS = "ndcg@10", 10_000
EVALUATOR = Evaluator([10], ("ndcg",))
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    parser.add_argument("--name", required=True, help="of the data, the section's title")
    parser.add_argument("--model", default="lightgcn")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("overrides", nargs="*", help="settings of the model, such as trainer.learning_rate=0.02")
    asked = parser.parse_args()
    whole, test = held_out(read_pairs(asked.interactions))
    data = Dataset(whole.train, whole.validation.sampled(USERS, seed=0))
    started = time.perf_counter()
    als = fitted("als", data, [])
    minutes = (time.perf_counter() - started) / 60
    aim = ndcg(als, data.validation)
    console.print(f"als: {aim:.4f} after {minutes:.1f} min")
    race = Race(aim, asked.minutes)
    model = fitted(asked.model, data, asked.overrides, race)
    test = test.sampled(USERS, seed=0)
    settings = f" with {' '.join(asked.overrides)}" if asked.overrides else ""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}: {len(data.train):,} train interactions of {data.train.n_users:,} users with "
        f"{data.train.n_items:,} items; {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}. als: {aim:.4f} on validation and "
        f"{ndcg(als, test):.4f} on test, fitted in {minutes:.1f} minutes. {asked.model}{settings}: {race.verdict()}, "
        f"{ndcg(model, test):.4f} on test.",
        "",
        f"| epoch | minutes | {METRIC} on validation | of als's |",
        "|---|---|---|---|",
        *(f"| {n} | {at:.1f} | {value:.4f} | {value / aim:.3f} |" for n, (at, value) in enumerate(race.epochs, 1)),
    ]
    console.print(write_section(RESULT, TITLE, f"{asked.name}, {asked.model}", lines))


class Race:
    """A training that ends with the epoch that is as good as als, or after the one in which the time is over."""

    def __init__(self, aim: float, minutes: float) -> None:
        self.aim, self.minutes = aim, minutes
        self.started = time.perf_counter()
        self.epochs: list[tuple[float, float]] = []

    def __call__(self, epoch: Epoch) -> None:
        at, value = (time.perf_counter() - self.started) / 60, epoch.metrics[METRIC]
        self.epochs.append((at, value))
        console.print(f"epoch {epoch.number}: {value:.4f} after {at:.1f} min")
        if value >= self.aim or at >= self.minutes:
            raise StopTraining

    def verdict(self) -> str:
        at, value = self.epochs[-1]
        if value >= self.aim:
            return f"{value:.4f} on validation after {at:.0f} minutes"
        return f"{max(value for _, value in self.epochs):.4f} on validation at best, in {at:.0f} minutes"


def fitted(name: str, data: Dataset, overrides: list[str], race: Race | None = None) -> Recommender:
    settings = load_settings([f"model={name}", "device=cpu", *overrides])
    model: Recommender = model_class(name)(settings.model)
    model.fit(data, Fitting(settings.trainer, "cpu", settings.seed, evaluator=EVALUATOR, on_epoch=race))
    return model


def ndcg(model: Recommender, heldout: HeldOut) -> float:
    return float(EVALUATOR.evaluate(model, heldout, deep=False).metrics[METRIC])


if __name__ == "__main__":
    main()
