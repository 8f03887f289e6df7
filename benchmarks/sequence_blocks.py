"""Measure on validation whether other blocks than sasrec's find more of what people watch next.

    OMP_NUM_THREADS=1 python benchmarks/sequence_blocks.py                                       # the bundled data
    OMP_NUM_THREADS=1 python benchmarks/sequence_blocks.py --folder FOLDER --seconds 300         # MovieLens 1M
    python benchmarks/sequence_blocks.py --page                                                  # the page anew

- softmax: sasrec's own block, by `model.relative_time=never`.
- hstu: pointwise aggregated attention (Zhai et al. 2024, "Actions Speak Louder than Words", equations 1 to 3): silu
  instead of softmax, divided by the length, its result normed and multiplied by a gate; no feed-forward layers.
- with times: each head adds to the weight of an earlier item a number for how long before the asking item it was, in
  32 buckets of log2(1 + seconds), as HSTU's relative attention bias does; of softmax that is sasrec's own, by
  `model.relative_time=always`. Places are told beside, as ever.

All are 64 wide, of 2 blocks, and learn by the engine's objective (full softmax), batches and learning rate from the
same starts. The bundled data is trained for --epochs with --seeds, MovieLens 1M, which has no times there, until
--seconds of CPU are used. Each user's item before the last is asked for (data.split=next_item, validation alone; test
is not looked at), all items outside the history are ranked, and a training's best epoch counts.

A training is a file of benchmarks/results/sequence_blocks/; writes benchmarks/results/sequence_blocks.md.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from bundled_data import FOLDER as BUNDLED
from next_item import parts_of
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.interactions import positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.sequences import TIME_BUCKETS, Sequences, ranges
from movierec_engine.data.split import Split, split
from movierec_engine.models.dropout import dropout
from movierec_engine.models.fold_in.sasrec import NORM_EPS
from movierec_engine.models.gradient import rows_of
from movierec_engine.models.sequence.network import Packed, SASRecNetwork
from movierec_engine.models.sequence.sasrec import SASRec
from movierec_engine.training.losses import linear_softmax
from movierec_engine.training.next_item_objective import Windows, windows_at

RESULTS = Path(__file__).with_name("results") / "sequence_blocks"
PAGE = RESULTS.with_suffix(".md")
DIM, BLOCKS, LENGTH, DROPOUT, K = 64, 2, 200, 0.2, 10
KINDS = ("softmax", "softmax with times", "hstu", "hstu with times")
PIECE = 20_000
"""Items of windows that go through the network together."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences; the bundled data unless given")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="all that the data allows unless given")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=math.inf, help="of CPU that a training may take")
    parser.add_argument("--page", action="store_true", help="only write the page")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    data = "ml1m" if asked.folder else "bundled"
    kinds = asked.kinds or (KINDS if data == "bundled" else [kind for kind in KINDS if "times" not in kind])
    for seed in asked.seeds if not asked.page else ():
        for kind in kinds:
            parts = parts_of(asked.folder) if asked.folder else bundled_parts()
            record = trained(kind, parts, seed, asked.epochs, asked.seconds)
            file = RESULTS / f"{data}_{kind.replace(' ', '_')}_{seed}.json"
            file.write_text(json.dumps(record) + "\n", encoding="utf-8")
            PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    console.print(f"wrote {PAGE}")


def bundled_parts() -> Split:
    config = DataConfig(dir=str(BUNDLED), split="next_item")
    ratings = read_ratings(config)
    return split(positives(ratings, config), config, ratings)


class HSTUNetwork(SASRecNetwork):
    """sasrec's network with HSTU's blocks."""

    def __init__(self, n_items: int, timed: bool) -> None:
        super().__init__(n_items, DIM, LENGTH, 0, 1, False, DROPOUT, timed)
        self.blocks = nn.ModuleList(HSTUBlock(timed) for _ in range(BLOCKS))


class HSTUBlock(nn.Module):
    """Pointwise aggregated attention, gated; no feed-forward layers."""

    def __init__(self, timed: bool) -> None:
        super().__init__()
        self.norm, self.norm_attended = (nn.LayerNorm(DIM, eps=NORM_EPS) for _ in range(2))
        self.inward, self.outward = nn.Linear(DIM, 4 * DIM), nn.Linear(DIM, DIM)
        self.times = nn.Parameter(torch.zeros(TIME_BUCKETS)) if timed else None
        for weight in (self.inward.weight, self.outward.weight):
            nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        gate, rest = functional.silu(self.inward(self.norm(x))).split([DIM, 3 * DIM], dim=1)
        parts = torch.split(rows_of(rest, packed.padded), [g * n for g, n in packed.shapes])
        found = []
        for part, shape, since in zip(parts, packed.shapes, packed.since, strict=True):
            query, key, value = part.view(*shape, 3, DIM).unbind(2)
            found.append(self._weighed(query, key, value, since).reshape(-1, DIM))
        attended = rows_of(torch.cat(found), packed.back)
        return x + dropout(self.outward(self.norm_attended(attended) * gate), DROPOUT, self.training)

    def _weighed(self, query: Tensor, key: Tensor, value: Tensor, since: Tensor | None) -> Tensor:
        n = query.shape[1]
        weights = query @ key.transpose(1, 2)
        if self.times is not None and since is not None:
            table = torch.cat([self.times, self.times.new_zeros(1)])  # of what comes later, which is left out below
            weights = weights + table.index_select(0, since.flatten()).view(since.shape)
        return (functional.silu(weights) / n).tril() @ value


