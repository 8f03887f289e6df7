"""Measure what a full-ranking evaluation of every model costs beside the bare cost of its scores and their top 20.

    python benchmarks/full_ranking.py --interactions train.parquet
    python benchmarks/full_ranking.py --made 162500 59047

The Parquet file has the integer columns `user` and `item`. Every user is ranked over the whole catalogue, with all
metrics at 5, 10 and 20, of lists and of whole rankings; a tenth of the rows is held out at random, or one row of each
user. The bare cost is `model.score` of the same blocks of users and `torch.topk` of the scores, with no mask, no ties
and no metric. Both run in turn in one process; the ratio is of their medians. Genres are drawn at random: what they are
does not change what they cost. Nor does what a network scores change what scoring costs, so gmf, mlp, ncf, ngcf and
lightgcn are taken as they are initialised. --made ranks made-up users over so many items by a factor model of 64
dimensions instead, whose bare cost is the matrix product and its top 20. Linux only. Writes the sections of
benchmarks/results/full_ranking.md that it has measured.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from recbole.measuring import measured
from recbole.pairs_file import read_pairs
from result_sections import write_section

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.rankings import block_rows
from movierec_engine.models import Recommender, model_class, single_models
from movierec_engine.models.base import ClosedFormRecommender
from movierec_engine.models.classic.als import ALS
from movierec_engine.models.gradient import GradientRecommender

RESULT = Path(__file__).with_name("results") / "full_ranking.md"


ROUNDS = 7
Make = Callable[[str, Interactions], Recommender]
"""A model by its name, over train interactions."""
TITLE = "# What a full-ranking evaluation costs\n\n`python benchmarks/full_ranking.py --interactions FILE`, or `--made`"
HEADER = (
    "| model | bare: scores and top 20, s | all metrics, s | ratio | MB above the level before | fit, s |",
    "|---|---|---|---|---|---|",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--interactions", type=Path, help="Parquet with the columns user and item")
    asked.add_argument("--made", type=int, nargs=2, metavar=("USERS", "ITEMS"), help="make up data of this size")
    given = parser.parse_args()
    for title, lines in large_catalogue(*given.made) if given.made else of_every_model(given.interactions):
        write_section(RESULT, TITLE, title, lines)


def of_every_model(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The sections on a file's interactions: title and lines."""
    everything = read_pairs(path)
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(everything))
    one_each = np.isin(np.arange(len(everything)), shuffled[np.unique(everything.user[shuffled], return_index=True)[1]])
    for title, held in (
        ("A tenth of the interactions held out", rng.random(len(everything)) < 0.1),
        ("One interaction of each user held out", one_each),
    ):
        train, heldout = everything.select(~held), everything.select(held)
        part, prepared_in = with_catalogue(train, heldout)
        head = (
            f"{described(train, heldout)}, default settings; medians of {ROUNDS} rounds. "
            f"What is the same for all models (the catalogue's embeddings) took {prepared_in:.2f} s more, once."
        )
        rows = [row(name, prepared, train, part) for name in single_models()]
        yield title, [head, "", *HEADER, *rows]


def large_catalogue(n_users: int, n_items: int) -> Iterator[tuple[str, list[str]]]:
    """The section on a factor model over made-up interactions, 100 a user, popularity by Zipf."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(n_users, dtype=np.int32), 100)
    item = (n_items ** rng.random(len(user))).astype(np.int32) - 1
    once = np.unique(user.astype(np.int64) * n_items + item, return_index=True)[1]
    zeros = np.zeros(len(once), dtype=np.int64)
    maps = IdMap(np.arange(n_users)), IdMap(np.arange(n_items))
    everything = Interactions(user[once], item[once], np.ones(len(once), dtype=np.float32), zeros, *maps)
    held = rng.random(len(everything)) < 0.1
    train, heldout = everything.select(~held), everything.select(held)
    part, prepared_in = with_catalogue(train, heldout)
    head = (
        f"{described(train, heldout)}, 64 dimensions; one round, CPU seconds. What is the same for all models took "
        f"{prepared_in:.1f} s more."
    )
    yield "A factor model over a large catalogue", [head, "", *HEADER, row("als", random_factors, train, part, 1)]


def random_factors(name: str, train: Interactions) -> Recommender:
    """A factor model as it is before it has learned: what its vectors are does not change what ranking costs."""
    model = ALS()
    model.set_history(train)
    rng = np.random.default_rng(0)
    model.user_factors, model.item_factors = (
        rng.standard_normal((n, model.config.embedding_dim), dtype=np.float32) for n in (train.n_users, train.n_items)
    )
    return model


def described(train: Interactions, heldout: Interactions) -> str:
    return (
        f"{len(np.unique(heldout.user))} users, {len(heldout)} test items, {train.n_items} items, "
        f"{len(train)} train interactions, {os.cpu_count()} cores"
    )


def row(
    name: str,
    make: Callable[[str, Interactions], Recommender],
    train: Interactions,
    part: HeldOut,
    rounds: int = ROUNDS,
) -> str:
    """One line of the table."""
    with measured() as fitting:
        model = make(name, train)
    evaluator, users = Evaluator([5, 10, 20]), np.unique(part.interactions.user).astype(np.int64)
    clock = time.perf_counter if rounds > 1 else time.process_time

    def seconds(work: Callable[[], object]) -> float:
        started = clock()
        work()
        return clock() - started

    with measured() as first:
        bare, whole = [], [seconds(lambda: evaluator.evaluate(model, part))]
    if rounds > 1:  # the first is not counted: it warms up
        whole.clear()
    for _ in range(rounds):
        bare.append(seconds(lambda: scores_and_their_top(model, users)))
        if rounds > 1:
            whole.append(seconds(lambda: evaluator.evaluate(model, part)))
    ratio = np.median(whole) / np.median(bare)
    fitted = f"{fitting.seconds:.1f}" if isinstance(model, ClosedFormRecommender) else "-"
    return (
        f"| {name} | {np.median(bare):.3f} | {np.median(whole):.3f} | {ratio:.2f} | {first.memory_mb:.0f} | {fitted} |"
    )


def scores_and_their_top(model: Recommender, users: np.ndarray) -> None:
    """The bare cost: every user's scores, in blocks as the evaluator takes them, and the 20 highest."""
    rows = block_rows(len(model.items))
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
