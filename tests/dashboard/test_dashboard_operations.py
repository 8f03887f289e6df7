"""The page Operations: what is served, decided, checked, measured over time, said by people and by the API."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots import operations as plots
from dashboard.plots.decisions import verdict_rows
from dashboard.queries import api_health, backtests, checks, feedback, indices, releases
from dashboard.queries.api_health import EndpointTraffic
from dashboard.queries.asking import Asking
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.release.decisions import Decision
from movierec_engine.release.manual import pin
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]

EXPOSITION = """# TYPE movierec_requests_total counter
movierec_requests_total{endpoint="/api/recommend",method="GET",status="200"} 19.0
movierec_requests_total{endpoint="/api/recommend",method="GET",status="500"} 1.0
# TYPE movierec_request_seconds histogram
movierec_request_seconds_bucket{endpoint="/api/recommend",le="0.01"} 0.0
movierec_request_seconds_bucket{endpoint="/api/recommend",le="0.025"} 10.0
movierec_request_seconds_bucket{endpoint="/api/recommend",le="0.05"} 10.0
movierec_request_seconds_bucket{endpoint="/api/recommend",le="0.1"} 20.0
movierec_request_seconds_bucket{endpoint="/api/recommend",le="+Inf"} 20.0
movierec_request_seconds_count{endpoint="/api/recommend"} 20.0
movierec_request_seconds_sum{endpoint="/api/recommend"} 0.9
movierec_workers 2.0
"""
"""As Prometheus' text format has it: ten answers in (0.01, 0.025] seconds and ten in (0.05, 0.1]."""


def test_what_is_served_comes_with_its_freshness_and_the_decisions(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "operations")
    said = text(app)
    assert "**ease** (cpu) is served since" in said
    assert "2 decisions: 1 changed what is served, 1 challenger did not get through" in titles(app)
    assert "popularity does not hold against champion ease" in titles(app)
    assert list(app.dataframe[0].value["Verdict"]) == ["kept", "promoted"]
    assert max(len(cell) for cell in app.dataframe[0].value["Compared"]) < 100, "a few words in a cell"
    assert "All 1 checks passed" in said
    assert "The API is not running at `http://127.0.0.1:9`" in said
    first = releases.decisions(known.root, "tiny")[0][-1].decision.reference.rsplit("/", 1)[-1]
    assert "Nothing was compared for this decision." in text(visit(known, "operations", decision=first))


def test_where_nothing_is_promoted_the_commands_are_about_the_models_of_this_store(
    visit: Open, damaged: ArtifactStore
) -> None:
    shutil.rmtree(damaged.root / "pointers")
    app = visit(damaged, "operations")
    assert "Nothing is promoted yet" in text(app)
    (commands,) = [one.value for one in app.code if "promote" in one.value]
    assert commands.endswith("movierec models challenge")


def test_the_backtest_and_the_experiment_are_summed_up(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "operations")
    shown = titles(app)
    assert "ease: NDCG@10 of 0.300 to 0.400 over the windows" in shown
    assert "25 % of the windows' users are new" in text(app), "2 of 8"
    assert "trial: new (ease) has a click in 50.0 % of its lists; its interval overlaps that of old (ease)" in shown
    assert any(title.startswith("2 events so far") and "4 lists noted as shown" in title for title in shown)


def test_an_experiment_between_a_refitted_and_a_measured_version_says_so(visit: Open, damaged: ArtifactStore) -> None:
    measured, other = (damaged.require(Slot("faiss_index", "tiny", model, "cpu")) for model in ("ease", "popularity"))
    refitted = damaged.publish(measured.slot.beside("refitted_model"), lambda folder: None, key="r", fingerprint="")
    parents = {"refitted_model": refitted, "faiss_index": measured}
    answers = damaged.publish(
        measured.slot, lambda folder: None, key="r", fingerprint="", parents=parents, newest=False
    )
    log = SqliteLog(log_file(damaged.root, "tiny"))
    for index, exposure, at in ((answers, "u1", 20), (other, "u2", 20), (measured, "u3", 10)):
        model, version = index.slot.model, index.version
        shown = Exposure(exposure, 1, (10,), model=model, version=version, experiment="unlike", at_ms=at)
        log.expose([shown])
    log.close()
    said = text(visit(damaged, "operations", experiment="unlike"))
    assert "ease answers refitted on all interactions, as promoted versions do, popularity as measured" in said


