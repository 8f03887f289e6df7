"""Two real API hosts on one PostgreSQL, of which each, and the database, are killed: nothing lost, none doubled."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from postgres import PASSWORD, PostgresServer, postgres_server
from waiting import soon

from movierec_engine.feedback import FeedbackLogs
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


class Host:
    """An API server of one worker, in a process group of its own."""

    def __init__(self, store: Path, url: str, log: Path) -> None:
        self.port, self._store, self._url, self._log = free_port(), store, url, log
        self.start()

    def start(self) -> None:
        command = [sys.executable, "run_server.py", "--port", str(self.port), "--model-dir", str(self._store)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--workers", "1"], cwd=ROOT, stdout=output, stderr=output, start_new_session=True,
                env={**os.environ, "MOVIEREC_FEEDBACK_URL": self._url},
            )  # fmt: skip

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, path: str, body: object = None, method: str | None = None) -> tuple[int, Any, Any]:
        """Status, answer and headers; status 0 where nobody answers."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, json.load(response), response.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers
        except (OSError, ValueError):
            return 0, None, None

    def source(self, user: int) -> str:
        return str(self.ask(f"/api/recommend?user_id={user}")[1]["source"])

    def movies(self, user: int) -> list[int]:
        return [one["movie_id"] for one in self.ask(f"/api/recommend?user_id={user}")[1]["recommendations"]]

    def ready(self) -> bool:
        return self.ask("/api/ready")[0] == 200

    def log_status(self) -> str:
        return str(self.ask("/api/ready")[1]["feedback"]["status"])


@contextmanager
def clients(hosts: Sequence[Host]) -> Iterator[list[str]]:
    """Four people who send to the hosts in turn, and again under the same key until it is acknowledged; those keys."""
    acknowledged: list[str] = []
    stop = threading.Event()

    def client(own: int) -> None:
        number = 0
        while not stop.is_set():
            key = f"{own}-{number}"
            body = {"user_id": 100 + own, "movie_id": 10, "kind": "click", "key": key}
            soon(lambda body=body, to=number: hosts[(own + to) % 2].ask("/api/feedback", body)[0] == 200)
            acknowledged.append(key)
            number += 1

    threads = [threading.Thread(target=client, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def hosts(
    store: ArtifactStore, publish_line: Callable[..., dict[str, Artifact]], database: PostgresServer, tmp_path: Path
) -> Iterator[tuple[Host, Host]]:
    """Two hosts of the store whose model knows users 1 and 7."""
    publish_line()
    both = tuple(Host(store.root, database.url, tmp_path / f"host{number}.log") for number in range(2))
    try:
        for host in both:
            soon(host.ready, f"a host is ready; its log is in {tmp_path}")
        yield both  # type: ignore[misc]
    finally:
        for host in both:
            host.kill()
    assert PASSWORD not in "".join(path.read_text() for path in tmp_path.glob("*.log"))


@pytest.mark.slow
def test_two_hosts_share_their_feedback_and_survive_a_killed_database_and_a_killed_host(
    store: ArtifactStore, database: PostgresServer, hosts: tuple[Host, Host]
) -> None:
    here, there = hosts
    dismissed = there.movies(7)[0]
    assert here.source(1) == there.source(1) == there.source(7) == "personal"

    assert here.ask("/api/feedback", {"user_id": 7, "movie_id": dismissed, "kind": "not_interested"})[0] == 200
    assert dismissed not in here.movies(7)
    soon(lambda: dismissed not in there.movies(7))
    assert here.ask("/api/users/1", method="DELETE")[0] == 200
    soon(lambda: there.source(1) == "popularity")

    with clients(hosts) as acknowledged:
        soon(lambda: len(acknowledged) > 40)
        database.kill()
        database.start()
        so_far = len(acknowledged)
        soon(lambda: len(acknowledged) > so_far + 20)
        there.kill()
        there.start()
        so_far = len(acknowledged)
        soon(there.ready)
        soon(lambda: len(acknowledged) > so_far + 20)
    log = FeedbackLogs(store.root, database.url).of("camps")
    logged = Counter(one.event.key for one in log.events() if one.event.kind == "click")
    assert set(logged.values()) == {1}
    assert set(acknowledged) <= set(logged), "nothing that was acknowledged is lost"
    log.close()

    soon(lambda: [one.source(7) for one in hosts] == ["personal"] * 2)
    database.kill()
    for host in hosts:
        soon(lambda host=host: host.log_status() == "away")
        assert (host.source(1), host.source(7)) == ("popularity", "personal")
        assert dismissed not in host.movies(7), "lists go on by what is known"
        status, answer, headers = host.ask("/api/feedback", {"user_id": 7, "movie_id": 10, "kind": "click"})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "send it again under the same key" in answer["error"]["message"]
    there.kill()
    there.start()
    soon(there.ready)
    assert (there.source(1), there.source(7)) == ("popularity", "popularity"), "who was erased is not known to it"
    database.start()
    soon(lambda: [one.source(7) for one in hosts] == ["personal"] * 2)
    assert [one.source(1) for one in hosts] == ["popularity"] * 2
    assert dismissed not in there.movies(7)
