"""Kill a server's workers and master at random moments while people send feedback: what was acknowledged must be there.

    python benchmarks/serving_faults.py [--kills 20]

Senders repeat an event with its idempotency key until the server acknowledges it, as a careful client does, and begin
anew when the server does. Every third kill is of the master, after which the server is started again as a supervisor
would; the others are of a worker. Afterwards each acknowledged event must be in the log exactly once, and nothing that
nobody sent. Needs a store with an index, by default of popularity on the bundled data. Writes
benchmarks/results/serving_faults.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from serving import ROOT, WORKERS, free_port, get, train

from movierec_engine.feedback import SqliteLog
from movierec_engine.feedback.events import FeedbackEvent

RESULT = Path(__file__).with_name("results") / "serving_faults.md"
SENDERS, BETWEEN = 6, (0.3, 1.5)
"""Threads that send, and seconds between two kills."""
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--artifacts", type=Path, help="a store with an index; it is copied")
    parser.add_argument("--result", type=Path, default=RESULT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        if asked.artifacts:
            shutil.copytree(asked.artifacts, root)
            shutil.rmtree(root / "feedback", ignore_errors=True)
        else:
            train(root, "popularity")
        measured = run(root, asked.kills)
    asked.result.write_text(page(measured), encoding="utf-8")
    console.print(asked.result.read_text(encoding="utf-8"))
    sys.exit(1 if measured["lost"] or measured["doubled"] or measured["invented"] else 0)


class Senders:
    """People who send feedback until they are told to stop."""

    def __init__(self, port: int, movies: list[int]) -> None:
        self.port, self.movies = port, movies
        self.acknowledged: dict[str, str] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.unanswered = 0
        self.repeats: Counter[str] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    @contextmanager
    def sending(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _send(self, number: int) -> None:
        """One event after the other; each until it is acknowledged."""
        for count in range(10**9):
            if self._stop.is_set():
                return
            key = f"{number}-{count}"
            event = {
                "user_id": 1000 * number + count % 1000,
                "movie_id": self.movies[count % len(self.movies)],
                "kind": "rating",
                "rating": (count % 10 + 1) / 2,
                "key": key,
            }
            self.sent[key] = event
            while not self._stop.is_set():
                status = self._try(event)
                if status:
                    self.acknowledged[key] = status
                    break
                self.unanswered += 1
                time.sleep(0.02)

    def _try(self, event: dict[str, Any]) -> str | None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/feedback",
            json.dumps(event).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                status: str = json.load(response)["results"][0]["status"]
                return status
        except (OSError, ValueError, urllib.error.URLError):
            return None
        except Exception:  # a response that was cut off in the middle
            return None


def run(store: Path, kills: int) -> dict[str, Any]:
    rng, port = random.Random(0), free_port()
    server = started(store, port)
    movies = [one["movie_id"] for one in json.loads(get(port, "/api/recommend?user_id=1&top_k=50"))["recommendations"]]
    senders = Senders(port, movies)
    recoveries: dict[str, list[float]] = {"worker": [], "master": []}
    try:
        with senders.sending():
            for number in range(kills):
                time.sleep(rng.uniform(*BETWEEN))
                what = "master" if number % 3 == 2 else "worker"
                begun = time.monotonic()
                if what == "master":
                    server.send_signal(signal.SIGKILL)
                    server.wait()
                    server = started(store, port)
                else:
                    workers = psutil.Process(server.pid).children()
                    killed = rng.choice(workers)
                    killed.send_signal(signal.SIGKILL)
                    wait_for_workers(server, killed.pid)
                recoveries[what].append(time.monotonic() - begun)
            time.sleep(1)
    finally:
        server.terminate()
        server.wait(20)
    return {"kills": kills, "recoveries": recoveries, "unanswered": senders.unanswered, **judged(store, senders)}


def started(store: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that answers; started again for as long as the workers of a killed one hold the port."""
    command = [sys.executable, "-m", "movierec_engine.cli", "serve", "--model-dir", str(store), "--port", str(port)]
    deadline = time.monotonic() + 60
    while True:
        server = subprocess.Popen(
            [*command, "--workers", str(WORKERS)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while server.poll() is None:
            children = psutil.Process(server.pid).children()
            try:
                if len(children) == WORKERS and get(port, "/api/ready"):
                    return server
            except OSError:
                pass
            time.sleep(0.02)
        if time.monotonic() > deadline:
            raise RuntimeError(f"no server could be started on port {port}")


def wait_for_workers(server: subprocess.Popen[bytes], killed: int) -> None:
    """Until another worker stands in for the one that was killed; it may not be ready yet, the other one is."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pids = [child.pid for child in psutil.Process(server.pid).children()]
        if killed not in pids and len(pids) == WORKERS:
            return
        time.sleep(0.02)


def judged(store: Path, senders: Senders) -> dict[str, Any]:
    """Comparison of the log with the events that were sent and acknowledged."""
    (path,) = (store / "feedback").glob("*/feedback.db")
    log = SqliteLog(path)
    log.check()
    events = [logged.event for logged in log.events()]
    times = Counter(event.key for event in events)
    lost = [key for key in senders.acknowledged if key not in times]
    doubled = [key for key, count in times.items() if count > 1]
    invented = [
        event.key for event in events if event.key not in senders.sent or differs(event, senders.sent[event.key])
    ]
    return {
        "acknowledged": len(senders.acknowledged),
        "repeated": sum(status == "already recorded" for status in senders.acknowledged.values()),
        "logged": len(events),
        "lost": lost,
        "doubled": doubled,
        "invented": invented,
    }


def differs(event: FeedbackEvent, sent: dict[str, Any]) -> bool:
    return [event.user_id, event.movie_id, event.kind, event.rating] != [
        sent[name] for name in ("user_id", "movie_id", "kind", "rating")
    ]


def page(measured: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {what} | {len(seconds)} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |"
        for what, seconds in measured["recoveries"].items()
        if seconds
    )
    return f"""# Kills under feedback load

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}. Written by
`python benchmarks/serving_faults.py --kills {measured["kills"]}`.

{measured["kills"]} times `kill -9` at random moments, while {SENDERS} senders post one rating after the other to
{WORKERS} workers, each repeated with its idempotency key until it is acknowledged.

| events acknowledged | of them by a repetition | attempts without an answer | in the log | lost | doubled | not as sent |
|---:|---:|---:|---:|---:|---:|---:|
| {measured["acknowledged"]:,} | {measured["repeated"]} | {measured["unanswered"]:,} | {measured["logged"]:,} | {len(measured["lost"])} | {len(measured["doubled"])} | {len(measured["invented"])} |

An event by a repetition had reached the log before the server was killed, but not its answer the sender. The log is
whole by SQLite's own check.

| killed | times | median seconds until there are all workers again | most |
|---|---:|---:|---:|
{rows}
"""  # noqa: E501


if __name__ == "__main__":
    main()