def test_a_newer_version_and_waiting_ratings_make_it_stale(visit: Open, damaged: ArtifactStore) -> None:
    """The known data says nothing of the log that it took in; a newer one does, and misses the one rating."""
    for slot in (Slot("raw_ratings", "tiny"), Slot("trained_model", "tiny", "ease", "cpu")):
        damaged.publish(slot, lambda folder: None, key="n", fingerprint="", facts={})
    said = text(visit(damaged, "operations"))
    assert "Not the freshest: its data set was read again at" in said
    assert "a newer version of the model was trained at" in said


def test_a_decision_is_three_rows() -> None:
    compared = [
        {"name": "champion ease", "passed": False, "difference": -0.02, "low": -0.03, "high": -0.01, "users": 3},
        {"name": "popularity on cpu", "passed": True, "sentence": "not measured"},
    ]
    checked = [{"name": "index_is_whole", "passed": True}, {"name": "serving_parity", "passed": False}]
    decision = Decision(
        *("tiny", "kept", "ease is kept: als does not hold; next to ease it is worse by much", "gate"),
        evidence={"metric": "ndcg@10", "comparisons": compared, "checks": checked[:1], "refit_checks": checked[1:]},
    )
    assert verdict_rows(decision) == [
        ("Decided", "ease is kept: als does not hold, by gate"),
        (
            "Compared",
            "NDCG@10 on validation: does not hold against champion ease (-0.0200 [-0.0300, -0.0100]) and holds against "
            "popularity on cpu",
        ),
        ("Checked", "1 of 2 failed: serving parity, refitted"),
    ]
    assert verdict_rows(replace(decision, evidence={}))[1:] == [("Compared", "with nothing"), ("Checked", "nothing")]


def test_a_check_of_what_a_model_does_not_have_is_not_counted(known: ArtifactStore) -> None:
    """Of the three models lightgcn alone has epochs, and none has popularity's validation beside."""
    of_models = {(one.model, one.name) for one in checks.checks(known.root, "tiny") if one.name.startswith("loss")}
    assert of_models == {("lightgcn", "loss_is_finite"), ("lightgcn", "loss_falls")}
    assert not any(one.name == "reaches_popularity" for one in checks.checks(known.root, "tiny"))


def test_a_failing_check_stands_on_top(visit: Open, known: ArtifactStore) -> None:
    """popularity's index has a recall of 0.5."""
    found = {(one.model, one.name): one.passed for one in checks.checks(known.root, "tiny")}
    assert found[("ease", "index_finds_the_best")]
    assert not found[("popularity", "index_finds_the_best")]
    assert "✗ popularity (cpu), index finds the best: Flat: recall@10" in text(visit(known, "operations"))


def test_a_damaged_feedback_log_is_a_note(visit: Open, damaged: ArtifactStore) -> None:
    log_file(damaged.root, "tiny").write_bytes(b"no database" * 100)
    assert "The feedback log of tiny cannot be read" in text(visit(damaged, "operations"))


def test_a_damaged_decision_is_a_note(visit: Open, damaged: ArtifactStore) -> None:
    first, _ = sorted(path for path in (damaged.root / "release_decision" / "tiny").iterdir() if path.is_dir())
    (first / "decision.json").write_text("{", encoding="utf-8")
    app = visit(damaged, "operations")
    assert f"1 decision cannot be read and is left out, the newest of them {first}" in text(app)
    assert app.selectbox(key="decision").options, "the other one is shown"


def test_decisions_that_are_all_damaged_are_not_called_absent(visit: Open, damaged: ArtifactStore) -> None:
    for path in (damaged.root / "release_decision" / "tiny").glob("*/decision.json"):
        path.unlink()
    said = text(visit(damaged, "operations"))
    assert "2 decisions cannot be read and are left out" in said
    assert "No decision about a release is recorded" not in said


def test_latencies_are_read_from_the_apis_metrics() -> None:
    """The median ends the first bucket that has answers; the 95th percentile is 9/10 of the way through the last."""
    (found,) = api_health.endpoints(EXPOSITION)
    assert (found.requests, found.errors, found.refused) == (20, 1, 0)
    assert found.median == pytest.approx(0.025)
    assert found.p95 == pytest.approx(0.05 + 0.05 * 9 / 10)
    assert found.mean == pytest.approx(0.045)


