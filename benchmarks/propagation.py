"""Measure what LightGCN's graph propagation costs, alone and within a training step.

    python benchmarks/propagation.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`; all its rows make the graph. 64 dimensions, 3 layers, on the
CPU. Two ratios, of medians over interleaved repetitions:

1. forward and backward of the propagation as this project does it, against the same with a COO tensor,
   `torch.sparse.mm` and autograd's own gradient; at most 0.5 is asked for;
2. a whole training step of 2,048 BPR pairs against its propagation alone; at most 1.3 is asked for.

Writes benchmarks/results/propagation.md. Takes under a minute on two cores.
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
from rich.progress import track
from torch import Tensor

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.models.graph.lightgcn import LightGCN, LightGCNConfig, LightGCNNetwork
from movierec_engine.training.config import EarlyStoppingConfig, TrainerConfig
from movierec_engine.training.descent import train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "propagation.md"
LAYERS = 3
PAIRS = 2048
CPU = torch.device("cpu")


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    interactions = read_pairs(arguments.interactions)
    graph = build_graph(interactions)
    model = LightGCN(LightGCNConfig(embedding_dim=64, num_layers=LAYERS, loss_type="bpr", l2=1e-4))
    model.build(interactions, graph, CPU)
    network = model.network
    gradient = torch.randn_like(network.embeddings)
    project, plain = propagation(network, gradient), coo_propagation(network, graph, gradient)
    torch.testing.assert_close(project(), plain(), rtol=1e-4, atol=1e-6)  # the same gradient
    seconds = interleaved(
        {"project": project, "COO": plain, "step": training_step(model, interactions)}, arguments.repetitions
    )
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = [
        "# LightGCN's propagation",
        "",
        f"`python benchmarks/propagation.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"{interactions.n_users:,} users, {interactions.n_items:,} items, {graph.n_edges:,} edges; 64 dimensions, "
        f"{LAYERS} layers; medians of {arguments.repetitions} interleaved repetitions.",
        "",
        "| what | milliseconds | lowest | highest |",
        "|---|---|---|---|",
        row("propagation here, forward and backward", seconds["project"]),
        row("the same with COO, `torch.sparse.mm` and autograd", seconds["COO"]),
        row(f"a whole training step of {PAIRS:,} BPR pairs", seconds["step"]),
        "",
        "| ratio | measured | asked for, at most |",
        "|---|---|---|",
        f"| propagation here to COO's | {median['project'] / median['COO']:.2f} | 0.5 |",
        f"| a whole step to its propagation alone | {median['step'] / median['project']:.2f} | 1.3 |",
        "",
    ]
    arguments.output.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


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
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=RESULT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
