"""Workers on a Ray cluster of several nodes: the same as on one machine, and a node that is lost is made good."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adding import Adding
from ports import free_port

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS
from movierec_engine.models.fitting import Epoch, Fitting
from movierec_engine.models.registry import model_class
from movierec_engine.store import ArtifactStore, Slot, kinds
from movierec_engine.training.config import EarlyStoppingConfig, TrainerConfig
from movierec_engine.tuning.sweep import search
from movierec_engine.workers.start import start_team
from worlds import interactions_of

RNG = np.random.default_rng(5)
PAIRS = np.array([(u, i) for u in range(30) for i in RNG.choice(12, 8, replace=False) * 2 + u % 2])
CONFIG = TrainerConfig(
    max_epochs=2, learning_rate=0.02, batch_size=64, early_stopping=EarlyStoppingConfig(metric="ndcg@5")
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([path, *sys.path])  # so that nodes find `adding`
    made = Cluster()
    for head in (True, False):
        patiently(lambda head=head: made.add_node(num_cpus=1, **({"include_dashboard": False} if head else {})))
    try:
        yield made
    finally:
        made.shutdown()
        os.environ["PYTHONPATH"] = path


def patiently(start: Callable[[], object]) -> None:
    """Start a node, which Ray gives half a minute, too little on a machine with much other work."""
    for left in (2, 1, 0):
        try:
            start()
            return
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise


@pytest.mark.slow
def test_two_nodes_train_the_model_of_one_process_and_outlive_the_loss_of_one(cluster: Any) -> None:
    with start_team(Adding, [(0,), (2,)], 2, ray_address=cluster.address) as team:
        assert team.call("plus", [(10,), (20,)]) == [10, 22]
        shared, gathered = team.gather("row", (3,), [1, 1], 3)
        assert gathered.tolist() == [[0, 0, 0], [2, 2, 2]]
        assert team.all("total", shared) == [6.0, 6.0]
        with pytest.raises(DataError, match="worker 2 refuses; ask another"):
            team.all("refuse")
    with pytest.raises(ConfigError, match="3 workers on Ray need 3 CPUs and the cluster has 2"):
        start_team(Adding, [(1,)] * 3, 3, ray_address=cluster.address)
    data = Dataset(interactions_of(PAIRS, IdMap(np.arange(30)), IdMap(np.arange(24))))
    ray = replace(CONFIG, workers=2, ray_address=cluster.address)
    one, two = (ALS(embedding_dim=8).fit(data, Fitting(trainer)) for trainer in (CONFIG, ray))
    assert np.allclose(one.item_factors, two.item_factors, atol=1e-4)

    def lose(epoch: Epoch) -> None:
        if epoch.number == 1:
            patiently(lambda: cluster.add_node(num_cpus=1))
            cluster.remove_node(next(iter(node for node in cluster.worker_nodes)))

    kind = model_class("lightgcn")
    first, second = (
        kind(kind.Config(embedding_dim=8)).fit(data, Fitting(trainer, seed=1, evaluator=Evaluator([5]), on_epoch=told))
        for trainer, told in ((CONFIG, None), (ray, lose))
    )
    assert np.allclose(first.item_vectors(), second.item_vectors(), atol=1e-5)


@pytest.mark.slow
def test_a_sweep_over_two_nodes_finds_what_it_finds_here(cluster: Any, small_data: list[str], tmp_path: Path) -> None:
    """The first values are drawn whatever the results, so that they are the same; each store has its reports."""
    found = []
    for name, own in {"here": [], "ray": ["n_jobs=2", f"trainer.ray_address={cluster.address}"]}.items():
        store = ArtifactStore(tmp_path / name)
        swept = search(["model=ease", "n_trials=4", *small_data, f"paths.artifacts={store.root}", *own])
        reports = store.versions(Slot(kinds.EVALUATION_REPORT, "camps", "ease", "cpu"))
        assert {one.report for one in swept.trials} == {one.reference for one in reports}
        found.append({one.overrides[-1]: one.validation for one in swept.trials})
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_a_cluster_that_does_not_answer_is_said_in_one_sentence() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConfigError, match=rf"no Ray cluster answers at trainer\.ray_address={address} .*ray start"):
        start_team(Adding, [(1,)], 1, ray_address=address)


def test_a_head_that_does_not_let_in_is_not_called_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would need a head with a token, and half a minute of tries."""

    def refuse(**settings: object) -> None:
        raise RuntimeError("Failed to connect to Ray cluster")

    monkeypatch.setattr("ray.init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"what listens at trainer\.ray_address={address} .*RAY_AUTH_TOKEN"):
            start_team(Adding, [(1,)], 1, ray_address=address)
