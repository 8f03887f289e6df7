"""What the API's own metrics say, read off its text."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dashboard.queries import api_health
from dashboard.queries.api_health import EndpointTraffic, endpoints, quantile
from dashboard.queries.asking import Asking
from dashboard.views import operations

METRICS = """# HELP movierec_requests_total Requests
movierec_requests_total{endpoint="/a",status="200"} 6.0
movierec_requests_total{endpoint="/a",status="399"} 1.0
movierec_requests_total{endpoint="/a",status="400"} 1.0
movierec_requests_total{endpoint="/a",status="499"} 1.0
movierec_requests_total{endpoint="/a",status="500"} 1.0
movierec_requests_total{endpoint="/b",status="200"} 30.0
movierec_request_seconds_bucket{endpoint="/a",le="+Inf"} 10.0
movierec_request_seconds_bucket{endpoint="/a",le="10.0"} 8.0
movierec_request_seconds_bucket{endpoint="/a",le="2.0"} 4.0
movierec_request_seconds_sum{endpoint="/a"} 5.0
movierec_workers 3.0
nonsense {{{
movierec_workers_broken many
"""


def test_requests_are_counted_by_endpoint_and_kind_of_answer_the_most_asked_first() -> None:
    """Of /a half of ten requests lies 1/4 of the way from 2 to 10 s; 95 % are beyond the last bound, 10 s."""
    assert endpoints(METRICS) == [
        EndpointTraffic("/b", 30, 0, 0, None, None, None),
        EndpointTraffic("/a", 10, errors=1, refused=2, mean=0.5, median=4.0, p95=10.0),
    ]


@pytest.mark.parametrize(
    ("q", "expected"), [(0.0, 0.0), (0.1, 0.5), (0.4, 2.0), (0.5, 4.0), (0.8, 10.0), (0.81, 10.0), (1.0, 10.0)]
)
def test_quantiles_are_linear_within_a_bucket(q: float, expected: float) -> None:
    assert quantile([(2.0, 4.0), (10.0, 8.0), (float("inf"), 10.0)], q) == pytest.approx(expected)


def test_of_no_requests_there_is_no_quantile() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (float("inf"), 0.0)], 0.5) is None


class Answers(BaseHTTPRequestHandler):
    ready = 200
    asked = 0
    key: str | None = None

    def do_GET(self) -> None:
        type(self).asked += 1
        type(self).key = self.headers["Authorization"]
        ready = self.path == "/api/ready"
        said = '{"status": "ok", "serving": {"model": "ease"}, "refused": {"als": "old"}}'
        self.send_response(self.ready if ready else 200)
        self.end_headers()
        self.wfile.write((said if ready else METRICS).encode())

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Answers.ready, Answers.asked = 200, 0
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_the_api_says_of_itself_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEY", "k1")
    health = api_health.ask(url)
    assert Answers.key == "Bearer k1"
    assert (health.ready, health.status, health.problem) == (True, "ok", "")
    assert (health.serving, health.refused, health.workers) == ({"model": "ease"}, {"als": "old"}, 3)
    assert [one.endpoint for one in health.endpoints] == ["/b", "/a"]
    Answers.ready = 503
    assert not api_health.ask(url).ready
    assert "http://" in api_health.ask("localhost:5000").problem
    assert api_health.ask("http://127.0.0.1:9").problem


def test_an_answer_is_asked_for_again_when_it_is_old_and_not_before(url: str) -> None:
    fresh, old = (Asking(lambda: api_health.ask(url), seconds) for seconds in (3600, 60))
    first = fresh.latest(30)
    assert first is not None
    assert fresh.latest(30) is first
    assert Answers.asked == 2, "once, of two addresses"
    one = old.latest(30)
    assert one is not None
    one = old._answer = replace(one, asked_at=time.time() - 61)
    until = time.monotonic() + 30
    while old.latest(0) is one and time.monotonic() < until:
        time.sleep(0.01)
    assert old.latest(0) is not one


def test_the_address_has_no_password_and_no_slash_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOVIEREC_API_URL", raising=False)
    assert api_health.address() == "http://127.0.0.1:5000"
    monkeypatch.setenv("MOVIEREC_API_URL", "https://me:secret@movies.example/api/")
    assert api_health.address() == "https://movies.example/api"


def test_lists_are_counted_by_their_source_over_all_models_and_popularity_is_the_fallback() -> None:
    text = "\n".join(
        f'movierec_list_seconds_count{{model="{model}",source="{source}"}} {count}.0'
        for model, source, count in (("a", "personal", 90), ("b", "popularity", 4), ("a", "popularity", 6))
    )
    assert api_health.sources(text) == {"personal": 90, "popularity": 10}
    assert operations._fallback({}) == ""
    said = operations._fallback({"personal": 90, "popularity": 10}).replace("\\", "")
    assert "**10.0 %** [5.5 %, 17.4 %] of 100 lists" in said, "Wilson's interval"
