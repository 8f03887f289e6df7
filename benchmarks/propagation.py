"""Measure what LightGCN's graph propagation costs, alone and within a training step.

    python benchmarks/propagation.py --interactions train.parquet --name "MovieLens 1M"
    python benchmarks/propagation.py --interactions large.parquet --name "25 million" --repetitions 3

The Parquet file has the integer columns `user` and `item`; all its rows make the graph. 64 dimensions, 3 layers, on the
CPU. Ratios, of medians over interleaved repetitions:

1. forward and backward of the propagation as this project does it, against the same with a COO tensor,
   `torch.sparse.mm` and autograd's own gradient (at most 0.5 is asked for), with products of a CSR tensor, and with
   the project's own products where they are not made in blocks of columns, as they are of large graphs;
2. a whole training step of 2,048 BPR pairs against its propagation alone; at most 1.3 is asked for.

Writes the section of benchmarks/results/propagation.md that it has measured, MovieLens 1M's in under a minute.
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
import torch
from recbole.pairs_file import read_pairs
from result_sections import write_section
from rich.progress import track
from torch import Tensor

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.models.graph.column_blocks import weighted_sums
from movierec_engine.models.graph.lightgcn import LightGCN, LightGCNConfig, LightGCNNetwork
from movierec_engine.training.config import EarlyStoppingConfig, TrainerConfig
from movierec_engine.training.descent import train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "propagation.md"
TITLE = "# LightGCN's propagation\n\n`python benchmarks/propagation.py --interactions FILE --name NAME`"
WIDTH, LAYERS = 64, 3
PAIRS = 2048
MOST_FOR_COO = 5_000_000
"""Edges; of more, COO takes minutes a time."""
HERE = "propagation here, forward and backward"
WHOLE = "the same by products that are not in blocks of columns"
CSR = "the same by products `A @ X` of a CSR tensor"
COO = "the same by COO, `torch.sparse.mm` and autograd"
STEP = f"a whole training step of {PAIRS:,} BPR pairs"
CPU = torch.device("cpu")


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    interactions = read_pairs(arguments.interactions)
    graph = build_graph(interactions)
    model = LightGCN(LightGCNConfig(embedding_dim=WIDTH, num_layers=LAYERS, loss_type="bpr", l2=1e-4))
    model.build(interactions, graph, CPU)
    network = model.network
    gradient = torch.randn_like(network.embeddings)
    sides = {
        HERE: propagation(network, gradient),
        WHOLE: products(network, gradient, weighted_sums),
        CSR: products(network, gradient, torch.matmul),
    }
    if graph.n_edges <= MOST_FOR_COO:
        sides[COO] = coo_propagation(network, graph, gradient)
    for side in sides.values():
        torch.testing.assert_close(side(), sides[HERE](), rtol=1e-4, atol=1e-5)  # the same gradient
    runs: dict[str, Callable[[], object]] = {**sides, STEP: training_step(model, interactions)}
    seconds = interleaved(runs, arguments.repetitions)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}: {interactions.n_users:,} users, {interactions.n_items:,} items, "
        f"{graph.n_edges:,} edges; {WIDTH} dimensions, {LAYERS} layers; medians of {arguments.repetitions} interleaved "
        f"repetitions; {os.cpu_count()} cores, {arguments.threads} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
        "",
        "| what | milliseconds | lowest | highest |",
        "|---|---|---|---|",
        *(row(what, seconds[what]) for what in seconds),
        "",
        "| ratio | measured | asked for, at most |",
        "|---|---|---|",
        *(
            f"| propagation here to {what} | {median[HERE] / median[what]:.2f} | {bound} |"
            for what, bound in ((WHOLE, ""), (CSR, ""), (COO, "0.5"))
            if what in median
        ),
        f"| a whole step to its propagation alone | {median[STEP] / median[HERE]:.2f} | 1.3 |",
    ]
    print(write_section(RESULT, TITLE, arguments.name, lines))


def propagation(network: LightGCNNetwork, gradient: Tensor) -> Callable[[], Tensor]:
    """Forward and backward as in training: from the gradient of the final embeddings to that of E^(0)."""
    parts = torch.tensor_split(gradient, [network.n_users])
    return lambda: torch.autograd.grad(network.final(), network.embeddings, parts)[0]


def coo_propagation(network: LightGCNNetwork, graph: InteractionGraph, gradient: Tensor) -> Callable[[], Tensor]:
    """The same as it is usually written."""
    matrix = graph.adjacency.tocoo()
    index = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
    values = torch.from_numpy(matrix.data)
    adjacency = torch.sparse_coo_tensor(index, values, matrix.shape, check_invariants=False).coalesce()

    def run() -> Tensor:
        layers: list[Tensor] = [network.embeddings]
        for _ in range(LAYERS):
            layers.append(torch.sparse.mm(adjacency, layers[-1]))
        return torch.autograd.grad(torch.stack(layers).mean(dim=0), network.embeddings, gradient)[0]

    return run


def products(
    network: LightGCNNetwork, gradient: Tensor, product: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[], Tensor]:
    """The same as six products with the adjacency, of which the gradient needs the last three."""

    @torch.no_grad()
    def run() -> Tensor:
        for first in (network.embeddings, gradient):
            layers = [first]
            for _ in range(LAYERS):
                layers.append(product(network.adjacency, layers[-1]))
            mean = torch.stack(layers).mean(dim=0)
        return mean

    return run


def training_step(model: LightGCN, interactions: Interactions) -> Callable[[], object]:
    """The training loop's own epoch over one batch: its order, negatives, loss, gradient and update."""
    config = TrainerConfig(learning_rate=0.01, batch_size=PAIRS, early_stopping=EarlyStoppingConfig(enabled=False))
    batch = interactions.select(np.random.default_rng(0).choice(len(interactions), PAIRS, replace=False))
    nothing = interactions.select(np.zeros(len(interactions), dtype=np.bool_))
    validation = HeldOut(nothing, interactions.matrix(), "train", Catalogue.of(interactions))
    state = start(model.network, config, np.random.default_rng(0), validation, "cpu", steps=1)
    objective = Objective(model, interactions, state.rng)
    return lambda: train_epoch(objective, batch, config, state)


def interleaved(runs: dict[str, Callable[[], object]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each run, the runs taking turns; a first turn that warms up is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(repetitions + 1), description="repetitions"):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: values[1:] for name, values in seconds.items()}


def row(what: str, seconds: list[float]) -> str:
    return f"| {what} | {1e3 * statistics.median(seconds):.1f} | {1e3 * min(seconds):.1f} | {1e3 * max(seconds):.1f} |"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure LightGCN's propagation.")
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet file with columns user and item")
    parser.add_argument("--name", required=True, help="of the data, the section's title")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    main()
