"""Measure a sweep of als against one of the package implicit's conjugate gradients, and what both rank.

    pip install implicit
    python benchmarks/als_sweep.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`. Both have the same vectors' length, sweeps and a single
thread, and are timed in turn, in seconds of the processor, so that what else runs on the machine counts little. The
ndcg@10 is on a tenth of each user's interactions held out; implicit's strengths are the same as ours in its own terms
(its confidence weighs observed pairs, ours the unobserved), but it has no regularisation by frequency. Writes
benchmarks/results/als_sweep.md.
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
from recbole.pairs_file import read_pairs
from rich.console import Console
from threadpoolctl import threadpool_limits

from movierec_engine.data.dataset import Dataset
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS

RESULT = Path(__file__).with_name("results") / "als_sweep.md"
DIMENSIONS, SWEEPS, REPETITIONS = (64, 256), 4, 3
NDCG = "ndcg@10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    data, held_out = Dataset(read_pairs(parser.parse_args().interactions)).split(validation=0, test=0.1)
    torch.set_num_threads(1)
    rows = []
    for dimensions in DIMENSIONS:
        model = ALS(embedding_dim=dimensions, epochs=SWEEPS).fit(data)
        peer = AlternatingLeastSquares(
            factors=dimensions,
            alpha=1 / model.alpha0,
            regularization=model.l2 * float(np.diff(model.history.indptr).mean()) / model.alpha0,
            iterations=SWEEPS,
            num_threads=1,
            random_state=42,
        )
        seconds: dict[str, list[float]] = {"als": [], "implicit": []}
        with threadpool_limits(1):
            for _ in range(REPETITIONS):
                seconds["als"].append(timed(lambda model=model: model.fit(data)))
                seconds["implicit"].append(
                    timed(lambda peer=peer, model=model: peer.fit(model.history, show_progress=False))
                )
        ours = Evaluator([10], ("ndcg",)).evaluate(model, held_out).metrics[NDCG]
        model.user_factors, model.item_factors = np.asarray(peer.user_factors), np.asarray(peer.item_factors)
        theirs = Evaluator([10], ("ndcg",)).evaluate(model, held_out).metrics[NDCG]
        sweep = {name: statistics.median(each) / SWEEPS for name, each in seconds.items()}
        rows.append(
            f"| {dimensions} | {sweep['als']:.2f} | {sweep['implicit']:.2f} | {sweep['als'] / sweep['implicit']:.2f} "
            f"| {ours:.4f} | {theirs:.4f} |"
        )
    size = f"{len(data.train)} interactions of {data.train.n_users} users with {data.train.n_items} items"
    text = (
        "# A sweep of als against implicit's\n\n"
        f"`python benchmarks/als_sweep.py --interactions FILE`: {size}, implicit {version('implicit')} by conjugate "
        f"gradients, float32, one thread, {SWEEPS} sweeps, medians of {REPETITIONS} interleaved repetitions.\n\n"
        "| dimensions | als, CPU seconds a sweep | implicit | ratio | als ndcg@10 | implicit ndcg@10 |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    RESULT.write_text(text, encoding="utf-8")
    Console(highlight=False).print(text)


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
