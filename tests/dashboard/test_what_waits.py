"""The section of Operations on Dagster's runs, over answers of a webserver."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dagster_answers import answer, run
from page_reading import text
from streamlit.testing.v1 import AppTest


def page() -> None:
    from dashboard.views import what_waits

    what_waits.show()


class Dagster(BaseHTTPRequestHandler):
    said: dict[str, Any]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"data": self.said}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.views.what_waits.PATIENCE_SECONDS", 30.0)


@pytest.fixture
def dagster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dagster)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("MOVIEREC_DAGSTER_URL", url := f"http://127.0.0.1:{server.server_port}")
    yield url
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_run_is_a_row_with_what_it_waits_for_and_what_to_do(dagster: str) -> None:
    trains = run("everything", ("training",), dagster__partition="cpu|ease")
    waits = run("sweeps", ("training",), movierec__started_by="weekly_sweep")
    sensor = {"name": "lost_runs", "sensorState": {"status": "STOPPED", "ticks": []}}
    Dagster.said = {
        **answer(sensors=[sensor]),
        "running": {"results": [trains]},
        "waiting": {"results": [waits]},
    }
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert "**1 run in progress and 1 waiting.**" in text(app)
    assert "Off: all schedules and sensors." in text(app)
    (table,) = app.dataframe
    rows = table.value.to_dict("records")
    assert [(row["State"], row["What"], row["Started by"]) for row in rows] == [
        ("in progress", "everything cpu|ease", "a person"),
        ("waits", "sweeps", "weekly_sweep"),
    ]
    assert rows[1]["Waits for, or why"] == "a place in the pool training, of which everything cpu|ease has all 1"
    assert rows[1]["Run"] == f"{dagster}/runs/run of sweeps"


def test_a_daemon_that_does_not_run_is_told_with_the_command_that_starts_it(dagster: str) -> None:
    Dagster.said = answer(stopped=True)
    said = text(AppTest.from_function(page, default_timeout=60).run())
    assert "Dagster's daemon does not run" in said and "dagster-daemon run" in said


def test_a_dagster_that_does_not_answer_is_told_with_the_command_that_starts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOVIEREC_DAGSTER_URL", "http://127.0.0.1:9")
    app = AppTest.from_function(page, default_timeout=60).run()
    assert "Dagster does not answer at" in text(app)
    assert [one.value for one in app.code] == ["dagster dev -w workspace.yaml"]
