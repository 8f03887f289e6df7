"""Measure how long a model takes to rank as well as als does, on one data set.

    python benchmarks/time_to_als.py --interactions train.parquet --name "25 million" --model lightgcn

The Parquet file has the integer columns `user` and `item`. A tenth of the interactions is held out as validation. `als`
is fitted with its default settings and measured; the other model, with its own or those of --set, is measured after
each epoch on the same users, as early stopping does, until it ranks as well, early stopping ends it, or --minutes are
over. Its time is that of this process, by the clock and by the processor, from the graph on, measuring included.

Writes the section of its data into benchmarks/results/time_to_als.md.
"""

import argparse
import os
import resource
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from recbole.pairs_file import read_pairs
from result_sections import write_section

from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import model_class
from movierec_engine.models.fitting import Epoch, Fitting, StopTraining

RESULT = Path(__file__).with_name("results") / "time_to_als.md"
TITLE = "# How long a model takes to rank as well as als\n\n`python benchmarks/time_to_als.py --interactions FILE`"
METRIC = "ndcg@10"
SEED = 42


def main() -> None:
    asked = arguments()
    train, validation = held_out(asked.interactions)
    evaluator = Evaluator((10,), ("ndcg",))
    wanted, als_seconds = reference(train, validation, evaluator)
    print(f"als: {METRIC} {wanted:.4f} after {als_seconds:.0f} s of the processor", flush=True)
    rows: list[str] = []
    clock, processor = time.perf_counter(), time.process_time()

    def measured(epoch: Epoch) -> None:
        value = epoch.metrics[METRIC]
        spent = [(time.perf_counter() - clock) / 60, (time.process_time() - processor) / 60]
        rows.append(f"| {epoch.number} | {spent[0]:.1f} | {spent[1]:.1f} | {epoch.loss:.4f} | {value:.4f} |")
        print(rows[-1], flush=True)
        if value >= wanted or spent[0] > asked.minutes:
            raise StopTraining

    graph = build_graph(train)
    settings = load_settings([f"model={asked.model}", "device=cpu", *asked.set])
    model = model_class(asked.model)(settings.model)
    trainer = replace(settings.trainer, early_stopping=replace(settings.trainer.early_stopping, metric=METRIC))
    model.fit(
        Dataset(train, validation, lambda: graph), Fitting(trainer, seed=SEED, evaluator=evaluator, on_epoch=measured)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}: {len(train):,} train interactions of {train.n_users:,} users with "
        f"{train.n_items:,} items, {len(validation):,} interactions of validation, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, {peak:.1f} GB at the peak. als reaches {METRIC} {wanted:.4f} in "
        f"{als_seconds:.0f} seconds of the processor; {' '.join([asked.model, *asked.set])}:"
    )
    table = ["| epoch | min by the clock | by the processor | loss | ndcg@10 |", "|---|---|---|---|---|"]
    print(
        write_section(RESULT, TITLE, f"{asked.name}, {' '.join([asked.model, *asked.set])}", [head, "", *table, *rows])
    )


def reference(train: Interactions, validation: HeldOut, evaluator: Evaluator) -> tuple[float, float]:
    """The value of als, and the seconds of the processor that its fit takes."""
    started = time.process_time()
    model = model_class("als")(load_settings(["model=als"]).model)
    model.fit(Dataset(train), Fitting(seed=SEED))
    seconds = time.process_time() - started
    return evaluator.evaluate(model, validation, deep=False).metrics[METRIC], seconds


def held_out(path: Path) -> tuple[Interactions, HeldOut]:
    """Train, and the users of early stopping's sample with a tenth of their interactions."""
    everything = read_pairs(path)
    drawn = np.random.default_rng(SEED).random(len(everything)) < 0.1
    train = everything.select(~drawn)
    validation = HeldOut(everything.select(drawn), train.matrix(), "train", Catalogue.of(train))
    users = load_settings(["model=als"]).trainer.early_stopping.users
    return train, validation.sampled(users, SEED)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    parser.add_argument("--name", required=True, help="of the data, the section's title")
    parser.add_argument("--model", default="lightgcn")
    parser.add_argument("--set", nargs="*", default=[], help="settings other than the defaults")
    parser.add_argument("--minutes", type=float, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    main()
