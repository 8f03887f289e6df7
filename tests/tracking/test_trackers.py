"""Trackers as a training run sees them: they record in order, and none stops or slows it."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from movierec_engine.store import Artifact
from movierec_engine.tracking import tracker as module
from movierec_engine.tracking.tracker import End, Trackers

EVERYTHING = ["start", *(f"epoch {number}" for number in range(5)), "finished"]


class Notebook:
    """Writes down what it is told; `trouble` may fail or block before each note."""

    def __init__(self, trouble: Any = None) -> None:
        self.notes: list[object] = []
        self._trouble = trouble or (lambda what: None)

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        self._note("start")

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._note("whole run" if step is None else f"epoch {step}")

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        self._note("outcome")

    def finish(self, end: End, reason: str = "") -> None:
        self._note(end)

    def ids(self) -> dict[str, str]:
        return {"notebook": "1"}

    def _note(self, what: object) -> None:
        self._trouble(what)
        self.notes.append(what)


def run(tracker: Trackers, epochs: int = 5) -> None:
    tracker.start("run", {})
    for epoch in range(epochs):
        tracker.log({"loss": 1.0}, epoch)
    tracker.finish("finished")


def test_everything_is_recorded_in_order_before_the_run_ends() -> None:
    notebook = Notebook()
    run(Trackers([notebook]))
    assert notebook.notes == EVERYTHING


def test_numbers_of_the_whole_run_are_recorded_when_log_returns() -> None:
    notebook = Notebook(lambda what: time.sleep(0.05))
    Trackers([notebook]).log({"test/ndcg@10": 0.5})
    assert notebook.notes == ["whole run"]


def test_an_epoch_does_not_wait_for_a_slow_tracker() -> None:
    release = threading.Event()
    notebook = Notebook(lambda what: release.wait(60) if "epoch" in str(what) else None)
    tracker = Trackers([notebook])
    tracker.start("run", {})
    started = time.perf_counter()
    for epoch in range(100):
        tracker.log({"loss": 1.0}, epoch)
    assert time.perf_counter() - started < 30
    release.set()
    tracker.finish("finished")
    assert notebook.notes == ["start", *(f"epoch {number}" for number in range(100)), "finished"]


@pytest.mark.parametrize("where", ["start", "epoch 2", "finished"])
def test_a_failing_tracker_is_dropped_with_one_warning_and_the_others_go_on(
    where: str, warnings: pytest.LogCaptureFixture
) -> None:
    def fail(what: object) -> None:
        if what == where:
            raise OSError("no\nnetwork to https://me:secret@host")

    broken, notebook = Notebook(fail), Notebook()
    tracker = Trackers([broken, notebook])
    run(tracker)
    assert warnings.messages == ["Notebook: no longer recording this run (OSError: no network to https://host)"]
    assert broken.notes == EVERYTHING[: EVERYTHING.index(where)], "nothing is recorded after the failure"
    assert notebook.notes == EVERYTHING


def test_a_dropped_tracker_gives_no_ids() -> None:
    def fail(what: object) -> None:
        raise OSError

    tracker = Trackers([Notebook(fail)])
    tracker.start("run", {})
    assert tracker.ids() == {}
    assert Trackers([Notebook()]).ids() == {"notebook": "1"}


def test_nested_settings_are_dotted_names() -> None:
    assert module.flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": 3}) == {"a.b": 1, "a.c.d": [2], "e": 3}


def test_a_tracker_that_hangs_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    release = threading.Event()
    notebook = Notebook(lambda what: release.wait(60))
    started = time.perf_counter()
    run(Trackers([notebook]), epochs=1000)
    assert time.perf_counter() - started < 30
    assert warnings.messages == ["Notebook: no longer recording this run (it did not answer within 0.2 s)"]
    release.set()
