"""A model's rankings of a held-out part: what every metric and every segment is computed from."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import DataError, LeakError, MovierecError
from movierec_engine.evaluation.given_lists import GivenLists
from movierec_engine.evaluation.rank_block import RankedBlock, rank_block
from movierec_engine.models.base import Floats, Recommender
from movierec_engine.models.lists import rows_in
from movierec_engine.reporting.progress import advance

Ranked = Recommender | GivenLists

RankBlocks = Callable[[Ranked, HeldOut, NDArray[np.int64], sparse.csr_matrix, int, bool], Iterator[RankedBlock]]
"""Ranks users, int64 [n], of a held-out part for their relevant items, CSR [n, n_items]: blocks of them in order."""

_BLOCK_BYTES = 8 * 2**20
"""Budget for one block of scores; one is made while others are ranked, each beside a sorted copy."""
_WORKERS = 2


@dataclass(frozen=True, eq=False)
class Rankings:
    """The lists of n evaluated users, and the ranks of their m relevant items.

    users: int64 [n], indices of the users who have relevant items, ascending.
    lists: int32 [n, depth], recommended items, -1 where a list has ended.
    row: int64 [m], ascending, the row in `users` of each relevant item. item: int32 [m], the relevant items.
    rank: int32 [m], from 1; 0 where the item is not recommended, or below the depth unless the ranking was deep.
    tied: int32 [m], how many irrelevant items have its score; 0 for all unless the ranking was deep.
    heldout: what was ranked. deep: whether every relevant item's rank is known.

    Metrics take what they need from here by the names in `metrics.registry.INPUTS`.
    """

    users: NDArray[np.int64]
    lists: NDArray[np.int32]
    row: NDArray[np.int64]
    item: NDArray[np.int32]
    rank: NDArray[np.int32]
    tied: NDArray[np.int32]
    heldout: HeldOut
    deep: bool = True

    @property
    def depth(self) -> int:
        return int(self.lists.shape[1])

    @property
    def n_items(self) -> int:
        return self.heldout.interactions.n_items

    @property
    def catalogue(self) -> Catalogue:
        return self.heldout.catalogue

    @property
    def genres(self) -> NDArray[np.float32] | None:
        """float32 [n_items, n_genres]; None where no genres are known."""
        return self.catalogue.genres if self.catalogue.genre_names else None

    @property
    def embeddings(self) -> NDArray[np.float32]:
        return self.catalogue.embeddings

    @cached_property
    def relevant(self) -> NDArray[np.int64]:
        """int64 [n], each user's number of relevant items; at least 1."""
        return np.bincount(self.row, minlength=len(self.users))

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """bool [n, depth], whether the item at each rank is relevant, with relevant items last among equal scores."""
        return self.hits_among(np.ones(len(self.row), dtype=np.bool_))

    def hits_among(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`hits` of the chosen relevant items alone: bool [m] to bool [n, depth]."""
        shown = chosen & (self.rank > 0) & (self.rank <= self.depth)
        hits = np.zeros(self.lists.shape, dtype=np.bool_)
        hits[self.row[shown], self.rank[shown] - 1] = True
        return hits

    @cached_property
    def _liked(self) -> NDArray[np.bool_] | None:
        """bool [m], whether the user does not dislike each relevant item; None where dislikes are not known."""
        disliked = self.heldout.disliked
        if disliked is None:
            return None
        return np.asarray(np.asarray(disliked[self.users[self.row], self.item]).ravel() == 0)

    @cached_property
    def liked(self) -> NDArray[np.int64] | None:
        """int64 [n], each user's number of relevant items that the user likes."""
        return None if self._liked is None else np.bincount(self.row[self._liked], minlength=len(self.users))

    @cached_property
    def liked_hits(self) -> NDArray[np.bool_] | None:
        """`hits` of the relevant items that the user likes."""
        return None if self._liked is None else self.hits_among(self._liked)

    @cached_property
    def dislikes(self) -> NDArray[np.int64] | None:
        """int64 [n], each user's number of held-out dislikes, relevant or not."""
        disliked = self.heldout.disliked
        return None if disliked is None else np.diff(disliked.indptr).astype(np.int64)[self.users]

    @cached_property
    def disliked_hits(self) -> NDArray[np.bool_] | None:
        """bool [n, depth], whether the item at each place of a list is a held-out dislike."""
        disliked = self.heldout.disliked
        if disliked is None:
            return None
        row, place = np.nonzero(self.lists >= 0)
        hits = np.zeros(self.lists.shape, dtype=np.bool_)
        hits[row, place] = np.asarray(disliked[self.users[row], self.lists[row, place]]).ravel() > 0
        return hits

    @cached_property
    def irrelevant(self) -> NDArray[np.int64]:
        """int64 [n], how many irrelevant items could be recommended to each user."""
        heldout, users = self.heldout, self.users
        if heldout.candidates is None:
            seen_too = np.asarray(heldout.seen[users[self.row], self.item]).ravel() > 0  # of the relevant items
            both = np.bincount(self.row[seen_too], minlength=len(users))
            return np.asarray(heldout.seen.shape[1] - np.diff(heldout.seen.indptr)[users] - self.relevant + both)
        blocked = (heldout.seen[users] + heldout.interactions.matrix()[users]).astype(np.bool_)
        candidates = heldout.candidates[users].astype(np.bool_)
        taken = candidates.multiply(blocked).tocsr()
        return np.asarray(np.diff(candidates.indptr) - np.diff(taken.indptr), dtype=np.int64)

    @cached_property
    def more_popular(self) -> NDArray[np.int64]:
        """For each relevant item in a list how many items that could be recommended to its user are more popular.

        int64 [m]; -1 for relevant items that are in no list.
        """
        heldout = self.heldout
        place = heldout.catalogue.popularity_rank
        found = (self.rank > 0) & (self.rank <= self.depth)
        having, row = np.unique(self.row[found], return_inverse=True)
        users, own = self.users[having], place[self.item[found]]

        def among(matrix: sparse.csr_matrix) -> NDArray[np.int64]:
            """Number of more popular items in the user's row of a matrix, for each found item."""
            keys = np.sort(_places(matrix) - matrix.indices + place[matrix.indices])
            return np.asarray(np.searchsorted(keys, row * len(place) + own) - matrix.indptr[row])

        more = np.full(len(self.row), -1, dtype=np.int64)
        seen = heldout.seen[users]
        if heldout.candidates is None:
            more[found] = own - among(seen)
        else:
            ranked = heldout.candidates[users] + heldout.interactions.matrix()[users]
            more[found] = among(ranked) - among(ranked.multiply(seen).tocsr())
        return more


def rank_users(model: Ranked, heldout: HeldOut, depth: int, deep: bool, rank: RankBlocks | None = None) -> Rankings:
    """Rank the catalogue, or the candidates, for every user with relevant items, without what the user has seen.

    depth: length of the lists, cut to the catalogue. deep: whether ranks below the depth are wanted too.
    rank: what ranks all blocks of users; `ranked_blocks` unless given.

    Raises MovierecError when there is nothing to find, when the model was trained on other vocabularies, when it scores
    too few items, or when it returns NaN or +inf for an item that could be recommended.
    """
    require_same_ids(model, heldout)
    relevant = heldout.interactions.matrix()
    users = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int64)
    if not len(users):
        raise MovierecError("the held-out part is empty, so there is nothing to measure; choose other data.* ratios")
    relevant = relevant[users]
    depth = min(depth, relevant.shape[1])
    blocks = list((rank or ranked_blocks)(model, heldout, users, relevant, depth, deep))
    return Rankings(
        users=users,
        lists=np.concatenate([block.lists for block in blocks]),
        row=np.repeat(np.arange(len(users)), np.diff(relevant.indptr)),
        item=relevant.indices.astype(np.int32),
        rank=np.concatenate([block.rank for block in blocks]),
        tied=np.concatenate([block.tied for block in blocks]),
        heldout=heldout,
        deep=deep,
    )


