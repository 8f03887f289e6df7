import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from devices import DEVICES

from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import LightGCN, Popularity
from movierec_engine.models.fitting import Epoch, Fitting
from movierec_engine.training import descent
from movierec_engine.training.config import EarlyStoppingConfig, OptimizerConfig, SchedulerConfig, TrainerConfig
from movierec_engine.training.descent import learning_rate_factor, steps_per_epoch
from movierec_engine.training.state import EarlyStopping
from movierec_engine.training.trainer import start, train
from worlds import interactions_of

RNG = np.random.default_rng(5)
USERS, ITEMS = IdMap(np.arange(30)), IdMap(np.arange(24))
PAIRS = np.array([(u, i) for u in range(30) for i in RNG.choice(12, 8, replace=False) * 2 + u % 2])
HELD = RNG.permutation(len(PAIRS)) < 40
TRAIN, REST = interactions_of(PAIRS[~HELD], USERS, ITEMS), interactions_of(PAIRS[HELD], USERS, ITEMS)
TRAIN = replace(TRAIN, timestamp=10**9 + (TRAIN.timestamp // 3) ** 2)  # three in a second, and ever longer pauses
VALIDATION = HeldOut(REST, TRAIN.matrix(), "train", Catalogue.of(TRAIN))
CONFIG = TrainerConfig(max_epochs=6, learning_rate=0.02, batch_size=64)


def fit(
    config: TrainerConfig = CONFIG, seed: int = 1, device: str = "cpu", **model: object
) -> tuple[LightGCN, list[Epoch]]:
    recommender = LightGCN(LightGCN.Config(embedding_dim=8, num_negatives=2, **model))
    return recommender, run(recommender, config, seed, device)


def run(model: LightGCN, config: TrainerConfig, seed: int = 1, device: str = "cpu") -> list[Epoch]:
    return train(model, Dataset(TRAIN, VALIDATION), Fitting(config, device, seed, evaluator=Evaluator([5])))


NDCG = replace(CONFIG, early_stopping=EarlyStoppingConfig(metric="ndcg@5"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loss_type", ["softmax", "bpr"])
def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(loss_type: str, device: str) -> None:
    first, same, other = (
        fit(NDCG, seed=seed, device=device, loss_type=loss_type, dropout=0.2)[0] for seed in (1, 1, 2)
    )
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, same.tensors()[name])
        assert name == "item_bias" or not np.array_equal(tensor, other.tensors()[name])


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
    popularity.fit(Dataset(TRAIN))
    floor = Evaluator([5]).evaluate(popularity, VALIDATION).metrics["ndcg@5"]
    assert max(epoch.metrics["ndcg@5"] for epoch in history) > 1.3 * floor


def test_without_a_learning_rate_a_model_is_trained_at_its_own() -> None:
    by_default, own = (
        fit(replace(NDCG, max_epochs=2, learning_rate=rate))[0].item_embeddings
        for rate in (0.0, LightGCN.learning_rate)
    )
    assert np.array_equal(by_default, own)
    assert not np.array_equal(own, fit(replace(NDCG, max_epochs=2, learning_rate=0.02))[0].item_embeddings)


@pytest.mark.parametrize(
    ("interactions", "batch_size", "expected"),
    [(100, 0, 0.01), (819_200, 0, 0.01), (4 * 819_200, 0, 0.02), (25 * 819_200, 0, 0.05), (4 * 819_200, 65_536, 0.01)],
)
def test_larger_steps_grow_with_the_root_of_batches_that_follow_the_datas_size(
    interactions: int, batch_size: int, expected: float
) -> None:
    config = TrainerConfig(learning_rate=0.01, batch_size=batch_size)
    assert config.with_larger_steps(interactions).learning_rate == pytest.approx(expected)


def test_the_best_epochs_weights_are_restored() -> None:
    config = replace(
        NDCG, max_epochs=40, learning_rate=0.3, early_stopping=EarlyStoppingConfig(metric="ndcg@5", patience=4)
    )
    model, history = fit(config)
    values = [epoch.metrics["ndcg@5"] for epoch in history]
    best = int(np.argmax(values))
    assert len(history) == best + 1 + 4, "it stops when patience has run out"
    assert Evaluator([5]).evaluate(model, VALIDATION).metrics["ndcg@5"] == max(values)


def test_without_a_validation_part_it_trains_all_epochs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    empty = HeldOut(REST.select(np.zeros(len(REST), dtype=bool)), TRAIN.matrix(), "train", Catalogue.of(TRAIN))
    history = train(LightGCN(), Dataset(TRAIN, empty), Fitting(CONFIG, seed=1))
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[0].metrics == {}
    assert "data.val_ratio=0.1" in caplog.text


def test_a_metric_that_is_not_measured_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"ndcg@10 is not measured; choose one of precision@5"):
        fit(CONFIG)


def test_a_diverging_loss_says_what_to_lower() -> None:
    with pytest.raises(MovierecError, match=r"lower trainer\.learning_rate"):
        fit(NDCG, init_std=1e30)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (64, 4),  # of 200 interactions the last group has one batch, of 8
        (128, 4),  # the last group has batches of 32, 32 and 8
    ],
)
def test_accumulated_batches_make_the_step_of_one_large_batch(size: int, parts: int) -> None:
    whole, _ = fit(replace(NDCG, batch_size=size), loss_type="bpr")
    split, _ = fit(replace(NDCG, batch_size=size // parts, accumulate_grad_batches=parts), loss_type="bpr")
    other, _ = fit(replace(NDCG, batch_size=size // parts), loss_type="bpr")
    assert np.allclose(whole.item_embeddings, split.item_embeddings, atol=1e-5)
    assert not np.allclose(whole.item_embeddings, other.item_embeddings, atol=1e-2)


def moved_by(config: TrainerConfig, **model: object) -> float:
    """The largest change of an embedding from where it starts."""
    start, trained = LightGCN(LightGCN.Config(embedding_dim=8, **model)), fit(config, **model)[0]
    torch.manual_seed(1)
    start.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    start.export()
    return float(np.abs(start.item_embeddings - trained.item_embeddings).max())


def test_gradients_are_clipped_to_their_largest_norm() -> None:
    """Adam divides by its gradients' size plus 1e-8, so that only gradients far below that make small steps."""
    one_epoch = replace(NDCG, max_epochs=1)
    assert moved_by(one_epoch) > 1e-2
    assert moved_by(replace(one_epoch, grad_clip=1e-12)) < 1e-4
    free, clipped = fit(one_epoch)[0], fit(replace(one_epoch, grad_clip=1e6))[0]
    assert np.array_equal(free.item_embeddings, clipped.item_embeddings), "a norm below the limit is left alone"


def test_weight_decay_of_adamw_shrinks_what_no_gradient_touches_and_adams_does_not() -> None:
    """AdamW multiplies every weight by 1 - rate * decay in a step; Adam adds the decay to the gradient."""
    decoupled = replace(NDCG, max_epochs=1, weight_decay=0.5, grad_clip=1e-12, optimizer=OptimizerConfig("adamw"))
    steps = -(-len(TRAIN) // decoupled.batch_size)
    torch.manual_seed(1)
    model = LightGCN(LightGCN.Config(embedding_dim=8))
    before = model.build(TRAIN, build_graph(TRAIN), torch.device("cpu")).embeddings.detach().clone()
    trained = LightGCN(LightGCN.Config(embedding_dim=8, loss_type="bpr"))
    run(trained, decoupled)
    after = trained.network.embeddings.detach()
    assert torch.allclose(after, before * (1 - decoupled.learning_rate * 0.5) ** steps, atol=1e-4)


def test_the_optimizer_takes_its_settings_and_the_rate_of_its_schedule() -> None:
    config = replace(
        NDCG,
        max_epochs=2,
        weight_decay=0.25,
        optimizer=OptimizerConfig("adamw", betas=(0.5, 0.75)),
        scheduler=SchedulerConfig("linear"),
    )
    network = LightGCN().build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    state = start(network, config, np.random.default_rng(0), VALIDATION, "cpu", 4)
    assert isinstance(state.optimizer, torch.optim.AdamW)
    (group,) = state.optimizer.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.5, 0.75), 0.25)
    rates = []
    for _ in range(8):
        rates.append(group["lr"])
        state.optimizer.step()
        state.scheduler.step()
    assert rates == pytest.approx([0.02 * (1 - step / 8) for step in range(8)])
    assert state.stopping is not None
    assert start(network, replace(config, early_stopping=NO_STOPPING), state.rng, VALIDATION, "cpu", 4).stopping is None


def test_an_epoch_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int, str]] = []
    monkeypatch.setattr(descent, "advance", lambda *place: told.append(place))
    fit(replace(NDCG, max_epochs=2, batch_size=64, accumulate_grad_batches=2), loss_type="bpr")
    steps = [128, len(TRAIN)]
    assert 128 < len(TRAIN) <= 256
    assert told == [(done, len(TRAIN), f"interactions of epoch {epoch}") for epoch in (1, 2) for done in steps]


def test_the_learning_rate_of_the_last_step_follows_the_schedule_to_the_planned_end() -> None:
    """With a linear decay to 0 over 6 epochs, the rate of epoch e is (6 - e + 1) / 6 of the first one's, and less."""
    config = replace(NDCG, scheduler=SchedulerConfig("linear"), batch_size=10_000)
    seen: list[float] = []
    model = LightGCN(LightGCN.Config(embedding_dim=8))
    states: list[np.ndarray] = []

    def watch(epoch: Epoch) -> None:
        seen.append(epoch.number)
        states.append(model.network.embeddings.detach().numpy().copy())

    fitting = Fitting(config, seed=1, evaluator=Evaluator([5]), on_epoch=watch)
    history = train(model, Dataset(TRAIN, VALIDATION), fitting)
    assert seen == [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6], "each is told of once, as it ends"
    steps = [float(np.abs(after - before).max()) for before, after in pairwise(states)]
    assert steps[-1] < 0.4 * steps[0]


def test_fewer_epochs_than_planned_go_the_same_way() -> None:
    config = replace(
        NDCG, scheduler=SchedulerConfig("cosine"), early_stopping=EarlyStoppingConfig(enabled=False), max_epochs=6
    )
    whole = fit_for(config, None)
    assert [len(fit_for(config, epochs)[1]) for epochs in (None, 3, 99)] == [6, 3, 6]
    assert [one.loss for one in fit_for(config, 3)[1]] == [one.loss for one in whole[1][:3]]


def fit_for(config: TrainerConfig, epochs: int | None) -> tuple[LightGCN, list[Epoch]]:
    model = LightGCN(LightGCN.Config(embedding_dim=8, num_negatives=2))
    fitting = Fitting(config, seed=1, epochs=epochs, evaluator=Evaluator([5]))
    return model, train(model, Dataset(TRAIN, VALIDATION), fitting)


def test_the_loss_of_an_epoch_is_the_mean_of_its_batches() -> None:
    """With next to no learning, all batches of whole users have the loss that the starting weights have."""
    config = replace(NDCG, max_epochs=1, learning_rate=1e-12, batch_size=50, early_stopping=NO_STOPPING)
    model = LightGCN(LightGCN.Config(embedding_dim=8, l2=0.0))
    history = run(model, config)
    users, items = torch.from_numpy(TRAIN.user.astype(int)), torch.from_numpy(TRAIN.item.astype(int))
    log_softmax = torch.log_softmax(model.network(torch.arange(30), None).detach(), dim=1)
    assert history[0].loss == pytest.approx(-log_softmax[users, items].mean().item(), abs=0.02)
    assert history[0].seconds > 0


def test_dropout_is_on_in_training_and_off_in_scoring() -> None:
    """Two trainings that differ in dropout differ in weights, and a trained model scores the same twice."""
    config = replace(NDCG, max_epochs=1)
    with_dropout, without = fit(config, dropout=0.5)[0], fit(config)[0]
    assert not np.allclose(with_dropout.item_embeddings, without.item_embeddings, atol=1e-4)
    users = np.arange(30)
    assert np.array_equal(with_dropout.score_known(users), with_dropout.score_known(users))


NO_STOPPING = EarlyStoppingConfig(enabled=False)


def test_without_early_stopping_the_last_epochs_weights_stay() -> None:
    config = replace(NDCG, max_epochs=12, learning_rate=0.3, early_stopping=NO_STOPPING)
    model, history = fit(config)
    values = [epoch.metrics["ndcg@5"] for epoch in history]
    assert max(values) > values[-1], "or this shows nothing"
    assert Evaluator([5]).evaluate(model, VALIDATION).metrics["ndcg@5"] == values[-1]


def test_steps_of_an_epoch_count_the_last_batch_and_the_last_group() -> None:
    config = replace(CONFIG, batch_size=10, accumulate_grad_batches=3)
    assert [steps_per_epoch(n, config) for n in (1, 10, 30, 31, 60, 61)] == [1, 1, 1, 2, 2, 3]


def test_a_batch_goes_by_the_data_so_that_an_epoch_has_20_to_a_hundred_steps() -> None:
    sizes = (1, 5_120, 58_669, 163_840, 163_841, 819_200, 819_201, 20_000_000)
    batches = [256, 256, 2_934, 8_192, 8_192, 8_192, 8_193, 200_000]
    assert [TrainerConfig().batch_of(n) for n in sizes] == batches
    steps = [steps_per_epoch(n, TrainerConfig()) for n in (5_120, 27_001, 163_841, 819_201, 999_999, 20_000_001)]
    assert steps == [20, 20, 21, 100, 100, 100]
    assert TrainerConfig(batch_size=512).batch_of(20_000_000) == 512


def test_a_fixed_sample_of_many_validation_users_is_measured_after_each_epoch(caplog: pytest.LogCaptureFixture) -> None:
    config = replace(NDCG, max_epochs=2, early_stopping=EarlyStoppingConfig(metric="ndcg@5", users=7))
    with caplog.at_level("INFO", "movierec_engine"):
        model, history = fit(config)
    sample = VALIDATION.sampled(7, seed=1)
    assert len(np.unique(sample.interactions.user)) == 7
    best = max(epoch.metrics["ndcg@5"] for epoch in history)
    assert Evaluator([5]).evaluate(model, sample).metrics["ndcg@5"] == best
    assert "a fixed sample of 7 of the validation users is measured" in caplog.text
    assert VALIDATION.sampled(30, seed=1) is VALIDATION


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (SchedulerConfig(), [1, 1, 1, 1, 1]),
        (SchedulerConfig("linear"), [1, 0.75, 0.5, 0.25, 0]),
        (SchedulerConfig("cosine"), [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0]),
        (SchedulerConfig("none", warmup_epochs=1), [1 / 3, 2 / 3, 1, 1, 1]),
        (SchedulerConfig("linear", warmup_epochs=1), [1 / 3, 2 / 3, 1, 0.5, 0, 0]),
    ],
)
def test_the_learning_rate_follows_the_scheduler(scheduler: SchedulerConfig, expected: list[float]) -> None:
    config = TrainerConfig(max_epochs=2, scheduler=scheduler)
    assert [learning_rate_factor(step, 2, config) for step in range(len(expected))] == pytest.approx(expected)


