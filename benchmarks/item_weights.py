"""Measure a person's scores by item weights: of the history's own weights against the product with all of them.

    python benchmarks/item_weights.py [--items 3000 8000 16000]

What ease and item_cf know is weights of each item for each item, n_items^2 of them, made up here. A known user's scores
are an inner product with all of them; a sum over the history reads those of the history alone (`LinearFoldIn`): the
rows of a matrix that is symmetric by factors, as that of ease; or the columns of the few weights that item_cf keeps,
whose index is sparse above DENSE_VECTOR_BYTES. All sides in turn, one thread, CPU time. Writes
benchmarks/results/item_weights.md.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from movierec_engine.models.classic.ease import mirror_upper
from movierec_engine.models.cost import DENSE_VECTOR_BYTES
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.retrieval.flat import inner_products

RESULT = Path(__file__).with_name("results") / "item_weights.md"
HISTORIES = (20, 100, 400)
KEPT = 200
"""item_cf's neighbours on implicit feedback."""
ROUNDS, PEOPLE = 5, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[3_000, 8_000, 16_000])
    with threadpool_limits(1):
        rows = [row for n_items in parser.parse_args().items for row in measure(n_items)]
    table = "\n".join(rows)
    RESULT.write_text(
        f"""# A known user's scores by item weights

`python benchmarks/item_weights.py`, {datetime.now(UTC):%Y-%m-%d}, one thread, load average {os.getloadavg()[0]:.1f}, \
{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}.

Milliseconds of CPU for the scores of all items, the median of {ROUNDS} rounds of {PEOPLE} people each, all sides in
turn: the inner product of the person's history with the weights of every item, and the sum over the history, by the
rows of its items (ease), or by {KEPT} weights of each item, as item_cf keeps at most: dense up to 64 MB of all weights,
by a copy that has the columns as rows, and sparse above. Dense weights of that size by columns are those of an item_cf
beside others in an ensemble.

| items | GB of weights | items in the history | product with all, ms | by rows, ms | ratio | by columns, ms | ratio | \
of those kept, ms | ratio |
|---|---|---|---|---|---|---|---|---|---|
{table}
""",
        encoding="utf-8",
    )
    print(RESULT.read_text(encoding="utf-8"))


def measure(n_items: int) -> list[str]:
    """A row of the table for each length of a history."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((n_items, n_items), dtype=np.float32)
    mirror_upper(weights)
    factors = rng.uniform(1, 2, n_items).astype(np.float32)
    weights /= factors[:, None]
    kept = np.where(weights >= -np.partition(-weights, KEPT, axis=1)[:, [KEPT - 1]], weights, 0)
    dense = weights.nbytes <= DENSE_VECTOR_BYTES
    rows = []
    for length in HISTORIES:
        people = [np.sort(rng.choice(n_items, length, replace=False)).astype(np.int32) for _ in range(PEOPLE)]
        histories = [
            sparse.csr_matrix((np.ones(length, dtype=np.float32), items, [0, length]), (1, n_items)) for items in people
        ]
        queries = [history.toarray()[0] for history in histories]
        history = sparse.vstack(histories, format="csr")
        basis, of_kept = Basis(weights, history), Basis(kept if dense else sparse.csc_matrix(kept), history)
        by_rows, by_columns, by_kept = LinearFoldIn(basis, symmetry=factors), LinearFoldIn(basis), LinearFoldIn(of_kept)
        sides: list[Callable[[int], NDArray[np.float32]]] = [
            lambda n: inner_products(weights, queries[n]),  # noqa: B023
            lambda n: by_rows.scores(histories[n])[0],  # noqa: B023
            lambda n: by_columns.scores(histories[n])[0],  # noqa: B023
            lambda n: by_kept.scores(histories[n])[0],  # noqa: B023
        ]
        taken = [[milliseconds(side) for side in sides] for _ in range(ROUNDS)]
        whole, rowwise, columnwise, few = (statistics.median(side) for side in zip(*taken, strict=True))
        for side in sides[1:3]:
            assert np.allclose(side(0), sides[0](0), atol=1e-3)
        assert np.allclose(sides[3](0), inner_products(kept, queries[0]), atol=1e-3)
        rows.append(
            f"| {n_items:,} | {weights.nbytes / 1e9:.2f} | {length} | {whole:.2f} | {rowwise:.2f} | "
            f"{whole / rowwise:.1f} | {columnwise:.2f} | {whole / columnwise:.1f} | {few:.2f} | {whole / few:.1f} |"
        )
    return rows


def milliseconds(score: Callable[[int], NDArray[np.float32]]) -> float:
    """Mean CPU time for a person."""
    score(0)
    started = time.process_time()
    for person in range(PEOPLE):
        score(person)
    return (time.process_time() - started) / PEOPLE * 1e3


if __name__ == "__main__":
    main()
