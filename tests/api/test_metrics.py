"""Counters add up over workers, and never fall when one ends."""

import json
from pathlib import Path

from flask.testing import FlaskClient

from movierec_engine.api.metrics import HELP, Metrics, retire, written
from movierec_engine.store import ArtifactStore
from worlds import Publish


def values(text: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def of_another_worker(folder: Path, pid: int, metrics: Metrics) -> None:
    """What a worker of this process id would have shared."""
    metrics.flush()
    (own,) = [path for path in folder.glob("*.json") if path.stem not in ("retired", "1", "2")]
    own.rename(folder / f"{pid}.json")


def test_the_numbers_of_all_workers_are_added_and_kept_after_their_end(tmp_path: Path) -> None:
    def worker() -> Metrics:
        return Metrics(tmp_path, lambda: {"movierec_workers": 1.0, "movierec_refused_versions": 2.0})

    first, second, third = worker(), worker(), worker()
    for metrics, seconds in ((first, 0.0005), (second, 0.003), (third, 9.0)):
        metrics.observe_request("/api/x", "GET", 200, seconds)
        metrics.count("movierec_swaps_total")
    of_another_worker(tmp_path, 1, first)
    of_another_worker(tmp_path, 2, second)
    before = values(third.exposition())
    assert before['movierec_requests_total{endpoint="/api/x",method="GET",status="200"}'] == 3
    assert before['movierec_request_seconds_bucket{endpoint="/api/x",le="0.001"}'] == 1
    assert before['movierec_request_seconds_bucket{endpoint="/api/x",le="0.005"}'] == 2
    assert before['movierec_request_seconds_bucket{endpoint="/api/x",le="5.0"}'] == 2
    assert before['movierec_request_seconds_bucket{endpoint="/api/x",le="+Inf"}'] == 3
    assert before['movierec_request_seconds_count{endpoint="/api/x"}'] == 3
    assert abs(before['movierec_request_seconds_sum{endpoint="/api/x"}'] - 9.0035) < 1e-9
    assert (before["movierec_workers"], before["movierec_refused_versions"]) == (3, 2)
    retire(tmp_path, 1)
    retire(tmp_path, 2)
    after = values(third.exposition())
    assert after["movierec_workers"] == 1
    assert {k: v for k, v in after.items() if "workers" not in k} == {
        k: v for k, v in before.items() if "workers" not in k
    }


def test_half_a_file_of_a_killed_worker_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "77.json").write_text('{"counters": {"movierec_sw')
    (tmp_path / "78.json").write_text(json.dumps([1]))
    metrics = Metrics(tmp_path)
    metrics.count("movierec_swaps_total")
    assert values(metrics.exposition()) == {"movierec_swaps_total": 1}


def test_a_label_is_escaped() -> None:
    assert written("x", {"a": 'q"\\\n'}) == 'x{a="q\\"\\\\\\n"}'


def test_the_server_counts_by_endpoint_and_never_by_a_clients_path(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    publish()
    client.get("/api/recommend?user_id=1")
    client.get("/api/movie/10")
    client.get("/api/movie/99")
    client.get("/wp-login.php")
    client.open("/x", method="PROPFIND")
    found = values(client.get("/metrics").text)
    counted = {series: value for series, value in found.items() if series.startswith("movierec_requests_total")}
    assert counted == {
        'movierec_requests_total{endpoint="/api/recommend",method="GET",status="200"}': 1,
        'movierec_requests_total{endpoint="/api/movie/<movie_id>",method="GET",status="200"}': 1,
        'movierec_requests_total{endpoint="/api/movie/<movie_id>",method="GET",status="404"}': 1,
        'movierec_requests_total{endpoint="unmatched",method="GET",status="404"}': 1,
        'movierec_requests_total{endpoint="unmatched",method="other",status="404"}': 1,
    }
    assert found["movierec_swaps_total"] == found["movierec_loaded_models"] == 1
    assert all(f"# TYPE {name} " in client.get("/metrics").text for name in HELP)
