"""Measure the API with an object store behind it against a folder: throughput, promotion on several hosts, cold start.

    AWS_ENDPOINT_URL=... AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \\
        python benchmarks/object_store.py --artifacts artifacts --url s3://bucket/empty-prefix

Copies a store with indices of at least two models of one data set to the URL. Then a server on the folder and two hosts
on the URL, each with an empty folder of its own, answer /api/recommend in alternating rounds; after that one of two
indices is promoted after the other, by this process, and each host is asked every 10 ms which one answers. Writes
benchmarks/results/object_store.md, in about three minutes.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from serving import ask_from_outside, cpu_seconds, free_port, get, movierec

from movierec_engine.store import SERVING, Artifact, ArtifactStore, is_refitted, kinds
from movierec_engine.store.copying import copy_store

RESULT = Path(__file__).with_name("results") / "object_store.md"
ROUNDS, SECONDS, PROMOTIONS = 9, 2.0, 8
ASKED = "/api/recommend?user_id={user}&top_k=10"
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, required=True, help="a store with indices of two models")
    parser.add_argument("--url", required=True, help="an empty prefix of an object store")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        RESULT.write_text(page(measure(asked.artifacts, asked.url, Path(folder))), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def measure(artifacts: Path, url: str, folder: Path) -> dict[str, Any]:
    os.environ["MOVIEREC_LOCAL"] = str(folder / "writer")
    store, started = ArtifactStore(url), time.perf_counter()
    copied = copy_store(ArtifactStore(artifacts), store)
    seconds = time.perf_counter() - started
    data_set = store.data_sets(kinds.FAISS_INDEX)[0]
    indices = [store.require(slot) for slot in store.slots(kinds.FAISS_INDEX, data_set)]
    ports = {"folder": free_port(), "object store": free_port(), "another host": free_port()}
    with ExitStack() as servers:
        processes, cold = {}, {}
        for host, port in ports.items():
            started = time.perf_counter()
            place = str(artifacts) if host == "folder" else url
            processes[host] = servers.enter_context(_host(place, port, folder / host, data_set))
            cold[host] = time.perf_counter() - started
        rounds = _throughput({host: ports[host] for host in ("folder", "object store")}, processes)
        lags = _promotions(store, data_set, indices, [port for host, port in ports.items() if host != "folder"])
    started = time.perf_counter()
    with _host(url, free_port(), folder / "object store", data_set):
        cold["object store, cache filled"] = time.perf_counter() - started
    used = sum(path.stat().st_size for path in (folder / "object store").rglob("*") if path.is_file())
    return {
        "copied": copied,
        "seconds": seconds,
        "rounds": rounds,
        "lags": lags,
        "cold": cold,
        "cache": used,
    }


@contextmanager
def _host(place: str, port: int, local: Path, data_set: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is a host of its own, once it is ready."""
    os.environ["MOVIEREC_LOCAL"] = str(local)
    with movierec(place, port, f"serving.data_set={data_set}") as server:  # type: ignore[arg-type]
        yield server


def _throughput(ports: dict[str, int], processes: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
    rounds: dict[str, list[dict[str, float]]] = {host: [] for host in ports}
    for port in ports.values():
        ask_from_outside(port, ASKED, 3.0)  # warm
    for number in range(ROUNDS):
        for host in list(ports) if number % 2 else list(ports)[::-1]:
            before = cpu_seconds(processes[host])
            measured = ask_from_outside(ports[host], ASKED, SECONDS)
            used = cpu_seconds(processes[host]) - before
            rounds[host].append({**measured, "cpu": used / measured["answers"] * 1e6})
    return rounds


def _promotions(store: ArtifactStore, data_set: str, indices: list[Artifact], ports: list[int]) -> list[float]:
    """Seconds from each promotion to the first answer of the promoted version, on each host."""
    lags = []
    before = store.pointed(SERVING, data_set)
    two = [one for one in indices if not is_refitted(one)][:2]
    for number in range(PROMOTIONS):
        wanted = two[number % 2]
        store.point(SERVING, wanted, {"why": "measured"})
        moved = time.perf_counter()
        waiting = set(ports)
        while waiting and time.perf_counter() < moved + 60:
            for port in sorted(waiting):
                if json.loads(get(port, ASKED.format(user=1)))["version"] == wanted.version:
                    lags.append(time.perf_counter() - moved)
                    waiting.discard(port)
            time.sleep(0.01)
        lags += [float("inf")] * len(waiting)
    if before:
        store.point(SERVING, before, {"why": "as before it was measured"})
    return lags


def page(of: dict[str, Any]) -> str:
    folder, remote = (of["rounds"][host] for host in ("folder", "object store"))
    pairs = zip(folder, remote, strict=True)
    ratios = [b["rate"] / a["rate"] for a, b in pairs]
    rows = "\n".join(
        f"| {host} | {_median(found, 'rate'):,.0f} | {_median(found, 'p50'):.2f} | {_median(found, 'p99'):.2f} | "
        f"{_median(found, 'cpu'):.0f} |"
        for host, found in of["rounds"].items()
    )
    cold = "\n".join(f"| {host} | {seconds:.1f} |" for host, seconds in of["cold"].items())
    copied, lags = of["copied"], of["lags"]
    return f"""# The API on an object store against a folder

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, Python \
{platform.python_version()}, obstore {version("obstore")}; endpoint on {_endpoint()}.
Written by `python benchmarks/object_store.py`.

`/api/recommend` of the promoted index, top_k 10, 2 workers, 8 kept connections; medians over {ROUNDS} alternating \
rounds of {SECONDS:g} s
in one run; client, servers and, where it is on this machine, the object store share the cores.

| behind it | requests a second | p50 ms | p99 ms | the servers' CPU a request, µs |
|---|---:|---:|---:|---:|
{rows}

Throughput with the object store is {statistics.median(ratios):.0%} of the folder's, the median of the rounds' own \
ratios (from {min(ratios):.0%} to
{max(ratios):.0%}); asked for: at least 95 %.

A promotion answers on two hosts after {statistics.median(lags):.2f} s in the median and {max(lags):.2f} s at most, of \
{len(lags)}, with
serving.follow_seconds=0.5; asked for: within 5 s.

| start of a host, to ready | s |
|---|---:|
{cold}

The cache of a host then has {of["cache"] / 2**20:.0f} MB. Copying the store, {copied.versions} versions of \
{copied.megabytes:.0f} MB, took {of["seconds"]:.1f} s, {copied.megabytes / of["seconds"]:.1f} MB/s.
"""


def _median(rounds: list[dict[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in rounds)


def _endpoint() -> str:
    host = os.environ.get("AWS_ENDPOINT_URL", "").partition("//")[2].partition(":")[0]
    return "this machine" if host in ("127.0.0.1", "localhost") else "the network"


if __name__ == "__main__":
    main()
