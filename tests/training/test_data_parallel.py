"""One training on several workers: the weights of one, whoever is killed meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from several_workers import kept_team
from test_trainer import NDCG, TRAIN, VALIDATION

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator, shared_ranking
from movierec_engine.evaluation.rankings import block_rows
from movierec_engine.models import ALS
from movierec_engine.models.base import Recommender
from movierec_engine.models.classic import half_sweeps
from movierec_engine.models.fitting import CheckpointPlace, Epoch, Fitting
from movierec_engine.models.registry import model_class
from movierec_engine.training import data_parallel
from movierec_engine.training.config import TrainerConfig
from movierec_engine.workers.team import WorkerLost
from worlds import interactions_of

CONFIG = replace(NDCG, max_epochs=2)
SMALL, RECVAE = {"embedding_dim": 8}, {"hidden_dim": 8, "latent_dim": 4}


@pytest.fixture(scope="module")
def start_two() -> Iterator[Any]:
    with kept_team(2) as start:
        yield start


def fit(name: str, trainer: TrainerConfig, fitting: dict[str, Any] | None = None, **model: Any) -> Recommender:
    kind = model_class(name)
    how = Fitting(trainer, seed=1, evaluator=Evaluator([5]), **(fitting or {}))
    return kind(kind.Config(**model)).fit(Dataset(TRAIN, VALIDATION), how)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model", "trainer"),
    [
        ("lightgcn", SMALL, {}),
        ("lightgcn", {**SMALL, "loss_type": "sampled_softmax", "sampled_items": 4}, {"grad_clip": 0.05}),
        ("lightgcn", SMALL, {"batch_size": 4}),  # of whose batches a worker often has nothing
        ("ncf", {"mf_dim": 8, "mlp_layers": (8, 4)}, {"accumulate_grad_batches": 2, "weight_decay": 1e-3}),
        ("sasrec", {**SMALL, "dropout": 0.3, "max_length": 3}, {"batch_size": 6}),
        ("sasrec", {**SMALL, "dropout": 0.3, "loss_type": "gbce", "sampled_items": 5, "relative_time": "never"}, {}),
    ],
)
def test_two_workers_reach_the_weights_of_one(
    name: str, model: dict[str, Any], trainer: dict[str, Any], start_two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_parallel, "start_team", start_two)
    config = replace(CONFIG, **trainer)
    one, two = fit(name, config, **model), fit(name, replace(config, workers=2), **model)
    assert_equal(one, two)
    for alone, together in zip(one.epochs, two.epochs, strict=True):
        assert together.loss == pytest.approx(alone.loss, rel=1e-4)
        assert together.metrics == pytest.approx(alone.metrics, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model", "trainer"),
    [
        ("gmf", {"mf_dim": 8, "loss_type": "bpr"}, {}),
        ("lightgcn", {**SMALL, "loss_type": "bce", "dropout": 0.1}, {"batch_size": 3}),
        (
            "recvae",
            {"hidden_dim": 8, "latent_dim": 4, "loss_type": "sampled_softmax", "sampled_items": 4},
            {"batch_size": 4},
        ),
    ],
)
def test_what_each_worker_draws_itself_trains_as_well(
    name: str, model: dict[str, Any], trainer: dict[str, Any], start_two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_parallel, "start_team", start_two)
    config = replace(CONFIG, workers=2, max_epochs=3, **trainer)
    first, again = fit(name, config, **model), fit(name, config, **model)
    assert first.epochs[-1].loss < first.epochs[0].loss
    for key, tensor in first.tensors().items():
        assert np.isfinite(tensor).all()
        assert np.array_equal(tensor, again.tensors()[key]), "the same seed gives the same weights to the bit"


@pytest.mark.slow
def test_a_killed_worker_costs_its_epoch_and_not_the_weights() -> None:
    """One of the two is killed after the first epoch; a team that other tests keep is not this training's."""
    before = own_workers()
    killed = []

    def kill(epoch: Epoch) -> None:
        if not killed:
            killed.append(next(one for one in own_workers() if one not in before))
            killed[0].kill()

    two = fit("gmf", replace(CONFIG, workers=2), {"on_epoch": kill}, mf_dim=8)
    one = fit("gmf", CONFIG, mf_dim=8)
    assert killed
    assert [epoch.number for epoch in two.epochs] == [1, 2]
    assert_equal(one, two)
    assert own_workers() == before


@pytest.mark.slow
def test_a_killed_training_leaves_no_process_and_resumes_on_any_number_of_workers(tmp_path: Path) -> None:
    """It is killed in its second epoch; one worker goes on from its checkpoint, to the weights that one alone has."""
    program = (
        "import sys, time; sys.path[:0] = ['tests', 'tests/training']\n"
        "from dataclasses import replace; from pathlib import Path\n"
        "from test_data_parallel import CONFIG, checkpoints, fit\n"
        "def wait(epoch):\n"
        "    if epoch.number == 2: print('here', flush=True); time.sleep(60)\n"
        f"how = {{'on_epoch': wait, 'checkpoints': checkpoints(Path({str(tmp_path)!r}))}}\n"
        "fit('gmf', replace(CONFIG, workers=2, max_epochs=4, checkpoint_seconds=0), how, mf_dim=8)\n"
    )
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert started.stdout and started.stdout.readline() == "here\n"
    workers = own_workers(started.pid)
    assert len(workers) == 2
    started.kill()
    started.wait()
    psutil.wait_procs(workers, timeout=20)
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    config = replace(CONFIG, max_epochs=4, resume=True, checkpoint_seconds=0)
    resumed = fit("gmf", config, {"checkpoints": checkpoints(tmp_path)}, mf_dim=8)
    whole = fit("gmf", replace(config, resume=False), mf_dim=8)
    assert len(resumed.epochs) == 4
    assert_equal(whole, resumed)