def test_running_out_of_memory_says_which_settings_to_lower() -> None:
    class Hungry(LightGCN):
        def export(self) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with pytest.raises(MovierecError, match=r"halve trainer\.batch_size \(now 64\) and double trainer\.accumulate"):
        run(Hungry(), NDCG)


def test_the_worst_value_of_a_metric_is_not_looked_for() -> None:
    stopping = EarlyStoppingConfig(metric="ndcg@5", mode="min")
    with pytest.raises(ConfigError, match=r"mode=min, but more of ndcg@5 is better; set .*mode=max"):
        fit(replace(CONFIG, early_stopping=stopping))
    fit(replace(CONFIG, max_epochs=1, early_stopping=replace(stopping, enabled=False)))
    for model in ("ease", "gmf"):  # settings that searches of closed forms follow, too
        with pytest.raises(ConfigError, match="more of ndcg@10 is better"):
            load_settings([f"model={model}", "device=cpu", "trainer.early_stopping.mode=min"])
        with pytest.raises(ConfigError, match="mode=max, but less of disliked@10 is better"):
            load_settings([f"model={model}", "device=cpu", "trainer.early_stopping.metric=disliked@10"])


def test_mixed_precision_is_refused_where_it_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"mixed_precision=true needs device=cuda"):
        fit(replace(NDCG, mixed_precision=True))


