"""Compare our item similarities with those of Surprise: do they agree, how fast are they, what memory do they need.

    python benchmarks/item_similarities.py                    # the bundled ratings, as models train on them
    python benchmarks/item_similarities.py ratings.parquet    # and a file with columns user,item,rating

Both compare all pairs of items by the same ratings: Surprise loops over the pairs of each user's ratings and adds to
matrices of all pairs, we multiply sparse matrices in blocks. Both use one thread, and its CPU time counts. Surprise's
time leaves out its Trainset and the baselines of pearson_baseline; ours has everything. Memory is the peak of what is
allocated, in runs of their own; ours keeps a block at a time, as fitting does. Writes
benchmarks/results/item_similarities.md, in about a minute.
"""

import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq
import surprise
from bundled_data import bundled
from scipy import sparse
from surprise import Reader, Trainset

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.models.classic.item_cf import ItemCF
from movierec_engine.models.classic.neighbourhood import SIMILARITIES, ItemCFConfig, similarity_blocks

T = TypeVar("T")

RESULT = Path(__file__).with_name("results") / "item_similarities.md"
REPEATS = 3
"""Each is timed so often, in turn; the fastest counts."""


def of_parquet(path: Path) -> Interactions:
    table = pq.read_table(path)
    missing = {"user", "item", "rating"} - set(table.column_names)
    if missing:
        raise SystemExit(f"{path}: has no column {', '.join(sorted(missing))}")
    user, item = (table[name].to_numpy() for name in ("user", "item"))
    users, items = IdMap.of(user), IdMap.of(item)
    return Interactions(
        user=users.index(user).astype(np.int32),
        item=items.index(item).astype(np.int32),
        rating=table["rating"].to_numpy().astype(np.float32),
        timestamp=np.zeros(len(user), dtype=np.int64),
        users=users,
        items=items,
    )


def trainset_of(ratings: sparse.csr_matrix) -> tuple[Trainset, np.ndarray]:
    """Surprise's form of the ratings, and its inner id of each item."""
    coo = ratings.tocoo()
    rows = [(u, i, r, None) for u, i, r in zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True)]
    trainset = surprise.Dataset(Reader(rating_scale=(ratings.data.min(), ratings.data.max()))).construct_trainset(rows)
    return trainset, np.array([trainset.to_inner_iid(i) for i in range(ratings.shape[1])])


def theirs(trainset: Trainset, name: str, shrinkage: float) -> Callable[[], np.ndarray]:
    """A function that computes Surprise's similarities, [n_items, n_items] in its order."""
    algorithm = surprise.AlgoBase(sim_options={"name": name, "user_based": False, "shrinkage": shrinkage})
    algorithm.fit(trainset)
    if name == "pearson_baseline":
        algorithm.compute_baselines()
    compute: Callable[[], np.ndarray] = algorithm.compute_similarities
    return compute


def ours(train: Interactions, name: str, shrinkage: float) -> Iterator[np.ndarray]:
    """Our similarities, a block of rows at a time."""
    config = ItemCFConfig(similarity=name, shrinkage=shrinkage, feedback="explicit")
    model = ItemCF(config)
    model.set_history(train, "ratings")
    rows = model.comparable()
    for _, block in similarity_blocks(rows, rows, config, ratings=True):
        yield block


def all_blocks(train: Interactions, name: str, shrinkage: float) -> list[np.ndarray]:
    return list(ours(train, name, shrinkage))


def one_block_at_a_time(train: Interactions, name: str, shrinkage: float) -> None:
    for _ in ours(train, name, shrinkage):
        pass


def timed(compute: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = compute()
    return result, time.process_time() - started


def peak_mb(compute: Callable[[], object]) -> float:
    tracemalloc.start()
    compute()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def compare(label: str, train: Interactions) -> list[str]:
    """The lines of the table for one data set."""
    trainset, inner = trainset_of(train.ratings_matrix())
    lines = []
    for name in SIMILARITIES:
        shrinkage = 100.0 if name == "pearson_baseline" else 0.0
        compute = theirs(trainset, name, shrinkage)
        slow, fast = np.inf, np.inf
        for _ in range(REPEATS):
            expected, seconds = timed(compute)
            slow = min(slow, seconds)
            blocks, seconds = timed(partial(all_blocks, train, name, shrinkage))
            fast = min(fast, seconds)
        difference = np.abs(np.concatenate(blocks) - expected[np.ix_(inner, inner)])
        np.fill_diagonal(difference, 0)
        largest = np.nanmax(difference)
        del expected, blocks, difference
        large = peak_mb(compute)
        small = peak_mb(partial(one_block_at_a_time, train, name, shrinkage))
        line = (
            f"| {label} | {name} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f} "
            f"| {large:.0f} | {small:.0f} | {large / small:.1f} | {largest:.1e} |"
        )
        print(line, flush=True)
        lines.append(line)
    return lines


def main() -> None:
    data = {"bundled": bundled()} | {Path(path).stem: of_parquet(Path(path)) for path in sys.argv[1:]}
    lines = [
        "# Item similarities against Surprise",
        "",
        f"`python benchmarks/item_similarities.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, one used, "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("scikit-surprise", "numpy", "scipy"))
        + f". CPU seconds of the fastest of {REPEATS} runs in turn.",
        "",
        *(
            f"{label}: {len(train):,} ratings, {train.n_users:,} users, {train.n_items:,} items."
            for label, train in data.items()
        ),
        "",
        "| data | similarity | Surprise s | ours s | ratio | Surprise MB | ours MB | ratio | largest difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label, train in data.items():
        lines += compare(label, train)
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
