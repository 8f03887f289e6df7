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


def test_sampled_softmax_is_minus_the_log_probability_of_the_first_column() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + 1))
    assert losses.sampled_softmax(scores).item() == pytest.approx((first + math.log(3)) / 2)


def test_softmax_is_minus_the_log_probability_of_each_pairs_positive() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    total = math.exp(2) + math.exp(1) + 1
    expected = -(math.log(math.exp(2) / total) + math.log(1 / total) + math.log(1 / 3)) / 3
    assert losses.softmax(scores, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])).item() == pytest.approx(expected)
