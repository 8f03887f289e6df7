"""A run that was cut off goes on to the very weights that it would have reached."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from devices import DEVICES
from test_trainer import TRAIN, VALIDATION

from movierec_engine.data.dataset import Dataset
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import LightGCN, load_model, model_class
from movierec_engine.models.fitting import CheckpointPlace, Epoch, Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.training.checkpoint import Checkpoints
from movierec_engine.training.config import EarlyStoppingConfig, SchedulerConfig, TrainerConfig
from movierec_engine.training.trainer import train

CONFIG = TrainerConfig(
    max_epochs=8,
    learning_rate=0.02,
    batch_size=64,
    scheduler=SchedulerConfig("cosine", warmup_epochs=2),
    early_stopping=EarlyStoppingConfig(metric="ndcg@5"),
)
MODELS = {
    "lightgcn": {"embedding_dim": 8, "loss_type": "bpr", "dropout": 0.2},
    "ngcf": {
        "embedding_dim": 8,
        "hidden_dims": (8, 8),
        "loss_type": "sampled_softmax",
        "sampled_items": 4,
        "dropout": 0.1,
    },
    "ncf": {"mf_dim": 4, "mlp_layers": (8, 4), "dropout": 0.3, "loss_type": "bce"},
    "sasrec": {"embedding_dim": 8, "max_length": 6, "dropout": 0.2, "loss_type": "gbce", "sampled_items": 10},
    "recvae": {"hidden_dim": 8, "latent_dim": 4, "num_layers": 2, "encoder_epochs": 2, "anneal_epochs": 6},
}


class Killed(Exception):
    pass


def fit(
    name: str,
    checkpoints: Checkpoints | None = None,
    config: TrainerConfig = CONFIG,
    stop_after: int = 99,
    device: str = "cpu",
) -> tuple[GradientRecommender, list[Epoch]]:
    def cut_off(epoch: Epoch) -> None:
        if epoch.number == stop_after:
            raise Killed

    model = model_class(name)(model_class(name).Config(**MODELS[name]))
    assert isinstance(model, GradientRecommender)
    return model, run(model, cut_off, checkpoints, config, device)


def run(
    model: GradientRecommender,
    on_epoch: Callable[[Epoch], None],
    checkpoints: Checkpoints | None,
    config: TrainerConfig = CONFIG,
    device: str = "cpu",
) -> list[Epoch]:
    """Train with checkpoints, or without any."""
    place = None
    if checkpoints:
        place = CheckpointPlace(checkpoints.place, checkpoints.run, checkpoints.resume_own)
        config = replace(config, resume=checkpoints.resume, checkpoint_seconds=checkpoints.seconds_between)
    fitting = Fitting(config, device, 3, evaluator=Evaluator([5]), on_epoch=on_epoch, checkpoints=place)
    return train(model, Dataset(TRAIN, VALIDATION), fitting)


def assert_equal(one: GradientRecommender, other: GradientRecommender) -> None:
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("stop_after", [1, 5])
def test_a_resumed_run_ends_with_the_same_weights_to_the_bit(
    name: str, stop_after: int, device: str, tmp_path: Path
) -> None:
    whole, epochs = fit(name, device=device)
    with pytest.raises(Killed):
        fit(name, Checkpoints(tmp_path, name, "a run"), stop_after=stop_after, device=device)
    resumed, resumed_epochs = fit(name, Checkpoints(tmp_path, name, "a run", resume=True), device=device)
    assert_equal(whole, resumed)
    assert [(e.number, e.loss, e.metrics) for e in epochs] == [(e.number, e.loss, e.metrics) for e in resumed_epochs]


def test_a_finished_run_can_be_resumed_for_more_epochs(tmp_path: Path) -> None:
    config = replace(CONFIG, scheduler=SchedulerConfig())
    whole, _ = fit("lightgcn", config=config)
    fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"), replace(config, max_epochs=3))
    resumed, history = fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run", resume=True), config)
    assert_equal(whole, resumed)
    assert len(history) == 8


def test_a_run_that_had_stopped_early_stays_stopped(tmp_path: Path) -> None:
    config = replace(CONFIG, early_stopping=EarlyStoppingConfig(metric="ndcg@5", patience=1, min_delta=1.0))
    first, _ = fit("ncf", Checkpoints(tmp_path, "ncf", "a run"), config)
    again, history = fit("ncf", Checkpoints(tmp_path, "ncf", "a run", resume=True), config)
    assert len(history) == 2
    assert_equal(first, again)


@pytest.mark.parametrize("resumed_after", [1, 3, 4])
def test_a_run_that_is_cut_off_past_its_best_epoch_goes_on_to_the_same_end(tmp_path: Path, resumed_after: int) -> None:
    """Patience goes on from the best epoch, whose weights are restored, not from where the run was resumed."""
    config = replace(
        CONFIG,
        max_epochs=40,
        learning_rate=0.3,
        scheduler=SchedulerConfig(),
        early_stopping=EarlyStoppingConfig(metric="ndcg@5", patience=4),
    )
    whole, expected = fit("lightgcn", config=config)
    best = int(np.argmax([epoch.metrics["ndcg@5"] for epoch in expected])) + 1
    assert len(expected) == best + 4 < 40
    checkpoints = Checkpoints(tmp_path, "lightgcn", "a run")
    with pytest.raises(Killed):
        fit("lightgcn", checkpoints, config, stop_after=best + resumed_after - 1)
    resumed, history = fit("lightgcn", replace(checkpoints, resume=True), config)
    assert [epoch.metrics for epoch in history] == [epoch.metrics for epoch in expected]
    assert_equal(whole, resumed)


def test_a_checkpoint_is_written_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    """An hour between two: the run leaves the last and the best as it ends, and nothing when it is cut off."""
    rare = Checkpoints(tmp_path, "lightgcn", "a run", seconds_between=3600)
    with pytest.raises(Killed):
        fit("lightgcn", rare, stop_after=3)
    assert list(tmp_path.iterdir()) == []
    fit("lightgcn", rare)
    assert {path.name for path in tmp_path.iterdir()} == {"lightgcn_last.pt", "lightgcn_best.pt"}


def test_checkpoints_keep_their_least_time_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds from the start to the first, and from each to the next."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, "lightgcn", "a run", seconds_between=10, _started=0.0)
    model, state = fit("lightgcn")[0], object()
    written: list[float] = []
    monkeypatch.setattr(Checkpoints, "write_last", lambda *of: written.append(now[0]))
    for second in (4, 8, 10, 16, 19, 20, 24, 35, 44, 45):
        now[0] = second
        checkpoints.epoch_ended(model, state, improved=False)  # type: ignore[arg-type]
    assert written == [10, 20, 35, 45]
    assert not checkpoints.best.exists(), "no epoch was better"


def test_the_best_checkpoint_of_a_run_that_was_cut_off_is_that_of_the_best_epoch(tmp_path: Path) -> None:
    config = replace(CONFIG, max_epochs=40, learning_rate=0.3, scheduler=SchedulerConfig())
    _, history = fit("lightgcn", config=config)
    values = [epoch.metrics["ndcg@5"] for epoch in history]
    stop = next(n for n in range(2, len(values)) if values[n] <= max(values[:n])) + 1
    with pytest.raises(Killed):
        fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"), config, stop_after=stop)
    best = load_model(tmp_path / "lightgcn_best.pt")
    last = LightGCN.load(tmp_path / "lightgcn_last.pt")
    assert Evaluator([5]).evaluate(best, VALIDATION).metrics["ndcg@5"] == max(values[:stop])
    assert Evaluator([5]).evaluate(last, VALIDATION).metrics["ndcg@5"] == values[stop - 1]


def test_a_training_of_its_own_goes_on_and_passes_by_what_is_not(tmp_path: Path) -> None:
    """`resume_own`: the same weights with one epoch to do; another run's checkpoint and a damaged one are left."""
    own = Checkpoints(tmp_path, "lightgcn", "a run", resume_own=True)
    with pytest.raises(Killed):
        fit("lightgcn", own, stop_after=7)
    seen: list[int] = []
    model = LightGCN(LightGCN.Config(**MODELS["lightgcn"]))
    run(model, lambda epoch: seen.append(epoch.number), own)
    assert seen == [8]
    assert_equal(fit("lightgcn")[0], model)
    assert_equal(fit("lightgcn", replace(own, run="another run"))[0], model)
    own.last.write_bytes(b"half")
    assert_equal(fit("lightgcn", own)[0], model)