def require_same_ids(model: Ranked, heldout: HeldOut) -> None:
    """Raises MovierecError for a model of other vocabularies, DataError for what is no model or no held-out part."""
    if not isinstance(model, Recommender | GivenLists) or not isinstance(heldout, HeldOut):
        raise DataError(
            "a fitted model is measured on a held-out part, and these are a "
            f"{type(model).__name__} and a {type(heldout).__name__}; data.split() gives train and test: "
            "evaluate(EASE().fit(train), test)"
        )
    if model.users != heldout.interactions.users or model.items != heldout.interactions.items:
        raise MovierecError(
            f"{model.name} was trained on other users or items than it is evaluated on; train it on this data"
        )


def require_unseen(model: Recommender, heldout: HeldOut) -> None:
    """Raises LeakError for a model that was trained on what it is to find; what the mask holds is never found.

    Of users who are to be new to it `heldout_scores` says more.
    """
    require_same_ids(model, heldout)
    asked, history = heldout.interactions, model.history
    if heldout.new_people or not len(asked):
        return
    trained = sparse.csr_matrix((np.ones(history.nnz, dtype=np.bool_), history.indices, history.indptr), history.shape)
    known, masked = (np.asarray(of[asked.user, asked.item]).ravel() > 0 for of in (trained, heldout.seen))
    if leaked := int((known & ~masked).sum()):
        raise LeakError(
            f"{model.name} was trained on {leaked:,} of the {len(asked):,} interactions that it is to find; "
            "fit it on the train part alone"
        )


