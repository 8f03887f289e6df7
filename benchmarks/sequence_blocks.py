"""Measure on validation whether other blocks than sasrec's find more of what people watch next.

    OMP_NUM_THREADS=1 python benchmarks/sequence_blocks.py                                       # the bundled data
    OMP_NUM_THREADS=1 python benchmarks/sequence_blocks.py --folder FOLDER --seconds 300         # MovieLens 1M
    python benchmarks/sequence_blocks.py --page                                                  # the page anew

- softmax: sasrec's own block.
- hstu: pointwise aggregated attention (Zhai et al. 2024, "Actions Speak Louder than Words", equations 1 to 3): silu
  instead of softmax, divided by the length, its result normed and multiplied by a gate; no feed-forward layers.
- with times: each head adds to the weight of an earlier item a number for how long before the asking item it was, in
  32 buckets of log2(1 + seconds), as HSTU's relative attention bias does. Places are told beside, as ever.

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from bundled_data import FOLDER as BUNDLED
from next_item import parts_of
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.sequences import Sequences
from movierec_engine.data.split import Split, split
from movierec_engine.models.dropout import dropout
from movierec_engine.models.fold_in.sasrec import NORM_EPS
from movierec_engine.models.gradient import rows_of
from movierec_engine.models.sequence.network import Block, Packed, SASRecNetwork
from movierec_engine.models.sequence.sasrec import SASRec
from movierec_engine.training.losses import linear_softmax

RESULTS = Path(__file__).with_name("results") / "sequence_blocks"
PAGE = RESULTS.with_suffix(".md")
DIM, BLOCKS, LENGTH, DROPOUT, BUCKETS, K = 64, 2, 200, 0.2, 32, 10
KINDS = ("softmax", "softmax with times", "hstu", "hstu with times")
PIECE = 20_000
"""Items of windows that go through the network together."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences; the bundled data unless given")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="all that the data allows unless given")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=25)
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


class Batch(NamedTuple):
    """Windows of sequences one after another: items and next items int64 [t], seconds int64 [t], lengths int64 [w]."""

    inputs: Tensor
    targets: Tensor
    seconds: Tensor
    lengths: Tensor


class Network(SASRecNetwork):
    """sasrec's network with blocks of another kind."""

    def __init__(self, n_items: int, kind: str) -> None:
        super().__init__(n_items, DIM, LENGTH, 0, 1, False, DROPOUT)
        timed = "times" in kind
        made = HSTUBlock if kind.startswith("hstu") else SoftmaxBlock
        self.blocks = nn.ModuleList(made(timed) for _ in range(BLOCKS))

    def hidden_at(self, inputs: Tensor, seconds: Tensor, lengths: Tensor) -> Tensor:
        """h after each item, float32 [t, d]."""
        packed = Packed(lengths, inputs.device)
        x = self.vectors(inputs) * math.sqrt(DIM) + rows_of(self.positions, packed.places)
        x = dropout(x, DROPOUT, self.training)
        since = times_between(seconds, packed)
        for block in self.blocks:
            x = block(x, packed, since)
        return self.norm(x)


def times_between(seconds: Tensor, packed: Packed) -> list[Tensor]:
    """Of each group, the bucket of the time from each item (columns) to each later one (rows): int64 [g, n, n]."""
    found, start = [], 0
    for g, n in packed.shapes:
        of_group = seconds[packed.padded[start : start + g * n]].view(g, n)
        apart = (of_group[:, :, None] - of_group[:, None, :]).clamp(min=0)
        found.append(torch.log2(1 + apart.double()).long().clamp(max=BUCKETS - 1))
        start += g * n
    return found


class SoftmaxBlock(Block):
    """sasrec's block, that may add a number for the time since."""

    def __init__(self, timed: bool) -> None:
        super().__init__(DIM, 1, False, DROPOUT)
        self.by_time = nn.Parameter(torch.zeros(BUCKETS)) if timed else None

    def forward(self, x: Tensor, packed: Packed, since: list[Tensor]) -> Tensor:
        normed = self.norm_attention(x)
        if self.by_time is None:
            change = self._attention(normed, packed)
        else:
            change = self.attended(each_group(self.attention(normed), packed, since, self._weighed))
        x = x + dropout(change, DROPOUT, self.training)
        return x + dropout(self._forward(self.norm_forward(x)), DROPOUT, self.training)

    def _weighed(self, query: Tensor, key: Tensor, value: Tensor, since: Tensor) -> Tensor:
        assert self.by_time is not None
        n = query.shape[1]
        later = torch.ones(n, n, dtype=torch.bool).triu(1)
        bias = self.by_time[since].masked_fill(later, -math.inf)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)


