from dataclasses import replace

import numpy as np
import pytest
import torch
from devices import DEVICES

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import LightGCN, Popularity
from movierec_engine.training.config import EarlyStoppingConfig, OptimizerConfig, SchedulerConfig, TrainerConfig
from movierec_engine.training.state import EarlyStopping, Epoch
from movierec_engine.training.trainer import batches, learning_rate_factor, train
from worlds import interactions_of

RNG = np.random.default_rng(5)
USERS, ITEMS = IdMap(np.arange(30)), IdMap(np.arange(24))
PAIRS = np.array([(u, i) for u in range(30) for i in RNG.choice(12, 8, replace=False) * 2 + u % 2])
HELD = RNG.permutation(len(PAIRS)) < 40
TRAIN, REST = interactions_of(PAIRS[~HELD], USERS, ITEMS), interactions_of(PAIRS[HELD], USERS, ITEMS)
VALIDATION = HeldOut(REST, TRAIN.matrix(), "train", Catalogue.of(TRAIN))
CONFIG = TrainerConfig(max_epochs=6, learning_rate=0.02, batch_size=64)


def fit(
    config: TrainerConfig = CONFIG, seed: int = 1, device: str = "cpu", **model: object
) -> tuple[LightGCN, list[Epoch]]:
    recommender = LightGCN(LightGCN.Config(embedding_dim=8, num_negatives=2, **model))
    return recommender, run(recommender, config, seed, device)


def run(model: LightGCN, config: TrainerConfig, seed: int = 1, device: str = "cpu") -> list[Epoch]:
    return train(model, TRAIN, build_graph(TRAIN), VALIDATION, config, Evaluator([5]), device=device, seed=seed)


NDCG = replace(CONFIG, early_stopping=EarlyStoppingConfig(metric="ndcg@5"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loss_type", ["softmax", "bpr"])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(loss_type: str, device: str) -> None:
    first, same, other = (
        fit(NDCG, seed=seed, device=device, loss_type=loss_type, dropout=0.2)[0] for seed in (1, 1, 2)
    )
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, same.tensors()[name])
        assert not np.array_equal(tensor, other.tensors()[name])


@pytest.mark.parametrize(
    ("device", "mixed_precision"), [*((device, False) for device in DEVICES), *[("cuda", True)] * ("cuda" in DEVICES)]
)
@pytest.mark.parametrize("loss_type", ["softmax", "sampled_softmax", "bpr", "bce"])
@pytest.mark.parametrize("cosine", [False, True])
def test_the_loss_falls_and_the_popularity_floor_is_cleared(
    loss_type: str, cosine: bool, device: str, mixed_precision: bool
) -> None:
    config = replace(NDCG, max_epochs=25, mixed_precision=mixed_precision)
    temperature = 0.2 if cosine else 1.0
    _, history = fit(config, device=device, loss_type=loss_type, cosine=cosine, temperature=temperature, l2=1e-3)
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
    empty = HeldOut(REST.select(np.zeros(len(REST), dtype=bool)), TRAIN.matrix(), "train", Catalogue.of(TRAIN))
    history = train(LightGCN(), TRAIN, build_graph(TRAIN), empty, CONFIG, Evaluator([5]), device="cpu", seed=1)
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[0].metrics == {}


def test_a_metric_that_is_not_measured_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"ndcg@10 is not measured; choose one of precision@5"):
        fit(CONFIG)


def test_a_diverging_loss_says_what_to_lower() -> None:
    with pytest.raises(MovierecError, match=r"lower trainer\.learning_rate"):
        fit(NDCG, init_std=1e30)


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    whole, _ = fit(replace(NDCG, batch_size=64), loss_type="bpr")
    parts, _ = fit(replace(NDCG, batch_size=16, accumulate_grad_batches=4), loss_type="bpr")
    other, _ = fit(replace(NDCG, batch_size=16), loss_type="bpr")
    assert np.allclose(whole.item_embeddings, parts.item_embeddings, atol=1e-4)
    assert not np.allclose(whole.item_embeddings, other.item_embeddings, atol=1e-2)


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("whole_users", [False, True])
def test_batches_hold_every_interaction_once_and_users_together_if_asked(size: int, whole_users: bool) -> None:
    taken = [
        np.stack([users.numpy(), items.numpy()], axis=1)
        for users, items in batches(TRAIN, size, np.random.default_rng(0), whole_users)
    ]
    assert sorted(map(tuple, np.concatenate(taken))) == sorted(zip(TRAIN.user, TRAIN.item, strict=True))
    if whole_users:
        seen = [set(batch[:, 0]) for batch in taken]
        assert sum(map(len, seen)) == len(set.union(*seen)), "no user is split over two batches"
        assert len(taken) <= -(-len(TRAIN) // size)
    else:
        assert {len(batch) for batch in taken[:-1]} <= {size}


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (SchedulerConfig(), [1, 1, 1, 1, 1]),
        (SchedulerConfig("linear"), [1, 0.75, 0.5, 0.25, 0]),
        (SchedulerConfig("cosine"), [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0]),
        (SchedulerConfig("none", warmup_epochs=1), [1 / 3, 2 / 3, 1, 1, 1]),
        (SchedulerConfig("linear", warmup_epochs=1), [1 / 3, 2 / 3, 1, 0.5, 0]),
    ],
)
def test_the_learning_rate_follows_the_scheduler(scheduler: SchedulerConfig, expected: list[float]) -> None:
    config = TrainerConfig(max_epochs=2, scheduler=scheduler)
    assert [learning_rate_factor(step, 2, config) for step in range(5)] == pytest.approx(expected)


def test_running_out_of_memory_says_which_settings_to_lower() -> None:
    class Hungry(LightGCN):
        def freeze(self) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with pytest.raises(MovierecError, match=r"halve trainer\.batch_size \(now 64\) and double trainer\.accumulate"):
        run(Hungry(), NDCG)


def test_mixed_precision_is_refused_where_it_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"mixed_precision=true needs device=cuda"):
        fit(replace(NDCG, mixed_precision=True))


@pytest.mark.parametrize(("mode", "min_delta", "expected"), [("max", 0.0, 3), ("min", 0.0, 2), ("max", 0.2, 1)])
def test_early_stopping_follows_mode_and_min_delta(mode: str, min_delta: float, expected: int) -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(metric="m", mode=mode, min_delta=min_delta))
    network = LightGCN().build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
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
        {"accumulate_grad_batches": 0},
        {"learning_rate": 1e38},
        {"learning_rate": float("nan")},
        {"checkpoint_seconds": -1.0},
    ],
)
def test_values_out_of_range_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(settings))}="):
        TrainerConfig(**settings)  # type: ignore[arg-type]


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match="choose adam or adamw"):
        OptimizerConfig(name="sgdd")


def test_a_warmup_as_long_as_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.scheduler\.warmup_epochs=5 must be below"):
        TrainerConfig(max_epochs=5, scheduler=SchedulerConfig("linear", warmup_epochs=5))
