"""Side by side with RecBole 1.2.1: the same models on the same data, taking turns on the same machine.

    python benchmarks/recbole/side_by_side.py --interactions train.parquet

The Parquet file has the integer columns `user` and `item`. Both sides train on the same 80 % of each user's items and
rank the whole catalogue, without those, for the validation 10 %. Three questions:

1. Samples a second, and what a full-ranking evaluation costs, with the same architecture, loss, batch and threads.
2. How soon this project's default configuration reaches the best validation ndcg@10 that RecBole reaches.
3. Whether both sides mean the same by ndcg@10: RecBole's `Pop` and `popularity`, on the same parts.

RecBole gets an environment of its own under benchmarks/.environments/, made at the first run. Needs Linux, and a Python
for which SciPy 1.11 exists (3.9 to 3.12). Writes benchmarks/results/recbole.md and recbole.json anew after each run, so
that a program that is cut off has kept what it measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pairs import PAIRS, SAME_STEP, THEIR_STEP
from pairs_file import read_pairs
from results import Result, Run, page, write
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from movierec_engine.data.split import Split
from movierec_engine.data.split_strategies import TEST, TRAIN, VALIDATION, random_parts

HERE = Path(__file__).resolve().parent
REQUIREMENTS = ("recbole==1.2.1", "torch==2.13.0", "numpy<2", "scipy<1.12", "pandas<2.2")
PATIENCE = 10
"""Epochs without a better validation ndcg@10 after which a run ends; RecBole's default."""
MANY_EPOCHS = 1000
CHECK = ("Pop", "popularity")
"""The scorer that both sides have to give the same ndcg@10; never cut short."""

Stop = Callable[[Run], bool]


class Runner:
    """Starts the two sides as processes with the same number of threads, and follows what they report."""

    def __init__(self, arguments: argparse.Namespace, python: Path, work: Path, progress: Progress) -> None:
        self.arguments, self.python, self.work, self.progress = arguments, python, work, progress
        threads = str(arguments.threads)
        self.environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}

    def recbole(self, model: str, settings: dict[str, Any], epochs: int, stop: Stop, minutes: float = 0) -> Run:
        common = {
            "data_path": str(self.work),
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": ["user_id", "item_id"]},
            "checkpoint_dir": str(self.work / "saved"),
            "eval_batch_size": self.arguments.eval_batch_size,
            "metrics": ["NDCG"],
            "topk": [10],
            "valid_metric": "NDCG@10",
            "metric_decimal_place": 6,
            "seed": self.arguments.seed,
            "use_gpu": False,
            "show_progress": False,
        }
        job = {"model": model, "settings": common | THEIR_STEP | settings, "epochs": epochs}
        return self._follow(Run("RecBole"), [str(self.python), "recbole_side.py"], model, job, stop, minutes)

    def movierec(self, model: str, overrides: tuple[str, ...], epochs: int, stop: Stop, minutes: float = 0) -> Run:
        settings = [f"model={model}", *overrides, f"seed={self.arguments.seed}"]
        job = {"overrides": settings, "data": str(self.work / "split"), "epochs": epochs}
        return self._follow(Run("ours"), [sys.executable, "movierec_side.py"], model, job, stop, minutes)

    def _follow(self, run: Run, program: list[str], model: str, job: dict[str, Any], stop: Stop, minutes: float) -> Run:
        """Read what a process reports until it ends, `stop` says so, or the minutes (0: any number) are over."""
        job |= {"steps": 0 if model in CHECK else self.arguments.steps, "threads": self.arguments.threads}
        command = [program[0], str(HERE / program[1]), json.dumps(job)]
        log = self.work / "stderr.txt"
        task = self.progress.add_task(f"{run.side}: {model}", total=job["epochs"], note="starts")
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, cwd=self.work, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            timer = threading.Timer(60 * minutes, process.kill)
            stopped = False
            for message in messages(process):
                if message["event"] == "ready":
                    run.ready = message
                    if minutes:
                        timer.start()
                else:
                    run.epochs.append(message)
                    self.progress.update(task, completed=len(run.epochs), note=f"ndcg@10 {message['ndcg']:.4f}")
                    if stop(run):
                        stopped = True
                        process.kill()
            code = process.wait()
        timed_out = bool(minutes) and timer.finished.is_set()
        timer.cancel()
        self.progress.remove_task(task)
        if code and not stopped and not timed_out:
            run.error = log.read_text()[-2000:].strip()
        elif not run.epochs:
            run.error = f"no epoch ended within {minutes:g} minutes"
        if run.error:
            self.progress.console.print(f"{run.side}: {model} failed\n{run.error}", style="red", markup=False)
        return run


def main() -> None:
    arguments = parse()
    results = {name: Result() for name in ("popularity", *arguments.models)}
    with tempfile.TemporaryDirectory() as folder, progress_bar() as progress:
        python = environment(arguments.environment, progress.console)
        facts = write_parts(arguments.interactions, Path(folder), arguments.split_seed)
        facts |= {name: getattr(arguments, name) for name in ("threads", "steps", "epochs", "repetitions", "seed")}
        facts |= {name: getattr(arguments, name) for name in ("split_seed", "max_minutes", "eval_batch_size")}
        runner = Runner(arguments, python, Path(folder), progress)
        for name, result in results.items():
            for run in measure(name, result, runner, arguments):
                write(results, facts, arguments.output)
                if run.epochs:
                    progress.console.print(told(name, run), markup=False)
    Console(width=200).print("\n".join(page(results, facts)), markup=False)


