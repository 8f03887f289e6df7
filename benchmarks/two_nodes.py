"""Measure ten models over two nodes of one core against one: Dagster's runs as jobs of a Ray cluster.

    python benchmarks/two_nodes.py [--rounds 2]

Needs PostgreSQL and `.[dev]`, and for network namespaces iproute2 and root: the three hosts of
tests/assets/test_three_hosts.py, one with the object store, PostgreSQL, Dagster and Ray's head, and two nodes, each on
a core of its own. In each round the same ten models are trained, evaluated and indexed on the bundled data by one node
and by both. Writes benchmarks/results/two_nodes.md, in about six minutes a round.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "assets")]
from cluster import Cluster, cluster_of  # noqa: E402
from webserver import Webserver, soon  # noqa: E402

RESULT = Path(__file__).with_name("results") / "two_nodes.md"
MODELS = ("als", "ease", "gf_cf", "gmf", "item_cf", "lightgcn", "markov", "mlp", "ncf", "svd")
LINE = ("trained_model", "evaluation_report", "faiss_index")
SETTINGS = [f"data.dir='{ROOT / 'data' / 'movielens-small'}'", "logger.use_mlflow=false", "trainer.max_epochs=5"]
HOUR = 3600.0
console = Console(highlight=False)


class Measured(NamedTuple):
    seconds: float
    """From the first launch to the last end."""
    busy: float
    """Seconds of CPU of the whole machine, the share that was not idle."""
    runs: Counter[str]
    """How many runs each node had."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs, cluster_of(Path(logs), "left", "right") as cluster:
        for measured in measure(cluster, asked.rounds):
            RESULT.write_text(page(measured), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def measure(cluster: Cluster, rounds: int) -> Iterator[list[dict[str, Measured]]]:
    """What one node and both took in each round so far."""
    ui = Webserver(cluster.ports["webserver"], SETTINGS, cluster.main.address)
    left, right = cluster.workers
    cluster.start_ray(cluster.main)
    cluster.movierec("train", "popularity", "device=cpu", *SETTINGS)
    cluster.start_dagster()
    soon(lambda: ui.loaded)
    measured = []
    for number in range(rounds):
        found = {}
        for name, nodes in (("one node", [left]), ("two nodes", [left, right])):
            for core, host in enumerate(nodes):
                cluster.start_ray(host).cpu_affinity([core])
            soon(lambda nodes=nodes: len(cluster.nodes()) == 1 + len(nodes))
            if number == 0:
                run(cluster, ui, ["popularity"] * len(nodes))  # each node has the data's steps in its cache
            found[name] = run(cluster, ui, MODELS)
            console.print(f"{name}: {found[name]}")
            for host in nodes:
                host.end()
            soon(lambda: len(cluster.nodes()) == 1)
        measured.append(found)
        yield measured


def run(cluster: Cluster, ui: Webserver, models: list[str] | tuple[str, ...]) -> Measured:
    """Launch a run for each model and wait for their ends."""
    started, busy = time.monotonic(), busy_seconds()
    runs = [ui.launch("everything", ui.settings, f"cpu|{model}", LINE) for model in models]
    ended = ("SUCCESS", "FAILURE", "CANCELED")
    for one in runs:
        soon(lambda one=one: ui.status(one) in ended, HOUR)
        if ui.status(one) != "SUCCESS":
            raise SystemExit(f"a run ended with {ui.status(one)}: {ui.sentences()} {cluster.job_of(one)}")
    return Measured(
        time.monotonic() - started,
        busy_seconds() - busy,
        Counter(host.name for one in runs if (host := cluster.worker_of(one))),
    )


def busy_seconds() -> float:
    """Seconds of CPU that all programs of this machine have used since it started."""
    used = psutil.cpu_times()
    return used.user + used.nice + used.system + used.irq + used.softirq


def page(rounds: list[dict[str, Measured]]) -> str:
    ratios = [found["one node"].seconds / found["two nodes"].seconds for found in rounds]
    rows = "\n".join(
        f"| {number} | {found['one node'].seconds:.0f} | {found['two nodes'].seconds:.0f} | {ratio:.2f} | "
        f"{found['one node'].busy:.0f} | {found['two nodes'].busy:.0f} | "
        f"{' and '.join(str(count) for count in found['two nodes'].runs.values())} |"
        for number, (found, ratio) in enumerate(zip(rounds, ratios, strict=True), start=1)
    )
    return f"""# Ten models over two nodes of one core

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python \
{platform.python_version()}, Ray {version("ray")}, Dagster {version("dagster")}.
Written by `python benchmarks/two_nodes.py`.

{", ".join(MODELS)}: each a run of Dagster's for training, evaluation and index on the bundled data, with
`{SETTINGS[-1]}`; a node has one core and a thread. Object store, PostgreSQL, Dagster and Ray's head share the cores, so
that on a machine of two cores two nodes leave them none of their own. CPU is of the whole machine, meanwhile.

| round | one node, s | two nodes, s | times as fast | CPU of one, s | of two, s | runs of each of the two |
|---|---:|---:|---:|---:|---:|---|
{rows}

{statistics.median(ratios):.2f} times as fast in the median; asked for: at least 1.7.
"""


if __name__ == "__main__":
    main()
