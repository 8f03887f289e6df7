"""Weights & Biases offline, and online without what it needs."""

import time
from pathlib import Path

import pytest
from pytest import CaptureFixture

from movierec_engine.cli import train as training
from movierec_engine.config import load_settings
from movierec_engine.store import ArtifactStore
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.config import LoggerConfig, WandbConfig
from movierec_engine.tracking.tracker import Trackers


def tracker(root: Path, mode: str) -> Trackers:
    return make_tracker(LoggerConfig(use_mlflow=False, use_wandb=True, wandb=WandbConfig(mode=mode)), root, "test")


def test_offline_is_the_default_and_needs_neither_key_nor_network() -> None:
    assert load_settings([]).logger.wandb.mode == WandbConfig().mode == "offline"


def test_online_without_a_key_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    online = tracker(tmp_path, "online")
    online.start("run", {})
    online.log({"loss": 1.0}, 1)
    online.finish("finished")
    assert warnings.messages == [
        "WandbTracker: no longer recording this run (ValueError: "
        "logger.wandb.mode=online needs WANDB_API_KEY in the environment)"
    ]


def test_online_without_a_network_is_given_up_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("movierec_engine.tracking.tracker.TIMEOUT_SECONDS", 1.0)
    online = tracker(tmp_path, "online")
    started = time.perf_counter()
    online.start("run", {})
    online.log({"loss": 1.0}, 1)
    online.finish("finished")
    assert time.perf_counter() - started < 30
    assert online.ids() == {}
    assert len(warnings.messages) == 1


@pytest.mark.slow
def test_in_a_sweep_of_wandbs_each_run_ends_with_the_best_so_far(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc123")
    command = [*small_data, "logger.use_wandb=true", "model=ease", f"paths.artifacts={tmp_path / 'store'}"]
    training.main([*command, "model.l2=100000"])
    assert "best trials" in capsys.readouterr().out
    training.main([*command, "model.l2=10"])
    table = capsys.readouterr().out
    assert table.index("model.l2=10 ") < table.index("model.l2=100000 "), "the best on validation stands first"
    (slot,) = ArtifactStore(tmp_path / "store").slots("evaluation_report")
    origins = [report.origin["wandb_sweep_id"] for report in ArtifactStore(tmp_path / "store").versions(slot)]
    assert origins == ["abc123", "abc123"]
