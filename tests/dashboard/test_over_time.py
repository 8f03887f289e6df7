"""What is served over time: its trainings, the decisions that mark them, and how people take every release."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import drawn, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots import drift as drift_plots
from dashboard.plots import event_marks
from dashboard.plots import over_time as plots
from dashboard.queries import backtests, drift, over_time
from dashboard.queries.over_time import Training
from dashboard.views import operations
from dashboard.views import over_time as over_time_view
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.release.notes import Note, pin_note
from movierec_engine.store import Artifact, ArtifactStore, Slot

Open = Callable[..., AppTest]

FIRST = Training("v1", "2026-01-01T00:00:00+00:00", "a" * 12, 0.2, 0.19, 0.21)
SECOND = replace(FIRST, version="v2", at="2026-01-02T00:00:00+00:00", value=0.25)


def test_every_training_of_a_model_has_its_metric_and_interval(known: ArtifactStore) -> None:
    (found,) = over_time.trainings(known.root, "tiny", "ease", "cpu", "ndcg@2")
    assert (found.value, found.low, found.high) == pytest.approx((1.9 / 3, 1.9 / 3 - 0.1, 1.9 / 3 + 0.1))
    assert over_time.trainings(known.root, "tiny", "ease", "cpu", "ndcg@10") == []
    assert over_time.trainings(known.root, "tiny", "nobody", "cpu", "ndcg@2") == []


def test_a_training_is_compared_with_the_one_before_in_its_own_set_up_alone() -> None:
    assert plots.conclusion([FIRST, SECOND], "als", "ndcg@10") == (
        "als: NDCG@10 0.2500 in the newest of 2 trainings, +0.0500 against the one before"
    )
    other = replace(SECOND, setup="b" * 12)
    assert plots.conclusion([FIRST, other], "als", "ndcg@10").endswith("of 2 trainings, the first in its set-up")


def test_marks_are_what_changed_the_served_model_since_the_first_training() -> None:
    def decision(verdict: str, at: str, done: bool = True) -> dict[str, object]:
        return {"at": at, "verdict": verdict, "served": "als", "reason": "", "carried out": done}

    rows = [
        decision("promoted", "2025-12-31T00:00:00Z"),
        decision("promoted", "2026-01-01T01:00:00Z"),
        decision("kept", "2026-01-01T02:00:00Z"),
        decision("rolled back", "2026-01-01T03:00:00Z", done=False),
        decision("rolled back", "2026-01-01T04:00:00Z"),
    ]
    found = event_marks.mark_rows(rows, FIRST.at[:19])
    assert [(row["verdict"], row["at"][11:13]) for row in found] == [("promoted", "01"), ("rolled back", "04")]


def test_every_release_has_its_click_and_like_rate_with_intervals(visit: Open, damaged: ArtifactStore) -> None:
    """Four lists of one version, of which one is clicked in, and two of another; those of no version are left out."""
    log = SqliteLog(log_file(damaged.root, "tiny"))
    versions = ["20260102T000000000Z-b"] * 2 + ["20260101T000000000Z-a"] * 4
    log.expose([Exposure(f"x{n}", n, (10,), model="ease", version=one) for n, one in enumerate(versions, start=10)])
    log.record(
        [
            FeedbackEvent("c", user_id=12, movie_id=10, kind="click", shown_in="x12"),
            FeedbackEvent("l", user_id=10, movie_id=10, kind="rating", rating=3.0, shown_in="x10"),
        ]
    )
    log.close()
    rates = over_time.release_rates(damaged.root, "tiny")
    assert [(row["version"][:8], row["lists"], row["click_rate"], row["like_rate"]) for row in rates] == [
        ("20260101", 4, 0.25, 0.0),
        ("20260102", 2, 0.0, 0.5),
    ], "3 is a like of an index that says so"
    app = visit(damaged, "operations")
    assert "ease 20260102-0000: click rate 0.0 % and like rate 50.0 % over 2 lists" in titles(app)
    assert "people are alerted when a rate's interval lies below" in text(app)


def test_what_takes_long_comes_once_the_rest_of_operations_stands_and_at_once_where_it_is_known(
    visit: Open, known: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noted(module: object, name: str) -> None:
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: [order.append(name), own(*given)][1])

    for module, name in ((over_time_view, "_drift"), (over_time_view, "_rates_of_releases"), (operations, "_checks"),
                         (operations, "_feedback"), (operations, "_api")):  # fmt: skip
        noted(module, name)
    app = visit(known, "operations")
    assert order == ["_checks", "_feedback", "_api", "_drift", "_rates_of_releases"]
    assert "are compared with those of the served model's training …" not in text(app), "it has been drawn over"
    order.clear()
    app.run()
    assert order == ["_drift", "_rates_of_releases", "_checks", "_feedback", "_api"]


def test_notes_that_hold_are_marks_from_the_first_training_on() -> None:
    at = "2026-01-0{}T00:00:00+00:00"
    notes = [
        Note("r", "too early", at=at.format(1)),
        Note("r", "new data", "ann", at=at.format(3)),
        Note("r", "a mistake", at=at.format(3), withdrawn_at=at.format(4)),
    ]
    rows = event_marks.note_rows(notes, "2026-01-02T00:00:00")
    assert rows == [{"at": "2026-01-03T00:00:00Z", "note": "new data", "by": "ann"}]
    assert "dotted: a note" in " ".join(plots.trained([FIRST], [], "ease", "ndcg@10", rows).title.subtitle)


def test_the_newest_data_are_compared_with_those_of_the_served_models_training(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def read(key: str, values: list[float]) -> Artifact:
        table = pa.table({"user_id": range(len(values)), "movie_id": [1] * len(values), "rating": values})
        return store.publish(
            Slot("raw_ratings", "small"),
            lambda folder: pq.write_table(table, folder / "ratings.parquet"),
            key=key,
            fingerprint="",
        )

    old = read("old", [3.0, 4.0] * 50)
    assert drift.since_training(tmp_path, "small") is None, "nothing is served"
    parents = {"raw_ratings": old}
    index = store.publish(Slot("faiss_index", "small", "ease", "cpu"), str, key="i", fingerprint="", parents=parents)
    store.point("serving", index, {})
    assert drift.since_training(tmp_path, "small") is None, "nothing newer"
    new = read("new", [3.0, 5.0] * 50)
    moved = drift.since_training(tmp_path, "small")
    assert moved is not None
    rows = {row["Of"]: row for row in drift_plots.table_rows(moved.drifts, DriftConfig())}
    assert {of: row["Verdict"] for of, row in rows.items()} == {
        "Users": "as before",
        "Items": "as before",
        "Ratings": "drifted",
    }
    assert rows["Ratings"]["Moved most"] == "4: 50.0 % before, 0.0 % now"
    assert drift_plots.conclusion(moved.drifts, DriftConfig()) == "Ratings have drifted"
    (new.folder / "ratings.parquet").write_text("half")
    assert drift.between(tmp_path, new, old) is None


def test_what_happened_is_counted_by_the_window_of_a_backtest_that_it_falls_into(known: ArtifactStore) -> None:
    """Windows from day 100 and 200 of the year 2000, the last until day 300; what comes later is of no window."""
    (found,) = backtests.backtests(known.root, "tiny")
    marks = [
        {"at": at, "verdict": verdict, "served": "als", "reason": ""}
        for at, verdict in (("2000-02-01T00:00:00Z", "promoted"), ("2000-05-01T00:00:00Z", "promoted"),
                            ("2000-06-01T00:00:00Z", "promoted"), ("2026-01-01T00:00:00Z", "rolled back"))
    ]  # fmt: skip
    notes = [{"at": "2000-05-02T00:00:00Z", "note": "Shop closed", "by": "Ada"}]
    rows = event_marks.in_periods(marks, notes, found.window_at)
    assert {(row["from"], row["what"]): row["count"] for row in rows} == {
        ("2000-04-10", "promoted"): 2,
        ("2000-04-10", "noted"): 1,
        (backtests.SINCE, "rolled back"): 1,
    }
    assert next(row["said"] for row in rows if row["what"] == "noted").endswith("noted: Ada: Shop closed")


def test_a_note_is_a_mark_on_the_trainings_and_the_backtest_and_stands_below_in_words(
    visit: Open, damaged: ArtifactStore
) -> None:
    report = damaged.require(Slot("evaluation_report", "tiny", "ease", "cpu"))
    pin_note(damaged, report.reference, "Half of the shop was closed.", "Ada")
    app = visit(damaged, "operations")
    happened = [row for row in drawn(app, "ease: NDCG@10 of") if row.get("from") == backtests.SINCE]
    assert any("noted: Ada: Half of the shop was closed." in row.get("said", "") for row in happened)
    assert {row["text"] for row in happened if "text" in row} == {"1 promoted, 1 note"}
    assert "Half of the shop was closed" in text(app)
