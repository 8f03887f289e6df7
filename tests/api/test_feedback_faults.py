"""The application beside a log that is locked, damaged, truncated, missing or read-only: lists go on, erasures hold."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from flask.testing import FlaskClient
from ports import free_port
from waiting import soon

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.feedback import FeedbackError, SqliteLog, log_file
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.feedback.sqlite.database import BUSY_SECONDS
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).parents[2]
PublishLine = Callable[..., dict[str, Artifact]]
RATING = {"user_id": 7, "movie_id": 10, "kind": "rating", "rating": 4.5}
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "alone":
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
connection.execute("BEGIN EXCLUSIVE")
connection.execute("UPDATE events SET rating = rating")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def held(path: Path, how: str = "") -> Iterator[None]:
    """Another process has an exclusive transaction; `alone`, it keeps even readers out."""
    command = [sys.executable, "-c", HOLDER, str(path), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    try:
        yield
    finally:
        process.communicate()


@pytest.fixture
def log(store: ArtifactStore, publish_line: PublishLine) -> SqliteLog:
    """Of a store whose model knows users 1 and 7; 1 was erased, 7 rated 10."""
    publish_line()
    log = SqliteLog(log_file(store.root, "camps"))
    app = create_app(store.root)
    client = app.test_client()
    assert client.post("/api/feedback", json=RATING).status_code == 200
    assert client.delete("/api/users/1").status_code == 200
    app.extensions["movierec"]["live"].log("camps").close()
    return log


def sources(client: FlaskClient) -> list[str]:
    """What the lists of users 1, who was erased, and 7 come from, and they wait for no log.

    Who waits for one that is held does so for BUSY_SECONDS, and each time; a busy machine is slow now and then.
    """
    took = []
    for _ in range(5):
        since = time.monotonic()
        answers = [client.get(f"/api/recommend?user_id={user}") for user in (1, 7)]
        took.append(time.monotonic() - since)
        if took[-1] < BUSY_SECONDS:
            break
    assert min(took) < BUSY_SECONDS
    return [answer.json["source"] for answer in answers]


def move_away(log: SqliteLog) -> None:
    for path in list(log.path.parent.glob("feedback.db*")):
        path.unlink()


def cut(log: SqliteLog) -> None:
    move_wal(log)
    os.truncate(log.path, 5000)


def overwrite(log: SqliteLog) -> None:
    move_wal(log)
    log.path.write_bytes(b"no database at all, but long enough to be read as the head of one" * 100)


def move_wal(log: SqliteLog) -> None:
    """All changes into the file, as a server that ended leaves it."""
    with sqlite3.connect(log.path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    for ending in ("-wal", "-shm"):
        log.path.with_name(log.path.name + ending).unlink(missing_ok=True)


@pytest.mark.parametrize("spoil", [overwrite, cut, lambda log: log.path.write_bytes(b""), move_away])
def test_lists_go_on_without_the_log_and_the_erased_stay_unknown(
    store: ArtifactStore, log: SqliteLog, spoil: Callable[[SqliteLog], None]
) -> None:
    spoil(log)
    client = create_app(store.root).test_client()
    assert sources(client) == ["popularity", "personal"]
    assert client.get("/api/users/1").json["erased"] is True
    ready = client.get("/api/ready")
    assert ready.status_code == 200
    if spoil is not move_away:
        assert ready.json["feedback"]["status"] == "unreadable"
        assert str(store.root) not in ready.text
        posted = client.post("/api/feedback", json=RATING)
        assert (posted.status_code, posted.headers["Retry-After"]) == (503, "1")


def test_where_no_record_of_erasures_is_left_nobodys_list_is_personal(store: ArtifactStore, log: SqliteLog) -> None:
    overwrite(log)
    for spoilt in (b"no record\n", None):
        record = log.path.with_name("erasures.tsv")
        if spoilt:
            record.write_bytes(spoilt)
        else:
            record.unlink()
        assert sources(create_app(store.root).test_client()) == ["popularity", "popularity"]


def test_a_log_that_was_moved_away_begins_anew_with_its_erasures(store: ArtifactStore, log: SqliteLog) -> None:
    overwrite(log)
    client = create_app(store.root).test_client()
    assert client.post("/api/feedback", json=RATING).status_code == 503
    log.path.unlink()
    assert client.post("/api/feedback", json=RATING).status_code == 200
    anew = SqliteLog(log.path)
    assert anew.state(1).erasure == 1
    assert anew.intake().erasures["user_id"].to_pylist() == [1]
    assert anew.erase(7).number == 2
    time.sleep(0.6)  # for which a log that was damaged is left alone
    assert sources(client) == ["popularity", "popularity"]


@pytest.mark.parametrize("how", ["", "alone"])
def test_a_held_log_keeps_no_list_waiting_and_refuses_what_it_cannot_record(
    store: ArtifactStore, log: SqliteLog, how: str
) -> None:
    variants = (Variant("a", "ease"), Variant("b", "ease"))
    serving = ServingConfig(experiment=ExperimentConfig("first", "ab", "", variants))
    log.close()
    with held(log.path, how):
        client = create_app(store.root, serving).test_client()
        assert sources(client) == ["popularity", "personal"]
        took = []
        for _ in range(5):
            since = time.monotonic()
            refused = client.post("/api/feedback", json={**RATING, "key": "late"})
            took.append(time.monotonic() - since)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "send it again under the same key" in refused.json["error"]["message"]
        assert min(took[1:]) < BUSY_SECONDS, "who comes while it is held does not wait again"
        assert client.get("/api/ready").json["feedback"]["status"] == "busy"
        live = client.application.extensions["movierec"]["live"]
    live.flush()
    assert log.query("SELECT user_id FROM exposures ORDER BY user_id") == [(1,), (7,)], "noted when it was free again"
    assert client.post("/api/feedback", json={**RATING, "key": "late"}).json["results"][0]["status"] == "recorded"


@pytest.mark.slow
def test_a_log_that_refuses_what_is_written_is_told_of_until_it_takes_something_again(
    store: ArtifactStore, log: SqliteLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk, where a transaction begins and fails at its end."""
    client = create_app(store.root).test_client()
    full = FeedbackError("the log: cannot be used (database or disk is full); look after the disk's space")

    def refuse(*about: object) -> None:
        raise full

    with monkeypatch.context() as patch, caplog.at_level("INFO", "movierec_engine"):
        for change in ("record", "undo_all", "erase"):
            patch.setattr(SqliteLog, change, refuse)
        for _ in range(3):
            refused = client.post("/api/feedback", json=RATING)
            assert (refused.status_code, refused.json["error"]["code"]) == (503, "feedback_unavailable")
        assert client.delete("/api/users/7").status_code == 503
        assert client.get("/api/ready").json["feedback"]["status"] == "read-only"
        assert [record.message for record in caplog.records if str(full) in record.message] == [
            f"feedback is refused, which is said once a minute at most: {full}"
        ]
    with caplog.at_level("INFO", "movierec_engine"):
        assert client.post("/api/feedback", json=RATING).status_code == 200
    assert "takes feedback again; 4 changes were refused" in caplog.text
    assert client.get("/api/ready").json["feedback"]["status"] == "ok"


