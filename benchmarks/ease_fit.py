"""Measure how much EASE's fit costs above the bare algebra that it cannot do without.

    python benchmarks/ease_fit.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`. The bare algebra is the Gram product X^T X of the binary
user-item matrix and its inverse by Cholesky factors, in float64; at most 1.5 times that is asked for. Medians over
interleaved repetitions. Writes benchmarks/results/ease_fit.md.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from recbole.pairs_file import read_pairs
from rich.console import Console
from scipy import linalg

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions
from movierec_engine.models import EASE

RESULT = Path(__file__).with_name("results") / "ease_fit.md"
REPETITIONS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    train = read_pairs(parser.parse_args().interactions)
    seconds: dict[str, list[float]] = {"bare": [], "fit": []}
    for _ in range(REPETITIONS):
        seconds["bare"].append(timed(lambda: bare(train)))
        seconds["fit"].append(timed(lambda: EASE().fit(Dataset(train))))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    text = (
        "# EASE's fit against the bare algebra\n\n"
        f"`python benchmarks/ease_fit.py --interactions FILE`: {len(train)} interactions, {train.n_users} users, "
        f"{train.n_items} items, {os.cpu_count()} cores, medians of {REPETITIONS} interleaved repetitions.\n\n"
        "| what | seconds | ratio |\n|---|---|---|\n"
        f"| Gram product and inverse by Cholesky factors | {median['bare']:.2f} | 1 |\n"
        f"| `EASE.fit` | {median['fit']:.2f} | {median['fit'] / median['bare']:.2f} (at most 1.5 is asked for) |\n"
    )
    RESULT.write_text(text, encoding="utf-8")
    Console(highlight=False).print(text)


def bare(train: Interactions) -> None:
    matrix = train.matrix()
    gram = (matrix.T @ matrix).toarray().astype(np.float64, order="F")
    gram[np.diag_indices_from(gram)] += 300
    factor, _ = linalg.lapack.dpotrf(gram, lower=True, overwrite_a=True)
    linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)


def timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
