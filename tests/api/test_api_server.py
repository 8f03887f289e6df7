"""The real server, under gunicorn, as a user starts it."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.server import serve
from movierec_engine.errors import ConfigError
from movierec_engine.store import ArtifactStore
from worlds import Publish

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(port: int, path: str) -> dict[str, object]:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                body: dict[str, object] = json.load(response)
                return body
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_the_server_answers_follows_a_promotion_and_ends_on_sigterm(store: ArtifactStore, publish: Publish) -> None:
    first, second = publish(), publish(sign=-1)
    store.point("serving", first, {})
    port = free_port()
    command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root), "--workers", "2"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert get(port, "/api/recommend?user_id=1&top_k=1")["version"] == first.version
        store.point("serving", second, {})
        answers = {str(get(port, "/api/recommend?user_id=1&top_k=1")["version"]) for _ in range(20)}
        assert answers == {second.version}
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "Traceback" not in errors


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


def test_a_port_in_use_is_named(store: ArtifactStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "run_server.py", "--port", str(port), "--model-dir", str(store.root)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}")


def test_debug_is_refused_on_a_public_address(store: ArtifactStore) -> None:
    with pytest.raises(ConfigError, match="127"):
        serve(store.root, ServingConfig(host="0.0.0.0"), debug=True)
