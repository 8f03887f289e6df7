"""Measure what a full-ranking evaluation of every model costs beside the bare cost of its scores and their top 20.

    python benchmarks/full_ranking.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`. Every user is ranked over the whole catalogue, with all
metrics at 5, 10 and 20, of lists and of whole rankings; a tenth of the rows is held out at random, or one row of each
user. The bare cost is `model.score` of the same blocks of users and `torch.topk` of the scores, with no mask, no ties
and no metric. Both run in turn in one process; the ratio is of their medians. Genres are drawn at random: what they are
does not change what they cost. Nor does what a network scores change what scoring costs, so gmf, mlp, ncf, ngcf and
lightgcn are taken as they are initialised. Linux only. Writes benchmarks/results/full_ranking.md.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from recbole.measuring import measured
from recbole.pairs_file import read_pairs
from rich.console import Console

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.rankings import _BLOCK_BYTES
from movierec_engine.models import Recommender, model_class, single_models
from movierec_engine.models.base import ClosedFormRecommender
from movierec_engine.models.gradient import GradientRecommender

RESULT = Path(__file__).with_name("results") / "full_ranking.md"


ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    everything = read_pairs(parser.parse_args().interactions)
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(everything))
    one_each = np.isin(np.arange(len(everything)), shuffled[np.unique(everything.user[shuffled], return_index=True)[1]])
    console = Console(highlight=False)
    lines = ["# What a full-ranking evaluation costs", "", "`python benchmarks/full_ranking.py --interactions FILE`"]
    for title, held in (
        ("A tenth of the interactions held out", rng.random(len(everything)) < 0.1),
        ("One interaction of each user held out", one_each),
    ):
        train, heldout = everything.select(~held), everything.select(held)
        part, prepared_in = with_catalogue(train, heldout)
        lines += [
            "",
            f"## {title}",
            "",
            f"{len(np.unique(heldout.user))} users, {len(heldout)} test items, {train.n_items} items, "
            f"{len(train)} train interactions, {os.cpu_count()} cores, default settings; medians of {ROUNDS} rounds. "
            f"What is the same for all models (the catalogue's embeddings) took {prepared_in:.2f} s more, once.",
            "",
            "| model | bare: scores and top 20, s | all metrics, s | ratio | MB above the level before | fit, s |",
            "|---|---|---|---|---|---|",
        ]
        console.print("\n".join(lines[-6:]))
        for name in single_models():
            lines.append(row(name, train, part))
            console.print(lines[-1])
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


def row(name: str, train: Interactions, part: HeldOut) -> str:
    """One line of the table."""
    with measured() as fitting:
        model = prepared(name, train)
    evaluator, users = Evaluator([5, 10, 20]), np.unique(part.interactions.user).astype(np.int64)
    with measured() as first:
        evaluator.evaluate(model, part)
    bare, whole = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        scores_and_their_top(model, users)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        evaluator.evaluate(model, part)
        whole.append(time.perf_counter() - started)
    ratio = np.median(whole) / np.median(bare)
    fitted = f"{fitting.seconds:.1f}" if isinstance(model, ClosedFormRecommender) else "-"
    return (
        f"| {name} | {np.median(bare):.3f} | {np.median(whole):.3f} | {ratio:.2f} | {first.memory_mb:.0f} | {fitted} |"
    )


def scores_and_their_top(model: Recommender, users: np.ndarray) -> None:
    """The bare cost: every user's scores, in blocks as the evaluator takes them, and the 20 highest."""
    rows = _BLOCK_BYTES // (4 * len(model.items))
    for start in range(0, len(users), rows):
        torch.topk(torch.from_numpy(model.score_users(users[start : start + rows])), 20, dim=1)


def with_catalogue(train: Interactions, heldout: Interactions) -> tuple[HeldOut, float]:
    """The held-out part with random genres, and the seconds that preparing its catalogue took."""
    rng = np.random.default_rng(1)
    genres = (rng.random((train.n_items, 18)) < 0.12).astype(np.float32)
    catalogue = replace(Catalogue.of(train), genres=genres, genre_names=tuple(f"genre {n}" for n in range(18)))
    started = time.perf_counter()
    assert len(catalogue.embeddings) == train.n_items
    return HeldOut(heldout, train.matrix(), "train", catalogue), time.perf_counter() - started


def prepared(name: str, train: Interactions) -> Recommender:
    """The model, fitted if it has a closed form and else as it is initialised."""
    model = model_class(name)()
    if isinstance(model, ClosedFormRecommender):
        model.fit(Dataset(train))
        return model
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(0)
    model.build(train, build_graph(train), torch.device("cpu"))
    model.export()
    return model


if __name__ == "__main__":
    main()