def heldout_scores(model: Ranked, heldout: HeldOut, users: NDArray[np.int64]) -> Floats:
    """Scores of all items for users of a held-out part, float32 [n, n_items]: folded in where nothing trained on them.

    Raises MovierecError for a model that was trained on users whom it should meet for the first time.
    """
    if heldout.fold_in is None or isinstance(model, GivenLists):
        return model.score_users(users)
    if heldout.new_people and (met := int((np.diff(model.history.indptr)[users] > 0).sum())):
        raise MovierecError(
            f"{model.name} was trained on {met} of {len(users)} users who are to be new to it; train it without them"
        )
    return model.fold_in(heldout.histories(model.history_values)[users])


def ranked_blocks(
    model: Ranked,
    heldout: HeldOut,
    users: NDArray[np.int64],
    relevant: sparse.csr_matrix,
    depth: int,
    deep: bool,
) -> Iterator[RankedBlock]:
    """`rank_block` of every block of users, in order; threads rank blocks while the next one is scored."""

    def rank(scores: NDArray[np.float32], block: NDArray[np.int64], wanted: sparse.csr_matrix) -> RankedBlock:
        if heldout.candidates is not None:
            ranked = np.zeros(scores.shape, dtype=np.bool_)
            ranked.ravel()[_places(heldout.candidates[block])] = True
            ranked.ravel()[_places(wanted)] = True
            scores = np.where(ranked, scores, np.float32(-np.inf))
        scores.ravel()[_places(heldout.seen[block])] = -np.inf
        return rank_block(scores, wanted, depth, deep)

    rows = block_rows(relevant.shape[1])
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        ahead: deque[Future[RankedBlock]] = deque()
        for start in range(0, len(users), rows):
            advance(start, len(users), "users")
            block = users[start : start + rows]
            scores = np.ascontiguousarray(heldout_scores(model, heldout, block))
            if scores.shape != (len(block), relevant.shape[1]):
                raise MovierecError(
                    f"{model.name} returned scores of shape {scores.shape} for {len(block)} users and "
                    f"{relevant.shape[1]} items; a model scores every item of the catalogue"
                )
            if len(ahead) == _WORKERS:
                yield ahead.popleft().result()
            ahead.append(pool.submit(rank, scores, block, relevant[start : start + rows]))
        while ahead:
            yield ahead.popleft().result()


def block_rows(n_items: int) -> int:
    """Users in a block."""
    return rows_in(_BLOCK_BYTES, n_items)


def _places(matrix: sparse.csr_matrix) -> NDArray[np.int64]:
    """Flattened positions of a matrix's stored entries: int64 [nnz]."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.asarray(row * matrix.shape[1] + matrix.indices)