def test_the_best_checkpoint_is_the_model_that_training_returned(tmp_path: Path) -> None:
    model, _ = fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"))
    loaded = LightGCN.load(tmp_path / "lightgcn_best.pt")
    assert_equal(model, loaded)
    assert loaded.config == model.config
    assert Evaluator([5]).evaluate(loaded, VALIDATION).metrics == Evaluator([5]).evaluate(model, VALIDATION).metrics


def test_without_resume_training_starts_afresh_beside_an_old_checkpoint(tmp_path: Path) -> None:
    fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "another run"))
    fresh, history = fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"))
    assert_equal(fit("lightgcn")[0], fresh)
    assert len(history) == 8


def test_resuming_without_a_checkpoint_starts_afresh(tmp_path: Path) -> None:
    resumed, _ = fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run", resume=True))
    assert_equal(fit("lightgcn")[0], resumed)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"))
    with pytest.raises(ConfigError, match=r"lightgcn_last\.pt was made with other settings or data"):
        fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "another run", resume=True))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run"))
    for name in ("last", "best"):
        path = tmp_path / f"lightgcn_{name}.pt"
        path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(StoreError, match=r"lightgcn_last\.pt: not a readable checkpoint"):
        fit("lightgcn", Checkpoints(tmp_path, "lightgcn", "a run", resume=True))
    with pytest.raises(StoreError, match=r"lightgcn_best\.pt: not a readable checkpoint"):
        LightGCN.load(tmp_path / "lightgcn_best.pt")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing_best\.pt: there is no such checkpoint"):
        LightGCN.load(tmp_path / "nothing_best.pt")


