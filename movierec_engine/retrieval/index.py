"""The index that answers recommendation calls: lists, scores and explanations from its parts, without torch."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.sequences import told_times
from movierec_engine.models.explanation import Explanation
from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.markov import MarkovFoldIn
from movierec_engine.models.top_k import best, highest
from movierec_engine.recommending import fold_in
from movierec_engine.recommending.fold_in import POPULARITY, Taste
from movierec_engine.recommending.live_taste import LiveTaste, dislikes, joint_history, live_scores
from movierec_engine.retrieval.flat import Floats, inner_products, is_flat
from movierec_engine.retrieval.index_parts import IndexParts
from movierec_engine.retrieval.joined_vectors import JoinedVectors

PERSONAL = "personal"

CANDIDATES = 200
"""Unseen items that are scored exactly for a user, at least, where the inner products are approximations."""

NARROW = 8
"""Filters that keep at most one item in so many are answered exactly, without searching an approximate index."""

DEEPER = 4
"""Times as deep as at first an approximate index is searched once more, before its vectors are gone through."""

Found = tuple[NDArray[np.int64], Floats]
"""Item indices int64 [<=k] and their scores float32, best first."""


class RetrievalIndex(IndexParts):
    """The lists that an index answers with, and the reasons for them.

    No list leaves anything out by itself: `masked`, int [m], are the items that may not be in it; see `masks.py` for
    which those are. It can be narrowed further: `allowed`, bool [n_items], is True for the items that may be in it. It
    has k items wherever that many are left.
    """

    @property
    def fold_in_min_items(self) -> int | None:
        """Movies from which on a new user is recommended to by fold-in; below, and where it is None, by popularity."""
        return self.facts.fold_in_min_items if self.fold_in_scorer.personal else None

    @property
    def source(self) -> str:
        """The source of a trained user's list: `personal`, or `popularity` of a model that scores everybody alike."""
        return PERSONAL if self.fold_in_scorer.personal else POPULARITY

    def recommend(
        self,
        user: int,
        k: int,
        masked: NDArray[np.integer[Any]],
        allowed: NDArray[np.bool_] | None = None,
        scores: Floats | None = None,
    ) -> tuple[NDArray[np.int64], Floats, str]:
        """The user's best items that are not masked: indices int64 [<=k], scores float32, best first, and their source.

        The source is `source`, or `popularity` for a user without train interactions. Equal scores go by item index.
        scores: the user's, float32 [n_items], where `scores_of` has them already; an exact index goes by them.
        """
        if not self.personal[user]:
            items = np.flatnonzero(self._left(allowed, masked))
            return *best(items, self.popularity[items], k), POPULARITY
        if self.exact:
            of_user = self.scores(user) if scores is None else scores.copy()
            return *self._of_scores(of_user, k, masked, allowed), self.source
        query = self._query(user)
        if self.scorer is None:
            return *self._nearest(query, k, masked, allowed), self.source
        found = np.sort(self._nearest(query, max(CANDIDATES, 4 * k), masked, allowed)[0])
        return *best(found, self.scorer.scores(user, found), k), self.source

    def recommend_live(
        self,
        user: int,
        live: LiveTaste,
        k: int,
        masked: NDArray[np.integer[Any]],
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Floats, str]:
        """`recommend` for a user with train interactions who has rated since."""
        items = np.flatnonzero(self._left(allowed, masked))
        return *best(items, self.live_scores(user, live)[items], k), self.source

    def live_scores(self, user: int, live: LiveTaste) -> Floats:
        """The scores that `recommend_live` ranks by, float32 [n_items]."""
        return live_scores(self.fold_in_scorer, lambda: self.scores(user), self.history[[user]], live)

    def live_history(self, user: int, live: LiveTaste) -> sparse.csr_matrix:
        """CSR [1, n_items], the train interactions and what is liked since, without what is disliked since."""
        return joint_history(self.history[[user]], live)

    def scores(self, user: int) -> Floats:
        """The scores that `recommend` ranks by, float32 [n_items], of masked items too."""
        if not self.personal[user]:
            return self.popularity
        if self.scorer is not None:
            return self.scorer.scores(user, np.arange(len(self.items)))
        if isinstance(self.fold_in_scorer, LinearFoldIn | MarkovFoldIn):
            return np.asarray(self.scores_of([user])[0])
        if self._joined is not None:
            return self._joined.products(self._query(user))
        return inner_products(self.vectors, self._query(user))

    @property
    def exact(self) -> bool:
        """True if lists go by all scores: the inner products of the vectors as they are, or a scorer's of all items."""
        return self._flat and (self.scorer is None or self.scorer.whole)

    def scores_of(self, users: Sequence[int]) -> Floats:
        """`scores` of several users, float32 [n, n_items], in one product where scores are inner products.

        Where they are sums over a history, the history's own vectors are all that is read, not n_items^2 numbers.
        """
        if self.scorer is not None:
            each = [self.scores(user) for user in users]
            return np.stack(each) if each else np.empty((0, len(self.items)), dtype=np.float32)
        if isinstance(self.fold_in_scorer, LinearFoldIn | MarkovFoldIn):
            scores = self.fold_in_scorer.scores(self.history[users])
        elif self.index is None:
            scores = np.asarray((self.queries[users] @ self.vectors.T).toarray(), dtype=np.float32)
        else:
            scores = np.asarray(self.queries[users].toarray() @ self.vectors.T, dtype=np.float32)
        scores[~self.personal[users]] = self.popularity
        return scores

    def recommend_for_history(
        self,
        taste: Taste,
        k: int,
        masked: NDArray[np.integer[Any]],
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Floats, str]:
        """The best items for a person known by a history alone that are not masked, as `recommend` gives them.

        taste: as `taste_of` makes it. The source is `fold-in`, or `popularity` for fewer likes than
        `fold_in_min_items`.
        """
        left = self._left(allowed, masked)
        return fold_in.recommend(self.fold_in_scorer, self.popularity, taste, k, self.fold_in_min_items, left)

    def history_scores(self, taste: Taste) -> tuple[Floats, str]:
        """The scores that `recommend_for_history` ranks by, float32 [n_items], and their source."""
        return fold_in.scores_of(self.fold_in_scorer, self.popularity, taste, self.fold_in_min_items)

    def taste_of(self, ratings: Mapping[int, float | None], times: Mapping[int, int] | None = None) -> Taste:
        """Liked and disliked items of somebody who gave these ratings.

        ratings: by item index, the newest last. One of at least `facts.liked_from` is a like, and so is an item without
        one, which counts as one of the mean rating where the model uses ratings. times: the seconds of those where they
        are known; others count as given at the same moment as the one before.
        """
        mean = float(self.history.data.mean()) if self.fold_in_scorer.uses_ratings and self.history.nnz else 1.0
        least = self.facts.liked_from
        likes = {item: rating for item, rating in ratings.items() if rating is None or rating >= least}
        dislikes = {item: rating for item, rating in ratings.items() if item not in likes}
        return Taste(self._as_row(likes, mean, times or {}), self._as_row(dislikes, mean, times or {}))

    def most_popular(self, k: int) -> Found:
        """The most popular items: item indices int64 [<=k] and their train interactions float32."""
        return best(np.arange(len(self.items)), self.popularity, k)

    def similar_to(self, item: int, k: int) -> Found:
        """The items most similar to an item, itself left out: item indices int64 [<=k] and similarities float32."""
        kept = self.similar[item] >= 0
        return self.similar[item][kept][:k].astype(np.int64), self.similarity[item][kept][:k]

    def explain(self, user: int, item: int) -> Explanation:
        """Explain the score that `recommend` gives a user's item, by the user's train interactions.

        The score and the base may differ from the model's by a constant that is the same for all items, where it scores
        by `scorer`.
        """
        items = np.array([item])
        if not self.personal[user]:
            scores = self.popularity[items]
        elif self.scorer is None:
            query = self._query(user)
            scores = inner_products(self.vectors, query)[items] if self.index is None else self.vectors[items] @ query
        else:
            scores = self.scorer.scores(user, items)
        return self.explanations(user, items, scores)[0]

    def explanations(
        self, user: int, items: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]]
    ) -> list[Explanation]:
        """Explain the scores [n] that `recommend` gives items [n], in one pass."""
        if not self.personal[user]:
            return [Explanation.without_history(float(score)) for score in scores]
        inputs = _dense_row(self.explanation_inputs, user)
        return self.fold_in_scorer.explanations(scores, self.history[[user]], items, inputs)

    def explanations_live(
        self, user: int, live: LiveTaste, items: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]]
    ) -> list[Explanation]:
        """Explain the scores [n] that `recommend_live` gives items [n], by the joint history, in one pass."""
        disliked = dislikes(self.history[[user]], live)
        return self.fold_in_scorer.taste_explanations(scores, self.live_history(user, live), disliked, items)

    def explain_for_history(self, taste: Taste, item: int) -> Explanation:
        """Explain the score that `recommend_for_history` gives an item: of popularity, no history is the reason."""
        items = np.array([item])
        return self.explanations_for_history(taste, items, self.history_scores(taste)[0][items])[0]

    def explanations_for_history(
        self, taste: Taste, items: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]]
    ) -> list[Explanation]:
        """Explain the scores [n] that `recommend_for_history` gives items [n], in one pass."""
        if fold_in.source_of(taste.liked, self.fold_in_min_items) == POPULARITY:
            return [Explanation.without_history(float(score)) for score in scores]
        return self.fold_in_scorer.taste_explanations(scores, *taste, items)

    @cached_property
    def _flat(self) -> bool:
        return self.index is None or is_flat(self.index)

    @cached_property
    def _joined(self) -> JoinedVectors | None:
        """The products of an ensemble's joined vectors; None for other models."""
        fold_in = self.fold_in_scorer
        return JoinedVectors(self.vectors, fold_in) if isinstance(fold_in, FusedFoldIn) else None

    def _query(self, user: int) -> Floats:
        """float32 [d]."""
        return _dense_row(self.queries, user)

    def _as_row(self, ratings: Mapping[int, float | None], mean: float, times: Mapping[int, int]) -> sparse.csr_matrix:
        """CSR [1, n_items]: the ratings where the model uses them, `mean` for None; their places or times; or ones."""
        if not ratings:
            return self._nothing
        items = np.array(sorted(ratings), dtype=np.int32)
        values: NDArray[np.floating[Any]] = np.ones(len(items), dtype=np.float32)
        if self.fold_in_scorer.history_values == "places":
            values[np.searchsorted(items, [*ratings])] = np.arange(1, len(items) + 1)
        elif self.fold_in_scorer.history_values == "times":
            values = told_times([times.get(item, 0) for item in ratings])[np.argsort([*ratings])]
        elif self.fold_in_scorer.uses_ratings:
            given = [ratings[item] for item in items.tolist()]
            values = np.array([mean if rating is None else rating for rating in given], dtype=np.float32)
        return sparse.csr_matrix((values, items, [0, len(items)]), shape=(1, len(self.items)))

    @cached_property
    def _nothing(self) -> sparse.csr_matrix:
        """CSR [1, n_items] without entries."""
        return sparse.csr_matrix((1, len(self.items)), dtype=np.float32)

    def _left(self, allowed: NDArray[np.bool_] | None, masked: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """bool [n_items], the allowed items that are not masked; an array of its own."""
        left = np.ones(len(self.items), dtype=np.bool_) if allowed is None else allowed.copy()
        left[masked] = False
        return left

    def _nearest(
        self, query: Floats, k: int, masked: NDArray[np.integer[Any]], allowed: NDArray[np.bool_] | None
    ) -> Found:
        """The k items of the largest inner products, of those allowed and not masked; equal ones by index.

        An exact index ranks all of them, and an approximate one does where few are left. Else it is searched, and once
        more deeper, until k are found and the last of them does not tie with what it may have cut off; where that does
        not come about, its vectors are gone through.
        """
        if self.index is None or self._flat:
            return self._ranked(query, k, masked, allowed)
        left = self._left(allowed, masked)
        n, count = len(left), int(np.count_nonzero(left))
        if count <= n // NARROW:
            items = np.flatnonzero(left)
            return best(items, inner_products(self.vectors[items], query), k)
        wanted = min(k, count)
        fetch = wanted + min(n - count, 2 * wanted * n // count) + 1
        for depth in (fetch, DEEPER * fetch):
            if depth >= n:
                break
            scores, found = (part[0] for part in self.index.search(query[None], depth))
            kept = (found >= 0) & left[found]
            if kept.sum() >= wanted and (found[-1] < 0 or scores[kept][wanted - 1] > scores[-1]):
                order = np.argsort(found[kept])
                return best(found[kept][order], scores[kept][order], k)
        return self._ranked(query, k, masked, allowed)

    def _ranked(
        self, query: Floats, k: int, masked: NDArray[np.integer[Any]], allowed: NDArray[np.bool_] | None
    ) -> Found:
        """`_nearest` by all inner products.

        What may not be in it gets the score -inf: a mask of what is left costs twice the numpy calls, and at each of
        them a server's other threads go first.
        """
        return self._of_scores(inner_products(self.vectors, query), k, masked, allowed)

    def _of_scores(
        self, scores: Floats, k: int, masked: NDArray[np.integer[Any]], allowed: NDArray[np.bool_] | None
    ) -> Found:
        """The best of scores [n_items], which are written to."""
        if allowed is not None:
            scores[~allowed] = -np.inf
        scores[masked] = -np.inf
        places = highest(scores, k)
        return places, scores[places]


def _dense_row(matrix: sparse.csr_matrix, row: int) -> Floats:
    """float32 [d]; of a row without zeros, its values themselves."""
    start, end = matrix.indptr[row], matrix.indptr[row + 1]
    values: Floats = matrix.data[start:end]
    if len(values) == matrix.shape[1]:
        return values
    dense = np.zeros(matrix.shape[1], dtype=np.float32)
    dense[matrix.indices[start:end]] = values
    return dense