def test_blocks_of_als_on_two_workers_reach_the_vectors_of_one(start_two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_sweeps, "start_team", start_two)
    one, two = (fit("als", replace(CONFIG, workers=workers), embedding_dim=8) for workers in (1, 2))
    assert_equal(one, two)


@pytest.mark.parametrize("losses", [(1,), (2,), (4,), (9, 10), (12,), (15, 19), (60,), (61,)])
def test_sweeps_whose_worker_is_lost_go_on_from_the_vectors_that_were_gathered_last(
    losses: tuple[int, ...], start_two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half sweep is three calls: gram, turned and solve; the last two of a training fetch the vectors."""
    calls: list[str] = []

    class Losing:
        def __init__(self, team: Any) -> None:
            self.team, self.close = team, team.close

        def all(self, method: str, *arguments: Any) -> Any:
            self._count(method)
            return self.team.all(method, *arguments)

        def gather(self, method: str, *arguments: Any) -> Any:
            self._count(method)
            return self.team.gather(method, *arguments)

        def _count(self, method: str) -> None:
            calls.append(method)
            if len(calls) in losses:
                raise WorkerLost("one is gone")

    def losing(*arguments: Any, **others: Any) -> Any:
        return Losing(start_two(*arguments, **others))

    monkeypatch.setattr(half_sweeps, "start_team", losing)
    one, two = (fit("als", replace(CONFIG, workers=workers), embedding_dim=8) for workers in (1, 2))
    assert len(calls) >= 6 * ALS().config.epochs + 2 + len(losses)
    assert_equal(one, two)


def test_sweeps_that_lose_their_workers_again_and_again_say_so(start_two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise WorkerLost("worker 1 of 2 was ended by signal 9")

    monkeypatch.setattr(half_sweeps, "start_team", lost)
    with pytest.raises(WorkerLost, match="signal 9"):
        fit("als", replace(CONFIG, workers=2), embedding_dim=8)


def test_rankings_by_two_workers_are_those_of_one_process_to_the_bit(
    start_two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In three blocks of users, of whom a third have nothing held out."""
    monkeypatch.setattr(shared_ranking, "start_team", start_two)
    rng, users, items = np.random.default_rng(3), IdMap(np.arange(3000)), IdMap(np.arange(2900))
    pairs = np.stack([np.repeat(np.arange(3000), 8), rng.integers(2900, size=24_000)], axis=1)
    held = (rng.random(len(pairs)) < 0.3) & (pairs[:, 0] % 3 > 0)
    train, rest = interactions_of(pairs[~held], users, items), interactions_of(pairs[held], users, items)
    model = ALS(embedding_dim=8, epochs=1).fit(Dataset(train))
    heldout = HeldOut(rest, train.matrix(), "train", Catalogue.of(train))
    assert block_rows(len(items)) < 1000
    one, two = (Evaluator().evaluate(model, heldout, trainer=TrainerConfig(workers=workers)) for workers in (1, 2))
    assert one.metrics == two.metrics
    for name in ("users", "lists", "rank", "tied"):
        assert np.array_equal(getattr(one.rankings, name), getattr(two.rankings, name))


def test_an_ensemble_gives_workers_to_those_of_its_members_that_take_them(
    start_two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_sweeps, "start_team", start_two)
    config = replace(CONFIG, workers=2)
    ensemble = fit("hybrid_ensemble", config, models=("ease", "als"), learn_weights=False)
    assert [member.trainer.workers for member in ensemble.members] == [1, 2]


@pytest.mark.parametrize("name", ["ease", "item_cf", "svd", "popularity", "ngcf"])
def test_a_model_that_several_workers_cannot_fit_says_so(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is fitted by one worker; leave trainer\.workers=2 out"):
        fit(name, replace(CONFIG, workers=2))


def test_a_device_of_a_number_is_not_for_several_workers() -> None:
    with pytest.raises(ConfigError, match=r"needs device=cpu or device=cuda, .* this run is on cuda:1"):
        data_parallel.check_workers(replace(CONFIG, workers=2), "cuda:1", 30)


def test_more_workers_than_users_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.workers=31 are more than the 30 users"):
        fit("lightgcn", replace(CONFIG, workers=31), **SMALL)


def assert_equal(one: Recommender, other: Recommender) -> None:
    """Scores are equal up to rounding and a constant, of which a softmax knows nothing."""
    scores = [model.score_users(np.arange(TRAIN.n_users)) for model in (one, other)]
    ours, theirs = (each - each.mean(axis=1, keepdims=True) for each in scores)
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(ours).max()


def checkpoints(folder: Path) -> CheckpointPlace:
    return CheckpointPlace(folder, "a run")


def own_workers(of: int | None = None) -> list[psutil.Process]:
    """Processes that a process, this one unless given, has as workers."""
    return [
        one
        for one in psutil.Process(of).children()
        if one.status() != psutil.STATUS_ZOMBIE and "movierec_engine.workers.process" in one.cmdline()
    ]
