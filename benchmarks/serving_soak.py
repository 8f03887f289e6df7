"""Ask a server at half of its maximum load for ten minutes while another version is promoted every five seconds.

    python benchmarks/serving_soak.py [--minutes 10]

Each answer is held against the version that it names: model, version and fingerprint must belong together, and the list
must be that version's own for the user who asked. Trains four models on the bundled data into a store of its own, or
copies that of --artifacts. Writes benchmarks/results/serving_soak.md.
"""

import argparse
import json
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from serving import CONNECTIONS, WORKERS, ask_from_outside, free_port, movierec, train

from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import serving_mask
from movierec_engine.store import SERVING, Artifact, ArtifactStore

RESULT = Path(__file__).with_name("results") / "serving_soak.md"
MODELS = ("popularity", "ease", "svd", "lightgcn")
PATH = "/api/recommend?user_id={user}&top_k=10"
USERS, TOP_K, EVERY, SAMPLE = 600, 10, 5.0, 5.0
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--artifacts", type=Path, help="a store with indices on the bundled data")
    parser.add_argument("--ask", nargs=4, metavar=("PORT", "RATE", "SECONDS", "TRUTH"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ask:
        port, rate, seconds, truth = asked.ask
        print(json.dumps(ask_steadily(int(port), float(rate), float(seconds), json.loads(Path(truth).read_text()))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        if asked.artifacts:
            shutil.copytree(asked.artifacts, root)
            shutil.rmtree(root / "feedback", ignore_errors=True)
        else:
            for model in MODELS:
                train(root, model)
        measured = soak(ArtifactStore(root), asked.minutes * 60, Path(folder) / "truth.json")
    RESULT.write_text(page(measured), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def soak(store: ArtifactStore, seconds: float, truth_file: Path) -> dict[str, Any]:
    versions = [store.require(slot) for slot in store.slots("faiss_index")]
    truth_file.write_text(json.dumps({one.version: truth_of(one) for one in versions}))
    store.point(SERVING, versions[0], {})
    port = free_port()
    with movierec(store.root, port) as server:
        ask_from_outside(port, PATH, 3.0)
        most = ask_from_outside(port, PATH, 5.0)["rate"]
        promotions: list[tuple[float, str]] = []
        memory: list[tuple[float, float]] = []
        stop = threading.Event()
        threads = [
            threading.Thread(target=promote, args=(store, versions, promotions, stop)),
            threading.Thread(target=watch_memory, args=(server.pid, memory, stop)),
        ]
        for thread in threads:
            thread.start()
        command = [sys.executable, str(Path(__file__).resolve()), "--ask", str(port), str(most / 2), str(seconds)]
        result = subprocess.run([*command, str(truth_file)], check=True, capture_output=True, text=True)
        stop.set()
        for thread in threads:
            thread.join()
    return {**json.loads(result.stdout), "most": most, "promotions": promotions, "memory": memory, "seconds": seconds}


def truth_of(version: Artifact) -> dict[str, Any]:
    """A version's answers, by user."""
    index = RetrievalIndex.load(version.folder)
    mask = serving_mask(index)
    known = {int(user): place for place, user in enumerate(index.users.ids)}
    return {
        "about": [version.slot.model, version.fingerprint],
        "lists": {
            user: [int(index.items.ids[item]) for item in index.recommend(known[user], TOP_K, mask(known[user]))[0]]
            for user in range(1, USERS + 1)
            if user in known
        },
    }


def promote(
    store: ArtifactStore, versions: list[Artifact], promotions: list[tuple[float, str]], stop: threading.Event
) -> None:
    while not stop.wait(EVERY):
        version = versions[(len(promotions) + 1) % len(versions)]
        store.point(SERVING, version, {})
        promotions.append((time.time(), version.version))


def watch_memory(pid: int, memory: list[tuple[float, float]], stop: threading.Event) -> None:
    """Seconds since the start, and the largest worker's unshared MB."""
    started = time.monotonic()
    while not stop.wait(SAMPLE):
        children = psutil.Process(pid).children()
        memory.append((time.monotonic() - started, max(one.memory_full_info().uss for one in children) / 1e6))


def ask_steadily(port: int, rate: float, seconds: float, truth: dict[str, Any]) -> dict[str, Any]:
    """Ask so many times a second over kept connections, and hold each answer against what its version says."""
    selector = selectors.DefaultSelector()
    idle: list[socket.socket] = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        idle.append(connection)
    asked: dict[socket.socket, tuple[int, float]] = {}
    partial: dict[socket.socket, bytes] = {}
    faults: Counter[str] = Counter()
    swaps: list[tuple[float, str]] = []
    latencies: list[float] = []
    sent = 0
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds or asked:
        while idle and now - started < seconds and sent < (now - started) * rate:
            connection, user = idle.pop(), sent % USERS + 1
            connection.sendall(f"GET {PATH.format(user=user)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            asked[connection], partial[connection] = (user, time.perf_counter()), b""
            sent += 1
        for key, _ in selector.select(0.001):
            connection = key.fileobj  # type: ignore[assignment]
            answer = partial.get(connection, b"") + (part := connection.recv(65536))
            if not part:
                faults["connection closed"] += 1
                return {"answers": len(latencies), "faults": faults, "swaps": swaps}
            head, found, body = answer.partition(b"\r\n\r\n")
            if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
                partial[connection] = answer
                continue
            user, at = asked.pop(connection)
            latencies.append(time.perf_counter() - at)
            idle.append(connection)
            version = judge(head, body, user, truth, faults)
            if version and (not swaps or swaps[-1][1] != version):
                swaps.append((time.time(), version))
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "answers": len(latencies),
        "faults": faults,
        "rate": len(latencies) / seconds,
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "worst": max(latencies) * 1e3,
        "versions": len({version for _, version in swaps}),
        "swaps": swaps,
    }


def judge(head: bytes, body: bytes, user: int, truth: dict[str, Any], faults: Counter[str]) -> str:
    """The version that an answer names; what is wrong with it is counted."""
    if not head.startswith(b"HTTP/1.1 200"):
        faults[head.split(b"\r\n")[0].decode()] += 1
        return ""
    answer = json.loads(body)
    known = truth.get(answer["version"])
    if known is None or known["about"] != [answer["model"], answer["fingerprint"]]:
        faults["model, version and fingerprint do not belong together"] += 1
    elif [one["movie_id"] for one in answer["recommendations"]] != known["lists"].get(str(user)):
        faults["the list is not the version's"] += 1
    return str(answer["version"])


def staleness(measured: dict[str, Any]) -> list[float]:
    """Seconds from each promotion to the first answer of its version."""
    waits = []
    for at, version in measured["promotions"]:
        first = [seen for seen, named in measured["swaps"] if named == version and seen >= at]
        if first and first[0] - at < EVERY:
            waits.append(first[0] - at)
    return waits


def page(measured: dict[str, Any]) -> str:
    waits = staleness(measured)
    faults = "\n".join(f"- {count} times: {what}" for what, count in measured["faults"].items()) or "None."
    memory = measured["memory"]
    third = max(1, len(memory) // 3)
    parts = [statistics.mean(mb for _, mb in memory[start : start + third]) for start in (0, third, 2 * third)]
    return f"""# Soak

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}. Written by
`python benchmarks/serving_soak.py --minutes {measured["seconds"] / 60:g}`.

{measured["seconds"] / 60:g} minutes of `/api/recommend` on {WORKERS} workers at half of the maximum load, which is
{measured["most"]:,.0f} requests a second over {CONNECTIONS} kept connections, while one of {measured["versions"]}
versions is promoted every {EVERY:g} s. Each answer is held against the version that it names.

| answers | a second | p50 ms | p99 ms | worst ms | promotions | seconds from promotion to its first answer, at most |
|---:|---:|---:|---:|---:|---:|---:|
| {measured["answers"]:,} | {measured["rate"]:,.0f} | {measured["p50"]:.2f} | {measured["p99"]:.2f} | {measured["worst"]:.0f} | {len(measured["promotions"])} | {max(waits):.2f} |

## Failed or mixed answers

{faults}

## Memory

Unshared MB of the largest worker, mean over each third of the time: {", ".join(f"{mb:.0f}" for mb in parts)}.
Most: {max(mb for _, mb in memory):.0f}.
"""  # noqa: E501


if __name__ == "__main__":
    main()