def test_no_endpoint_is_called_the_slowest_for_a_few_requests() -> None:
    def head(*requests: int) -> str:
        seen = [EndpointTraffic(f"/{n}", n, 0, 0, 0.1, 0.1, 1 / n) for n in requests]
        return " ".join(plots.latencies(plots.endpoint_rows(seen)).title.text)

    assert head(6, 200, 20) == "Slowest is /20: 95 % of its answers come within 50 ms"
    assert head(6, 19) == "Which endpoint is slowest is not known: none has had 20 requests"


@pytest.fixture
def api() -> Iterator[str]:
    """Answers as an API that is not ready."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ready = self.path == "/api/ready"
            body = json.dumps({"status": "empty", "serving": None, "refused": {"a/b": "broken"}})
            self.send_response(503 if ready else 200)
            self.end_headers()
            self.wfile.write((body if ready else EXPOSITION).encode())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_api_that_is_not_ready_says_why(api: str) -> None:
    found = Asking(lambda: api_health.ask(api), 60).latest(5)
    assert found is not None
    assert (found.ready, found.status, found.refused, found.problem) == (False, "empty", {"a/b": "broken"}, "")
    assert [one.endpoint for one in found.endpoints] == ["/api/recommend"]
    assert found.workers == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "file:///etc/hostname", "http://", "nonsense"])
def test_an_api_that_is_not_there_is_a_problem_and_no_exception(url: str, tmp_path: Path) -> None:
    assert api_health.ask(url).problem


def test_the_data_set_of_the_address_is_the_one_that_is_told_of(visit: Open, damaged: ArtifactStore) -> None:
    books = damaged.publish(
        Slot("trained_model", "books", "gmf", "cpu"), lambda folder: None, key="k", fingerprint="", facts={}
    )
    index = damaged.publish(
        books.slot.beside("faiss_index"), lambda folder: None, key="k", fingerprint="", parents={"trained_model": books}
    )
    damaged.point("serving", index, {})
    assert "**gmf** (cpu) is served since" in text(visit(damaged, "operations", data="books"))
    assert "**ease** (cpu) is served since" in text(visit(damaged, "operations", data="tiny"))
    assert {store.data: store.served for store in indices.index_versions(damaged.root) if store.served} == {
        "books": True,
        "tiny": True,
    }


def test_a_store_of_the_earlier_layout_is_a_sentence_and_no_page(visit: Open, tmp_path: Path) -> None:
    latest = tmp_path / "trained_model" / "ease" / "cpu" / "LATEST"
    latest.parent.mkdir(parents=True)
    latest.touch()
    app = visit(SimpleNamespace(root=tmp_path), "leaderboard")
    assert "materialize again" in app.error[0].value
    assert not app.title


def test_a_backtests_rows_are_of_the_metric_and_the_users_that_are_asked_for(known: ArtifactStore) -> None:
    (found,) = backtests.backtests(known.root, "tiny")
    rows = found.values("ndcg@10", "all")
    assert [(row["window"], row["users"], row["value"], row["from"]) for row in rows] == [
        (1, "all", 0.4, "2000-04-10"),
        (2, "all", 0.3, "2000-07-19"),
    ]
    assert found.values("ndcg@10", "with_history")[0]["users"] == "with_history"
    assert found.values("recall@10", "all") == found.values("ndcg@10", "nobody") == []
    lost = replace(found, windows=found.windows[:1])
    assert [row["window"] for row in lost.values("ndcg@10", "all")] == [1], "a window that is not described is left out"


def test_checks_that_are_looked_at_again_are_no_leak_canaries(known: ArtifactStore) -> None:
    found = checks.checks(known.root, "tiny")
    assert found
    assert not any(one.leak for one in found)
    failed = {(one.model, one.name) for one in found if not one.passed}
    assert ("popularity", "index_finds_the_best") in failed
    assert ("ease", "index_finds_the_best") not in failed


def test_a_leak_that_was_found_stands_among_the_checks_and_what_cannot_be_examined_has_not_passed(
    damaged: ArtifactStore,
) -> None:
    model = damaged.require(Slot("trained_model", "tiny", "ease", "cpu"))
    findings = [
        {"name": "graph_is_train", "passed": True, "sentence": "it is"},
        {"name": "memory_is_train", "passed": False, "sentence": "it is not"},
        "nonsense",
    ]
    damaged.publish(
        model.slot.beside("leak_canaries"), lambda folder: None, key="k", fingerprint="", facts={"findings": findings},
        parents={"trained_model": model},
    )  # fmt: skip
    (damaged.require(Slot("evaluation_report", "tiny", "ease", "cpu")).folder / "users.parquet").unlink()
    found = checks.checks(damaged.root, "tiny")
    leaks = [(one.of, one.name, one.passed, one.sentence) for one in found if one.leak]
    assert leaks == [
        (model.reference, "graph_is_train", True, "it is"), (model.reference, "memory_is_train", False, "it is not")
    ]  # fmt: skip
    (report,) = [one for one in found if (one.model, one.name) == ("ease", "report_adds_up")]
    assert not report.passed and "the evaluation report cannot be examined" in report.sentence


def test_what_was_said_is_counted_by_day_without_what_was_undone(tmp_path: Path) -> None:
    day, newest = 86_400, 20_000
    log = SqliteLog(log_file(tmp_path, "tiny"))
    when = (newest, newest, newest - feedback.DAYS + 1, newest - feedback.DAYS)
    log.record(
        [
            FeedbackEvent(str(number), 1, 10 + number, "not_interested", timestamp=at * day)
            for number, at in enumerate(when)
        ]
    )
    log.record([FeedbackEvent("undone", 1, 99, "click", timestamp=newest * day)])
    log.undo(1, "undone")
    log.expose([Exposure("shown", 1, (10,), at_ms=newest * day * 1000)])
    log.close()
    found = feedback.feedback(tmp_path, "tiny")
    assert found.problem == ""
    assert found.totals == {"not interested": 4, "list shown": 1}
    assert found.by_day == (
        {"day": "2024-08-06", "kind": "not interested", "events": 1},
        {"day": "2024-10-04", "kind": "list shown", "events": 1},
        {"day": "2024-10-04", "kind": "not interested", "events": 2},
    )
    assert feedback.data_sets(tmp_path) == ["tiny"]
    assert [path.rpartition("-")[2] for path, _, _ in feedback.signature(tmp_path)][1:] == ["wal"]


def test_a_pin_newer_versions_and_waiting_ratings_are_told(damaged: ArtifactStore) -> None:
    pin(damaged, "tiny", "for the holidays")
    log = SqliteLog(log_file(damaged.root, "tiny"))
    log.record([FeedbackEvent(f"r{n}", 9, 10 + n, "rating", rating=4.0) for n in range(3)])
    taken = log.newest_seq() - 2
    log.close()
    served = damaged.pointed("serving", "tiny")
    assert served is not None
    raw = damaged.require(Slot("raw_ratings", "tiny"))
    manifest = raw.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    content["facts"]["feedback"] = {"newest_seq": taken}
    manifest.write_text(json.dumps(content))
    found = releases.served(damaged.root, "tiny")
    assert found is not None
    assert found.waiting == 2
    assert found.pin.startswith("pinned since ") and found.pin.endswith("UTC: for the holidays")
    newer = damaged.publish(Slot("trained_model", "tiny", "ease", "cpu"), lambda folder: None, key="n", fingerprint="")
    found = releases.served(damaged.root, "tiny")
    assert found is not None
    assert (found.newer_model, found.newer_data) == (newer.created_at, "")


def test_what_is_served_is_told_with_its_origins_and_what_is_newer(
    known: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = releases.served(known.root, "tiny")
    assert found is not None
    assert (found.model, found.device, found.data, found.problem) == ("ease", "cpu", "tiny", "")
    assert found.trained_at and found.data_at and found.since
    assert (found.newer_data, found.newer_model, found.pin, found.measured) == ("", "", "", "")
    assert releases.served(known.root, "nothing") is None
    with monkeypatch.context() as patch:
        patch.setattr(releases, "MOST", 1)
        assert [one.decision.verdict for one in releases.decisions(known.root, "tiny")[0]] == ["kept"], "the newest"
    made, damaged = releases.decisions(known.root, "tiny")
    assert [(one.decision.verdict, one.carried_out) for one in made] == [("kept", True), ("promoted", True)]
    assert damaged == []
    assert releases.data_sets(known.root) == ["tiny"]
