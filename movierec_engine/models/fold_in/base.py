"""The interface of fold-in scorers: scores of new users, and their explanations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import OF_ORDER, HistoryValues
from movierec_engine.models.explanation import Explanation, effects_of_deletion, with_deletions
from movierec_engine.models.vectors import cosines

Floats = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]

AGAINST = 0.5
"""How much a dislike counts against what it is like, a like counting 1 for it: benchmarks/results/rating_values.md."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Arrays that every index holds: shared with the scorer instead of saved twice.

    vectors: float32 [n_items, d], the model's item vectors; CSC where the model has them sparse.
    history: float32 CSR [n_users, n_items], the train interactions, with the model's `history_values`.
    """

    vectors: Any
    history: sparse.csr_matrix

    @cached_property
    def popularity(self) -> Floats:
        """float32 [n_items], train interactions of each item."""
        return np.bincount(self.history.indices, minlength=self.history.shape[1]).astype(np.float32)

    @cached_property
    def users_by_item(self) -> sparse.csr_matrix:
        """float32 CSR [n_items, n_users], the history turned round, so that a new user's neighbours are found fast."""
        return self.history.T.tocsr()

    @cached_property
    def activity(self) -> NDArray[np.integer[Any]]:
        """int [n_users], train interactions of each user."""
        return np.asarray(np.diff(self.history.indptr))


