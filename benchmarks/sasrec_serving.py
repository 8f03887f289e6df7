"""Measure what one answer of sasrec costs without PyTorch: the query vector and the scores of one history.

    OMP_NUM_THREADS=1 python benchmarks/sasrec_serving.py

One person's history of 200 items, the most that the model looks at, over a catalogue of 3,416 items, on one core and
with random weights, whose values cost the same as trained ones. Writes benchmarks/results/sasrec_serving.md.
"""

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from scipy import sparse

from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.models import SASRec
from movierec_engine.models.fold_in import FoldInScorer

RESULT = Path(__file__).with_name("results") / "sasrec_serving.md"
N_ITEMS, LENGTH = 3_416, 200
SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "128 wide": {"embedding_dim": 128, "num_heads": 2},
    "128 wide, gated": {"embedding_dim": 128, "num_heads": 2, "block": "gated"},
    "256 wide, 3 blocks": {"embedding_dim": 256, "num_heads": 4, "num_blocks": 3},
}

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=1_000, help="of each model")
    answers = parser.parse_args().answers
    lines = [
        "# The cost of an answer of sasrec",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/sasrec_serving.py --answers {answers}`, {datetime.now(UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores that did other "
        "work beside. CPU is of this process alone, so that it says what one core to itself takes.",
        "",
        f"A history of {LENGTH} items, all scores of {N_ITEMS:,} items, and an explanation of ten of them, which folds "
        "the person in again without each of the 50 closest items of the history.",
        "",
        "| model | scores, CPU ms, mean | p50 | p99 | by the clock, p99 | explanation, CPU ms, mean |",
        "|---|---|---|---|---|---|",
    ]
    for name, settings in SETTINGS.items():
        scorer = scorer_of(SASRec(**settings))
        cpu, clock = measured(scorer, answers)
        why = explained(scorer, max(1, answers // 100))
        lines.append(
            f"| {name} | {cpu.mean():.2f} | {np.quantile(cpu, 0.5):.2f} | {np.quantile(cpu, 0.99):.2f} "
            f"| {np.quantile(clock, 0.99):.2f} | {why:.0f} |"
        )
        console.print(lines[-1])
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print(f"wrote {RESULT}")


def scorer_of(model: SASRec) -> FoldInScorer:
    items = np.arange(N_ITEMS, dtype=np.int32)
    zeros = np.zeros(N_ITEMS)
    train = Interactions(
        user=zeros.astype(np.int32),
        item=items,
        rating=zeros.astype(np.float32),
        timestamp=items.astype(np.int64),
        users=IdMap(np.arange(1)),
        items=IdMap(np.arange(N_ITEMS)),
    )
    model.build(train, build_graph(train), torch.device("cpu"))
    model.export()
    return model.fold_in_scorer()


def history(rng: np.random.Generator) -> sparse.csr_matrix:
    items = rng.choice(N_ITEMS, LENGTH, replace=False)
    return sparse.csr_matrix((np.arange(1, LENGTH + 1, dtype=np.float32), items, [0, LENGTH]), (1, N_ITEMS))


def measured(scorer: FoldInScorer, answers: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each answer after twenty to warm up: of this process's CPU, and by the clock."""
    rng = np.random.default_rng(0)
    cpu, clock = [], []
    for _ in range(answers + 20):
        asked = history(rng)
        used, started = time.process_time(), time.perf_counter()
        scorer.scores(asked)
        cpu.append(time.process_time() - used)
        clock.append(time.perf_counter() - started)
    return 1e3 * np.array(cpu[20:]), 1e3 * np.array(clock[20:])


def explained(scorer: FoldInScorer, times: int) -> float:
    """Milliseconds of CPU of one explanation of ten items."""
    rng = np.random.default_rng(1)
    used = time.process_time()
    for _ in range(times):
        scorer.contributions(history(rng), rng.choice(N_ITEMS, 10, replace=False))
    return 1e3 * (time.process_time() - used) / times


if __name__ == "__main__":
    main()