@pytest.mark.parametrize(
    ("mode", "min_delta", "expected"),
    [("max", 0.0, 3), ("min", 0.0, 2), ("max", 0.25, 1), ("max", 0.125, 1), ("min", 0.125, 2), ("min", 0.25, 1)],
)
def test_early_stopping_follows_mode_and_min_delta(mode: str, min_delta: float, expected: int) -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(metric="m", mode=mode, min_delta=min_delta))
    network = LightGCN().build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    for number, value in enumerate([0.5, 0.25, 0.625], start=1):
        stopping.update(Epoch(number, 0.0, 0.0, {"m": value}), network)
    assert stopping.best_epoch == expected


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("max_epochs", [0], [1]),
        ("batch_size", [-1], [0, 1]),
        ("accumulate_grad_batches", [0], [1]),
        ("learning_rate", [-0.01, 1000.1, 1e38, math.nan], [0.0, 1e-9, 1000.0]),
        ("weight_decay", [-0.1, math.inf], [0.0, 5.0]),
        ("grad_clip", [-1.0, math.inf], [0.0]),
        ("checkpoint_seconds", [-1.0, math.inf], [0.0]),
    ],
)
def test_values_out_of_range_are_named(name: str, refused: list[float], taken: list[float]) -> None:
    for value in refused:
        with pytest.raises(ConfigError, match=f"trainer.{name}="):
            TrainerConfig(**{name: value})  # type: ignore[arg-type]
    for value in taken:
        assert getattr(TrainerConfig(**{name: value}), name) == value  # type: ignore[arg-type]


