"""Explanations of scores: the contribution of each item of the person's history.

Scores that are a sum over the history are taken apart into its terms (Hu, Koren and Volinsky 2008, "Collaborative
Filtering for Implicit Feedback Datasets", section 5, do so for a factor model). Any other score is explained by
deletion: how far it falls back among all items when the person is folded in again without the one item.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MOST_DELETIONS = 50
"""Items of a history that are deleted, at most; each deletion is one more person to fold in."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The score of one item for one person, taken apart.

    score: what the model gives the item.
    base: what the contributions leave of the score: biases, popularity, what training knows of a user beyond the
        history; where not `exact`, just the rest.
    items: int32 [h], the items of the history; empty where the history has no say, as for a person without one.
    contributions: float64 [h], what each of them adds to the score, the largest first.
    exact: whether the contributions are terms of the score's own sum, or else effects of deletion, which overlap.
    """

    score: float
    base: float
    items: NDArray[np.int32]
    contributions: NDArray[np.float64]
    exact: bool

    @classmethod
    def of(cls, score: float, items: NDArray[Any], contributions: NDArray[Any], exact: bool) -> Self:
        """The explanation by the contributions [h] of items [h] in any order; equal ones stay in theirs."""
        order = np.argsort(-contributions, kind="stable")
        ordered = contributions[order].astype(np.float64)
        return cls(float(score), float(score - ordered.sum()), items[order].astype(np.int32), ordered, exact)

    @classmethod
    def without_history(cls, score: float) -> Self:
        """The explanation of a score that does not depend on the history: all of it is base."""
        return cls.of(score, np.empty(0), np.empty(0), exact=True)


def effects_of_deletion(
    leads: Callable[[sparse.csr_matrix, NDArray[np.int64], NDArray[Any]], NDArray[np.float64]],
    history: sparse.csr_matrix,
    items: NDArray[Any],
    closeness: NDArray[Any],
) -> NDArray[np.float64]:
    """lead(history) - lead(history without j) of each item and each j of the history, float64 [n, h].

    lead: what an item's score by fold-in exceeds the mean over the catalogue by; `leads` gives those of items [n] for
    the history and for it without each of the entries at m places, float64 [1 + m, n]. The mean must go: losses that
    compare the items of one person leave the level of that person's scores free, and a deletion moves it for all items
    alike. An empty history has the lead 0; popularity, which scores it, is on another scale.

    history: CSR [1, n_items], not empty. All deletions for all items are one call. Of a longer history only
    `MOST_DELETIONS` items are deleted, those of the largest `closeness`, float [n, h], to each item in turn; the others
    count 0.
    """
    deleted = _closest(closeness)
    found = leads(history, deleted, items)
    if history.nnz == 1:
        found[1] = 0
    effects = np.zeros((len(items), history.nnz))
    effects[:, deleted] = (found[0] - found[1:]).T
    return effects


def _closest(closeness: NDArray[Any]) -> NDArray[np.int64]:
    """Places in the history, int64 [<= MOST_DELETIONS]: the closest to each item, the second to each, and so on."""
    h = closeness.shape[1]
    if h <= MOST_DELETIONS:
        return np.arange(h)
    closest = np.sort(np.argpartition(-closeness, MOST_DELETIONS, axis=1)[:, :MOST_DELETIONS], axis=1)
    order = np.argsort(-np.take_along_axis(closeness, closest, axis=1), axis=1, kind="stable")
    in_turn = np.take_along_axis(closest, order, axis=1).T.ravel()
    _, first = np.unique(in_turn, return_index=True)
    return np.asarray(in_turn[np.sort(first)[:MOST_DELETIONS]], dtype=np.int64)


def with_deletions(history: sparse.csr_matrix, deleted: NDArray[np.integer[Any]]) -> sparse.csr_matrix:
    """A history, CSR [1, n_items], and it without each of the entries at the places `deleted` [m]: CSR [1 + m, ...]."""
    n, h = len(deleted), history.nnz
    kept = np.arange(h) != deleted[:, None]
    columns, values = (np.broadcast_to(part, (n, h))[kept] for part in (history.indices, history.data))
    without = sparse.csr_matrix((values, columns, np.arange(n + 1) * (h - 1)), (n, history.shape[1]))
    return sparse.vstack([history, without], format="csr")