def network_of(kind: str, n_items: int) -> SASRecNetwork:
    timed = "times" in kind
    if kind.startswith("hstu"):
        return HSTUNetwork(n_items, timed)
    return SASRecNetwork(n_items, DIM, LENGTH, BLOCKS, 1, False, DROPOUT, timed)


def trained(kind: str, parts: Split, seed: int, epochs: int, budget: float) -> list[dict[str, float]]:
    """Each epoch's seconds of CPU until its end, without validation, and what it reaches on validation."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train = parts.train
    sequences = Sequences.of(train.history("times"), timed=True)
    network = network_of(kind, train.n_items)
    settings = load_settings(["model=sasrec", "device=cpu"])
    config = settings.trainer.of_model(SASRec.learning_rate)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    size = config.batch_of(len(train))
    record: list[dict[str, float]] = []
    used = 0.0
    for number in range(1, epochs + 1):
        started = time.process_time()
        network.train()
        for pieces in batches(sequences, size, rng):
            optimizer.zero_grad()
            total = sum(len(piece.inputs) for piece in pieces)
            for piece in pieces:
                hidden = network.hidden(piece.inputs, piece.lengths, piece.seconds)
                loss = linear_softmax(hidden, network.items, piece.targets)
                (loss * (len(piece.inputs) / total)).backward()
            optimizer.step()
        used += time.process_time() - started
        record.append({"seconds": round(used, 1), **measured(network, parts, sequences)})
        console.print(f"{kind}, seed {seed}, epoch {number}: {record[-1]}", markup=False, soft_wrap=True)
        if used * (1 + 0.5 / number) > budget:
            break
    return record


def batches(sequences: Sequences, size: int, rng: np.random.Generator) -> Iterator[list[Windows]]:
    """Batches of about `size` items of windows in random order, each in pieces."""
    begins, lengths = sequences.windows(LENGTH, rng)
    order = rng.permutation(len(begins))
    begins, lengths = begins[order], lengths[order]
    number = (np.cumsum(lengths) - lengths) // size
    for cut in np.split(np.arange(len(order)), np.flatnonzero(np.diff(number)) + 1):
        parts = (np.cumsum(lengths[cut]) - lengths[cut]) // PIECE
        yield [
            windows_at(sequences, begins[piece], lengths[piece])
            for piece in np.split(cut, np.flatnonzero(np.diff(parts)) + 1)
        ]


@torch.no_grad()
def measured(network: SASRecNetwork, parts: Split, sequences: Sequences) -> dict[str, float]:
    """hit_rate@10 and ndcg@10 of the validation items, by how many others outside the history score as high."""
    network.eval()
    user, target = parts.validation.user, parts.validation.item
    ranks = []
    for rows in np.array_split(np.arange(len(user)), max(1, len(user) // 100)):
        ends = sequences.starts[user[rows] + 1]
        lengths = np.minimum(ends - sequences.starts[user[rows]], LENGTH)
        places = ranges(ends - lengths, lengths)
        told = (torch.from_numpy(part) for part in (sequences.items[places], lengths, sequences.seconds[places]))
        scores = network.hidden(*told)[torch.from_numpy(np.cumsum(lengths) - 1)] @ network.items.T
        own = scores[torch.arange(len(rows)), torch.from_numpy(target[rows])]
        for row, one in enumerate(user[rows]):
            scores[row, sequences.items[sequences.starts[one] : sequences.starts[one + 1]]] = -math.inf
        ranks.append((scores >= own[:, None]).sum(dim=1) - 1)
    rank = torch.cat(ranks).numpy()
    gain = np.where(rank < K, 1 / np.log2(rank + 2), 0)
    return {f"hit_rate@{K}": round(float((rank < K).mean()), 5), f"ndcg@{K}": round(float(gain.mean()), 5)}


def page() -> list[str]:
    lines = [
        "# Other blocks for models that know order",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/sequence_blocks.py`, {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores that did other work beside.",
        "",
        *(__doc__ or "").split("\n\n")[2].splitlines(),
        "",
        (__doc__ or "").split("\n\n")[3].replace("\n", " "),
        "",
        "Rows of fewer seeds lack the later ones, and a training that was ended from outside counts by its epochs "
        "until then. With few seeds, differences within the spread of a row say little.",
    ]
    for data, title in (("bundled", "The bundled data"), ("ml1m", "MovieLens 1M, cut off at the same seconds of CPU")):
        rows = []
        for kind in KINDS:
            files = sorted(RESULTS.glob(f"{data}_{kind.replace(' ', '_')}_[0-9].json"))
            if files:
                rows.append(row(kind, [json.loads(file.read_text(encoding="utf-8")) for file in files]))
        if rows:
            lines += ["", f"## {title}", ""]
            lines += ["| block | seeds | ndcg@10, mean (least, most) | hit_rate@10 | best epochs | s of CPU an epoch |"]
            lines += ["|---|---|---|---|---|---|", *rows]
    return lines


def row(kind: str, records: list[list[dict[str, float]]]) -> str:
    numbers = [int(np.argmax([epoch["ndcg@10"] for epoch in record])) for record in records]
    best = [record[number] for record, number in zip(records, numbers, strict=True)]
    ndcg, hits = ([one[name] for one in best] for name in ("ndcg@10", "hit_rate@10"))
    each = np.median([record[-1]["seconds"] / len(record) for record in records])
    epochs = ", ".join(f"{number + 1} of {len(record)}" for number, record in zip(numbers, records, strict=True))
    spread = f"{np.mean(ndcg):.4f} ({min(ndcg):.4f}, {max(ndcg):.4f})"
    return f"| {kind} | {len(records)} | {spread} | {np.mean(hits):.4f} | {epochs} | {each:.1f} |"


if __name__ == "__main__":
    main()
