import math

import pytest
import torch
from torch.nn import functional

from movierec_engine.training import losses


def test_bpr_is_the_mean_of_minus_log_sigmoid_of_the_difference() -> None:
    scores = torch.tensor([[2.0, 1.0, 3.0]])
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 2
    assert losses.bpr(scores).item() == pytest.approx(expected)


def test_bce_labels_the_first_column_one_and_the_others_zero() -> None:
    scores = torch.tensor([[0.5, -1.0]])
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1.0))) / 2
    assert losses.bce(scores).item() == pytest.approx(expected)


def test_softmax_is_minus_the_log_probability_of_each_pairs_positive() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    total = math.exp(2) + math.exp(1) + 1
    expected = -(math.log(math.exp(2) / total) + math.log(1 / total) + math.log(1 / 3)) / 3
    assert losses.softmax(scores, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])).item() == pytest.approx(expected)


def test_sampled_softmax_weighs_each_item_by_one_over_its_probability() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    log_inclusion = torch.tensor([0.0, math.log(0.5), 0.0])
    first = math.e + math.exp(2) / 0.5 + 1
    expected = -(math.log(math.e / first) + math.log(1 / (1 + 1 / 0.5 + 1))) / 2
    loss = losses.sampled_softmax(scores, log_inclusion, torch.tensor([0, 1]), torch.tensor([0, 2]))
    assert loss.item() == pytest.approx(expected)


def rows(n: int, n_items: int, d: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hidden, items = torch.randn(n, d, requires_grad=True), torch.randn(n_items, d, requires_grad=True)
    return hidden, items, torch.randint(0, n_items, (n,))


@pytest.mark.parametrize("cached", [1, 100, 10_000])
def test_linear_softmax_has_the_value_and_the_gradient_of_the_cross_entropy(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row at a time, some rows, and all of them."""
    monkeypatch.setattr(losses, "CACHED_FLOATS", cached)
    hidden, items, targets = rows(31, 20, 4)
    expected = functional.cross_entropy(3 * hidden @ items.T, targets)
    gradient = torch.autograd.grad(expected, (hidden, items))
    loss = losses.linear_softmax(3 * hidden, items, targets)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(2 * loss, (hidden, items)), gradient, strict=True):
        assert torch.allclose(one, 2 * other, atol=1e-6)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_users_softmax_has_the_value_and_the_gradient_of_the_softmax_of_scores(
    at_once: int, sampled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs in any order, some of them repeated; one user has none."""
    monkeypatch.setattr(losses, "CACHED_FLOATS", 1)
    monkeypatch.setattr(losses, "_LEAST_ROWS", at_once)
    queries, items, positives = rows(8, 20, 4)
    users, positives = torch.tensor([6, 0, 2, 2, 5, 0, 3, 2, 1, 4]), torch.cat([positives, positives[:2]])
    log_inclusion = -torch.rand(20) if sampled else None
    scores = 3 * queries @ items.T
    expected = (
        losses.sampled_softmax(scores, log_inclusion, users, positives)
        if log_inclusion is not None
        else losses.softmax(scores, users, positives)
    )
    gradient = torch.autograd.grad(expected, (queries, items))
    loss = losses.users_softmax(3 * queries, items, log_inclusion, users, positives)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(2 * loss, (queries, items)), gradient, strict=True):
        assert torch.allclose(one, 2 * other, atol=1e-6)


def test_users_softmax_of_no_pairs_has_no_gradient() -> None:
    """As of a piece of which a worker has nothing, whose mean counts nought."""
    queries, items, _ = rows(0, 20, 4)
    nobody = torch.empty(0, dtype=torch.int64)
    loss = losses.users_softmax(queries, items, None, nobody, nobody)
    assert math.isnan(loss.item())
    assert not torch.autograd.grad(loss * 0.0, items)[0].any()


def test_linear_softmax_of_scores_far_apart_is_finite() -> None:
    hidden, items = torch.tensor([[1000.0], [-1000.0]]), torch.tensor([[1.0], [-1.0]])
    assert losses.linear_softmax(hidden, items, torch.tensor([1, 1])).item() == pytest.approx(1000)


def test_a_sampled_next_softmax_of_all_items_is_the_whole_ones() -> None:
    hidden, items, targets = rows(9, 12, 4)
    own, others = (hidden * items[targets]).sum(dim=1), hidden @ items.T
    hit = targets[:, None] == torch.arange(12)
    expected = functional.cross_entropy(others, targets)
    assert losses.sampled_next_softmax(own, others, hit).item() == pytest.approx(expected.item(), rel=1e-5)


def test_gbce_written_out_for_one_item_against_two() -> None:
    """Of 5 others 2 are drawn, and t = 1/2: b = .4 (.5 (1 - 2.5) + 2.5) = .7; the second item drawn is the next one."""
    own, others = torch.tensor([1.0]), torch.tensor([[0.5, 1.0]])
    expected = 0.7 * math.log1p(math.exp(-1)) + math.log1p(math.exp(0.5))
    loss = losses.gbce(own, others, torch.tensor([[False, True]]), share=0.4, calibration=0.5)
    assert loss.item() == pytest.approx(expected)