def test_a_pickled_program_is_not_run(tmp_path: Path) -> None:
    import torch

    class Program:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"description": {}, "arrays": {}, "training": Program()}, tmp_path / "evil.pt")
    with pytest.raises(StoreError, match="not a readable checkpoint"):
        LightGCN.load(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_process_killed_at_any_moment_is_resumed_to_the_same_weights(small_data: list[str], tmp_path: Path) -> None:
    """The real command line under SIGKILL, at moments spread over the run, each time going on from what was written."""
    overrides = ["model=lightgcn", "trainer.max_epochs=80", "trainer.early_stopping.enabled=false", *small_data]
    command = [sys.executable, "-m", "movierec_engine.train", *overrides]
    whole = [*command, f"paths.artifacts={tmp_path / 'whole'}", f"paths.checkpoints={tmp_path / 'c1'}"]
    subprocess.run(whole, check=True, capture_output=True)
    cut = [*command, f"paths.artifacts={tmp_path / 'cut'}", f"paths.checkpoints={tmp_path / 'c2'}"]
    cut += ["trainer.checkpoint_seconds=0"]
    last, codes = tmp_path / "c2" / "lightgcn_last.pt", []
    for _ in range(2):
        before = last.stat().st_mtime_ns if last.exists() else 0
        process = subprocess.Popen(
            [*cut, "trainer.resume=true"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and last.stat().st_mtime_ns != before:
                time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        codes.append(process.wait())
    assert -signal.SIGKILL in codes, "it must be cut off in the middle; on a busy machine it may be over before"
    subprocess.run([*cut, "trainer.resume=true"], check=True, capture_output=True)
    one, other = (LightGCN.load(tmp_path / folder / "lightgcn_best.pt") for folder in ("c1", "c2"))
    assert_equal(one, other)