def measure(name: str, result: Result, runner: Runner, arguments: argparse.Namespace) -> Iterator[Run]:
    """Do all runs of one model and give each as it ends."""
    if name == "popularity":
        for run in (
            runner.recbole(CHECK[0], {"train_neg_sample_args": None}, 1, never),
            runner.movierec(CHECK[1], (), 1, never),
        ):
            result.turns.append(run)
            yield run
        return
    pair = PAIRS[name]
    for _ in range(arguments.repetitions):
        result.turns.append(runner.recbole(pair.recbole, pair.theirs, arguments.epochs, never))
        yield result.turns[-1]
        result.turns.append(runner.movierec(name, (*pair.ours, *SAME_STEP), arguments.epochs, never))
        yield result.turns[-1]
    if not arguments.max_minutes:
        return
    minutes = arguments.max_minutes
    result.theirs = runner.recbole(pair.recbole, pair.theirs, MANY_EPOCHS, out_of_patience, minutes)
    yield result.theirs
    if result.theirs.epochs:
        target = result.theirs.best["ndcg"]
        result.ours = runner.movierec(
            name, (), MANY_EPOCHS, lambda run: run.first_reaching(target) is not None or out_of_patience(run), minutes
        )
        yield result.ours


def never(run: Run) -> bool:
    return False


def out_of_patience(run: Run) -> bool:
    return len(run.epochs) - int(run.best["number"]) >= PATIENCE


def told(name: str, run: Run) -> str:
    last = run.epochs[-1]
    return (
        f"{name}, {run.side}: epoch {last['number']}, {last['samples'] / last['train_seconds']:,.0f} samples/s, "
        f"ndcg@10 {last['ndcg']:.4f}, evaluation {last['evaluation_seconds']:.1f} s and {last['evaluation_mb']:.0f} MB"
    )


def messages(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    """The reports among what a process prints."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith('{"event"') and line.endswith("}\n"):
            yield json.loads(line)


def environment(folder: Path, console: Console) -> Path:
    """The Python of RecBole's environment, made now if it is not there with these requirements."""
    python, made = folder / "bin" / "python", folder / "made-with.txt"
    wanted = "\n".join(REQUIREMENTS)
    if not (made.exists() and made.read_text() == wanted):
        console.print(f"making RecBole's environment in {folder}", markup=False)
        venv.create(folder, with_pip=True, clear=True)
        (folder / ".gitignore").write_text("*\n")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        made.write_text(wanted)
    return python


def write_parts(path: Path, work: Path, seed: int) -> dict[str, Any]:
    """Split the interactions once, into work/split for this project and work/parts for RecBole; returns their sizes."""
    whole = read_pairs(path)
    users, items = whole.users, whole.items
    part = random_parts(whole, 0.8, 0.1, seed)
    train, validation, test = (whole.select(part == number) for number in (TRAIN, VALIDATION, TEST))
    split = Split(train, validation, test, strategy="random")
    for name in ("split", "parts"):
        (work / name).mkdir()
    split.save(work / "split")
    for name, interactions in zip(("train", "valid", "test"), split.parts(), strict=True):
        ids = np.stack([users.ids[interactions.user], items.ids[interactions.item]], axis=1)
        file = work / "parts" / f"parts.{name}.inter"
        np.savetxt(file, ids, fmt="%d", delimiter="\t", header="user_id:token\titem_id:token", comments="")
    return {"users": len(users), "items": len(items), "train": len(split.train), "validation": len(split.validation)}


def progress_bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} epochs, {task.fields[note]}"),
    )
    return Progress(*columns, TimeElapsedColumn())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare with RecBole 1.2.1 on the same data.")
    parser.add_argument("--interactions", type=Path, required=True, help="Parquet file with columns user and item")
    parser.add_argument("--models", default="lightgcn,ngcf,ncf", help=f"of {', '.join(PAIRS)}")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of each alternating run")
    parser.add_argument("--repetitions", type=int, default=2, help="alternating runs of each side")
    parser.add_argument("--steps", type=int, default=0, help="batches an epoch, for a trial; 0: all")
    parser.add_argument("--max-minutes", type=float, default=30, help="for each side's way to its best; 0: not asked")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--split-seed", type=int, default=42)
    parser.add_argument("--eval-batch-size", type=int, default=4096, help="RecBole's, in scores; its default is 4096")
    parser.add_argument("--environment", type=Path, default=HERE.parent / ".environments" / "recbole")
    parser.add_argument("--output", type=Path, default=HERE.parent / "results")
    arguments = parser.parse_args()
    arguments.models = [name for name in arguments.models.split(",") if name]
    if unknown := set(arguments.models) - set(PAIRS):
        parser.error(f"no pair for {', '.join(sorted(unknown))}; choose from {', '.join(PAIRS)}")
    return arguments


if __name__ == "__main__":
    main()
