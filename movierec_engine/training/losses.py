"""Losses over the scores of a batch. In every score matrix [b, m] of a sampling loss, column 0 is the positive."""

import torch
from torch import Tensor
from torch.nn import functional


def bpr(scores: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al. 2009): mean over negatives j of -log sigmoid(s_0 - s_j)."""
    return functional.softplus(scores[:, 1:] - scores[:, :1]).mean()


def bce(scores: Tensor) -> Tensor:
    """Binary cross-entropy on logits (He et al. 2017): the positive is labelled 1, each negative 0; mean over all."""
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    return functional.binary_cross_entropy_with_logits(scores, labels)


def softmax(scores: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue: mean over pairs of -log softmax(s_row)_positive.

    scores: float32 [u, n_items], one row a user; rows, positives: int64 [b], each pair's row and item. A user's row
    serves all of the user's pairs (the multinomial likelihood of Liang et al. 2018).
    """
    return -functional.log_softmax(scores, dim=1)[rows, positives].mean()


def sampled_softmax(scores: Tensor, log_inclusion: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """`softmax` over a sample of the catalogue: mean over pairs of -log(exp s_0 / sum_j exp(s_j) / pi_j).

    scores: float32 [u, m] with the sampled items; log_inclusion: float32 [m], log pi_j, the probability that an item
    is in the sample, 0 for every positive; rows, positives: int64 [b], each pair's row and column.
    """
    return softmax(scores - log_inclusion, rows, positives)
