"""The index that answers recommendation calls: FAISS over item vectors, with everything a server needs beside it.

Needs faiss, numpy and scipy only; no torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.id_map import IdMap, Ids, as_ids
from movierec_engine.data.interactions import load_id_maps, save_id_maps
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale
from movierec_engine.data.sequences import told_times
from movierec_engine.errors import StoreError
from movierec_engine.models.ensemble.fused_scorer import scorer_from_arrays
from movierec_engine.models.explanation import Explanation
from movierec_engine.models.fold_in import Basis, FoldInScorer, fold_in_from_arrays
from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.markov import MarkovFoldIn
from movierec_engine.models.pair_scorer import Scorer
from movierec_engine.models.registry import import_outside_models
from movierec_engine.recommending import fold_in
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.fold_in import POPULARITY, Taste, best, highest
from movierec_engine.recommending.live_taste import LiveTaste, dislikes, joint_history, live_scores
from movierec_engine.recommending.rows.ratings_by_item import RatingsByItem
from movierec_engine.retrieval.array_files import check_finite, equal, matrix_of, matrix_parts, read_arrays
from movierec_engine.retrieval.config import INDEX_LAYOUT
from movierec_engine.retrieval.flat import inner_products, is_flat, shared_vectors
from movierec_engine.retrieval.joined_vectors import JoinedVectors
from movierec_engine.retrieval.rated import RatedMovies

PERSONAL = "personal"

SPARSE = "sparse"
"""What stands for the factory of an index without FAISS, whose vectors are sparse."""

FAISS_FILE = "index.faiss"
VECTORS_FILE = "vectors.npy"
SPARSE_FILE = "vectors.npz"
SCORER_FILE = "scorer.npz"
FOLD_IN_FILE = "fold_in.npz"
ITEM_FACTS_FILE = "item_facts.npz"
RATINGS_FILE = "ratings_by_item.npz"

CANDIDATES = 200
"""Unseen items that are scored exactly for a user, at least, where the inner products are approximations."""

NARROW = 8
"""Filters that keep at most one item in so many are answered exactly, without searching an approximate index."""

DEEPER = 4
"""Times as deep as at first an approximate index is searched once more, before its vectors are gone through."""

Floats = NDArray[np.float32]
Found = tuple[NDArray[np.int64], Floats]
"""Item indices int64 [<=k] and their scores float32, best first."""


@dataclass(frozen=True)
class FoldInMinItems:
    """Number of movies from which on a new user is folded in, None where none is enough; measured, or assumed."""

    items: int | None
    measured: bool


@dataclass(frozen=True)
class IndexFacts:
    """Measurements of an index from when it was built."""

    model: str
    device: str
    factory: str
    dimensions: int
    recall: float
    """Mean share of the `recall_k` unseen items of highest score that the index recommends, over the sampled users."""
    recall_k: int
    users_sampled: int
    build_seconds: float
    similar_recall: float = 1.0
    """Mean share of the most similar items that are kept, over sampled items; below 1 only in large catalogues."""
    fold_in_min_items: int | None = None
    """Movies from which on new users are folded in, and not answered by popularity; None where no number is enough."""
    fold_in_min_items_measured: bool = False
    """Whether `movierec strong-generalization` found that number for this model, or it is the setting's."""
    liked_from: float = 0.0
    """The rating from which on a movie counts as liked."""
    rating_scale: RatingScale = MOVIELENS
    """What people may rate; an index of before it was told has MovieLens'."""


