"""Measure what orchestration costs: all single models on the bundled data through Dagster, and by plain calls.

    python benchmarks/dagster_overhead.py [--rounds 2] [trainer.max_epochs=2 ...]

One side is one run of the job `everything` for the range of every model on the CPU, in one process, with its checks.
The other calls the same functions of the pipeline one after another in a Python process, with the same trackers. Each
is a fresh process with a fresh store, and the sides take turns. Writes benchmarks/results/dagster_overhead.md, but with
settings or with one round only prints. Takes about ten minutes on two idle cores.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from movierec_engine.models.registry import single_models

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "dagster_overhead.md"
TARGET = 0.2
"""Largest share of wall time that orchestration may add."""
SIDES = ("plain", "dagster")


@dataclass(frozen=True)
class Measured:
    """One side in one round, in seconds."""

    wall: float
    """Of the whole process, imports included."""
    cpu: float
    """Of all its threads and children."""
    checks: float
    """Wall time of the checks' steps; 0 on the plain side, which has none."""


def plain(store_root: Path, overrides: list[str]) -> dict[str, float]:
    """The pipeline's functions, called as they are."""
    from movierec_engine import pipeline, release
    from movierec_engine.config import load_settings
    from movierec_engine.store import ArtifactStore
    from movierec_engine.tracking import make_tracker
    from movierec_engine.tracking.tracker import flatten

    store = ArtifactStore(store_root)
    shared = load_settings([*overrides, "model=popularity", "device=cpu"])
    made = pipeline.prepare(store, shared.data)
    for name in single_models():
        settings = load_settings([*overrides, f"model={name}", "device=cpu"])
        tracker = make_tracker(settings.logger, store.root, settings.experiment_name)
        tracker.start(settings.run_name, flatten(settings.resolved()))
        model = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"], tracker)
        report = pipeline.evaluate_model(store, model, made["raw_movies"], tracker=tracker)
        tracker.outcome(model, report)
        tracker.finish("finished")
        pipeline.build_faiss_index(store, model, made["raw_movies"], settings.retrieval)
    ranking = pipeline.rank_models(store, shared.data.name, shared.trainer.early_stopping.metric)
    release.decide_release(store, ranking, shared.release)
    return {"checks": 0.0}


def dagster(store_root: Path, overrides: list[str]) -> dict[str, float]:
    """The job `everything` for the range of all models, in this process."""
    import dagster as dg

    from movierec_assets.definitions import defs
    from movierec_assets.partitions import partition_key

    ends = [partition_key("cpu", single_models()[end]) for end in (0, -1)]
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("everything").execute_in_process(
            instance=instance,
            tags=dict(
                zip(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), ends, strict=True)
            ),
            run_config={
                "resources": {"settings": {"config": {"overrides": overrides}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        steps = instance.get_run_step_stats(result.run_id)
    checks = [step for step in steps if step.step_key.startswith("checks_of_")]
    return {"checks": sum(step.end_time - step.start_time for step in checks if step.end_time and step.start_time)}


def measure(side: str, overrides: list[str]) -> Measured:
    """Run one side in a process and a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = root / "dagster"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        environment = {
            **os.environ,
            "MOVIEREC_ARTIFACTS": str(root / "store"),
            "MOVIEREC_CHECKPOINTS": str(root / "checkpoints"),
            "DAGSTER_HOME": str(home),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [sys.executable, __file__, "--side", side, "--store", str(root / "store"), *overrides]
        before, started = os.times(), time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(wall, cpu, **json.loads(done.stdout.splitlines()[-1]))


def page(rounds: list[dict[str, Measured]], loads: list[float]) -> str:
    """The results as Markdown."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("dagster", "torch", "mlflow"))
    mean = {
        side: Measured(
            *(statistics.fmean(getattr(one[side], name) for one in rounds) for name in ("wall", "cpu", "checks"))
        )
        for side in SIDES
    }
    more = {name: getattr(mean["dagster"], name) / getattr(mean["plain"], name) - 1 for name in ("wall", "cpu")}
    bare = (mean["dagster"].wall - mean["dagster"].checks) / mean["plain"].wall - 1
    verdict = "met" if more["wall"] <= TARGET else "missed"
    lines = [
        "# What orchestration costs",
        "",
        f"`python benchmarks/dagster_overhead.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {libraries}; load average at the start of each process "
        f"{min(loads):.1f} to {max(loads):.1f}.",
        "",
        f"All {len(single_models())} single models on the bundled data with their default settings: data, training, "
        "report and index of each, leaderboard and release. Once as one run of the job `everything` for a range of "
        "partitions, in process; once as plain calls of the same functions. Whole processes, taking turns.",
        "",
        "| round | side | wall s | CPU s | of the wall: checks s |",
        "|---|---|---|---|---|",
    ]
    for number, one in enumerate([*rounds, mean], start=1):
        name = str(number) if number <= len(rounds) else "mean"
        for side in SIDES:
            lines.append(f"| {name} | {side} | {one[side].wall:.1f} | {one[side].cpu:.1f} | {one[side].checks:.1f} |")
    lines += [
        "",
        f"Through Dagster it takes {more['wall']:+.1%} wall time and {more['cpu']:+.1%} CPU time; without the checks, "
        f"which the plain calls do not have, {bare:+.1%} wall time. The target, at most {TARGET:.0%} more wall time "
        f"with the checks, is {verdict}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what orchestration costs.")
    parser.add_argument("--rounds", type=int, default=2, help="how often each side is measured")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="settings of both sides, in Hydra's syntax")
    arguments = parser.parse_args()
    if arguments.side:
        run = plain if arguments.side == "plain" else dagster
        print(json.dumps(run(arguments.store, arguments.overrides)))
        return
    rounds, loads = [], []
    for _ in range(arguments.rounds):
        found = {}
        for side in SIDES:
            loads.append(os.getloadavg()[0])
            found[side] = measure(side, arguments.overrides)
            print(f"{side}: {found[side]}", file=sys.stderr, flush=True)
        rounds.append(found)
    text = page(rounds, loads)
    print(text)
    if not arguments.overrides and arguments.rounds > 1:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
