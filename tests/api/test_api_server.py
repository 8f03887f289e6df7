"""The real server, under gunicorn, as a user starts it."""

import html
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import pytest
from ports import free_port
from waiting import soon

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.error_codes import CODES
from movierec_engine.api.gunicorn_worker import ARRIVAL_SECONDS, LINGER_SECONDS
from movierec_engine.api.server import serve, store_to_serve
from movierec_engine.config import load_serving
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.store import ArtifactStore, Slot
from worlds import MOVIES, TEXT_MOVIES, TEXT_USERS, Publish, small_index, text_index

ROOT = Path(__file__).parents[2]


def get(port: int, path: str, host: str = "127.0.0.1") -> dict[str, object]:
    deadline = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=60) as response:
                body: dict[str, object] = json.load(response)
                return body
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def text(port: int, path: str, host: str = "127.0.0.1") -> str:
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=60) as response:
        body: bytes = response.read()
        return body.decode()


def metrics(port: int, host: str = "127.0.0.1") -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text(port, "/metrics", host).splitlines() if line[0] != "#"]
    return {series: float(value) for series, _, value in lines}


def wait_for(port: int, series: str, value: float) -> None:
    soon(lambda: metrics(port).get(series) == value, f"{series} becomes {value}", 180)


def exchange(port: int, request: bytes) -> bytes:
    """Everything that the server answers to bytes that a well-behaved client would not send."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        return answer_on(connection)


def answer_on(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.rstrip().endswith(b"}") and (part := connection.recv(65536)):
        answer += part
    return answer


@contextmanager
def running(store: ArtifactStore, port: int, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """`run_server.py` over the store; afterwards it has ended on SIGTERM with 0 and without a stack trace."""
    command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root), *flags]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        log.seek(0)
        errors = log.read()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_promotion_is_taken_over_without_a_failed_or_mixed_answer(store: ArtifactStore, publish: Publish) -> None:
    first, second = publish(), publish(sign=-1)
    best = {first.version: MOVIES[4], second.version: 10}
    store.point("serving", first, {})
    port = free_port()
    with running(store, port, "--workers", "2") as server:
        assert get(port, "/api/ready")["status"] == "ok"
        wait_for(port, "movierec_swaps_total", 2)  # one worker may answer well before the other has its first version
        for swaps, wanted in ((4, second), (6, first)):
            store.point("serving", wanted, {})
            promoted = time.monotonic()
            while metrics(port)["movierec_swaps_total"] < swaps:  # until both workers have it
                assert time.monotonic() < promoted + 180
                for _ in range(20):
                    body = get(port, "/api/recommend?user_id=1&top_k=1")
                    assert body["recommendations"][0]["movie_id"] == best[str(body["version"])]  # type: ignore[index]
            for _ in range(20):
                assert get(port, "/api/recommend?user_id=1&top_k=1")["version"] == wanted.version
        for worker in psutil.Process(server.pid).children(recursive=True):
            assert not [file.path for file in worker.memory_maps() if "pandas" in file.path], "a tenth of its memory"
        counted = metrics(port)
        assert counted["movierec_workers"] == 2
        assert counted["movierec_swaps_total"] == 6
        assert counted['movierec_requests_total{endpoint="/api/recommend",method="GET",status="200"}'] > 50


@pytest.mark.slow
def test_the_server_answers_by_ids_that_are_texts_wherever_one_may_stand(store: ArtifactStore) -> None:
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), text_index().save, key="k", fingerprint="f00d")
    port = free_port()

    def answer(path: str, method: str = "GET", body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            found: dict[str, Any] = json.load(response)
            return found

    with running(store, port, "--workers", "1"):
        assert get(port, "/api/ready")["status"] == "ok"
        for user in TEXT_USERS.values():
            in_path = quote(user, safe="")
            assert answer(f"/api/recommend?user_id={in_path}")["user_id"] == user
            assert answer("/api/batch-recommend", "POST", {"user_ids": [user]})["results"][0]["user_id"] == user
            assert answer(f"/api/users/{in_path}")["user_id"] == user
            assert f"User {html.escape(user)}" in text(port, f"/users/{in_path}")
        for movie in TEXT_MOVIES.values():
            in_path = quote(movie, safe="")
            assert answer(f"/api/movie/{in_path}")["movie"]["movie_id"] == movie
            assert answer(f"/api/similar/{in_path}")["movie"]["movie_id"] == movie
            assert f'data-movie="{html.escape(movie)}"' in text(port, f"/movies/{in_path}")
            said = {"user_id": TEXT_USERS[7], "movie_id": movie, "kind": "not_interested"}
            assert answer("/api/feedback", "POST", said)["results"][0]["status"] == "recorded"
            asked = urlencode(said)
            assert answer(f"/api/feedback?{asked}", "DELETE")["undone"] == 1
        assert answer(f"/api/users/{quote(TEXT_USERS[1], safe='')}", "DELETE")["user_id"] == TEXT_USERS[1]
        assert (
            answer("/api/openapi.json")["components"]["schemas"]["Movie"]["properties"]["movie_id"]["type"] == "string"
        )


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with one worker."""
    store = ArtifactStore(tmp_path_factory.mktemp("one_worker"))
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), small_index().save, key="k", fingerprint="f00d")
    port = free_port()
    with running(store, port, "--workers", "1"):
        get(port, "/api/ready")
        yield port


