"""Measure a sweep of als against one of the package implicit's conjugate gradients, and what both rank.

    pip install implicit
    python benchmarks/als_sweep.py --interactions train.parquet --name "MovieLens 1M"
    python benchmarks/als_sweep.py --interactions large.parquet --name "25 million" --repetitions 1

The Parquet file has the integer columns `user` and `item`. Both have the same vectors' length, sweeps and a single
thread, and are timed in turn, in seconds of the processor, so that what else runs on the machine counts little. The
ndcg@10 is on a tenth of the interactions held out, of at most 10,000 users. implicit's weight of an unobserved pair is
ours in its own terms (its confidence weighs observed pairs). It has no regularisation by frequency, and its own is a
multiple of our mean one, the best of .1, .3, 1 and 3 on another tenth held out, at the smallest of the dimensions.
Writes the sections of benchmarks/results/als_sweep.md that it has measured.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from recbole.pairs_file import held_out, read_pairs
from result_sections import write_section
from rich.console import Console
from threadpoolctl import threadpool_limits

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS

RESULT = Path(__file__).with_name("results") / "als_sweep.md"
TITLE = "# A sweep of als against implicit's\n\n`python benchmarks/als_sweep.py --interactions FILE --name NAME`"
MULTIPLES, USERS = (0.1, 0.3, 1, 3), 10_000
HEADER = (
    "| dimensions | als, CPU seconds a sweep | implicit | ratio | als ndcg@10 | implicit ndcg@10 |",
    "|---|---|---|---|---|---|",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    parser.add_argument("--name", required=True, help="of the data, the section's title")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--sweeps", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        data, test = held_out(read_pairs(asked.interactions))
        multiple = best_multiple(data, min(asked.dimensions), asked.sweeps)
        rows = [row(data, test, multiple, size, asked.sweeps, asked.repetitions) for size in asked.dimensions]
    head = (
        f"{len(data.train):,} interactions of {data.train.n_users:,} users with {data.train.n_items:,} items, implicit "
        f"{version('implicit')} by conjugate gradients with {multiple} times our mean regularisation, float32, one "
        f"thread, {asked.sweeps} sweeps, medians of {asked.repetitions} interleaved repetitions."
    )
    Console(highlight=False).print(write_section(RESULT, TITLE, asked.name, [head, "", *HEADER, *rows]))


def row(data: Dataset, test: HeldOut, multiple: float, dimensions: int, sweeps: int, repetitions: int) -> str:
    """One line of the table."""
    model = ALS(embedding_dim=dimensions, epochs=sweeps)
    model.set_history(data.train)
    other = peer(model, multiple)
    ours, theirs = [], []
    for _ in range(repetitions):
        ours.append(timed(lambda: model.learn(data.train)) / sweeps)
        theirs.append(timed(lambda: other.fit(model.history, show_progress=False)) / sweeps)
    a, b = statistics.median(ours), statistics.median(theirs)
    own = ndcg(model, test)
    model.user_factors, model.item_factors = np.asarray(other.user_factors), np.asarray(other.item_factors)
    return f"| {dimensions} | {a:.2f} | {b:.2f} | {a / b:.2f} | {own:.4f} | {ndcg(model, test):.4f} |"


def peer(model: ALS, multiple: float) -> AlternatingLeastSquares:
    """The package's model with our strengths in its terms."""
    users, items = model.history.shape
    rows = model.history.nnz / users, model.history.nnz / items
    mean = model.l2 * sum(n + model.alpha0 * m for n, m in zip(rows, (items, users), strict=True)) / 2
    return AlternatingLeastSquares(
        factors=model.config.embedding_dim,
        alpha=1 / model.alpha0,
        regularization=multiple * mean / model.alpha0,
        iterations=model.config.epochs,
        num_threads=1,
        random_state=42,
    )


def best_multiple(data: Dataset, dimensions: int, sweeps: int) -> float:
    """The multiple of our mean regularisation with which the package ranks validation best."""
    model = ALS(embedding_dim=dimensions, epochs=sweeps)
    model.set_history(data.train)
    reached = {}
    for multiple in MULTIPLES:
        other = peer(model, multiple)
        other.fit(model.history, show_progress=False)
        model.user_factors, model.item_factors = np.asarray(other.user_factors), np.asarray(other.item_factors)
        reached[multiple] = ndcg(model, data.validation)
    return max(reached, key=reached.__getitem__)


def ndcg(model: ALS, part: HeldOut) -> float:
    return Evaluator([10], ("ndcg",)).evaluate(model, part.sampled(USERS, seed=0), deep=False).metrics["ndcg@10"]


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