def test_settings_of_stopping_and_of_the_schedule_out_of_range_are_named() -> None:
    wrong = {"mode": "most", "patience": 0, "users": 0, "min_delta": -1e-9}
    for name, value in wrong.items():
        with pytest.raises(ConfigError, match=f"trainer.early_stopping.{name}="):
            EarlyStoppingConfig(**{name: value})  # type: ignore[arg-type]
    assert EarlyStoppingConfig(patience=1, users=1, min_delta=0.0).patience == 1
    with pytest.raises(ConfigError, match=r"trainer\.scheduler\.name=step is not known"):
        SchedulerConfig("step")
    with pytest.raises(ConfigError, match=r"trainer\.scheduler\.warmup_epochs=-1"):
        SchedulerConfig(warmup_epochs=-1)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match="choose adam or adamw"):
        OptimizerConfig(name="sgdd")


def test_a_warmup_as_long_as_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.scheduler\.warmup_epochs=5 must be below"):
        TrainerConfig(max_epochs=5, scheduler=SchedulerConfig("linear", warmup_epochs=5))
    TrainerConfig(max_epochs=5, scheduler=SchedulerConfig("linear", warmup_epochs=4))
    TrainerConfig(max_epochs=5, scheduler=SchedulerConfig("none", warmup_epochs=9))  # nothing decays