@dataclass(frozen=True, eq=False)
class FoldInScorer(ABC):
    """Scores of all items for people known by their history alone, and what each item of a history adds to a score.

    exact: whether a score is a sum over the history, whose terms `contributions` gives.
    personal: False where a history has no say in the scores, so that everybody gets the same.
    as_trained: whether trained users score as new people of the same histories do.
    history_values: what a history holds: ones, ratings, places in the order of time, or times.
    """

    kind: ClassVar[str]
    exact: ClassVar[bool] = False
    personal: ClassVar[bool] = True
    as_trained: ClassVar[bool] = False

    basis: Basis

    @property
    def history_values(self) -> HistoryValues:
        return "ones"

    @property
    def uses_ratings(self) -> bool:
        return self.history_values == "ratings"

    @property
    def n_explanation_inputs(self) -> int:
        """Length of what `contributions` needs to know of a trained user beside the history."""
        return 0

    @abstractmethod
    def scores(self, histories: sparse.csr_matrix) -> Floats:
        """Scores float32 [n, n_items] for histories, CSR [n, n_items]; of an empty one they say nothing."""

    def leads(self, history: sparse.csr_matrix, deleted: NDArray[np.int64], items: Indices) -> NDArray[np.float64]:
        """Scores of items [n] above their mean over the catalogue: float64 [1 + m, n].

        Of a history, CSR [1, n_items], and of it without each of the entries at the places `deleted` [m].
        """
        scores = self.scores(with_deletions(history, deleted)).astype(np.float64)
        return np.asarray(scores[:, items] - scores.mean(axis=1, keepdims=True))

    def taste_scores(self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix) -> Floats:
        """Scores float32 [n, n_items] of people by what they liked and what they disliked.

            f(L) - AGAINST (f(L u D) - f(L))        f: `scores`; L, D: what is liked and disliked

        What the dislikes would raise as likes goes down. Where f is a sum over the history, dislikes have the weight
        -AGAINST. Of somebody without likes it says nothing.

        A dislike says nothing against what is popular: what it would raise by the `prior` is left out.

        Models of order go by the likes alone: in the order of what somebody watched a dislike has no place.

        liked, disliked: CSR [n, n_items] without common entries, with `history_values`.
        """
        scores = self.scores(liked)
        rows = np.flatnonzero(np.diff(disliked.indptr)) if self.history_values not in OF_ORDER else ()
        if len(rows):
            as_likes = self.as_likes(disliked[rows])
            both = self.scores(union(liked[rows], as_likes))
            scores[rows] -= np.float32(AGAINST) * (both - scores[rows] - self.prior(as_likes))
        return scores

    def prior(self, histories: sparse.csr_matrix) -> Floats:
        """Part of `scores` that popularity adds and no item of the histories is a reason for: [n, n_items], or 0."""
        return np.zeros((1, 1), dtype=np.float32)

    def taste_contributions(
        self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix, items: Indices
    ) -> NDArray[np.float64]:
        """Contributions of each item of `union(liked, disliked)` to the taste scores of items: float64 [n, h].

        liked, disliked: CSR [1, n_items], neither of them empty.
        """
        both = union(liked, self.as_likes(disliked))
        if self.history_values in OF_ORDER:
            amounts = np.zeros((len(items), both.nnz))
            amounts[:, np.isin(both.indices, liked.indices)] = self.contributions(liked, items)
            return amounts
        amounts = -AGAINST * self.contributions(both, items)
        amounts[:, np.isin(both.indices, liked.indices)] += (1 + AGAINST) * self.contributions(liked, items)
        return amounts

    def taste_explanations(
        self,
        scores: NDArray[np.floating[Any]],
        liked: sparse.csr_matrix,
        disliked: sparse.csr_matrix,
        items: Indices,
    ) -> list[Explanation]:
        """Explanations of items' taste scores [n]; a dislike's term is seldom above 0, and is no reason to name."""
        if not disliked.nnz or not liked.nnz or not len(items):
            return self.explanations(scores, liked, items)
        history = union(liked, disliked).indices
        each = zip(scores.tolist(), self.taste_contributions(liked, disliked, items), strict=True)
        return [Explanation.of(score, history, contributions, self.exact) for score, contributions in each]

    def as_likes(self, disliked: sparse.csr_matrix) -> sparse.csr_matrix:
        """The same items as likes; where entries are ratings, each becomes the highest rating of train."""
        likes = ones(disliked)
        if self.uses_ratings:
            likes.data *= self.basis.history.data.max()
        return likes

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """Contributions of the items of a history, CSR [1, n_items], not empty, to the scores of items: float64 [n, h].

        inputs: float32 [n_explanation_inputs], the row of `Recommender.explanation_inputs` of the trained user whose
        history it is; None for a new user. Here by deletion, of the closest items where there are many.
        """
        return effects_of_deletion(self.leads, history, items, self.closeness(history, items))

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        """Closeness of each item of a history to each of the items, float [n, h]: the cosine of the item vectors."""
        return cosines(self.basis.vectors[items], self.basis.vectors[history.indices])

    def explanations(
        self,
        scores: NDArray[np.floating[Any]],
        history: sparse.csr_matrix,
        items: Indices,
        inputs: Floats | None = None,
    ) -> list[Explanation]:
        """Explanations of items' scores [n] for a person with this history, CSR [1, n_items]; one pass for all."""
        if not history.nnz or not len(items):
            return [Explanation.without_history(float(score)) for score in scores]
        each = zip(scores.tolist(), self.contributions(history, items, inputs), strict=True)
        return [Explanation.of(score, history.indices, contributions, self.exact) for score, contributions in each]

    def explanation(
        self, score: float, history: sparse.csr_matrix, item: int, inputs: Floats | None = None
    ) -> Explanation:
        """`explanations` of one item."""
        return self.explanations(np.array([score]), history, np.array([item]), inputs)[0]

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name, to be saved without the basis; `kind` says which class they are of."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        """The scorer whose `arrays` these are. Raises KeyError where one is missing."""


def ones(histories: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same entries with 1 for each rating."""
    return sparse.csr_matrix((np.ones_like(histories.data), histories.indices, histories.indptr), histories.shape)


def union(one: sparse.csr_matrix, other: sparse.csr_matrix) -> sparse.csr_matrix:
    """The entries of both, which have none in common: CSR [n, n_items], items ascending, with ratings of 0 kept."""
    parts = one.tocoo(), other.tocoo()
    places = tuple(np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "col"))
    return sparse.csr_matrix((np.concatenate([part.data for part in parts]), places), one.shape)
