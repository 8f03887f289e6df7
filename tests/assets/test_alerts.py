"""Alerts reach a file, a webhook, Slack and a mail server, each whether or not the others do."""

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest

from movierec_assets.alerts import SLACK, WEBHOOK, Alerts, AlertsConfig, make_alerts
from movierec_engine.errors import ConfigError


@contextmanager
def listening(server: socketserver.TCPServer) -> Iterator[int]:
    """The port of a server that answers in a thread."""
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """The address of a webhook, and what is posted there; `/refused` refuses."""
    received: list[tuple[str, object]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(403 if self.path == "/refused" else 200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        yield f"http://127.0.0.1:{port}", received


@pytest.fixture
def mailbox() -> Iterator[tuple[int, list[str]]]:
    """The port of a mail server, and what it was told line by line."""
    lines: list[str] = []

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            in_text = False
            while line := self.rfile.readline().decode().rstrip("\r\n") or " ":
                lines.append(line)
                if in_text:
                    in_text = line != "."
                    if not in_text:
                        self.wfile.write(b"250 taken\r\n")
                    continue
                in_text = line.upper() == "DATA"
                self.wfile.write(b"354 go on\r\n" if in_text else b"250 well\r\n")
                if line.upper() == "QUIT":
                    return

    with listening(socketserver.TCPServer(("127.0.0.1", 0), Mail)) as port:
        yield port, lines


def test_an_alert_reaches_the_file_the_webhooks_and_the_mail_server(
    tmp_path: Path,
    posted: tuple[str, list[tuple[str, object]]],
    mailbox: tuple[int, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (address, received), (port, lines) = posted, mailbox
    monkeypatch.setenv(WEBHOOK, f"{address}/plain")
    monkeypatch.setenv(SLACK, f"{address}/slack")
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path))
    config = AlertsConfig(mail_to=("ops@example.org", "ml@example.org"), smtp_host="127.0.0.1", smtp_port=port)

    @dg.op
    def tell(alerts: Alerts) -> None:
        alerts.send("everything failed", "raw_ratings: <rating> 7.5 is outside 0.5-5.0")

    @dg.job(resource_defs={"alerts": make_alerts(config)})
    def telling() -> None:
        tell()

    assert telling.execute_in_process().success
    assert "raw_ratings: <rating> 7.5" in (tmp_path / "logs" / "alerts.log").read_text()
    assert received == [
        ("/plain", {"subject": "everything failed", "text": "raw_ratings: <rating> 7.5 is outside 0.5-5.0"}),
        ("/slack", {"text": "*everything failed*\nraw_ratings: &lt;rating&gt; 7.5 is outside 0.5-5.0"}),
    ]
    assert [line for line in lines if line.lower().startswith("rcpt")] == [
        "rcpt TO:<ops@example.org>",
        "rcpt TO:<ml@example.org>",
    ]
    assert "Subject: Movierec: everything failed" in lines
    assert "raw_ratings: <rating> 7.5 is outside 0.5-5.0" in lines


def test_a_way_that_fails_stops_no_other_and_tells_no_address(
    tmp_path: Path, posted: tuple[str, list[tuple[str, object]]], caplog: pytest.LogCaptureFixture
) -> None:
    address, received = posted
    (tmp_path / "file").touch()
    with listening(HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)) as gone:
        pass
    Alerts(
        file=str(tmp_path / "file" / "alerts.log"),
        webhook=f"{address}/refused",
        slack=f"{address}/slack",
        mail_to=["ops@example.org"],
        smtp_host="127.0.0.1",
        smtp_port=gone,
    ).send("the served model is stale", "by age")
    assert [path for path, _ in received] == ["/refused", "/slack"]
    assert "the served model is stale: by age" in caplog.text
    assert "the alert cannot be written there (File exists)" in caplog.text
    assert "the webhook: the alert cannot be written there (HTTPError)" in caplog.text
    assert "mail by 127.0.0.1: the alert cannot be written there (Connection refused)" in caplog.text
    assert address not in caplog.text


def test_dagster_is_told_the_names_of_secrets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SLACK, "https://hooks.example.org/T0/B0/secret")
    shown = repr(make_alerts(AlertsConfig()))
    assert "secret" not in shown
    with pytest.raises(ConfigError, match=r"automation.alerts: 'ops' is no mail address"):
        AlertsConfig(mail_to=("ops",))