def test_clients_that_send_slowly_hold_up_nobody(one_worker: int) -> None:
    port = one_worker
    head = b"POST /api/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    idle, halfway, bodiless = (
        [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(8)] for _ in range(3)
    )
    for connection in halfway:
        connection.sendall(head[:30])
    for connection in bodiless:
        connection.sendall(head)
    for _ in range(20):
        get(port, "/api/recommend?user_id=1")  # before any of those has sent the rest
    for connection in halfway:
        connection.sendall(head[30:])
    for connection in [*halfway, *bodiless]:
        connection.sendall(b'{"user_id": 1}')
    for connection in [*halfway, *bodiless]:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    for connection in [*idle, *halfway, *bodiless]:
        connection.close()


POST = b"POST /api/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "begun",
    [
        POST + b"Content-Length: 50000000\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 2000,
        POST + b"Content-Length: 14\r\nExpect: 100-continue\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n",
        b"GET /" + b"a" * 70000,
    ],
)
def test_a_thread_waits_for_no_rest_of_a_request(one_worker: int, begun: bytes) -> None:
    rude = [socket.create_connection(("127.0.0.1", one_worker), timeout=60) for _ in range(16)]
    for connection in rude:
        connection.sendall(begun)
    since = time.monotonic()
    for _ in range(20):
        get(one_worker, "/api/recommend?user_id=1")
    took = time.monotonic() - since
    for connection in rude:
        connection.close()
    assert took < ARRIVAL_SECONDS / 2, "what each thread would wait for at least"


def test_a_body_in_chunks_or_only_when_asked_for_is_answered(one_worker: int) -> None:
    body = b'{"user_id": 1}'
    chunks = b"5;x=y\r\n" + body[:5] + b"\r\n9\r\n" + body[5:] + b"\r\n0\r\nX-Trailer: 1\r\n\r\n"
    for head, rest in ((b"Transfer-Encoding: chunked\r\n", chunks), (b"Content-Length: 14\r\n", body)):
        with socket.create_connection(("127.0.0.1", one_worker), timeout=60) as connection:
            for _ in range(2):  # on one connection
                connection.sendall(POST + head + b"Expect: 100-continue\r\n\r\n")
                assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
                for at in range(len(rest)):
                    connection.sendall(rest[at : at + 1])
                assert answer_on(connection).startswith(b"HTTP/1.1 200")


