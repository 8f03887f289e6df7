"""Measure how many samples a second ncf trains beside a plain PyTorch NeuMF, written as RecBole's is published.

    python benchmarks/ncf_step.py --interactions train.parquet

The plain loop has RecBole 1.2.1's NeuMF: four `nn.Embedding`s, dropout before each layer of the MLP, a positive and a
negative as two rows of a batch, binary cross-entropy on logits and Adam; here its negatives are drawn beforehand, so
that it spends on nothing but its step. Both sides have the widths, the batch and the rate of `recbole/pairs.py`. They
take turns in one process on one thread, and what is compared is the processor's time, which other work on the machine
disturbs least. Writes benchmarks/results/ncf_step.md.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from recbole.pairs import BATCH, PAIRS, SAME_STEP
from recbole.pairs_file import read_pairs
from torch import Tensor, nn

from movierec_engine.config import load_settings
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.models import NCF
from movierec_engine.training.descent import train_epoch
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import start

RESULT = Path(__file__).with_name("results") / "ncf_step.md"
STEPS = 20


class PlainNeuMF(nn.Module):
    """NeuMF as it is usually written."""

    def __init__(self, n_users: int, n_items: int, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.mf = nn.ModuleList(nn.Embedding(n, width) for n in (n_users, n_items))
        self.mlp = nn.ModuleList(nn.Embedding(n, width) for n in (n_users, n_items))
        layers: list[nn.Module] = []
        for a, b in zip((2 * width, *hidden), hidden, strict=False):
            layers += [nn.Dropout(dropout), nn.Linear(a, b), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(width + hidden[-1], 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        product = self.mf[0](users) * self.mf[1](items)
        hidden = self.layers(torch.cat([self.mlp[0](users), self.mlp[1](items)], dim=1))
        scores: Tensor = self.output(torch.cat([product, hidden], dim=1))
        return scores.squeeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet file with columns user and item")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    interactions = read_pairs(arguments.interactions)
    sides = {"plain": plain_steps(interactions), "ours": our_steps(interactions)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(arguments.rounds + 1):
        for name, run in sides.items():
            started = time.process_time()
            run()
            if turn:  # the first one warms up
                seconds[name].append((time.process_time() - started) / STEPS)
    ratios = [plain / ours for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True)]
    lines = [
        "# A training step of NCF",
        "",
        f"`python benchmarks/ncf_step.py --interactions FILE`, {datetime.now(UTC):%Y-%m-%d}, one thread, "
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"{interactions.n_users:,} users, {interactions.n_items:,} items; batches of {BATCH // 2:,} positives with a "
        f"negative each; medians of {arguments.rounds} alternating rounds of {STEPS} steps. The plain loop is written "
        "to RecBole 1.2.1's published NeuMF; it is not RecBole itself, whose data loading it leaves out.",
        "",
        "| side | processor ms a step | lowest | highest | positives a second of processor time |",
        "|---|---|---|---|---|",
        *(row(name, values) for name, values in seconds.items()),
        "",
        f"Ours trains {statistics.median(ratios):.2f} times as many samples in the same time "
        f"({min(ratios):.2f} to {max(ratios):.2f} in a round).",
        "",
    ]
    RESULT.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def row(name: str, seconds: list[float]) -> str:
    middle = statistics.median(seconds)
    times = " | ".join(f"{1000 * value:.2f}" for value in (middle, min(seconds), max(seconds)))
    return f"| {name} | {times} | {BATCH // 2 / middle:,.0f} |"


def plain_steps(interactions: Interactions) -> Callable[[], object]:
    theirs = PAIRS["ncf"].theirs
    torch.manual_seed(0)
    model = PlainNeuMF(
        interactions.n_users,
        interactions.n_items,
        theirs["mf_embedding_size"],
        tuple(theirs["mlp_hidden_size"]),
        theirs["dropout_prob"],
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    rng = np.random.default_rng(0)
    sampler = NegativeSampler(interactions, rng)
    labels = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
    loss_of = nn.BCEWithLogitsLoss()
    batches = []
    for _ in range(STEPS):
        chosen = rng.choice(len(interactions), BATCH // 2, replace=False)
        users, items = interactions.user[chosen], interactions.item[chosen]
        pair = np.concatenate([users, users]), np.concatenate([items, sampler.sample(users, 1)[:, 0]])
        batches.append([torch.from_numpy(part.astype(np.int64)) for part in pair])

    def run() -> None:
        total = 0.0
        for users, items in batches:
            optimizer.zero_grad()
            loss = loss_of(model(users, items), labels)
            total += loss.item()  # as RecBole's trainer does
            loss.backward()
            optimizer.step()

    return run


def our_steps(interactions: Interactions) -> Callable[[], object]:
    settings = load_settings(["model=ncf", *PAIRS["ncf"].ours, *SAME_STEP, "device=cpu"])
    model = NCF(settings.model)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = model.build(interactions, None, torch.device("cpu"))  # type: ignore[arg-type] - ncf has no graph
    network.train()
    state = start(network, settings.trainer, rng, HeldOut.nothing(interactions), "cpu", STEPS)
    objective = Objective(model, interactions, rng)
    part = interactions.select(rng.choice(len(interactions), STEPS * BATCH // 2, replace=False))
    return lambda: train_epoch(objective, part, settings.trainer, state)


if __name__ == "__main__":
    main()
