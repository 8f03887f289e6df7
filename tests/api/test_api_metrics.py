"""Counters add up over workers, and never fall when one ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.metrics import COUNTERS, GAUGES, Metrics
from movierec_engine.store import ArtifactStore
from worlds import Publish

WORKER = """
import os
from prometheus_client.multiprocess import mark_process_dead
from movierec_engine.api.metrics import Metrics
metrics = Metrics()
metrics.show("movierec_workers", 1)
metrics.show("movierec_refused_versions", {refused})
metrics.count("movierec_swaps_total")
metrics.observe_request("/api/x", "GET", 200, {seconds})
print(os.getpid(), flush=True)
input()
print(metrics.exposition().decode())
"""


def values(text: str) -> dict[str, float]:
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line and line[0] != "#"
    }


def worker(folder: Path, seconds: float, refused: int) -> subprocess.Popen[str]:
    """A process that has counted one answer, and shows all numbers after a line from us."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER.format(seconds=seconds, refused=refused)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_numbers_of_all_workers_are_added_and_kept_after_their_end(tmp_path: Path) -> None:
    workers = [worker(tmp_path, seconds, refused) for seconds, refused in ((0.0005, 0), (0.003, 2), (9.0, 1))]
    first, second, _ = (one.stdout.readline().strip() for one in workers)  # type: ignore[union-attr]
    seen = values(workers[0].communicate("\n")[0])
    assert seen['movierec_requests_total{endpoint="/api/x",method="GET",status="200"}'] == 3
    buckets = {bound: seen[f'movierec_request_seconds_bucket{{endpoint="/api/x",le="{bound}"}}'] for bound in
               ("0.001", "0.005", "5.0", "+Inf")}  # fmt: skip
    assert buckets == {"0.001": 1, "0.005": 2, "5.0": 2, "+Inf": 3}
    assert abs(seen['movierec_request_seconds_sum{endpoint="/api/x"}'] - 9.0035) < 1e-9
    assert (seen["movierec_workers"], seen["movierec_refused_versions"], seen["movierec_swaps_total"]) == (3, 2, 3)
    ended = (
        "from prometheus_client.multiprocess import mark_process_dead\n"
        f"for pid in ({first}, {second}): mark_process_dead(pid)"
    )
    workers[1].communicate("\n")
    subprocess.run(
        [sys.executable, "-c", ended], env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, check=True
    )
    after = values(workers[2].communicate("\n")[0])
    assert (after["movierec_workers"], after["movierec_refused_versions"], after["movierec_swaps_total"]) == (1, 1, 3)
    assert after['movierec_requests_total{endpoint="/api/x",method="GET",status="200"}'] == 3


def test_a_label_is_escaped() -> None:
    metrics = Metrics()
    metrics.count("movierec_exposures_total", experiment='q"\\\n')
    assert 'movierec_exposures_total{experiment="q\\"\\\\\\n"} 1.0' in metrics.exposition().decode()


def test_the_server_counts_by_endpoint_and_never_by_a_clients_path(client: FlaskClient, publish: Publish) -> None:
    version = publish().version
    client.get("/api/recommend?user_id=1")
    client.get("/api/v1/movie/10")
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
    labels = f'device="cpu",fingerprint="f00d",measured_version="{version}",model="ease",version="{version}"'
    served = f"movierec_served_info{{{labels}}}"
    assert found[served] == 1
    second = publish().version
    client.get("/api/recommend?user_id=1")
    found = values(client.get("/metrics").text)
    assert (found[served], found[served.replace(version, second)], found["movierec_swaps_total"]) == (0, 1, 2)
    assert all(f"# TYPE {name} " in client.get("/metrics").text for name in (*COUNTERS, *GAUGES))


def test_what_people_say_is_counted_by_kind_and_by_what_became_of_it(
    client: FlaskClient, publish: Publish, store: ArtifactStore
) -> None:
    publish()
    said = [{"user_id": 1, "movie_id": movie, "kind": "click", "key": str(movie)} for movie in (10, 20, 30)]
    for _ in range(2):
        client.post("/api/feedback", json={"events": said})
    client.post("/api/feedback", json={"user_id": 1, "movie_id": 10, "kind": "click"})
    client.delete("/api/feedback?user_id=1&movie_id=10&kind=click")
    client.post("/api/feedback", json={"events": [{**one, "movie_id": 40} for one in said]})
    found = values(client.get("/metrics").text)
    assert found['movierec_feedback_events_total{kind="click",status="recorded"}'] == 4
    assert found['movierec_feedback_events_total{kind="click",status="already recorded"}'] == 3
    assert found["movierec_feedback_undone_total"] == 2
    assert found["movierec_feedback_refused_total"] == 3


def test_a_batchs_lists_are_counted_by_source_and_its_time_once(client: FlaskClient, publish: Publish) -> None:
    publish()
    client.post("/api/batch-recommend", json={"user_ids": [1, 7, 999, 998]})
    found = values(client.get("/metrics").text)
    assert found['movierec_list_seconds_count{model="ease",source="personal"}'] == 2
    assert found['movierec_list_seconds_count{model="ease",source="popularity"}'] == 2
    seconds = sum(value for name, value in found.items() if name.startswith("movierec_list_seconds_sum"))
    assert seconds == pytest.approx(found['movierec_request_seconds_sum{endpoint="/api/batch-recommend"}'])