def test_requests_that_come_together_are_answered_in_turn_however_they_are_cut(one_worker: int) -> None:
    two = (
        POST
        + b'Content-Length: 14\r\n\r\n{"user_id": 1}GET /api/movie/10 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    )
    for cut in (len(POST) + 36 + 5, len(two) - 30, len(two) - 2, len(two)):
        with socket.create_connection(("127.0.0.1", one_worker), timeout=60) as connection:
            connection.sendall(two[:cut])
            answer = connection.recv(65536)
            connection.sendall(two[cut:])
            while part := connection.recv(65536):
                answer += part
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.index(b'"recommendations"') < answer.index(b'"movie"')


def test_more_idle_connections_than_a_worker_takes_make_room_for_who_asks(
    store: ArtifactStore, publish: Publish
) -> None:
    publish()
    port = free_port()
    program = (
        "from pathlib import Path; import movierec_engine.api.server as server\n"
        "from movierec_engine.api.config import ServingConfig\n"
        "options = server.gunicorn_options\n"
        "server.gunicorn_options = lambda serving: {**options(serving), 'worker_connections': 20}\n"
        f"server.serve(Path({str(store.root)!r}), ServingConfig(port={port}, workers=1))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        get(port, "/api/ready")
        idle = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(40)]
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            idle.append(connection)
            connection.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        since = time.monotonic()
        for _ in range(20):
            get(port, "/api/recommend?user_id=1")
        assert time.monotonic() - since < ARRIVAL_SECONDS / 2, "nobody who is idle was waited for"
        for connection in idle:
            connection.close()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors


def test_clients_that_keep_a_connection_after_its_last_answer_hold_up_nobody_and_are_sent_away(one_worker: int) -> None:
    kept = []
    for _ in range(8):
        connection = socket.create_connection(("127.0.0.1", one_worker), timeout=60)
        connection.sendall(b"GET /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        kept.append(connection)
    since = time.monotonic()
    for _ in range(20):
        get(one_worker, "/api/recommend?user_id=1")
    took = time.monotonic() - since
    for connection in kept:
        answer = b""
        while part := connection.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200"), "and the server closes its side, which it tells by an end"

    def sent_away(connection: socket.socket) -> bool:
        try:
            connection.sendall(b"more")
        except OSError:
            return True
        return False

    soon(lambda: all(sent_away(connection) for connection in kept), "the server closes the connections")
    for connection in kept:
        connection.close()
    assert took < 3 * LINGER_SECONDS, "it waits for none of the eight"


LOOPBACK = "::1" if socket.has_ipv6 and Path("/proc/net/if_inet6").exists() else "127.0.0.1"


@pytest.mark.slow
def test_a_server_logs_its_requests_in_json_and_when_told_to_end_says_so_and_finishes_what_is_in_progress(
    store: ArtifactStore, publish: Publish
) -> None:
    """On an IPv6 address, where there are any; of a request there are its id, model and source, and not its query."""
    version, port, host = publish().version, free_port(), f"[{LOOPBACK}]" if ":" in LOOPBACK else LOOPBACK
    command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root), "--workers", "1"]
    settings = ["serving.drain_seconds=5", "serving.access_log=true", "serving.log_format=json"]
    process = subprocess.Popen([*command, "--host", LOOPBACK, *settings], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        answer = get(port, "/api/recommend?user_id=1", host)
        assert answer["version"] == version
        get(port, "/api/recommend?history=10:5,20:5", host)
        counted = metrics(port, host)
        idle = socket.create_connection((LOOPBACK, port), timeout=60)
        ended = time.monotonic()
        process.send_signal(signal.SIGTERM)
        status = 200
        while status == 200:  # a server that ends without having said so answers nothing, which is an error
            try:
                text(port, "/api/ready", host)
            except urllib.error.HTTPError as error:
                status, body = error.code, json.load(error)
        assert (status, body["status"]) == (503, "draining")
        assert get(port, "/api/recommend?user_id=1", host)["model"] == "ease", "it goes on answering"
        idle.close()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - ended > 4.9
    assert process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    first, second, _ = (line for line in lines if line.get("path") == "/api/recommend")
    assert (first["request_id"], first["status"], first["method"]) == (answer["request_id"], 200, "GET")
    assert (first["model"], first["source"], second["source"]) == ("ease", "personal", "fold-in")
    assert "history" not in str(second)
    assert counted['movierec_list_seconds_count{model="ease",source="personal"}'] == 1
    assert counted['movierec_list_seconds_count{model="ease",source="fold-in"}'] == 1


@pytest.mark.slow
def test_an_answer_that_takes_too_long_is_a_503_with_a_sentence(
    store: ArtifactStore, publish: Publish, tmp_path: Path
) -> None:
    """Movie 40 is answered once there is a file; till then others are."""
    publish()
    port, go_on = free_port(), tmp_path / "go on"
    program = (
        "import sys, time; from pathlib import Path; import movierec_engine.api.server as server\n"
        "from movierec_engine.api.config import ServingConfig\n"
        "from movierec_engine.api.movie_service import MovieService\n"
        "quick = MovieService.movie\n"
        "def slow(self, movie_id):\n"
        f"    while movie_id == 40 and not Path({str(go_on)!r}).exists(): time.sleep(0.05)\n"
        "    return quick(self, movie_id)\n"
        "MovieService.movie = slow\n"
        f"server.serve(Path({str(store.root)!r}), ServingConfig(port={port}, workers=1, answer_seconds=1))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        get(port, "/api/ready")
        answer = exchange(port, b"GET /api/movie/40 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"took too long" in answer
        assert b'"code":"took_too_long"' in answer
        assert get(port, "/api/recommend?user_id=1")["model"] == "ease"
        go_on.touch()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "its client was answered 503" in errors
    assert "Traceback" not in errors


FORKS = """
import os
from movierec_engine.api.server import shared_folder

with shared_folder() as folder:
    worker = os.fork()
    if not worker:
        raise SystemExit
    os.waitpid(worker, 0)
    print(folder.is_dir())
print(folder.exists())
"""


def test_a_worker_that_ends_leaves_the_folder_that_it_shares_with_the_others() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.slow
def test_a_server_that_is_told_to_end_while_it_starts_ends_with_0(store: ArtifactStore, publish: Publish) -> None:
    publish()
    command = [sys.executable, "run_server.py", "--port", str(free_port()), "--model-dir", str(store.root)]
    process = subprocess.Popen(
        [*command, "--workers", "2"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving")
    time.sleep(0.3)  # its workers are on their way
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_a_folder_of_checkpoints_stands_for_the_artifact_store(
    store: ArtifactStore, publish: Publish, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "ncf_best.pt").touch()
    with pytest.raises(MovierecError, match="training checkpoints"):
        store_to_serve(tmp_path / "checkpoints", store.root)
    publish()
    chosen, notice = store_to_serve(tmp_path / "checkpoints", store.root)
    assert chosen == store.root
    assert str(store.root) in str(notice)
    assert store_to_serve(store.root, tmp_path / "new") == (store.root, None)


def test_a_folder_that_is_not_there_is_an_error_unless_it_is_the_default(
    store: ArtifactStore, publish: Publish
) -> None:
    publish()
    with pytest.raises(MovierecError, match="modles is not there; give the folder of an artifact store"):
        store_to_serve(store.root.with_name("modles"), store.root)
    new = store.root.with_name("artifacts")
    assert store_to_serve(new, new) == (new, None), "may be filled later"


def test_serving_settings_come_from_the_command_line_and_wrong_ones_are_refused() -> None:
    assert load_serving(["serving.follow=latest"]).follow == "latest"
    assert load_serving([]) == ServingConfig(), "configs/serving/default.yaml says what the code says"
    for override, said in (("serving.folow=latest", "follow"), ("model=ncf", "setting of the server")):
        with pytest.raises(ConfigError, match=said):
            load_serving([override])


def test_requests_that_are_not_http_are_answered_in_json(one_worker: int) -> None:
    post = b"POST /api/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    requests = {
        b"NONSENSE\r\n\r\n": b"400",
        b"GET /?x=" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": b"414",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n": b"431",
        b"GET /api/recommend?user_id=\xff HTTP/1.1\r\nHost: a\r\n\r\n": b"400",
        b"GET /api/movie/\xff HTTP/1.1\r\nHost: a\r\n\r\n": b"400",
        post + b"Content-Length: -1\r\n\r\n": b"400",
        post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n": b"400",
        post + b"Transfer-Encoding: chunked\r\n\r\n200000\r\n" + b" " * 2**21 + b"\r\n0\r\n\r\n": b"413",
    }
    for request, status in requests.items():
        head, _, body = exchange(one_worker, request).partition(b"\r\n\r\n")
        assert head.split()[1] == status, request[:60]
        for line in (b"Content-Type: application/json", b"Cache-Control: no-store", b"X-Content-Type-Options: nosniff"):
            assert line in head
        error = json.loads(body)["error"]
        assert set(error) == {"code", "message", "parameter"}
        assert error["code"] == CODES[int(status)]


def test_an_address_that_is_too_long_is_told_so_as_the_description_says(one_worker: int) -> None:
    body = exchange(one_worker, b"GET /?x=" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert "the request line is longer than 4,094 bytes" in json.loads(body)["error"]["message"]
    for methods in get(one_worker, "/api/v1/openapi.json")["paths"].values():
        for operation in methods.values():
            assert {"414", "431"} <= operation["responses"].keys()


@pytest.mark.slow
def test_debug_mode_answers_although_its_reloader_starts_it_twice(store: ArtifactStore, publish: Publish) -> None:
    version = publish().version
    port = free_port()
    with running(store, port, "--debug"):
        assert get(port, "/api/recommend?user_id=1")["version"] == version


def test_answering_imports_no_torch(store: ArtifactStore, publish: Publish) -> None:
    publish()
    program = (
        "import sys; from pathlib import Path; from movierec_engine.api.app import create_app; "
        f"client = create_app(Path({str(store.root)!r})).test_client(); "
        "assert client.get('/api/recommend?user_id=1').status_code == 200; "
        "print([name for name in ('torch', 'mlflow', 'dagster', 'streamlit') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_a_request_is_answered_on_one_thread(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all libraries that have threads, be they loaded before the application or for its first answer."""
    publish()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    program = (
        "from pathlib import Path; from threadpoolctl import threadpool_info; "
        "from movierec_engine.api.config import ServingConfig; from movierec_engine.api import server; "
        f"app = server._make_app(Path({str(store.root)!r}), ServingConfig(), '', 'cpu', None); "
        "client = app.test_client(); "
        "assert client.get('/api/recommend?history=10,20&top_k=2').status_code == 200; "
        "import scipy.linalg, faiss; print({library['num_threads'] for library in threadpool_info()})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "{1}"


def test_a_port_in_use_is_named(store: ArtifactStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            MovierecError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(.*; choose another --host or"
        ):
            serve(store.root, ServingConfig(port=port))


def test_a_public_address_needs_keys_or_an_explicit_word(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOVIEREC_API_KEYS", raising=False)
    with pytest.raises(ConfigError, match="could read people's histories and erase them; set MOVIEREC_API_KEYS"):
        serve(store.root, ServingConfig(host="0.0.0.0"))
    with socket.socket() as taken:  # so that whoever gets past the check ends at the port
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MovierecError, match="cannot listen"):
            serve(store.root, ServingConfig(host="0.0.0.0", port=port, public_without_keys=True))
        monkeypatch.setenv("MOVIEREC_API_KEYS", "a-key-of-this-server")
        with pytest.raises(MovierecError, match="cannot listen"):
            serve(store.root, ServingConfig(host="0.0.0.0", port=port))


def test_debug_is_refused_on_a_public_address(store: ArtifactStore) -> None:
    with pytest.raises(ConfigError, match="lets anybody"):
        serve(store.root, ServingConfig(host="0.0.0.0"), debug=True)


@pytest.mark.slow
def test_waitress_serves_where_gunicorn_does_not_run(store: ArtifactStore, publish: Publish) -> None:
    version = publish().version
    port = free_port()
    program = (
        "import importlib.util; from pathlib import Path; "
        "find = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, *more: None if name == 'fcntl' else find(name, *more); "
        "from movierec_engine.api.config import ServingConfig; from movierec_engine.api.server import serve; "
        f"serve(Path({str(store.root)!r}), ServingConfig(port={port}, workers=1))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        assert get(port, "/api/recommend?user_id=1")["version"] == version
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/ready", timeout=60) as response:
            assert response.headers["Server"] == "waitress"
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_or_doubled_by_kills(
    store: ArtifactStore, publish: Publish, tmp_path: Path
) -> None:
    publish()
    command = [sys.executable, "benchmarks/serving_faults.py", "--kills", "3", "--artifacts", str(store.root)]
    result = tmp_path / "faults.md"
    subprocess.run([*command, "--result", str(result)], cwd=ROOT, check=True, capture_output=True)
    assert "| 0 | 0 | 0 |" in result.read_text()


@pytest.mark.slow
def test_nothing_that_the_description_allows_is_a_500(store: ArtifactStore, publish: Publish, tmp_path: Path) -> None:
    publish()
    command = [sys.executable, "benchmarks/serving_fuzz.py", "--examples", "10", "--artifacts", str(store.root)]
    result = tmp_path / "fuzz.md"
    subprocess.run([*command, "--result", str(result)], cwd=ROOT, check=True, capture_output=True)
    assert "None: no 500" in result.read_text()
