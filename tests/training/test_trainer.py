from dataclasses import replace

import numpy as np
import pytest

from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import LightGCN, Popularity
from movierec_engine.training.config import EarlyStoppingConfig, OptimizerConfig, TrainerConfig
from movierec_engine.training.trainer import EarlyStopping, Epoch, train
from worlds import interactions_of

RNG = np.random.default_rng(5)
USERS, ITEMS = IdMap(np.arange(30)), IdMap(np.arange(24))
PAIRS = np.array([(u, i) for u in range(30) for i in RNG.choice(12, 8, replace=False) * 2 + u % 2])
HELD = RNG.permutation(len(PAIRS)) < 40
TRAIN, REST = interactions_of(PAIRS[~HELD], USERS, ITEMS), interactions_of(PAIRS[HELD], USERS, ITEMS)
VALIDATION = HeldOut(REST, TRAIN.matrix(), "train")
CONFIG = TrainerConfig(max_epochs=6, learning_rate=0.02, batch_size=64)


def fit(config: TrainerConfig = CONFIG, seed: int = 1, **model: object) -> tuple[LightGCN, list[Epoch]]:
    recommender = LightGCN(LightGCN.Config(embedding_dim=8, num_negatives=2, **model))
    history = train(
        recommender,
        TRAIN,
        build_graph(TRAIN),
        VALIDATION,
        config,
        Evaluator([5]),
        device="cpu",
        seed=seed,
    )
    return recommender, history


NDCG = replace(CONFIG, early_stopping=EarlyStoppingConfig(metric="ndcg@5"))


@pytest.mark.parametrize("loss_type", ["softmax", "bpr"])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(loss_type: str) -> None:
    first, same, other = (fit(NDCG, seed=seed, loss_type=loss_type, dropout=0.2)[0] for seed in (1, 1, 2))
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, same.tensors()[name])
        assert not np.array_equal(tensor, other.tensors()[name])


@pytest.mark.parametrize("loss_type", ["softmax", "bpr"])
@pytest.mark.parametrize("cosine", [False, True])
def test_the_loss_falls_and_the_popularity_floor_is_cleared(loss_type: str, cosine: bool) -> None:
    config = replace(NDCG, max_epochs=25)
    temperature = 0.2 if cosine else 1.0
    _, history = fit(config, loss_type=loss_type, cosine=cosine, temperature=temperature, l2=1e-3)
    assert history[-1].loss < history[0].loss
    popularity = Popularity()
    popularity.fit(TRAIN)
    floor = Evaluator([5]).evaluate(popularity, VALIDATION).metrics["ndcg@5"]
    assert max(epoch.metrics["ndcg@5"] for epoch in history) > 1.3 * floor


def test_the_best_epochs_weights_are_restored() -> None:
    config = replace(
        NDCG, max_epochs=40, learning_rate=0.3, early_stopping=EarlyStoppingConfig(metric="ndcg@5", patience=4)
    )
    model, history = fit(config)
    values = [epoch.metrics["ndcg@5"] for epoch in history]
    best = int(np.argmax(values))
    assert len(history) == best + 1 + 4, "it stops when patience has run out"
    assert Evaluator([5]).evaluate(model, VALIDATION).metrics["ndcg@5"] == max(values)


def test_without_a_validation_part_it_trains_all_epochs() -> None:
    empty = HeldOut(REST.select(np.zeros(len(REST), dtype=bool)), TRAIN.matrix(), "train")
    history = train(LightGCN(), TRAIN, build_graph(TRAIN), empty, CONFIG, Evaluator([5]), device="cpu", seed=1)
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[0].metrics == {}


def test_a_metric_that_is_not_measured_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"ndcg@10 is not measured; choose one of precision@5"):
        fit(CONFIG)


def test_a_diverging_loss_says_what_to_lower() -> None:
    with pytest.raises(MovierecError, match=r"lower trainer\.learning_rate"):
        fit(NDCG, init_std=1e30)


@pytest.mark.parametrize(("mode", "min_delta", "expected"), [("max", 0.0, 3), ("min", 0.0, 2), ("max", 0.2, 1)])
def test_early_stopping_follows_mode_and_min_delta(mode: str, min_delta: float, expected: int) -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(metric="m", mode=mode, min_delta=min_delta))
    network = LightGCN().build(TRAIN, build_graph(TRAIN), __import__("torch").device("cpu"))
    for number, value in enumerate([0.4, 0.3, 0.5], start=1):
        stopping.update(Epoch(number, 0.0, 0.0, {"m": value}), network)
    assert stopping.best_epoch == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"max_epochs": 0},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"grad_clip": -1.0},
    ],
)
def test_values_out_of_range_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(settings))}="):
        TrainerConfig(**settings)  # type: ignore[arg-type]


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match="choose adam or adamw"):
        OptimizerConfig(name="sgdd")
