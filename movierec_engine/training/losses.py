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


def softmax(scores: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy over the whole catalogue: mean of -log softmax(s)_positive.

    scores: float32 [b, n_items]; positives: int64 [b].
    """
    return functional.cross_entropy(scores, positives)
