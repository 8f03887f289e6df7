"""Measure the softmax of users' scores over many items with and without keeping the scores.

    python benchmarks/users_softmax.py

A loss and its gradient for random vectors of 64 dimensions, on one thread: by PyTorch's own operations on the matrix of
scores, and by `losses.users_softmax`, in turn. Writes benchmarks/results/users_softmax.md, in about a minute.
"""

import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console

from movierec_engine.training import losses

RESULT = Path(__file__).with_name("results") / "users_softmax.md"
SIZES = ((350, 2_961, 60), (500, 3_416, 160), (1_500, 18_000, 130), (1_700, 36_000, 130), (1_500, 59_000, 110))
"""Users, items and interactions of each user, about as in batches of the data sets that are measured elsewhere."""
DIMENSIONS, ROUNDS = 64, 5


def main() -> None:
    torch.set_num_threads(1)
    rows = [row(*size) for size in SIZES]
    page = [
        "# A softmax over many items that keeps no scores",
        "",
        f"`python benchmarks/users_softmax.py`, {datetime.now(UTC):%Y-%m-%d}, one thread, {platform.machine()}, torch "
        f"{torch.__version__}. Processor milliseconds of a loss and its gradient, least of {ROUNDS} rounds in turn. "
        f"Up to {losses.CACHED_FLOATS:,} scores training keeps them (`training/objective.py`).",
        "",
        "| users | items | scores kept | not kept | times as fast |",
        "|---|---|---|---|---|",
        *rows,
    ]
    RESULT.write_text("\n".join(page) + "\n", encoding="utf-8")
    Console(highlight=False, width=200).print(RESULT.read_text(encoding="utf-8"))


def row(users: int, items: int, each: int) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    queries, vectors = (torch.randn(n, DIMENSIONS).mul_(0.3).requires_grad_() for n in (users, items))
    log_inclusion, user = -torch.rand(items), torch.arange(users).repeat_interleave(each)
    positive = torch.randint(items, (len(user),))

    def kept() -> torch.Tensor:
        return losses.sampled_softmax(queries @ vectors.T, log_inclusion, user, positive)

    def not_kept() -> torch.Tensor:
        return losses.users_softmax(queries, vectors, log_inclusion, user, positive)

    seconds: dict[str, list[float]] = {"kept": [], "not kept": []}
    for _ in range(ROUNDS + 1):
        for name, loss in (("kept", kept), ("not kept", not_kept)):
            started = time.process_time()
            torch.autograd.grad(loss(), (queries, vectors))
            seconds[name].append(time.process_time() - started)
    before, after = (min(times[1:]) for times in seconds.values())
    return f"| {users:,} | {items:,} | {1000 * before:.0f} | {1000 * after:.0f} | {before / after:.1f} |"


if __name__ == "__main__":
    main()
