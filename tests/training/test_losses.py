import math

import pytest
import torch

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