@dataclass(frozen=True, eq=False)
class RetrievalIndex:
    """Item vectors in FAISS, a query vector for each user, and what everybody has rated.

    index: inner products over n_items vectors of d dimensions; position = item index. None where they are sparse.
    vectors: float32 [n_items, d], what FAISS indexes: its own memory where it keeps all of it, as `Flat` does; CSC
        where they are sparse.
    queries: float32 [n_users, d], CSR, so that sparse queries (a user's history, for EASE) stay small.
    rated: what every person of the raw data has rated, also those and of those movies that are not in the index.
    history: [n_users, n_items] CSR, the train interactions, with the fold-in scorer's `history_values`.
    explanation_inputs: float32 CSR [n_users, e], what explanations of a user's scores need beside the history.
    popularity: float32 [n_items], train interactions of each item; ranks for users without a history.
    personal: bool [n_users], False for users without a train interaction, who get popularity.
    similar, similarity: int32 and float32 [n_items, s], most similar items first, -1 where there are no more.
    movies: MOVIES_SCHEMA [n_items], in item order.
    item_facts: what taste dials know of the items.
    fold_in_scorer: scores people by their history alone, and explains scores.
    scorer: scores the candidates exactly where inner products only approximate the model's scores; else None.
    ratings_by_item: what all ratings say of each item; None in an index of before there was such a thing.

    No list leaves anything out by itself: `masked`, int [m], are the items that may not be in it; see `masks.py` for
    which those are. It can be narrowed further: `allowed`, bool [n_items], is True for the items that may be in it. It
    has k items wherever that many are left.
    """

    index: faiss.Index | None
    vectors: Any
    users: IdMap
    items: IdMap
    queries: sparse.csr_matrix
    rated: RatedMovies
    history: sparse.csr_matrix
    explanation_inputs: sparse.csr_matrix
    popularity: Floats
    personal: NDArray[np.bool_]
    similar: NDArray[np.int32]
    similarity: Floats
    movies: pa.Table
    item_facts: ItemFacts
    fold_in_scorer: FoldInScorer
    facts: IndexFacts
    scorer: Scorer | None = None
    ratings_by_item: RatingsByItem | None = None

    def __post_init__(self) -> None:
        rows = {
            "the FAISS index": self.vectors.shape[0] if self.index is None else self.index.ntotal,
            "vectors": self.vectors.shape[0],
            "movies": len(self.movies),
            "popularity": len(self.popularity),
            "similar items": len(self.similar),
            "facts": len(self.item_facts.year),
        }
        if self.ratings_by_item is not None:
            rows["ratings by item"] = len(self.ratings_by_item.count)
        for name, count in rows.items():
            if count != len(self.items):
                raise StoreError(f"{name} has {count} rows for {len(self.items)} items; build the index again")
        d = self.vectors.shape[1] if self.index is None else self.index.d
        if d != self.queries.shape[1] or not len(self.personal) == self.queries.shape[0] == len(self.users):
            raise StoreError(f"queries do not fit {len(self.users)} users and {d} dimensions; build it again")
        if self.vectors.shape[1] != d or self.history.shape != (len(self.users), len(self.items)):
            raise StoreError("item vectors or train interactions do not fit the index; build it again")
        if not np.array_equal(as_ids(self.movies["movie_id"]), self.items.ids):
            raise StoreError("movies are not in the order of the items; build the index again")
        held = self.vectors.data if self.index is None else self.vectors
        for name, values in (("item vectors", held), ("queries", self.queries.data)):
            check_finite(name, values)

    @property
    def fold_in_min_items(self) -> int | None:
        """Movies from which on a new user is recommended to by fold-in; below, and where it is None, by popularity."""
        return self.facts.fold_in_min_items

    def recommend(
        self,
        user: int,
        k: int,
        masked: NDArray[np.integer[Any]],
        allowed: NDArray[np.bool_] | None = None,
        scores: Floats | None = None,
    ) -> tuple[NDArray[np.int64], Floats, str]:
        """The user's best items that are not masked: indices int64 [<=k], scores float32, best first, and their source.

        The source is `personal`, or `popularity` for a user without train interactions. Equal scores go by item index.
        scores: the user's, float32 [n_items], where `scores_of` has them already; an exact index goes by them.
        """
        if not self.personal[user]:
            items = np.flatnonzero(self._left(allowed, masked))
            return *best(items, self.popularity[items], k), POPULARITY
        if self.exact:
            of_user = self.scores(user) if scores is None else scores.copy()
            return *self._of_scores(of_user, k, masked, allowed), PERSONAL
        query = self._query(user)
        if self.scorer is None:
            return *self._nearest(query, k, masked, allowed), PERSONAL
        found = np.sort(self._nearest(query, max(CANDIDATES, 4 * k), masked, allowed)[0])
        return *best(found, self.scorer.scores(user, found), k), PERSONAL

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
        return *best(items, self.live_scores(user, live)[items], k), PERSONAL

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

    def items_of(self, movie_ids: Ids) -> NDArray[np.int64]:
        """The item indices of those movies that the index has, int64 [<=n]."""
        items = self.items.index(movie_ids)
        return items[items >= 0]

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

    def save(self, folder: Path) -> None:
        """Write everything into a folder; nothing is pickled, and no large part is written twice."""
        if self.index is None:
            np.savez(folder / SPARSE_FILE, **dict[str, Any](matrix_parts("vectors", self.vectors.T)))
        else:
            with (folder / FAISS_FILE).open("wb") as file:  # FAISS's own overlooks a disk that is full at its end
                faiss.write_index(self.index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
            if not is_flat(self.index):
                np.save(folder / VECTORS_FILE, self.vectors)
        save_id_maps(folder, self.users, self.items)
        matrices = {"history": self.history, "explanation_inputs": self.explanation_inputs}
        if not equal(self.queries, self.history):
            matrices["queries"] = self.queries
        parts: dict[str, Any] = {}
        for name, matrix in matrices.items():
            parts |= matrix_parts(name, matrix)
        np.savez(
            folder / "retrieval.npz",
            **parts,
            n_explanation_inputs=np.array(self.explanation_inputs.shape[1]),
            popularity=self.popularity,
            personal=self.personal,
            similar=self.similar,
            similarity=self.similarity,
        )
        self.rated.save(folder)
        np.savez(folder / FOLD_IN_FILE, **dict[str, Any](self.fold_in_scorer.arrays()))
        np.savez(
            folder / ITEM_FACTS_FILE,
            **{field.name: getattr(self.item_facts, field.name) for field in fields(ItemFacts)},
        )
        if self.scorer is not None:
            np.savez(folder / SCORER_FILE, **dict[str, Any](self.scorer.arrays()))
        if self.ratings_by_item is not None:
            np.savez(folder / RATINGS_FILE, **dict[str, Any](self.ratings_by_item.arrays()))
        pq.write_table(self.movies, folder / "movies.parquet", compression="zstd")
        described = {"layout": INDEX_LAYOUT, **asdict(self.facts)}
        (folder / "index.json").write_text(json.dumps(described, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RetrievalIndex":
        """The index that `save` wrote.

        Raises StoreError where it is of an older layout, or where its parts do not fit together.
        """
        described = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if described.pop("layout", None) != INDEX_LAYOUT:
            raise StoreError(f"{folder}: was built by a version of Movierec with other files; materialize it again")
        scale = RatingScale(**described.pop("rating_scale", asdict(MOVIELENS)))
        facts = IndexFacts(**described, rating_scale=scale)
        users, items = load_id_maps(folder)
        index, vectors = _read_vectors(folder, facts, len(items))
        arrays = read_arrays(folder / "retrieval.npz")
        over_items = (len(users), len(items))
        history = matrix_of("history", arrays, over_items)
        has_queries = "queries_indptr" in arrays
        import_outside_models()  # the fold-in scorer may be of one
        fold_in_scorer = fold_in_from_arrays(read_arrays(folder / FOLD_IN_FILE), Basis(vectors, history))
        scorer = None
        if (folder / SCORER_FILE).exists():
            scorer = scorer_from_arrays(read_arrays(folder / SCORER_FILE), vectors, fold_in_scorer)
        by_item = None
        if (folder / RATINGS_FILE).exists():
            by_item = RatingsByItem.from_arrays(read_arrays(folder / RATINGS_FILE))
        return cls(
            index=index,
            vectors=vectors,
            users=users,
            items=items,
            queries=matrix_of("queries", arrays, (len(users), facts.dimensions)) if has_queries else history,
            rated=RatedMovies.load(folder),
            history=history,
            explanation_inputs=matrix_of(
                "explanation_inputs", arrays, (len(users), int(arrays["n_explanation_inputs"]))
            ),
            **{name: arrays[name] for name in ("popularity", "personal", "similar", "similarity")},
            movies=pq.read_table(folder / "movies.parquet"),
            item_facts=ItemFacts(**read_arrays(folder / ITEM_FACTS_FILE)),
            fold_in_scorer=fold_in_scorer,
            facts=facts,
            scorer=scorer,
            ratings_by_item=by_item,
        )

    @cached_property
    def _flat(self) -> bool:
        return self.index is None or is_flat(self.index)

    @cached_property
    def _joined(self) -> JoinedVectors | None:
        """What multiplies the vectors of an ensemble."""
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


def _read_vectors(folder: Path, facts: IndexFacts, n_items: int) -> tuple[faiss.Index | None, Any]:
    """The FAISS index and the item vectors of a saved index."""
    if facts.factory == SPARSE:
        return None, matrix_of("vectors", read_arrays(folder / SPARSE_FILE), (facts.dimensions, n_items)).T
    index = faiss.read_index(str(folder / FAISS_FILE))
    return index, shared_vectors(index) if is_flat(index) else np.load(folder / VECTORS_FILE, allow_pickle=False)


def _dense_row(matrix: sparse.csr_matrix, row: int) -> Floats:
    """float32 [d]; of a row without zeros, its values themselves."""
    start, end = matrix.indptr[row], matrix.indptr[row + 1]
    values: Floats = matrix.data[start:end]
    if len(values) == matrix.shape[1]:
        return values
    dense = np.zeros(matrix.shape[1], dtype=np.float32)
    dense[matrix.indices[start:end]] = values
    return dense
