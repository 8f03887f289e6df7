"""New users of recvae: the encoder's forward pass on the history, as for trained users.

    h_1 = a(T^T x + b),    h_k = a(W_k h_(k-1) + b_k + sum_{j<k} h_j),    score(i) = <[d(mu(h_K)); 1], V_i>

x: the history at unit length; T: the input layer's table; a: swish and a layer norm, or tanh; d: one layer with tanh,
or the identity; V: the decoder's weights and, in the last column, biases.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Floats, Indices
from movierec_engine.models.fold_in.encoder import EncoderFoldIn
from movierec_engine.models.vectors import cosines

NORM_EPS = 0.1
"""Added to the variance in a layer norm (the authors' code)."""

_BLOCK = 1024
"""Histories whose hidden layers are in memory together."""


@dataclass(frozen=True, eq=False)
class RecVAEFoldIn(EncoderFoldIn):
    """The item vectors are V.

    weights: `encoder.table` float32 [n_items, h] and `encoder.bias` [h]; `encoder.layers.K.weight` and `.bias` of the
    hidden layers from the second, K from 0; with swish `encoder.norms.K.weight` and `.bias` of all of them;
    `encoder.mean.weight` and `.bias`; of a decoder with a layer of its own `decoder.weight` and `.bias`.
    """

    kind: ClassVar[str] = "recvae"

    def queries(self, histories: sparse.csr_matrix) -> Floats:
        """[d(mu); 1] of histories, CSR [n, n_items]: float32 [n, d + 1]."""
        blocks = [self._encoded(histories[start : start + _BLOCK]) for start in range(0, histories.shape[0], _BLOCK)]
        width = self.basis.vectors.shape[1]
        return np.concatenate(blocks) if blocks else np.empty((0, width), dtype=np.float32)

    def leads(self, history: sparse.csr_matrix, deleted: NDArray[np.int64], items: Indices) -> NDArray[np.float64]:
        """The input layer of a history without an item is that of the whole less the item's row."""
        values = history.data[:, None]
        rows = values * self.weights["encoder.table"][history.indices]
        sums = np.concatenate([rows.sum(axis=0)[None], rows.sum(axis=0) - rows[deleted]])
        squares = np.square(history.data)
        lengths = np.sqrt(np.concatenate([[squares.sum()], squares.sum() - squares[deleted]]))
        inputs = sums / np.maximum(lengths, 1e-6)[:, None].astype(np.float32)
        return self.leads_of(self._above(inputs), items)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        """The cosine of the decoder's weights, without the biases."""
        return cosines(self.basis.vectors[items, :-1], self.basis.vectors[history.indices, :-1])

    def _encoded(self, histories: sparse.csr_matrix) -> Floats:
        lengths = np.sqrt(np.asarray(histories.multiply(histories).sum(axis=1))).reshape(-1, 1)
        inputs = (histories @ self.weights["encoder.table"]) / np.maximum(lengths, 1e-6)
        return self._above(np.asarray(inputs, dtype=np.float32))

    def _above(self, inputs: Floats) -> Floats:
        """`queries` of T^T x, float32 [n, h]."""
        hidden = self._activated(inputs + self.weights["encoder.bias"], 0)
        total = hidden
        for number in range(sum(name.startswith("encoder.layers") for name in self.weights) // 2):
            hidden = self._activated(self._linear(f"encoder.layers.{number}", hidden) + total, number + 1)
            total = total + hidden
        latent = self._linear("encoder.mean", hidden)
        if "decoder.weight" in self.weights:
            latent = np.tanh(self._linear("decoder", latent))
        return np.concatenate([latent, np.ones((len(latent), 1), dtype=np.float32)], axis=1)

    def _linear(self, name: str, values: Floats) -> Floats:
        return np.asarray(values @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"])

    def _activated(self, values: Floats, number: int) -> Floats:
        """The layer norm of swish, or tanh where there are no norms."""
        if "encoder.norms.0.weight" not in self.weights:
            return np.tanh(values)
        values = values / (1 + np.exp(-np.clip(values, -60, 60)))
        values = values - values.mean(axis=1, keepdims=True)
        values /= np.sqrt(np.square(values).mean(axis=1, keepdims=True) + np.float32(NORM_EPS))
        norm = f"encoder.norms.{number}"
        return np.asarray(values * self.weights[f"{norm}.weight"] + self.weights[f"{norm}.bias"], dtype=np.float32)
