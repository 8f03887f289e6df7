"""Vectors of newcomers for a trained NeuralCF network: a few gradient steps on them alone."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from movierec_engine.models.neighbours import neighbour_weights
from movierec_engine.models.neural.network import NeuralCFNetwork

STEPS = 20
LEARNING_RATE = 0.02
NEGATIVES = 200
_BLOCK = 64


def fit_newcomers(
    network: NeuralCFNetwork, trained: sparse.csr_matrix, histories: sparse.csr_matrix
) -> tuple[Tensor, Tensor]:
    """Vectors p float32 [n, mf_dim] and p' [n, half] that raise each history's items above others.

    They start from the trained users with the most similar histories, averaged by the cosine of the histories, and a
    few steps of Adam lower, with everything else as trained,

        mean_{i in history} -log( exp s_i / (exp s_i + sum_{j in sample} exp s_j) ) + l2/2 |h * p|^2 + l2_mlp/2 |p'|^2

    against a sample of items outside the history that is the same at every call. trained: CSR [n_users, n_items], the
    histories of the network's users; histories: CSR [n, n_items].
    """
    frozen = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    for parameter, _ in frozen:
        parameter.requires_grad_(False)
    try:
        blocks = [
            _fit_block(network, trained, histories[start : start + _BLOCK])
            for start in range(0, histories.shape[0], _BLOCK)
        ]
    finally:
        for parameter, learns in frozen:
            parameter.requires_grad_(learns)
    return torch.cat([gmf for gmf, _ in blocks]), torch.cat([mlp for _, mlp in blocks])


def _fit_block(
    network: NeuralCFNetwork, trained: sparse.csr_matrix, histories: sparse.csr_matrix
) -> tuple[Tensor, Tensor]:
    device = network.gmf_users.device
    items, present, outside = _candidates(histories)
    items, present, outside = items.to(device), present.to(device), outside.to(device)
    weights = torch.from_numpy(neighbour_weights(trained, histories)).to(device)
    gmf = (weights @ network.gmf_users).requires_grad_()
    mlp = (weights @ network.mlp_users).requires_grad_()
    optimizer = torch.optim.Adam([gmf, mlp], lr=LEARNING_RATE)
    width = present.shape[1]
    with torch.enable_grad():
        for _ in range(STEPS):
            scores = network.scores(gmf, mlp, items)
            negatives = scores[:, width:].masked_fill(~outside, -torch.inf).logsumexp(dim=1, keepdim=True)
            loss = (functional.softplus(negatives - scores[:, :width]) * present).sum(dim=1) / present.sum(dim=1)
            scaled = gmf * network.output.weight[0, : gmf.shape[1]]
            penalty = network.l2 / 2 * scaled.square().sum() + network.l2_mlp / 2 * mlp.square().sum()
            optimizer.zero_grad()
            (loss.sum() + penalty).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return gmf.detach(), mlp.detach()


def _candidates(histories: sparse.csr_matrix) -> tuple[Tensor, Tensor, Tensor]:
    """Items int64 [n, longest + m]: each history, padded, then the same sample; and which of each count."""
    length = np.diff(histories.indptr)
    n, longest, catalogue = len(length), int(length.max()), histories.shape[1]
    present = np.arange(longest) < length[:, None]
    positives = np.zeros((n, longest), dtype=np.int64)
    positives[present] = histories.indices
    sample = np.random.default_rng(0).permutation(catalogue)[:NEGATIVES]
    outside = histories[:, sample].toarray() == 0
    outside[~outside.any(axis=1)] = True  # who has seen the whole sample is at least not left with nothing
    items = np.concatenate([positives, np.tile(sample, (n, 1))], axis=1)
    return torch.from_numpy(items), torch.from_numpy(present), torch.from_numpy(outside)
