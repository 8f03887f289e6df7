"""Measure one training on two workers of a thread each against one process of one thread.

    OMP_NUM_THREADS=1 python benchmarks/data_parallel.py --interactions train.parquet --name "MovieLens 1M"
    OMP_NUM_THREADS=1 python benchmarks/data_parallel.py --interactions train.parquet --name "MovieLens 1M" --only als

The Parquet file has the integer columns `user` and `item`. One process and a team of two train epochs (`als`: sweeps)
in turn, so that what else the machine does befalls both; the first of each, in which the processes start, is not
counted. A pass hands the state back to the main process as in a training; validation is not in it. A batch is a tenth
of the data unless `--batch` says otherwise: of few users in a batch one worker has more than the other by chance, who
then waits.

- by the clock: samples a second of two workers over those of one process, the median over the pairs of passes;
- by the processor: CPU seconds of the one process over those of the busier worker: what an idle machine would give, but
  for waiting;
- memory: a worker's at its peak, above that of an idle one, against 1.15 times its share: half of what a single worker
  takes beside the model, and the whole model, its gradients and moments;
- ndcg@10 after these epochs, on a tenth of the interactions held out, of at most 10,000 users.

Writes the section of its data into benchmarks/results/data_parallel.md.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from recbole.pairs_file import read_pairs
from result_sections import write_section
from rich.console import Console

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS
from movierec_engine.models.classic.half_sweeps import Ridge, Sweeps, TeamSweeps, sweeps
from movierec_engine.models.registry import model_class
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.data_parallel import WorkerPasses
from movierec_engine.training.descent import steps_per_epoch
from movierec_engine.training.trainer import passes, start
from movierec_engine.workers.local import LocalTeam

RESULT = Path(__file__).with_name("results") / "data_parallel.md"
TITLE = "# One training on two workers\n\n`python benchmarks/data_parallel.py --interactions FILE --name NAME`"
MODELS = ("lightgcn", "ncf", "sasrec", "als")
HEADER = (
    "| model | samples a second, one process | two workers | ratio by the clock | by the processor | "
    "MB of a worker | of a single one | of its share, at most 1.15 | ndcg@10 of one | of two |",
    "|---|---|---|---|---|---|---|---|---|---|",
)
MOST_USERS = 10_000
ADAM = 4
"""Arrays of the parameters' size: themselves, their gradients, and two moments."""


class Idle:
    """A worker with the libraries of one that trains a model, those that PyTorch loads with a first step included."""

    def __init__(self, name: str) -> None:
        if model_class(name) is not ALS:
            table = torch.ones(8, 8, requires_grad=True)
            (table.to_sparse_csr().detach() @ table).log_softmax(dim=1).sum().backward()
            torch.optim.Adam([table], fused=True).step()


