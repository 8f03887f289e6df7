"""Forward pass of sasrec in numpy, for trained and new users alike; the equations are in `sequence/network.py`.

    score(i) = <h, E_i>,    h: what the last block makes of the newest item and all before it

Only the newest item goes through the last block, whose keys and values alone are of all items.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues
from movierec_engine.data.sequences import Sequences, bucket_of_time, grouped_by_length
from movierec_engine.models.fold_in.base import Basis, Floats, Indices
from movierec_engine.models.fold_in.encoder import EncoderFoldIn, weights_among
from movierec_engine.models.vectors import cosines, with_column

NORM_EPS = 1e-5
"""Added to the variance in a layer norm."""

BLOCK = 8192
"""Items of histories, padding among them, whose hidden layers are in memory together."""


@dataclass(frozen=True, eq=False)
class SASRecFoldIn(EncoderFoldIn):
    """The item vectors are E, and one number more where popularity is added to the scores (`popularity_weight.py`).

    weights: `positions` float32 [max_length, d]; of block K, from 0, `blocks.K.` and `norm_attention`, `attention`
    [3 d, d], `attended`, `norm_forward`, `wide`, `narrow` and, where gated, `gates.0` and `gates.1`, each of them with
    `.weight` and `.bias`, and with relative times `times` [heads, TIME_BUCKETS]; `norm.weight` and `.bias`.
    """

    kind: ClassVar[str] = "sasrec"

    num_heads: int

    @property
    def history_values(self) -> HistoryValues:
        return "times" if self._timed else "places"

    def queries(self, histories: sparse.csr_matrix) -> Floats:
        """h of histories with places, CSR [n, n_items], 0 for an empty one, and 1 for what is added: float32 [n, d]."""
        sequences = Sequences.of(histories, self._timed).newest(len(self.weights["positions"]))
        lengths, last = sequences.lengths, len(sequences.items) - 1
        found = np.zeros((len(lengths), self._width), dtype=np.float32)
        for rows in _blocks(lengths):
            places = np.minimum(sequences.starts[rows, None] + np.arange(lengths[rows[0]]), last)
            since = _since(sequences.seconds[places]) if self._timed else None
            found[rows] = self._hidden(sequences.items[places], lengths[rows], since)
        added = self.basis.vectors.shape[1] > self._width
        return with_column(found, np.ones(len(found))) if added else found

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        """The cosine of E."""
        return cosines(self._embeddings[items], self._embeddings[history.indices])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array(self.kind), "num_heads": np.array(self.num_heads)} | super().arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis, weights_among(arrays), int(arrays["num_heads"]))

    @property
    def _width(self) -> int:
        """Length of a row of E."""
        return int(self.weights["positions"].shape[1])

    @property
    def _embeddings(self) -> Floats:
        """E, float32 [n_items, d]."""
        return np.asarray(self.basis.vectors[:, : self._width])

    @cached_property
    def _timed(self) -> bool:
        return any(name.endswith("times") for name in self.weights)

    @cached_property
    def _n_blocks(self) -> int:
        return sum(name.endswith("attended.bias") for name in self.weights)

    def _hidden(self, items: NDArray[np.int64], lengths: NDArray[np.int64], since: NDArray[np.int32] | None) -> Floats:
        """h of g histories of similar lengths, float32 [g, d]: items int64 [g, longest], padded after each.

        since: int32 [g, longest, longest], with relative times the bucket of the time from each item (last) to another.
        """
        longest = items.shape[1]
        ends = lengths - 1
        places = np.maximum(ends[:, None] - np.arange(longest), 0)
        x = self._embeddings[items] * np.float32(math.sqrt(self._width))
        x += self.weights["positions"][places]
        for number in range(self._n_blocks):
            x = self._block(f"blocks.{number}.", x, ends, since, number == self._n_blocks - 1)
        return self._norm("norm", x)

    def _block(
        self, name: str, x: Floats, ends: NDArray[np.int64], since: NDArray[np.int32] | None, newest: bool
    ) -> Floats:
        """A block's output, float32 [g, longest, d], or with `newest` [g, d] at the places `ends` alone."""
        normed = self._norm(f"{name}norm_attention", x)
        change = self._attention(name, normed, since, ends if newest else None)
        if newest:
            rows = np.arange(len(x))
            x, normed = x[rows, ends], normed[rows, ends]
        x = x + self._gated(f"{name}gates.0", change, normed)
        normed = self._norm(f"{name}norm_forward", x)
        wide = self._linear(f"{name}wide", normed)
        if f"{name}gates.1.weight" in self.weights:
            one, other = np.split(wide, 2, axis=-1)
            wide = one * _sigmoid(one) * other
        else:
            wide = np.maximum(wide, 0)
        return x + self._gated(f"{name}gates.1", self._linear(f"{name}narrow", wide), normed)

    def _attention(
        self, name: str, normed: Floats, since: NDArray[np.int32] | None, ends: NDArray[np.int64] | None
    ) -> Floats:
        """Causal attention of all items, float32 [g, longest, d], or of those at `ends` alone, [g, d]."""
        g, longest, d = normed.shape
        width = d // self.num_heads
        weight, bias = self.weights[f"{name}attention.weight"], self.weights[f"{name}attention.bias"]
        asking = normed if ends is None else normed[np.arange(g), ends][:, None]
        query = (asking @ weight[:d].T + bias[:d]).reshape(g, -1, self.num_heads, width).transpose(0, 2, 1, 3)
        both = (normed @ weight[d:].T + bias[d:]).reshape(g, longest, 2, self.num_heads, width)
        key, value = both.transpose(2, 0, 3, 1, 4)
        scores = (query * np.float32(1 / math.sqrt(width))) @ key.swapaxes(2, 3)
        if since is not None:
            apart = since if ends is None else since[np.arange(g), ends][:, None]
            scores += self.weights[f"{name}times"].take(apart, axis=1).swapaxes(0, 1)
        places = np.arange(longest)
        later = places > places[:, None] if ends is None else (places > ends[:, None])[:, None, None]
        np.copyto(scores, np.float32(-np.inf), where=later)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        attended = (scores @ value).transpose(0, 2, 1, 3).reshape(g, -1, d)
        return self._linear(f"{name}attended", attended if ends is None else attended[:, 0])

    def _linear(self, name: str, values: Floats) -> Floats:
        found = values @ self.weights[f"{name}.weight"].T
        found += self.weights[f"{name}.bias"]
        return np.asarray(found)

    def _gated(self, name: str, change: Floats, normed: Floats) -> Floats:
        return change * _sigmoid(self._linear(name, normed)) if f"{name}.weight" in self.weights else change

    def _norm(self, name: str, values: Floats) -> Floats:
        centred = values - values.mean(axis=-1, keepdims=True)
        centred /= np.sqrt(np.vecdot(centred, centred)[..., None] / values.shape[-1] + np.float32(NORM_EPS))
        centred *= self.weights[f"{name}.weight"]
        centred += self.weights[f"{name}.bias"]
        return np.asarray(centred, dtype=np.float32)


def _since(seconds: NDArray[np.int64]) -> NDArray[np.int32]:
    """Buckets of the times from each item (last axis) to each that asks, of times int64 [g, n]: int32 [g, n, n]."""
    return bucket_of_time(np.maximum(seconds[:, :, None] - seconds[:, None, :], 0))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), dtype=np.float32)


def _blocks(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Histories that are not empty, in groups of similar lengths, the longest first: which of them, int64 [g] each."""
    some = np.flatnonzero(lengths)
    for group in grouped_by_length(lengths[some]):
        rows = some[group]
        size = max(1, BLOCK // int(lengths[rows[0]]))
        yield from np.split(rows, range(size, len(rows), size))
