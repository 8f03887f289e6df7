"""The objective of models of order: its batches, their pieces, and its losses on them."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.models import SASRec
from movierec_engine.models.fitting import Fitting
from movierec_engine.training import objective
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.next_item_objective import NextItemObjective, Windows
from movierec_engine.training.trainer import train
from worlds import interactions_of

CPU = torch.device("cpu")
N_ITEMS = 60
NO_TIMES = torch.empty(0, dtype=torch.int64)
TRAIN = interactions_of(
    np.array([(u, i) for u in range(30) for i in np.random.default_rng(u).permutation(N_ITEMS)[: u + 1]]),
    IdMap(np.arange(30)),
    IdMap(np.arange(N_ITEMS)),
)


def learning(**settings: object) -> tuple[SASRec, NextItemObjective]:
    torch.manual_seed(0)
    model = SASRec(**{"embedding_dim": 8, "max_length": 12, "dropout": 0.0, **settings})
    model.build(TRAIN, build_graph(TRAIN), CPU)
    return model, NextItemObjective(model, TRAIN, np.random.default_rng(0))


def gradient(model: SASRec, loss: torch.Tensor) -> list[torch.Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, list(model.network.parameters()))]


def test_an_epoch_has_each_item_but_a_users_first_once_after_the_one_before_it() -> None:
    batches = list(learning()[1].batches(TRAIN, 40))
    assert all(len(batch.inputs) == len(batch.targets) == int(batch.lengths.sum()) for batch in batches)
    assert all(40 - 12 < len(batch.inputs) < 40 + 12 for batch in batches[:-1])
    pairs = [pair for batch in batches for pair in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)]
    places = TRAIN.history("places").toarray()
    orders = [[item for item in np.argsort(row) if row[item]] for row in places]
    assert sorted(pairs) == sorted(pair for order in orders for pair in pairwise(order))


def test_each_epoch_has_its_own_order_and_a_seed_the_same() -> None:
    one, other = learning()[1], learning()[1]
    first, second = (next(one.batches(TRAIN, 40)) for _ in range(2))
    assert torch.equal(first.inputs, next(other.batches(TRAIN, 40)).inputs)
    assert not torch.equal(first.inputs[:20], second.inputs[:20])


@pytest.mark.parametrize("loss_type", ["softmax", "sampled_softmax"])
def test_pieces_leave_the_gradient_of_a_batch_as_it_is(loss_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, what = learning(loss_type=loss_type, sampled_items=N_ITEMS)
    batch = next(what.batches(TRAIN, 200))
    whole = gradient(model, what.loss(batch, CPU))
    monkeypatch.setattr(objective, "PIECE_FLOATS", 30_000)
    pieces = what.pieces(batch, 200)
    assert len(pieces) > 2
    assert torch.equal(torch.cat([piece.inputs for piece in pieces]), batch.inputs)
    weighed = sum(what.loss(piece, CPU) * (len(piece.inputs) / len(batch.inputs)) for piece in pieces)
    for one, other in zip(gradient(model, weighed), whole, strict=True):  # type: ignore[arg-type]
        assert torch.allclose(one, other, atol=1e-6)


def test_a_sampled_softmax_of_all_items_has_the_full_softmaxs_gradient() -> None:
    found = []
    for loss_type in ("softmax", "sampled_softmax"):
        model, what = learning(loss_type=loss_type, sampled_items=N_ITEMS)
        found.append(gradient(model, what.loss(next(what.batches(TRAIN, 200)), CPU)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_loss_of_one_window_is_that_of_each_beginning_of_it() -> None:
    """All items of a window at once, against the window cut off after each; the places count from the newest."""
    model, what = learning(loss_type="softmax")
    with torch.no_grad():
        model.network.positions.zero_()
    inputs, targets = torch.tensor([4, 9, 1]), torch.tensor([9, 1, 7])
    at_once = what.loss(Windows(inputs, targets, torch.tensor([3]), NO_TIMES), CPU)
    each = []
    for n in (1, 2, 3):
        hidden = model.network.hidden(inputs[:n], torch.tensor([n]), NO_TIMES)[-1]
        each.append(torch.nn.functional.cross_entropy(model.network.items @ hidden, targets[n - 1]))
    assert torch.allclose(at_once, torch.stack(each).mean(), atol=1e-5)


@pytest.mark.parametrize("loss_type", ["softmax", "sampled_softmax", "gbce"])
def test_every_loss_learns_what_follows_what(loss_type: str) -> None:
    """Each user has a stretch of a circle of items, in the circle's order; gbce, by few draws, takes longer."""
    pairs = np.array([(u, (u + step) % 20) for u in range(20) for step in range(8)])
    circle = interactions_of(pairs, IdMap(np.arange(20)), IdMap(np.arange(20)))
    model = SASRec(embedding_dim=16, num_heads=1, dropout=0.0, max_length=4, loss_type=loss_type, sampled_items=10)
    config = TrainerConfig(max_epochs=120 if loss_type == "gbce" else 60, learning_rate=0.01, batch_size=40)
    train(model, Dataset(circle), Fitting(config, seed=1))
    found = model.score_users(np.arange(20)).argmax(axis=1)
    assert (found == (np.arange(20) + 8) % 20).mean() > 0.8
