"""Ranking of a block of users: scores to top-k lists, and to the ranks of all relevant items.

The rank of a relevant item is a count of scores. Of few relevant items each is compared with all scores; of many the
scores are sorted once, which numpy does in about the time of ten comparisons, and the counts are looked up.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.top_k import check_scores, largest

Scores = NDArray[np.float32]
LOWEST = np.finfo(np.float32).min
_CHUNK = 64
_FEW = 3
"""Up to so many relevant items a user, comparing each with all scores is cheaper than sorting the scores."""


class RankedBlock(NamedTuple):
    """A block of b users, ranked.

    rank: int32 [nnz], from 1, of the relevant items; 0 where an item is not recommended.
    tied: int32 [nnz], how many irrelevant items have the same score; 0 for all unless the ranking was deep.
    lists: int32 [b, depth], the best items, -1 where a list has ended.
    """

    rank: NDArray[np.int32]
    tied: NDArray[np.int32]
    lists: NDArray[np.int32]


def rank_block(scores: Scores, relevant: sparse.csr_matrix, depth: int, deep: bool = True) -> RankedBlock:
    """Rank a block of users; `rank` and `tied` are of the stored entries of `relevant` in their order.

    scores: float32 [b, n_items], -inf where an item is not recommended. relevant: CSR [b, n_items], nonzero where
    relevant.
    A rank is 0 where the item is not recommended, and also, unless `deep`, where it stands below the depth.

    Ties count against the model: among equal scores the relevant items stand last. With s the score of a relevant item,
    its rank is 1 + |{j : s_j > s}| + |{irrelevant j : s_j = s}| + |{relevant j : s_j = s, j before it}|. In the lists,
    as in serving, equal scores go by item index.

    Raises MovierecError for NaN and +inf.
    """
    check_scores(scores)
    shown = min(depth, scores.shape[1])
    best = largest(scores, shown)
    listed = np.take_along_axis(scores, best, axis=1)
    lists = np.full((len(scores), depth), -1, dtype=np.int32)
    lists[:, :shown] = np.where(listed >= LOWEST, best, -1)

    user = np.repeat(np.arange(len(scores)), np.diff(relevant.indptr))
    score = scores[user, relevant.indices]
    ranked = score >= (LOWEST if deep else np.maximum(listed[:, -1], LOWEST)[user])
    ranks, tied = np.zeros((2, len(user)), dtype=np.int32)
    if ranked.any():
        user, score = user[ranked], score[ranked]
        many = deep and len(user) > _FEW * len(scores)
        count = partial(_count_in_sorted, np.sort(scores, axis=1)) if many else partial(_count_at_least, scores)
        at_least, (after, equal) = count(user, score), _relevant_in_its_tie(user, score)
        ranks[ranked] = at_least - after
        if deep:
            with np.errstate(over="ignore"):  # infinity follows the largest number
                above = np.nextafter(score, np.float32(np.inf))
            tied[ranked] = at_least - equal - count(user, above)
    if not deep:
        ranks[ranks > depth] = 0
    return RankedBlock(ranks, tied, lists)


def _count_in_sorted(ascending: Scores, user: NDArray[np.int64], score: Scores) -> NDArray[np.int64]:
    """For each entry how many of its user's sorted scores are at least as high: int64 [n].

    A binary search of all entries at once.
    """
    n_items = ascending.shape[1]
    low, high = np.zeros(len(user), dtype=np.int64), np.full(len(user), n_items)
    for _ in range(n_items.bit_length()):
        middle = np.minimum((low + high) >> 1, n_items - 1)
        below = ascending[user, middle] < score
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    return np.asarray(n_items - low)


def _count_at_least(scores: Scores, user: NDArray[np.int64], score: Scores) -> NDArray[np.int64]:
    """The same from scores in any order, for few entries."""
    counts = np.empty(len(user), dtype=np.int64)
    for start in range(0, len(user), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        at_least = np.packbits(scores[user[chunk]] >= score[chunk, None], axis=1)
        counts[chunk] = np.bitwise_count(at_least).sum(axis=1, dtype=np.int64)
    return counts


def _relevant_in_its_tie(
    user: NDArray[np.int64], score: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each entry how many of the same user and score come after it, and how many there are with it: int64 [n]."""
    after, equal = np.zeros(len(user), dtype=np.int64), np.ones(len(user), dtype=np.int64)
    bits = (score + 0).view(np.uint32)  # + 0 makes one zero of 0.0 and -0.0
    keys = np.sort(user.astype(np.uint64) << 32 | bits)
    if (keys[1:] != keys[:-1]).all():
        return after, equal
    order = np.lexsort((score, user))
    same = (user[order][1:] == user[order][:-1]) & (score[order][1:] == score[order][:-1])
    group = np.concatenate([[0], np.cumsum(~same)])
    size = np.bincount(group)
    after[order] = np.cumsum(size)[group] - 1 - np.arange(len(user))
    equal[order] = size[group]
    return after, equal
