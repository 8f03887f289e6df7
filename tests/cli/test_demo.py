import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ports import free_port

from movierec_engine import pipeline, release
from movierec_engine.cli import demo
from movierec_engine.config import load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.store import SERVING, ArtifactStore, Slot


def test_every_port_in_use_is_named_with_the_option_that_changes_it() -> None:
    with socket.socket() as first, socket.socket() as second:
        for taken in (first, second):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        one, two = first.getsockname()[1], second.getsockname()[1]
        with pytest.raises(MovierecError) as error:
            demo.require_free(demo.Ports(dagster=one, dashboard=1, api=two))
    assert f"{one} (for dagster; change it with --dagster-port or DAGSTER_PORT=N with make)" in str(error.value)
    assert f"{two} (for api;" in str(error.value)


def test_a_port_in_use_stops_the_demo_before_any_work(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = demo.Ports(taken.getsockname()[1], 1, 2)
        with pytest.raises(MovierecError, match="already in use"):
            demo.run(tmp_path / "store", ["ease"], "cpu", [], ports)
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_only_models_that_the_store_lacks_in_these_settings_are_materialized(
    small_data: list[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")

    def missing(*overrides: str) -> list[str]:
        wanted = [load_settings([*small_data, f"model={model}", *overrides]) for model in ("popularity", "ease")]
        return demo.missing_models(store, wanted)

    assert missing() == ["popularity", "ease"]
    for model in ("popularity", "ease"):
        pipeline.run(store, load_settings([*small_data, f"model={model}"]))
    assert missing() == ["popularity", "ease"], "nothing is released yet"
    release.decide_release(store, pipeline.rank_models(store, "camps", "ndcg@10"))
    assert missing() == []
    ease = store.require(Slot("trained_model", "camps", "ease", "cpu"))
    (ease.folder / "manifest.json").write_text("{")
    assert missing() == ["ease"], "a damaged version counts as missing"
    assert missing("seed=7") == ["popularity", "ease"]
    assert missing("data.split=leave_one_out") == ["popularity", "ease"]


def test_a_server_that_ends_at_its_start_is_named_with_its_log(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], start_new_session=True)
    server = demo.DemoServer("api", "http://127.0.0.1:9", "/", [])
    with pytest.raises(MovierecError, match=r"api ended with exit code 3 at its start; see .*api\.log"):
        demo.wait_until_ready(server, process, tmp_path / "api.log")


def test_stopping_ends_a_server_that_ignores_the_polite_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.5)
    program = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    demo.stop(process)
    process.stdout.close()
    assert process.poll() == -9


STUBBORN = """
import http.server, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
open(sys.argv[2], "w").write(str(os.getpid()))
server.serve_forever()
"""
SERVE = """
import sys
from pathlib import Path
from movierec_engine.cli import demo
from movierec_engine.store import ArtifactStore
root, port, program = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
demo.STOP_SECONDS = 0.5
command = [sys.executable, "-c", program, port, str(root / "pid")]
demo.servers = lambda ports, artifacts, data_set: [demo.DemoServer("api", f"http://127.0.0.1:{port}", "/", command)]
demo.serve(None, ArtifactStore(root), "camps", {})
"""


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGTERM],
        [signal.SIGINT, signal.SIGINT, signal.SIGINT],
        pytest.param([signal.SIGHUP], marks=pytest.mark.slow),
        pytest.param([signal.SIGQUIT], marks=pytest.mark.slow),
    ],
)
def test_whatever_ends_the_demo_ends_its_servers(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """Also where a server ignores the polite signal, and the person is impatient."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(tmp_path), str(port), STUBBORN]
    demo_process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo_process.stdout is not None
    assert demo_process.stdout.readline().startswith("api")
    server = psutil.Process(int((tmp_path / "pid").read_text()))
    for number in signals:
        demo_process.send_signal(number)
        time.sleep(0.3)
    demo_process.communicate(timeout=60)
    psutil.wait_procs([server], timeout=60)
    assert not server.is_running()


@pytest.mark.slow
def test_the_demo_works_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "movierec_engine.cli", "demo", "--no-serve", "--artifacts", "here"]
    command += ["--model", "popularity", "--device", "cpu", "logger.use_mlflow=false", "logger.use_wandb=false"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "for user 1" in shown
    assert ArtifactStore(tmp_path / "here").pointed(SERVING, "movielens-small") is not None