class HSTUBlock(nn.Module):
    """Pointwise aggregated attention, gated; no feed-forward layers."""

    def __init__(self, timed: bool) -> None:
        super().__init__()
        self.norm, self.norm_attended = (nn.LayerNorm(DIM, eps=NORM_EPS) for _ in range(2))
        self.inward, self.outward = nn.Linear(DIM, 4 * DIM), nn.Linear(DIM, DIM)
        self.by_time = nn.Parameter(torch.zeros(BUCKETS)) if timed else None
        for weight in (self.inward.weight, self.outward.weight):
            nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor, packed: Packed, since: list[Tensor]) -> Tensor:
        gate, rest = functional.silu(self.inward(self.norm(x))).split([DIM, 3 * DIM], dim=1)
        attended = each_group(rest, packed, since, self._weighed)
        return x + dropout(self.outward(self.norm_attended(attended) * gate), DROPOUT, self.training)

    def _weighed(self, query: Tensor, key: Tensor, value: Tensor, since: Tensor) -> Tensor:
        n = query.shape[1]
        weights = query @ key.transpose(1, 2)
        if self.by_time is not None:
            weights = weights + self.by_time[since]
        return (functional.silu(weights) / n).tril() @ value


def each_group(projected: Tensor, packed: Packed, since: list[Tensor], weighed: Any) -> Tensor:
    """Queries, keys and values [t, 3 d] through `weighed` by groups of similar length: [t, d]."""
    parts = torch.split(rows_of(projected, packed.padded), [g * n for g, n in packed.shapes])
    found = []
    for part, shape, apart in zip(parts, packed.shapes, since, strict=True):
        query, key, value = part.view(*shape, 3, DIM).unbind(2)
        found.append(weighed(query, key, value, apart).reshape(-1, DIM))
    return rows_of(torch.cat(found), packed.back)


def trained(kind: str, parts: Split, seed: int, epochs: int, budget: float) -> list[dict[str, float]]:
    """Each epoch's seconds of CPU until its end, without validation, and what it reaches on validation."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train = parts.train
    sequences, seconds = Sequences.of(train.history("places")), times_of(train)
    network = Network(train.n_items, kind)
    settings = load_settings(["model=sasrec", "device=cpu"])
    config = settings.trainer.of_model(SASRec.learning_rate)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    size = config.batch_of(len(train))
    record: list[dict[str, float]] = []
    used = 0.0
    for number in range(1, epochs + 1):
        started = time.process_time()
        network.train()
        for pieces in batches(sequences, seconds, size, rng):
            optimizer.zero_grad()
            total = sum(len(piece.inputs) for piece in pieces)
            for piece in pieces:
                hidden = network.hidden_at(piece.inputs, piece.seconds, piece.lengths)
                loss = linear_softmax(hidden, network.items, piece.targets)
                (loss * (len(piece.inputs) / total)).backward()
            optimizer.step()
        used += time.process_time() - started
        record.append({"seconds": round(used, 1), **measured(network, parts, sequences, seconds)})
        console.print(f"{kind}, seed {seed}, epoch {number}: {record[-1]}", markup=False, soft_wrap=True)
        if used * (1 + 0.5 / number) > budget:
            break
    return record


def times_of(train: Interactions) -> NDArray[np.int64]:
    """Seconds of the interactions in the order of the sequences' items."""
    place = train.history("places")
    order = np.lexsort((place.data, np.repeat(np.arange(place.shape[0]), np.diff(place.indptr))))
    times = train.timestamp[np.lexsort((train.item, train.user))]  # as the matrix has them
    return np.asarray(times[order], dtype=np.int64)


def batches(sequences: Sequences, seconds: NDArray[np.int64], size: int, rng: np.random.Generator) -> Any:
    """Batches of about `size` items of windows in random order, each in pieces."""
    begins, lengths = sequences.windows(LENGTH, rng)
    order = rng.permutation(len(begins))
    begins, lengths = begins[order], lengths[order]
    number = (np.cumsum(lengths) - lengths) // size
    for cut in np.split(np.arange(len(order)), np.flatnonzero(np.diff(number)) + 1):
        parts = (np.cumsum(lengths[cut]) - lengths[cut]) // PIECE
        yield [
            packed_windows(sequences.items, seconds, begins[piece], lengths[piece])
            for piece in np.split(cut, np.flatnonzero(np.diff(parts)) + 1)
        ]


def packed_windows(
    items: NDArray[np.int64], seconds: NDArray[np.int64], begins: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Batch:
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) + np.repeat(begins - (ends - lengths), lengths)
    return Batch(*(torch.from_numpy(part) for part in (items[places], items[places + 1], seconds[places], lengths)))


@torch.no_grad()
def measured(network: Network, parts: Split, sequences: Sequences, seconds: NDArray[np.int64]) -> dict[str, float]:
    """hit_rate@10 and ndcg@10 of the validation items, by how many others outside the history score as high."""
    network.eval()
    user, target = parts.validation.user, parts.validation.item
    ranks = []
    for rows in np.array_split(np.arange(len(user)), max(1, len(user) // 100)):
        ends = sequences.starts[user[rows] + 1]
        lengths = np.minimum(ends - sequences.starts[user[rows]], LENGTH)
        last = np.cumsum(lengths)
        places = np.arange(last[-1]) + np.repeat(ends - last, lengths)
        told = (torch.from_numpy(part) for part in (sequences.items[places], seconds[places], lengths))
        scores = network.hidden_at(*told)[torch.from_numpy(last - 1)] @ network.items.T
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
        "What a training with one seed more or less reaches was not measured where a row has one seed.",
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
