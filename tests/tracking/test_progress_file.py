"""A run's progress file: complete at any moment, gone when the run is finished, kept when it failed."""

import json
import logging
from pathlib import Path

import pytest

from movierec_engine.errors import DataError
from movierec_engine.tracking import LoggerConfig, make_tracker
from movierec_engine.tracking import progress_file as module
from movierec_engine.tracking.progress_file import ProgressFile
from movierec_engine.tracking.tracker import Trackers, ended

PARAMS = {"model.name": "gmf", "device": "cpu", "trainer.max_epochs": 3, "trainer.early_stopping.metric": "ndcg@10"}


def files(root: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in (root / "progress").glob("*.json")]


def test_a_run_shows_its_epochs_and_then_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0.0)
    progress = ProgressFile(tmp_path)
    progress.start("gmf-cpu-1", PARAMS)
    progress.log({"train/loss": 0.5, "train/seconds": 2.0, "validation/ndcg@10": 0.1}, 1)
    progress.log({"test/ndcg@10": 0.2})
    (shown,) = files(tmp_path)
    assert shown["epochs"] == [{"epoch": 1, "loss": 0.5, "seconds": 2.0, "ndcg@10": 0.1}]
    assert (shown["model"], shown["max_epochs"], shown["state"]) == ("gmf", 3, "running")
    progress.finish("finished")
    assert files(tmp_path) == []


def test_quick_epochs_are_written_together(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path)
    progress.start("run", PARAMS)
    for epoch in range(1, 1000):
        progress.log({"train/loss": 0.5}, epoch)
    assert files(tmp_path)[0]["epochs"] == []
    progress._written -= 1
    progress.log({"train/loss": 0.5}, 1000)
    assert len(files(tmp_path)[0]["epochs"]) == 1000  # type: ignore[arg-type]
    progress.finish("failed")
    (left,) = files(tmp_path)
    assert left["state"] == "failed"
    assert len(left["epochs"]) == 1000  # type: ignore[arg-type]


def test_what_a_dead_run_left_is_swept_by_the_next(tmp_path: Path) -> None:
    left = ProgressFile(tmp_path)
    left.start("killed", PARAMS)
    (path,) = (tmp_path / "progress").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": 2**30}))
    elsewhere = json.loads(path.read_text()) | {"place": "elsewhere", "name": "elsewhere"}
    path.with_name("1-elsewhere.json").write_text(json.dumps(elsewhere))
    forgotten = elsewhere | {"changed": elsewhere["changed"] - 2 * 86_400}
    path.with_name("2-forgotten.json").write_text(json.dumps(forgotten))
    ProgressFile(tmp_path).start("next", PARAMS)
    left_over = sorted(str(one["name"]) for one in files(tmp_path))
    assert left_over == ["elsewhere", "next"], "of another machine nobody knows before a day has gone by"


@pytest.mark.slow
def test_a_store_that_cannot_be_written_stops_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "progress").write_text("a file is in the way")
    logging.getLogger("movierec_engine").propagate = True
    trackers = make_tracker(LoggerConfig(use_mlflow=False), tmp_path, "test")
    assert isinstance(trackers, Trackers)
    trackers.start("run", PARAMS)
    trackers.log({"train/loss": 1.0}, 1)
    trackers.finish("finished")
    assert [text for text in caplog.messages if "ProgressFile: no longer recording" in text]


def test_a_run_that_a_person_ends_leaves_no_file_and_one_that_fails_does(tmp_path: Path) -> None:
    for error, left in (
        (KeyboardInterrupt(), []),
        (ValueError("no such thing"), ["ValueError: no such thing"]),
        (DataError("ratings.csv: line 2: no rating; mend it"), ["ratings.csv: line 2: no rating; mend it"]),
    ):
        progress = ProgressFile(tmp_path)
        progress.start("run", PARAMS)
        with pytest.raises(type(error)), ended(progress):
            raise error
        found = files(tmp_path)
        assert [one.get("reason") for one in found if one["state"] == "failed"] == left
        for path in (tmp_path / "progress").glob("*.json"):
            path.unlink()