def main() -> None:
    asked = arguments()
    torch.set_num_threads(1)
    train, test = held_out(asked.interactions)
    rows = []
    for name in asked.only:
        rows.append(row(Measured(name, train, asked.batch or len(train) // 10), test, asked.repetitions))
        head = (
            f"{datetime.now(UTC):%Y-%m-%d}: {len(train):,} train interactions of {train.n_users:,} users with "
            f"{train.n_items:,} items, batches of {asked.batch or len(train) // 10:,}, {asked.repetitions} passes in "
            f"turn, one thread a process, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}."
        )
        Console(highlight=False, width=240).print(write_section(RESULT, TITLE, asked.name, [head, "", *HEADER, *rows]))


def row(measured: "Measured", test: HeldOut, repetitions: int) -> str:
    """One line of the table."""
    found = [[], []]  # type: list[list[Any]]
    with ExitStack() as stack:
        works = [measured.passes(workers, stack) for workers in (1, 2)]
        for number in range(1, repetitions + 2):
            for work, times in zip(works, found, strict=True):
                before, started = cpu_seconds(), time.perf_counter()
                work(number)
                clock, after = time.perf_counter() - started, cpu_seconds()
                times.append((clock, max(after[pid] - before.get(pid, 0) for pid in after)))
        ndcg = [measured.ndcg(workers, test) for workers in (1, 2)]
    pairs = list(zip(*(times[1:] for times in found), strict=True))
    clock, processor = (statistics.median(one[what] / two[what] for one, two in pairs) for what in (0, 1))
    rates = [len(measured.train) / statistics.median(clock for clock, _ in times[1:]) for times in found]
    idle = memory_of(lambda stack: stack.enter_context(LocalTeam(importable(Idle), [(measured.name,)], 1)))
    single, shared = (memory_of(lambda stack, n=n: measured.one_pass(n, stack)) - idle for n in (1, 2))  # type: ignore[misc]
    share = (single - measured.fixed) / 2 + measured.fixed
    return (
        f"| {measured.name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {clock:.2f} | {processor:.2f} | {shared / 1e6:.0f} | "
        f"{single / 1e6:.0f} | {shared / share:.2f} | {ndcg[0]:.4f} | {ndcg[1]:.4f} |"
    )


class Measured:
    """Trainings of one model with its default settings, by its name.

    fixed: bytes of the model in training.
    """

    def __init__(self, name: str, train: Any, batch: int) -> None:
        self.name, self.train, self._batch = name, train, batch
        self._models: dict[int, Any] = {}
        self._made: dict[int, Sweeps] = {}
        self.fixed = 0

    def passes(self, workers: int, stack: ExitStack) -> Callable[[int], object]:
        """What trains an epoch, or makes a sweep, in this process or by several workers."""
        trainer, model = self._trainer(workers), self._model(workers)
        if isinstance(model, ALS):
            self._made[workers] = made = stack.enter_context(sweeps(*self._start(model), trainer))
            return lambda _: made.sweep()
        return stack.enter_context(passes(model, self.train, trainer, self._state(model, trainer), "cpu", 1))

    def one_pass(self, workers: int, stack: ExitStack) -> None:
        """One pass of a team of this size, be it of one."""
        trainer, model = self._trainer(workers), self._model(0)
        if isinstance(model, ALS):
            team_sweeps = TeamSweeps(*self._start(model), trainer)
            stack.callback(team_sweeps.close)
            team_sweeps.sweep()
            return
        state = self._state(model, trainer)
        stack.enter_context(WorkerPasses(model, self.train, trainer, state, "cpu", 1)).one_pass(1)

    def ndcg(self, workers: int, test: HeldOut) -> float:
        """What the model of these passes reaches."""
        model = self._models[workers]
        if isinstance(model, ALS):
            model.user_factors, model.item_factors = self._made[workers].vectors()
        else:
            model.export()
        return Evaluator([10], ("ndcg",)).evaluate(model, test, deep=False).metrics["ndcg@10"]

    def _model(self, number: int) -> Any:
        kind = model_class(self.name)
        self._models[number] = model = kind(kind.Config())
        if isinstance(model, ALS):
            model.set_history(self.train)
            rng = np.random.default_rng(1)
            model.user_factors, model.item_factors = (
                0.01 * rng.standard_normal((n, model.config.embedding_dim)).astype(np.float32)
                for n in model.history.shape
            )
            self.fixed = model.user_factors.nbytes + model.item_factors.nbytes
        return model

    def _trainer(self, workers: int) -> TrainerConfig:
        return TrainerConfig(batch_size=self._batch, workers=workers).of_model(model_class(self.name).learning_rate)

    def _state(self, model: Any, trainer: TrainerConfig) -> Any:
        torch.manual_seed(1)
        network = model.build(self.train, Dataset(self.train).graph, torch.device("cpu"))
        self.fixed = ADAM * sum(4 * one.numel() for one in network.parameters())
        steps = steps_per_epoch(len(self.train), trainer)
        return start(network, trainer, np.random.default_rng(1), HeldOut.nothing(self.train), "cpu", steps)

    def _start(self, model: ALS) -> tuple[Any, Ridge, Any]:
        sides = model.history, model.history.T.tocsr()
        users, items = (model.strength(rows) for rows in sides)
        return sides, Ridge(model.alpha0, (users, items), model.config.steps), (model.user_factors, model.item_factors)


def cpu_seconds() -> dict[int, float]:
    """CPU seconds so far of this process and of each worker."""
    own = psutil.Process()
    return {one.pid: sum(one.cpu_times()[:2]) for one in (own, *own.children()) if one.status() != "zombie"}


def memory_of(work: Callable[[ExitStack], object]) -> int:
    """Resident bytes, at its peak, of the largest worker that some work starts."""
    with ExitStack() as stack:
        work(stack)
        peaks = [Path(f"/proc/{one.pid}/status").read_text() for one in psutil.Process().children()]
    return max(int(text.partition("VmHWM:")[2].split()[0]) for text in peaks if "VmHWM" in text) * 1024


def importable(kind: type) -> type:
    """A class of this program as workers import it."""
    import data_parallel

    return getattr(data_parallel, kind.__name__)  # type: ignore[no-any-return]


def held_out(path: Path) -> tuple[Any, HeldOut]:
    """Train, and a tenth of the interactions as test."""
    everything = read_pairs(path)
    drawn = np.random.default_rng(0).random(len(everything)) < 0.1
    train, rest = everything.select(~drawn), everything.select(drawn)
    catalogue = Catalogue.of(train)
    return train, HeldOut(rest, catalogue.train, "train", catalogue).sampled(MOST_USERS, 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet with the columns user and item")
    parser.add_argument("--name", required=True, help="of the data, the section's title")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--batch", type=int, default=0, help="interactions in a batch; 0: a tenth of all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
