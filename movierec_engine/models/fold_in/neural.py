"""New users of gmf, mlp and ncf: a few gradient steps on their vectors alone, everything else being as trained.

The vectors p and p' of `neural/network.py` start from the trained users with the most similar histories, averaged by
the cosine of the histories, and a few steps of Adam (Kingma and Ba 2015) lower

    mean_{i in history} -log( exp s_i / (exp s_i + sum_{j in sample} exp s_j) ) + l2/2 |h * p|^2 + l2_mlp/2 |p'|^2

against a sample of items outside the history that is the same at every call. The gradient is written out:

    d/ds_i = -g_i / |history|,    d/ds_j = mean_i(g_i) softmax_j(s),    g_i = sigmoid(logsumexp_j(s_j) - s_i)

and goes through relu and the layers back to p'.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices
from movierec_engine.models.fold_in.neighbours import neighbour_weights, neighbour_weights_without
from movierec_engine.models.vectors import cosines

STEPS = 20
LEARNING_RATE = 0.02
NEGATIVES = 200
_BLOCK = 64
_BLOCK_FLOATS = 2**20
"""Budget of a block's hidden layer when a whole catalogue is scored, 4 MB: about what a processor's cache holds."""
_NAMES = ("gmf_users", "mlp_users", "mlp_items", "output")


@dataclass(frozen=True, eq=False)
class NeuralFoldIn(FoldInScorer):
    """A trained NeuralCFNetwork.

    gmf_users, gmf_items: float32 [n_users, a] and [n_items, a], p and q; a = 0 where there is no such part.
    mlp_users, mlp_items: float32 [n_users, b] and [n_items, b], p' and q'; b = 0 where there is no such part.
    layers: weight [out, in] and bias [out] of each hidden layer.
    output: float32 [a + last hidden], h. constant: c.
    l2, l2_mlp: of the penalties above.
    prior_of_items: float32 [n_items], what is added to the items' scores (`popularity_weight.py`); None for nothing.
    """

    kind: ClassVar[str] = "neural"

    gmf_users: Floats
    gmf_items: Floats
    mlp_users: Floats
    mlp_items: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    output: Floats
    constant: float
    l2: float
    l2_mlp: float
    prior_of_items: Floats | None = None

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        blocks = [histories[start : start + _BLOCK] for start in range(0, histories.shape[0], _BLOCK)]
        return np.concatenate([self._of_vectors(*self._fitted(block)) for block in blocks])

    def leads(self, history: sparse.csr_matrix, deleted: NDArray[np.int64], items: Indices) -> NDArray[np.float64]:
        """Without layers the mean over the catalogue is the score of the mean item."""
        gmf, mlp = self._fitted_without(history, deleted)
        if self.layers:
            scores = self._of_vectors(gmf, mlp).astype(np.float64)
            return np.asarray(scores[:, items] - scores.mean(axis=1, keepdims=True))
        queries = (gmf * self._h[0]).astype(np.float64)
        leads = queries @ (self.gmf_items[items] - self._mean_item).T
        if self.prior_of_items is not None:
            leads += self.prior_of_items[items] - self.prior_of_items.mean()
        return np.asarray(leads)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        """The cosine of the items' embeddings q and q'."""
        own, others = (
            np.concatenate([self.gmf_items[some], self.mlp_items[some]], axis=1) for some in (items, history.indices)
        )
        return cosines(own, others)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """q is left out where it is the basis's item vectors, as for gmf."""
        named = {name: getattr(self, name) for name in _NAMES}
        if self.layers:
            named["gmf_items"] = self.gmf_items
        if self.prior_of_items is not None:
            named["prior_of_items"] = self.prior_of_items
        for number, (weight, bias) in enumerate(self.layers):
            named |= {f"weight{number}": weight, f"bias{number}": bias}
        return {
            "kind": np.array(self.kind),
            **named,
            "settings": np.array([self.constant, self.l2, self.l2_mlp], dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        named = {name: arrays[name] for name in _NAMES}
        count = sum(name.startswith("weight") for name in arrays)
        gmf_items = arrays["gmf_items"] if count else basis.vectors[:, :-1]
        layers = tuple((arrays[f"weight{number}"], arrays[f"bias{number}"]) for number in range(count))
        constant, l2, l2_mlp = arrays["settings"].tolist()
        return cls(
            basis,
            gmf_items=gmf_items,
            layers=layers,
            constant=constant,
            l2=l2,
            l2_mlp=l2_mlp,
            prior_of_items=arrays.get("prior_of_items"),
            **named,
        )

    @property
    def _h(self) -> tuple[Floats, Floats]:
        """h of the GMF part [a] and of the MLP part."""
        width = self.gmf_items.shape[1]
        return self.output[:width], self.output[width:]

    @cached_property
    def _mean_item(self) -> NDArray[np.float64]:
        """The mean of q over the catalogue, [a]."""
        return np.asarray(self.gmf_items.mean(axis=0, dtype=np.float64))

    @cached_property
    def _item_part(self) -> Floats:
        """W_1i q' + b_1, float32 [n_items, first hidden]."""
        if not self.layers:
            return np.zeros((len(self.gmf_items), 0), dtype=np.float32)
        weight, bias = self.layers[0]
        return np.asarray(self.mlp_items @ weight[:, self.mlp_items.shape[1] :].T + bias, dtype=np.float32)

    def _fitted(self, histories: sparse.csr_matrix) -> tuple[Floats, Floats]:
        """p float32 [n, a] and p' [n, b] of histories, CSR [n, n_items]."""
        return self._descended(neighbour_weights(self.basis, histories), *_candidates(histories))

    def _fitted_without(self, history: sparse.csr_matrix, deleted: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """p and p' of a history, CSR [1, n_items], and of it without each of the places `deleted` [m]: [1 + m, ...]."""
        weights = neighbour_weights_without(self.basis, history, deleted)
        return self._descended(weights, *_candidates_without(history, deleted))

    def _descended(
        self,
        weights: sparse.csr_matrix,
        items: NDArray[np.int64],
        present: NDArray[np.bool_],
        outside: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        """p and p' after the steps. weights: of the neighbours that they start from. The rest: of `_candidates`."""
        weight = present / -np.maximum(present.sum(axis=1, keepdims=True), 1).astype(np.float32)
        gmf, mlp = weights @ self.gmf_users, weights @ self.mlp_users
        vectors, parts = self.gmf_items[items], self._item_part[items]
        h_gmf, _ = self._h
        penalty = self.l2 * h_gmf**2
        adam = _Adam(gmf, mlp) if self.layers else _Adam(gmf)
        for _ in range(STEPS):
            slopes, hidden = self._forward(gmf, mlp, vectors, parts)
            _to_slopes(slopes, weight, outside)
            pulled = slopes @ vectors if items.ndim == 1 else (slopes[:, None] @ vectors)[:, 0]
            of_gmf = pulled * h_gmf + penalty * gmf
            if self.layers:
                adam.step(of_gmf, self._backward(slopes, hidden) + self.l2_mlp * mlp)
            else:
                adam.step(of_gmf)
        return gmf, mlp

    def _forward(self, gmf: Floats, mlp: Floats, vectors: Floats, parts: Floats) -> tuple[Floats, list[Floats]]:
        """Scores [n, m] of pairs, up to c, and the hidden layers [n, m, out] that they went through.

        vectors: q of the items, [n, m, a], or [m, a] where all people have the same ones. parts: `_item_part` of the
        items, likewise.
        """
        h_gmf, h_mlp = self._h
        queries = gmf * h_gmf
        if vectors.ndim == 2:
            scores = np.asarray(queries @ vectors.T, dtype=np.float32)
        else:
            scores = (vectors @ queries[:, :, None])[:, :, 0]
        if not self.layers:
            return scores, []
        hidden = [np.maximum((mlp @ self._user_weight.T)[:, None] + parts, 0)]
        for weight, bias in self.layers[1:]:
            hidden.append(np.maximum(hidden[-1] @ weight.T + bias, 0))
        return np.asarray(scores + hidden[-1] @ h_mlp, dtype=np.float32), hidden

    def _backward(self, slopes: Floats, hidden: list[Floats]) -> Floats:
        """The gradient with respect to p', [n, b], from that with respect to the scores, [n, m]."""
        gradient = slopes[:, :, None] * self._h[1] * (hidden[-1] > 0)
        for (weight, _), below in zip(self.layers[:0:-1], hidden[-2::-1], strict=True):
            gradient = (gradient @ weight) * (below > 0)
        return np.asarray(gradient.sum(axis=1) @ self._user_weight)

    @property
    def _user_weight(self) -> Floats:
        """W_1u, [first hidden, b]."""
        return self.layers[0][0][:, : self.mlp_items.shape[1]]

    def _of_vectors(self, gmf: Floats, mlp: Floats) -> Floats:
        """Scores float32 [n, n_items] of p and p', with the MLP in blocks of people."""
        h_gmf, h_mlp = self._h
        scores = (gmf * h_gmf) @ self.gmf_items.T + np.float32(self.constant)
        if self.prior_of_items is not None:
            scores += self.prior_of_items
        if self.layers:
            rows = max(1, _BLOCK_FLOATS // max(1, self._item_part.size))
            for start in range(0, len(mlp), rows):
                hidden = np.maximum((mlp[start : start + rows] @ self._user_weight.T)[:, None] + self._item_part, 0)
                for weight, bias in self.layers[1:]:
                    hidden = hidden @ weight.T
                    hidden += bias
                    np.maximum(hidden, 0, out=hidden)
                scores[start : start + rows] += hidden @ h_mlp
        return np.asarray(scores, dtype=np.float32)


class _Adam:
    """Adam's steps on arrays, in place, with the paper's betas and epsilon."""

    def __init__(self, *values: Floats) -> None:
        self._values = values
        self._first, self._second = ([np.zeros_like(value) for value in values] for _ in range(2))
        self._steps = 0

    def step(self, *gradients: Floats) -> None:
        self._steps += 1
        rate = np.float32(LEARNING_RATE / (1 - 0.9**self._steps))
        correction = np.float32(np.sqrt(1 - 0.999**self._steps))
        for n, gradient in enumerate(gradients):
            self._first[n] += np.float32(0.1) * (gradient - self._first[n])
            self._second[n] += np.float32(0.001) * (np.square(gradient) - self._second[n])
            scale = np.sqrt(self._second[n]) / correction + np.float32(1e-8)
            self._values[n][...] -= rate * self._first[n] / scale


def _to_slopes(scores: Floats, weight: Floats, outside: NDArray[np.bool_]) -> None:
    """Put the gradient of the loss with respect to the scores, [n, longest + m], in their place.

    weight: [n, longest], -1 over the length of the history where an item is in it, else 0.
    """
    width = weight.shape[1]
    against = np.where(outside, scores[:, width:], np.float32(-np.inf))
    most = against.max(axis=1, keepdims=True)
    shares = np.exp(against - most)
    total = shares.sum(axis=1, keepdims=True)
    pull = scores[:, :width]
    pull -= most + np.log(total)
    with np.errstate(over="ignore"):  # an item far ahead of the sample pulls no more: 1 / infinity
        np.exp(pull, out=pull)  # and not scipy's expit, which takes five times as long
    pull += 1
    np.divide(weight, pull, out=pull)
    np.multiply(shares, -pull.sum(axis=1, keepdims=True) / total, out=scores[:, width:])


def _candidates(histories: sparse.csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Items int64 [n, longest + m]: each history, padded, then the same sample; and which of each count.

    A history alone has one row of items, int64 [all + m].
    """
    if histories.shape[0] == 1:
        return _candidates_without(histories, np.empty(0, dtype=np.int64))
    length = np.diff(histories.indptr)
    n, longest = len(length), int(length.max(initial=0))
    sample = _sample(histories.shape[1])
    outside = _or_all(histories[:, sample].toarray() == 0)
    present = np.arange(longest) < length[:, None]
    positives = np.zeros((n, longest), dtype=np.int64)
    positives[present] = histories.indices
    return np.concatenate([positives, np.tile(sample, (n, 1))], axis=1), present, outside


def _candidates_without(
    history: sparse.csr_matrix, deleted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """`_candidates` of a history, CSR [1, n_items], and of it without each of the places `deleted` [m].

    They share one row of items, int64 [h + 200]; which of them count is bool [1 + m, h] and [1 + m, 200], or [1, 200].
    The sample stands for all unseen items, so what is left out joins it only where it is all of them: else the few that
    it happens to hold would be counted many times over, and be every list's reasons.
    """
    sample = _sample(history.shape[1])
    present = np.ones((1 + len(deleted), history.nnz), dtype=np.bool_)
    present[np.arange(1, 1 + len(deleted)), deleted] = False
    outside = ~np.isin(sample, history.indices)[None]
    if len(sample) == history.shape[1]:
        outside = np.concatenate([outside, outside | (sample == history.indices[deleted][:, None])])
    return np.concatenate([history.indices, sample]), present, _or_all(outside)


@cache
def _sample(n_items: int) -> NDArray[np.int64]:
    """The items that histories are compared with: always the same ones."""
    return np.random.default_rng(0).permutation(n_items)[:NEGATIVES]


def _or_all(outside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All items of the sample for a person who has seen all of it."""
    outside[~outside.any(axis=1)] = True
    return outside
