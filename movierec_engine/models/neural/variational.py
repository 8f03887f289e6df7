"""Parts of variational autoencoders of histories: the encoder, and the prior of what it encodes.

    q(z | x) = N(mu(x), diag exp(rho(x)))

x is a history at unit length, of which training leaves some items out.
"""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from movierec_engine.models.dropout import dropout
from movierec_engine.models.fold_in.recvae import NORM_EPS

Bags = tuple[Tensor, Tensor, Tensor]
"""Histories of u users: their items int64 [total], one user after another; the items' values float32 [total], of unit
length for each user; and where each user begins, int64 [u]."""

SHARES = (0.15, 0.75, 0.1)
"""Mixture weights of the standard, the old and the wide part of the composite prior (the authors' code)."""
WIDE = 10.0
"""Log variance of the wide part (the authors' code)."""


class Encoder(nn.Module):
    """mu and rho of histories by densely connected layers.

        h_1 = a(T^T x + b),    h_k = a(W_k h_(k-1) + b_k + sum_{j<k} h_j),    mu = M h_K + m,    rho = R h_K + r

    swish: a is swish and a layer norm (RecVAE), or else tanh (Mult-VAE).
    table: float32 [n_items, h], T: the input layer is a weighted sum of its rows, whose cost follows the histories.
    """

    def __init__(self, n_items: int, hidden_dim: int, latent_dim: int, num_layers: int, swish: bool) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_items)
        self.table = nn.Parameter(torch.empty(n_items, hidden_dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(hidden_dim).uniform_(-bound, bound))
        self.layers = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers - 1))
        norms = num_layers if swish else 0
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim, eps=NORM_EPS) for _ in range(norms))
        self.mean, self.log_variance = (nn.Linear(hidden_dim, latent_dim) for _ in range(2))

    def forward(self, bags: Bags, left_out: float = 0.0) -> tuple[Tensor, Tensor]:
        """mu and rho, float32 [u, latent_dim] each, of histories without a share of their items."""
        items, values, starts = bags
        values = dropout(values, left_out, training=True)
        total = functional.embedding_bag(items, self.table, starts, mode="sum", per_sample_weights=values)
        hidden = self._activated(total + self.bias, 0)
        total = hidden
        for number, layer in enumerate(self.layers, start=1):
            hidden = self._activated(layer(hidden) + total, number)
            total = total + hidden
        return self.mean(hidden), self.log_variance(hidden)

    def _activated(self, values: Tensor, number: int) -> Tensor:
        if not len(self.norms):
            return torch.tanh(values)
        normed: Tensor = self.norms[number](functional.silu(values))
        return normed


class CompositePrior(nn.Module):
    """p(z) = .15 N(z; 0, 1) + .75 q_old(z | x) + .1 N(z; 0, e^10), in each dimension by itself.

    q_old is the encoder as `remember` last saw it: what was learned is not to be forgotten in the next epochs.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.old = deepcopy(encoder).requires_grad_(False)

    def remember(self, encoder: Encoder) -> None:
        """Take the encoder as it is for the old one."""
        self.old.load_state_dict(encoder.state_dict())

    def forward(self, z: Tensor, bags: Bags) -> Tensor:
        """log p(z) of each dimension, float32 [u, latent_dim]."""
        mean, log_variance = self.old(bags)
        nothing, wide = z.new_zeros(()), z.new_full((), WIDE)
        parts = ((nothing, nothing), (mean, log_variance), (nothing, wide))
        each = [log_normal(z, *part) + math.log(share) for share, part in zip(SHARES, parts, strict=True)]
        return torch.logsumexp(torch.stack(each), dim=0)


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, exp(log_variance)), element by element."""
    return -0.5 * (log_variance + math.log(2 * math.pi) + (z - mean).square() / log_variance.exp())
