"""The network of neural collaborative filtering (He et al. 2017, "Neural Collaborative Filtering").

    phi_gmf(u, i) = p_u * q_i                                                     (element by element)
    phi_mlp(u, i) = relu(W_L ... relu(W_1 [p'_u; q'_i] + b_1) ... + b_L)
    score(u, i) = <h, [phi_gmf; phi_mlp]> + c

The first layer splits into a part of the user and a part of the item, W_1 [p'; q'] = W_1u p' + W_1i q', so that ranking
a catalogue costs one sum a pair there instead of a product with W_1.
"""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movierec_engine.models.dropout import dropout
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.neural import NeuralFoldIn
from movierec_engine.models.gradient import rows_of
from movierec_engine.models.neural.hidden_layers import hidden_layers
from movierec_engine.models.pair_scorer import PairScorer
from movierec_engine.training.trainable import Network

_BLOCK_FLOATS = 2**20
"""Budget of a block's hidden layer when a whole catalogue is scored, 4 MB: about what a processor's cache holds."""


class NeuralCFNetwork(Network):
    """mf_dim: length of p and q, 0 without the GMF part.

    mlp_layers: widths of the MLP, the first that of its input [p'; q'], so that p' and q' have half of it each; empty
    without the MLP part.
    """

    user_tables = ("gmf_users", "mlp_users")

    def __init__(
        self,
        n_users: int,
        n_items: int,
        mf_dim: int,
        mlp_layers: tuple[int, ...],
        dropout: float,
        l2: float,
        l2_mlp: float,
        init_std: float,
    ) -> None:
        super().__init__()
        self.dropout, self.l2, self.l2_mlp = dropout, l2, l2_mlp
        half = mlp_layers[0] // 2 if mlp_layers else 0
        self.gmf_users, self.gmf_items = _embedding(n_users, mf_dim, init_std), _embedding(n_items, mf_dim, init_std)
        self.mlp_users, self.mlp_items = _embedding(n_users, half, init_std), _embedding(n_items, half, init_std)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(mlp_layers))
        last = mlp_layers[-1] if mlp_layers else 0
        self.output = nn.Linear(mf_dim + last, 1)
        for layer in self.hidden:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.ones_(self.output.weight[:, :mf_dim])  # GMF starts as plain matrix factorisation
        nn.init.zeros_(self.output.bias)

    @property
    def hidden(self) -> list[nn.Linear]:
        """The layers up to the last hidden one."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def factors(self, users: Tensor, items: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """User and item factors of a pure GMF network; None with hidden layers, whose scores are no inner products."""
        if self.hidden:
            return None
        queries = rows_of(self.gmf_users, users) * self.output.weight[0]
        return queries, self.gmf_items if items is None else rows_of(self.gmf_items, items)

    def forward(self, users: Tensor, items: Tensor | None) -> Tensor:
        gmf, mlp = rows_of(self.gmf_users, users), rows_of(self.mlp_users, users)
        return self.scores(gmf, mlp, items)

    def scores(self, gmf: Tensor, mlp: Tensor, items: Tensor | None) -> Tensor:
        """`forward` of users by their vectors p float32 [b, mf_dim] and p' [b, half] instead of by index."""
        scores: Tensor = self.output.bias
        if self.gmf_users.shape[1]:
            query = gmf * self.output.weight[0, : self.gmf_users.shape[1]]
            if items is None or items.dim() == 1:
                vectors = self.gmf_items if items is None else rows_of(self.gmf_items, items)
                scores = scores + query @ vectors.T
            else:
                scores = scores + (query[:, None] * rows_of(self.gmf_items, items)).sum(dim=2)
        if self.hidden:
            scores = scores + self._mlp(mlp, items)
        return scores

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """Half the squared norms of what a pair's score uses: l2 times h_gmf * p_u and q_i, l2_mlp times the MLP's.

        The product with h and the MLP's weights count, since embeddings alone could shrink while those grow.
        """
        total = super().penalty(users, items)
        width = self.gmf_users.shape[1]
        if self.l2:
            scaled = rows_of(self.gmf_users, users) * self.output.weight[0, :width]
            items_squared = rows_of(self.gmf_items, items).square().sum()
            total = total + self.l2 / 2 * (scaled.square().sum() + items_squared) / len(users)
        if self.l2_mlp:
            squares = rows_of(self.mlp_users, users).square().sum()
            squares = (squares + rows_of(self.mlp_items, items).square().sum()) / len(users)
            for weight in (*(layer.weight for layer in self.hidden), self.output.weight[0, width:]):
                squares = squares + weight.square().sum()
            total = total + self.l2_mlp / 2 * squares
        return total

    def floats_per_score(self, gathered: bool) -> int:
        hidden = sum(layer.out_features for layer in self.hidden)
        return hidden + (self.gmf_users.shape[1] + self.mlp_users.shape[1] if gathered else 1)

    @torch.no_grad()
    def score_all(self, gmf: Tensor, mlp: Tensor) -> Tensor:
        """`scores` for all items, with the MLP in blocks of users whose hidden layers fit a processor's cache."""
        scores = (gmf * self.output.weight[0, : self.gmf_users.shape[1]]) @ self.gmf_items.T + self.output.bias
        if self.hidden:
            user_part, item_part = self._first_layer(mlp, self.mlp_items)
            rows = max(1, _BLOCK_FLOATS // item_part.numel())
            for place, users in zip(torch.split(scores, rows), torch.split(user_part, rows), strict=True):
                place.add_(self._upper_layers(users, item_part))
        return scores

    @torch.no_grad()
    def pair_scorer(self) -> PairScorer:
        """This network's scorer of pairs, up to the constant c."""
        width = self.gmf_users.shape[1]
        user_part, item_part = self._first_layer(self.mlp_users, self.mlp_items)
        return PairScorer(
            gmf_users=_numpy(self.gmf_users * self.output.weight[0, :width]),
            gmf_items=_numpy(self.gmf_items),
            mlp_users=_numpy(user_part),
            mlp_items=_numpy(item_part),
            weights=tuple(_numpy(layer.weight) for layer in self.hidden[1:]),
            biases=tuple(_numpy(layer.bias) for layer in self.hidden[1:]),
            output=_numpy(self.output.weight[0, width:]),
        )

    def item_embeddings(self) -> NDArray[np.float32]:
        """q of the GMF part and a column of ones for the constant: float32 [n_items, mf_dim + 1]."""
        items = _numpy(self.gmf_items)
        return np.concatenate([items, np.ones((len(items), 1), dtype=np.float32)], axis=1)

    def fold_in_scorer(self, basis: Basis) -> NeuralFoldIn:
        """The fold-in scorer of this network."""
        return NeuralFoldIn(
            basis,
            gmf_users=_numpy(self.gmf_users),
            gmf_items=_numpy(self.gmf_items),
            mlp_users=_numpy(self.mlp_users),
            mlp_items=_numpy(self.mlp_items),
            layers=tuple((_numpy(layer.weight), _numpy(layer.bias)) for layer in self.hidden),
            output=_numpy(self.output.weight[0]),
            constant=self.output.bias.item(),
            l2=self.l2,
            l2_mlp=self.l2_mlp,
        )

    def _mlp(self, users: Tensor, items: Tensor | None) -> Tensor:
        """The MLP's share of `scores`, [b, m]."""
        columns, on_cpu = None, users.device.type == "cpu"
        if on_cpu and items is not None and items.dim() == 2:  # the first layer of an item in several pairs is one
            items, columns = torch.unique(items, return_inverse=True)
        vectors = self.mlp_items if items is None else rows_of(self.mlp_items, items)
        user_part, item_part = self._first_layer(users, vectors)
        if not on_cpu:
            return self._upper_layers(user_part, item_part)
        layers = [(layer.weight, layer.bias) for layer in self.hidden[1:]]
        output = self.output.weight[0, self.gmf_users.shape[1] :]
        return hidden_layers(user_part, item_part, columns, layers, output, self.dropout if self.training else 0.0)

    def _upper_layers(self, user_part: Tensor, item_part: Tensor) -> Tensor:
        """The MLP's share of the scores, [b, m], from the first layer's parts [b, h] and [b, m, h] or [m, h]."""
        hidden = (user_part[:, None] + item_part).relu_()
        for layer in self.hidden[1:]:
            hidden = layer(dropout(hidden, self.dropout, self.training)).relu_()
        hidden = dropout(hidden, self.dropout, self.training)
        return hidden @ self.output.weight[0, self.gmf_users.shape[1] :]

    def _first_layer(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """W_1u p' and W_1i q' + b_1, whose sum is the first hidden layer before relu."""
        first = self.hidden[0]
        half = first.in_features // 2
        return users @ first.weight[:, :half].T, items @ first.weight[:, half:].T + first.bias


def _embedding(rows: int, width: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width).mul_(std))


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().contiguous())