def test_lists_that_wait_are_noted_when_a_process_ends(store: ArtifactStore, log: SqliteLog) -> None:
    """Its log is held when it is asked to end, and free half a second later, or more on a busy machine."""
    end = (
        "import sys; from pathlib import Path; from movierec_engine.api.app import create_app\n"
        "from movierec_engine.feedback.exposure_queue import ExposureQueue\n"
        "ExposureQueue.close.__defaults__ = (60.0,)\n"
        "from movierec_engine.api.config import ServingConfig\n"
        "from movierec_engine.feedback.experiments import ExperimentConfig, Variant\n"
        "variants = (Variant('a', 'ease'), Variant('b', 'ease'))\n"
        "serving = ServingConfig(experiment=ExperimentConfig('first', 'ab', '', variants))\n"
        "client = create_app(Path(sys.argv[1]), serving).test_client()\n"
        "for user in range(50): client.get(f'/api/recommend?user_id={user}')\n"
        "print('ends', flush=True)"
    )
    command = [sys.executable, "-c", end, str(store.root)]
    with held(log.path):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ends\n"
        time.sleep(0.5)
    process.communicate(timeout=120)
    assert log.query("SELECT count(*) FROM exposures") == [(50,)]


@pytest.mark.slow
def test_a_real_server_answers_everybody_while_writers_wait(store: ArtifactStore, log: SqliteLog) -> None:
    """Eight people rate at once while the log is held: each gets a 503, and nobody who asks for a list notices."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    def ask(path: str, body: dict[str, object] | None = None) -> tuple[int, float]:
        data, since = json.dumps(body).encode() if body else None, time.monotonic()
        request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status = response.status
        except urllib.error.HTTPError as error:
            status = error.code
        except (urllib.error.URLError, ConnectionError):
            status = 0
        return status, time.monotonic() - since

    command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root), "--workers", "1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        soon(lambda: ask("/api/ready")[0] == 200)
        with held(log.path), ThreadPoolExecutor(16) as people:
            together = unheld = False
            for _ in range(5):  # a busy machine is slow now and then
                posts = [people.submit(ask, "/api/feedback", {**RATING, "key": str(number)}) for number in range(8)]
                gets = [people.submit(ask, f"/api/recommend?user_id={user}") for user in (1, 7) for _ in range(8)]
                assert {one.result()[0] for one in posts} == {503}
                assert {one.result()[0] for one in gets} == {200}
                waited, listed = ([one.result()[1] for one in asked] for asked in (posts, gets))
                together = together or max(waited) < len(posts) * BUSY_SECONDS
                unheld = unheld or median(listed) < median(waited)
                if together and unheld:
                    break
            assert together, "who posts waits with the others, and not one after the other"
            assert unheld, "who asks for a list does not wait"
        assert ask("/api/feedback", {**RATING, "key": "0"})[0] == 200
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert log.count_since(1) == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs user namespaces")
def test_a_read_only_file_system_is_told_of_and_fails_no_list(store: ArtifactStore, log: SqliteLog) -> None:
    """In a process of its own, in a mount namespace in which the feedback's folder is read-only."""
    move_wal(log)
    log.close()
    ask = (
        "import sys; from pathlib import Path; from movierec_engine.api.app import create_app\n"
        "client = create_app(Path(sys.argv[1])).test_client()\n"
        "print(*(client.get(f'/api/recommend?user_id={user}').json['source'] for user in (1, 7)),\n"
        "      client.get('/api/ready').json['feedback']['status'] != 'ok',\n"
        f"      client.post('/api/feedback', json={RATING!r}).status_code)"
    )
    folder = log.path.parent.parent
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -c "$3" "$4"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(folder), sys.executable, ask, str(store.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr.split("\n")[0]:
        pytest.skip("this machine allows no mounts")
    assert done.stdout.split() == ["popularity", "personal", "True", "503"], done.stderr
