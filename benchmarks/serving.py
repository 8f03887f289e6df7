"""Measure /api/recommend against a bare Flask endpoint under the same gunicorn, a worker's memory, and the cold start.

    python benchmarks/serving.py

Trains lightgcn on the bundled data into a store of its own (or takes the one of --artifacts, which is only read), then
starts both servers with 2 workers and asks each in turn, 8 connections that are kept open, from a process of its own.
The bare endpoint answers constant bytes of the same size. Memory and cold start are measured on the default version of
--memory-artifacts too, if given: that of a filled store, such as `movierec demo` leaves; and so is what a list costs by
each of its models, on one thread and on two. Writes benchmarks/results/serving.md, in three minutes and five more.
"""

import argparse
import json
import os
import platform
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "serving.md"
WORKERS, CONNECTIONS, ROUNDS, SECONDS = 2, 8, 25, 0.8
ROUNDS_BY_MODEL = 5
USERS = 600
HISTORY = 50
"""Movies that a newcomer names."""
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, help="a store with an index of lightgcn on the bundled data")
    parser.add_argument("--memory-artifacts", type=Path, help="a store whose default version is measured as well")
    parser.add_argument("--bare", nargs=2, metavar=("PORT", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=3, metavar=("PORT", "PATH", "SECONDS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        serve_bare(*map(int, asked.bare))
    elif asked.ask:
        print(json.dumps(ask(int(asked.ask[0]), asked.ask[1], float(asked.ask[2]))))
    else:
        with tempfile.TemporaryDirectory() as folder:
            store = asked.artifacts or train(Path(folder) / "store")
            filled = asked.memory_artifacts
            by_model = each_model(filled) if filled else {}
            RESULT.write_text(page(measure(store), memory(filled), by_model), encoding="utf-8")
        console.print(RESULT.read_text(encoding="utf-8"))


def train(store: Path, model: str = "lightgcn") -> Path:
    command = [sys.executable, "-m", "movierec_engine.cli", "train", f"model={model}", "device=cpu"]
    overrides = [f"paths.artifacts='{store}'", f"paths.checkpoints='{store}/checkpoints'"]
    trackers = ["logger.use_mlflow=false", "logger.use_wandb=false"]
    subprocess.run([*command, *overrides, *trackers], cwd=ROOT, check=True)
    return store


def measure(store: Path) -> dict[str, Any]:
    """Requests a second and latencies of both endpoints, in alternating rounds, and what the server costs."""
    port, computed_port, bare_port = free_port(), free_port(), free_port()
    path = "/api/recommend?user_id={user}&top_k=10&model=lightgcn"
    latest = "serving.follow=latest"
    with (
        movierec(store, port, latest) as server,
        movierec(store, computed_port, latest, "serving.remembered_lists=0") as computed,
    ):
        size = len(get(port, path.format(user=1)))
        popular = json.loads(get(port, path.replace("top_k=10", f"top_k={HISTORY}").format(user=0)))["recommendations"]
        history = ",".join(str(movie["movie_id"]) for movie in popular)
        command = [sys.executable, str(Path(__file__).resolve()), "--bare", str(bare_port), str(size)]
        with running(command, bare_port) as bare:
            targets = {
                "recommend": (server, port, path),
                "computed": (computed, computed_port, path),
                "newcomer": (computed, computed_port, f"/api/recommend?history={history}&top_k=10&model=lightgcn"),
                "bare": (bare, bare_port, "/constant?user_id={user}&top_k=10"),
            }
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
            for name, (_, at, asked) in targets.items():
                ask_from_outside(at, asked, 3.0)  # warm
                assert name == "newcomer" or abs(len(get(at, asked.format(user=1))) - size) < 20, name
            for _ in range(ROUNDS):
                for name, (process, at, asked) in targets.items():
                    before = cpu_seconds(process)
                    measured = ask_from_outside(at, asked, SECONDS)
                    used = cpu_seconds(process) - before
                    rounds[name].append({**measured, "cpu": used / measured["answers"] * 1e6})
        cost = worker_memory(server)
    return {"rounds": rounds, "bytes": size, "memory": cost, "cold": cold_start(store)}


def each_model(store: Path) -> dict[str, list[dict[str, float]]]:
    """Model -> requests a second of known users and of newcomers, computed: on one thread a request, and on two."""
    port, other_port = free_port(), free_port()
    settings = ("serving.follow=latest", "serving.remembered_lists=0")
    with movierec(store, port, *settings), movierec(store, other_port, *settings, threads=2):
        time.sleep(10)  # what is made in the background, after a server is ready
        body = json.loads(get(port, f"/api/recommend?user_id=0&top_k={HISTORY}&model=popularity"))
        history = ",".join(str(movie["movie_id"]) for movie in body["recommendations"])
        models = [one["model"] for one in json.loads(get(port, "/api/models"))["models"]]
        found: dict[str, list[dict[str, float]]] = {}
        for model in models:
            paths = [f"/api/recommend?{who}&top_k=10&model={model}" for who in ("user_id={user}", f"history={history}")]
            for path in paths:
                for at in (port, other_port):
                    ask_from_outside(at, path, 1.0)  # loads it
            found[model] = []
            for _ in range(ROUNDS_BY_MODEL):
                one = {}
                for name, path in zip(("known", "newcomer"), paths, strict=True):
                    for threads, at in ((1, port), (2, other_port)):
                        one[f"{name} {threads}"] = ask_from_outside(at, path, SECONDS)["rate"]
                found[model].append(one)
    return found


def cpu_seconds(server: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a server's workers so far."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process(server.pid).children())


def memory(store: Path | None) -> dict[str, Any] | None:
    """The model that a store serves by default, a worker's memory after 300 requests, and the cold start."""
    if store is None:
        return None
    port = free_port()
    with movierec(store, port) as server:
        for user in range(1, 301):
            body = json.loads(get(port, f"/api/recommend?user_id={user}"))
        cost = worker_memory(server)
    return {"model": body["model"], "memory": cost, "cold": cold_start(store)}


def cold_start(store: Path) -> float:
    """Median seconds from the command to the first 200 of /api/ready, of 5."""
    seconds = []
    for _ in range(5):
        port, started = free_port(), time.perf_counter()
        with movierec(store, port):
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def worker_memory(server: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Resident and unshared MB of the largest worker."""
    costs = [child.memory_full_info() for child in psutil.Process(server.pid).children()]
    return max(cost.rss for cost in costs) / 1e6, max(cost.uss for cost in costs) / 1e6


@contextmanager
def movierec(store: Path, port: int, *overrides: str, threads: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """threads: of a request; None: what the server takes by itself."""
    command = [sys.executable, "-m", "movierec_engine.cli", "serve", *overrides, "--model-dir", str(store)]
    with running([*command, "--port", str(port), "--workers", str(WORKERS)], port, threads) as server:
        yield server


@contextmanager
def running(command: list[str], port: int, threads: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A server, once it answers /api/ready with 200."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                get(port, "/api/ready")
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                time.sleep(0.01)
        yield server
    finally:
        server.terminate()
        server.wait(20)


def serve_bare(port: int, size: int) -> None:
    """A Flask application that answers constant JSON of a size, under the gunicorn settings of the API."""
    from flask import Flask, Response
    from gunicorn.app.base import BaseApplication

    from movierec_engine.api.config import ServingConfig
    from movierec_engine.api.server import gunicorn_options

    app = Flask("bare")
    body = b'{"x": "' + b"x" * (size - 9) + b'"}'

    @app.get("/constant")
    @app.get("/api/ready")
    def constant() -> Response:
        return Response(body, mimetype="application/json")

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in gunicorn_options(ServingConfig(port=port, workers=WORKERS)).items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            return app

    Server().run()


def ask_from_outside(port: int, path: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--ask", str(port), path, str(seconds)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(result.stdout)
    return measured


def ask(port: int, path: str, seconds: float) -> dict[str, float]:
    """Ask over kept connections, the next request as soon as an answer is there; every answer must be a 200."""
    requests = [
        f"GET {path.format(user=user)} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()
        for user in range(1, USERS + 1)
    ]
    selector = selectors.DefaultSelector()
    sent: dict[socket.socket, float] = {}
    waiting: dict[socket.socket, bytes] = {}
    asked = 0
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(requests[asked % USERS])
        sent[connection], waiting[connection] = time.perf_counter(), b""
        asked += 1
    latencies = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        for key, _ in selector.select(1.0):
            connection = key.fileobj  # type: ignore[assignment]
            answer = waiting[connection] + connection.recv(65536)
            head, found, body = answer.partition(b"\r\n\r\n")
            if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
                waiting[connection] = answer
                continue
            assert head.startswith(b"HTTP/1.1 200"), head
            now = time.perf_counter()
            latencies.append(now - sent[connection])
            connection.sendall(requests[asked % USERS])
            sent[connection], waiting[connection] = now, b""
            asked += 1
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "answers": len(latencies),
        "rate": len(latencies) / (now - started),
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
    }


def page(measured: dict[str, Any], filled: dict[str, Any] | None, by_model: dict[str, list[dict[str, float]]]) -> str:
    rounds = measured["rounds"]
    wanted = ("rate", "p50", "p99", "cpu")
    median = {
        name: {what: statistics.median(one[what] for one in of) for what in wanted} for name, of in rounds.items()
    }
    rows = "\n".join(
        f"| {name} | {one['rate']:,.0f} | {one['p50']:.2f} | {one['p99']:.2f} | {one['cpu']:.0f} |"
        for name, one in median.items()
    )

    def ratio(name: str, what: str) -> float:
        return statistics.median(a[what] / b[what] for a, b in zip(rounds[name], rounds["bare"], strict=True))

    ratio_rows = "\n".join(
        f"| {name} | {ratio(name, 'rate'):.0%} | {ratio(name, 'p99'):.2f} | {ratio(name, 'cpu'):.2f} |"
        for name in rounds
        if name != "bare"
    )
    costs = [("lightgcn", measured["memory"], measured["cold"])]
    if filled:
        costs.append((filled["model"], filled["memory"], filled["cold"]))
    cost_rows = "\n".join(
        f"| {name} | {resident:.0f} | {unshared:.0f} | {cold:.2f} |" for name, (resident, unshared), cold in costs
    )
    versions = f"Python {platform.python_version()}, Flask {version('flask')}, gunicorn {version('gunicorn')}"
    return f"""# Serving against a bare Flask endpoint

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {versions}.
Written by `python benchmarks/serving.py`.

`/api/recommend` of lightgcn on the bundled data, warm, {USERS} users in turn, top_k 10, {WORKERS} workers of 4 threads,
{CONNECTIONS} kept connections, against a Flask endpoint under the same gunicorn settings and worker class that answers
constant bytes of the same size ({measured["bytes"]:,}). Medians over {ROUNDS} alternating rounds of {SECONDS:g} s in
one run; client and servers share the cores. By default a worker remembers the lists of the users who asked last, and
has computed those of the bundled data's users before a version answers; `computed` is with serving.remembered_lists=0,
where every list is computed for its request, and so is that of a `newcomer`, who is folded in by {HISTORY} movies.

| endpoint | requests a second | p50 ms | p99 ms | the servers' CPU a request, µs |
|---|---:|---:|---:|---:|
{rows}

| of the bare endpoint's | throughput | p99 | CPU |
|---|---:|---:|---:|
{ratio_rows}

Asked for: at least 60 % of the throughput, at most 2.5 times the p99. Ratios are medians of each round's own ratio.

| serving | a worker's resident MB | of that unshared | cold start to ready, s |
|---|---:|---:|---:|
{cost_rows}

Asked for: under 300 MB a worker and under 3 s. The cold start is the median of 5, from the command to the first 200 of
`/api/ready`.
{by_model_section(by_model) if by_model else ""}"""


def by_model_section(by_model: dict[str, list[dict[str, float]]]) -> str:
    """A table of what a list costs by each model."""
    names = ("known 1", "known 2", "newcomer 1", "newcomer 2")
    rows = "\n".join(
        f"| {model} | " + " | ".join(f"{statistics.median(one[name] for one in rounds):,.0f}" for name in names) + " |"
        for model, rounds in by_model.items()
    )
    return f"""
## By model

Lists computed for their request (serving.remembered_lists=0), a second, of the models that `movierec demo` trains and
promotes: of known users, and of newcomers with {HISTORY} movies; medians of {ROUNDS_BY_MODEL} rounds of {SECONDS:g} s
in turn, client and servers on the same cores. By default a request is answered on one thread; on two, with
OMP_NUM_THREADS=2, its products wait for one another.

| model | known | on two threads | newcomer | on two threads |
|---|---:|---:|---:|---:|
{rows}
"""


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        body: bytes = response.read()
        return body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
