"""The losses on a batch: what a sample stands for, and how much memory a piece takes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import EmptyDataError
from movierec_engine.models import model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.training import losses, objective
from movierec_engine.training.batches import batches
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.objective import Objective
from movierec_engine.training.trainer import train
from worlds import interactions_of

SMALL = {
    "lightgcn": {"embedding_dim": 4, "num_layers": 1},
    "ngcf": {"embedding_dim": 4, "hidden_dims": (4,), "message_dropout": 0.0},
    "gmf": {"mf_dim": 4},
    "mlp": {"mlp_layers": (8, 5, 3)},
    "ncf": {"mf_dim": 4, "mlp_layers": (8, 5, 3)},
    "recvae": {"hidden_dim": 8, "latent_dim": 4, "num_layers": 2, "dropout": 0.0, "decoder_epochs": 0},
}
CPU = torch.device("cpu")
TRAIN = interactions_of(
    np.array([(u, i) for u in range(30) for i in np.random.default_rng(u).choice(300, 5, replace=False)]),
    IdMap(np.arange(30)),
    IdMap(np.arange(300)),
)


def built(name: str, **settings: object) -> GradientRecommender:
    model = model_class(name)(model_class(name).Config(**SMALL[name], **settings))
    assert isinstance(model, GradientRecommender)
    torch.manual_seed(0)
    model.build(TRAIN, build_graph(TRAIN), CPU)
    return model


def loss_and_gradient(model: GradientRecommender) -> list[torch.Tensor]:
    """Of the first batch."""
    what = Objective(model, TRAIN, np.random.default_rng(0))
    batch = next(batches(TRAIN, 64, np.random.default_rng(1), what.whole_users))
    loss = what.loss(batch, CPU)
    loss.backward()
    return [loss.detach(), *gradient(model)]


def gradient(model: GradientRecommender) -> list[torch.Tensor]:
    return [parameter.grad for parameter in model.network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("loss_type", ["softmax", "sampled_softmax"])
@pytest.mark.parametrize("name", ["lightgcn", "ngcf", "gmf"])
def test_scores_that_are_larger_than_the_cache_are_not_kept_and_have_the_same_gradient(
    name: str, loss_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, floats = [], []
    for cached in (2**20, 2):
        monkeypatch.setattr(losses, "CACHED_FLOATS", cached)
        monkeypatch.setattr(losses, "_LEAST_ROWS", 3)
        with Largest() as largest:
            found.append(loss_and_gradient(built(name, loss_type=loss_type, sampled_items=TRAIN.n_items)))
        floats.append(largest.floats)
    assert floats[1] < floats[0] == 13 * TRAIN.n_items
    whole, blocked = found
    for one, other in zip(whole, blocked, strict=False):  # gmf's constant has no gradient then, which is 0
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_a_sampled_softmax_of_all_items_has_the_full_softmaxs_gradient(name: str) -> None:
    full = loss_and_gradient(built(name, loss_type="softmax"))
    sampled = loss_and_gradient(built(name, loss_type="sampled_softmax", sampled_items=TRAIN.n_items))
    for one, other in zip(full, sampled, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_auto_takes_the_full_softmax_up_to_a_size_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = built("gmf")
    chosen = []
    with caplog.at_level("INFO", "movierec_engine"):
        for largest in (300, 299):
            monkeypatch.setattr(objective, "LARGEST_FULL_SOFTMAX", largest)
            chosen.append(Objective(model, TRAIN, np.random.default_rng(0)).loss_type)
    assert chosen == ["softmax", "sampled_softmax"]
    monkeypatch.setattr(objective, "LARGEST_WITH_LAYERS", 299)
    monkeypatch.setattr(objective, "LARGEST_FULL_SOFTMAX", 300)
    assert Objective(built("ncf"), TRAIN, np.random.default_rng(0)).loss_type == "sampled_softmax"
    assert "gmf: loss_type=auto is sampled_softmax over 300 items" in caplog.text


def is_dense(part: object) -> bool:
    return isinstance(part, torch.Tensor) and part.layout == torch.strided


class Largest(TorchDispatchMode):
    """floats: of the largest dense tensor that an operation gave."""

    floats = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [part.numel() for part in tree_flatten(result)[0] if is_dense(part)]
        self.floats = max([self.floats, *sizes])
        return result


@pytest.mark.parametrize(
    ("name", "loss_type"),
    [
        (name, loss)
        for name in SMALL
        for loss in ("softmax", "sampled_softmax", "bce")
        if loss in model_class(name).losses  # type: ignore[attr-defined]
    ],
)
def test_pieces_bound_the_largest_tensor_and_leave_the_step_as_it_is(
    name: str, loss_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainerConfig(max_epochs=1, batch_size=200)

    def step() -> tuple[int, list[torch.Tensor]]:
        negatives = {"num_negatives": 30} if loss_type == "bce" else {}
        model = built(name, loss_type=loss_type, sampled_items=TRAIN.n_items, **negatives)
        with Largest() as largest:
            train(model, Dataset(TRAIN), Fitting(config, seed=1))
        return largest.floats, gradient(model)

    unbounded, whole = step()
    budget = 4000  # above any parameter, below the scores of a batch
    monkeypatch.setattr(objective, "PIECE_FLOATS", budget)
    bounded, in_pieces = step()
    assert bounded <= budget < unbounded
    if loss_type != "bce" and name != "recvae":  # whose negatives, and noise, are others
        for one, other in zip(whole, in_pieces, strict=True):
            assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("loss_type", ["bpr", "bce"])
@pytest.mark.parametrize("name", ["lightgcn", "ngcf", "gmf"])
def test_who_has_everything_is_left_out_of_losses_against_negatives(name: str, loss_type: str) -> None:
    pairs = np.array([(0, 0), (0, 1), (0, 2), (1, 0), (2, 2)])
    few = interactions_of(pairs, IdMap(np.arange(3)), IdMap(np.arange(3)))
    model = model_class(name)(model_class(name).Config(**SMALL[name], loss_type=loss_type))
    config = TrainerConfig(max_epochs=2, learning_rate=0.01, batch_size=1)
    epochs = train(model, Dataset(few), Fitting(config, seed=1))
    assert all(np.isfinite(epoch.loss) and epoch.loss > 0 for epoch in epochs)
    assert np.isfinite(model.score_users(np.arange(3))).all()
    what = Objective(model, few, np.random.default_rng(0))
    of_user_0 = what.loss((torch.tensor([0, 0]), torch.tensor([0, 1])), CPU)
    assert of_user_0.requires_grad and of_user_0.item() == 0


@pytest.mark.parametrize(
    ("name", "settings", "pairs", "message"),
    [
        ("gmf", {"loss_type": "bce"}, [(0, 0), (0, 1), (1, 0), (1, 1)], "every user of train has an interaction"),
        ("sasrec", {}, [(0, 0), (1, 1)], "no user has two items in train"),
        ("sasrec", {}, [(0, 0), (0, 0), (1, 1)], "no user has two items in train"),
    ],
)
def test_data_that_a_loss_learns_nothing_from_is_refused(
    name: str, settings: dict[str, Any], pairs: list[tuple[int, int]], message: str
) -> None:
    few = interactions_of(np.array(pairs), IdMap(np.arange(2)), IdMap(np.arange(2)))
    model = model_class(name)(model_class(name).Config(**settings))
    config = TrainerConfig(max_epochs=1, learning_rate=0.01)
    with pytest.raises(EmptyDataError, match=message):
        train(model, Dataset(few), Fitting(config, seed=1))
