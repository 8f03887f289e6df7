"""Measure what a full-ranking evaluation of every model costs: time, and memory above what the model and data take.

    python benchmarks/full_ranking.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`. A tenth of the rows is held out at random; every user with a
row there is ranked over the whole catalogue, with all metrics at 5, 10 and 20. What a network scores does not change
what scoring costs, so gmf, mlp, ncf, ngcf and lightgcn are taken as they are initialised. At most 1 GB is asked for.
Linux only. Writes benchmarks/results/full_ranking.md.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from recbole.measuring import measured
from recbole.pairs_file import read_pairs
from rich.console import Console

from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import MODEL_NAMES, Recommender, model_class
from movierec_engine.models.base import ClosedFormRecommender
from movierec_engine.models.gradient import GradientRecommender

RESULT = Path(__file__).with_name("results") / "full_ranking.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    everything = read_pairs(parser.parse_args().interactions)
    held = np.random.default_rng(0).random(len(everything)) < 0.1
    train, heldout = everything.select(~held), everything.select(held)
    part = HeldOut(heldout, train.matrix(), "train")
    lines = [
        "# A full-ranking evaluation of every model",
        "",
        f"`python benchmarks/full_ranking.py --interactions FILE`: {len(np.unique(heldout.user))} users ranked over "
        f"{train.n_items} items, {len(train)} train interactions, {os.cpu_count()} cores, default settings.",
        "",
        "| model | seconds | MB above the level before | fit, seconds |",
        "|---|---|---|---|",
    ]
    console = Console(highlight=False)
    for name in MODEL_NAMES:
        with measured() as fitting:
            model = prepared(name, train)
        with measured() as cost:
            Evaluator([5, 10, 20]).evaluate(model, part)
        fitted = f"{fitting.seconds:.1f}" if isinstance(model, ClosedFormRecommender) else "-"
        lines.append(f"| {name} | {cost.seconds:.2f} | {cost.memory_mb:.0f} | {fitted} |")
        console.print(lines[-1])
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


def prepared(name: str, train: Interactions) -> Recommender:
    """The model, fitted if it has a closed form and else as it is initialised."""
    model = model_class(name)()
    if isinstance(model, ClosedFormRecommender):
        model.fit(train)
        return model
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(0)
    model.build(train, build_graph(train), torch.device("cpu"))
    model.freeze()
    return model


if __name__ == "__main__":
    main()
