"""Measure the main job on the bundled data: how good the models are, and how long everything takes.

    python benchmarks/main_job.py

Materializes the default models into a fresh store as `movierec demo --no-serve` does, then once more, then the slower
models, times the loading of Dagster's definitions, and writes benchmarks/results/main_job.md. Takes about four minutes
on two cores.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from movierec_engine.cli.demo import MODELS
from movierec_engine.models.registry import single_models

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "main_job.md"
LIBRARIES = ("torch", "faiss-cpu", "dagster", "numpy", "scipy")


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Wall seconds and output of a command; ends the program if the command fails."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return seconds, done.stdout + done.stderr


def definitions_seconds(environment: dict[str, str]) -> float:
    """Dagster's own loading: between the first and the last line of `dagster definitions validate`."""
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    _, output = timed(command, environment)
    stamps = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", output)
    ends = [datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for stamp in (stamps[0], stamps[-1])]
    return (ends[1] - ends[0]).total_seconds()


def reports(store: Path) -> list[dict[str, Any]]:
    """The newest report of each model, best first."""
    found = []
    for latest in store.glob("evaluation_report/*/*/*/LATEST"):
        found.append(json.loads((latest.parent / latest.read_text().strip() / "report.json").read_text()))
    return sorted(found, key=lambda report: -report["metrics"]["ndcg@10"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        environment = {**os.environ, "MOVIEREC_ARTIFACTS": str(store), "DAGSTER_HOME": str(Path(folder))}
        demo = [sys.executable, "-m", "movierec_engine.cli", "demo", "--no-serve", "--device", "cpu"]
        first, _ = timed(demo, environment)
        second, _ = timed(demo, environment)
        others = [name for name in single_models() if name not in MODELS]
        rest, _ = timed([*demo, *(word for name in others for word in ("--model", name))], environment)
        load = definitions_seconds(environment)
        measured = reports(store)
    floor = next(report for report in measured if report["model"] == "popularity")["metrics"]["ndcg@10"]
    lines = [
        "# The main job on the bundled data",
        "",
        f"`python benchmarks/main_job.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES) + ".",
        "",
        f"Fingerprint {measured[0]['fingerprint']}; random split per user 80/10/10, full ranking, train and validation "
        f"items masked, {measured[0]['counts']['users_evaluated']} users. Hyper-parameters were chosen on validation.",
        "",
        "| model | validation ndcg@10 | test ndcg@10 [95 %] | recall@10 | hit_rate@10 | coverage@10 "
        "| times popularity | training s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for report in measured:
        metrics, (low, high) = report["metrics"], report["intervals"]["ndcg@10"]
        lines.append(
            f"| {report['model']} | {report['validation_metrics']['ndcg@10']:.4f} "
            f"| {metrics['ndcg@10']:.4f} [{low:.4f}, {high:.4f}] | {metrics['recall@10']:.4f} "
            f"| {metrics['hit_rate@10']:.4f} | {metrics['coverage@10']:.4f} | {metrics['ndcg@10'] / floor:.2f} "
            f"| {report['seconds']:.1f} |"
        )
    lines += [
        "",
        "| what | seconds |",
        "|---|---|",
        f"| `movierec demo --no-serve` on an empty store, the whole process | {first:.1f} |",
        f"| the same again, with nothing to do | {second:.1f} |",
        f"| `movierec demo --no-serve` with {', '.join(others)} in addition | {rest:.1f} |",
        f"| `dagster definitions validate`: Dagster's own loading, by its log's full seconds | {load:.0f} |",
        "",
    ]
    RESULT.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
