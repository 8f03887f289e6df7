"""From scores to rankings: the list of every user, and where the relevant items stand in the whole ranking."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.errors import MovierecError

_FEW = 6
"""Up to so many relevant items of a user, comparing each with all scores is cheaper than sorting the scores."""
_CHUNK = 64


def rank_block(
    scores: NDArray[np.float32], relevant: sparse.csr_matrix, depth: int, deep: bool = True
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rank a block of users.

    scores: float32 [b, n_items], -inf where an item is not recommended. relevant: CSR [b, n_items], nonzero where
    relevant.
    Returns ranks int32 [nnz], from 1, of the stored entries of `relevant` in their order, and lists int32 [b, depth] of
    the best items with -1 where a list has ended. A rank is 0 where the item is not recommended, and also, unless
    `deep`, where it stands below the depth.

    Ties count against the model: among equal scores the relevant items stand last. With s the score of a relevant item,
    its rank is 1 + |{j : s_j > s}| + |{irrelevant j : s_j = s}| + |{relevant j : s_j = s, j before it}|. In the lists,
    as in serving, equal scores go by item index.

    Raises MovierecError for NaN and +inf.
    """
    lists, lowest = _best(scores, depth)
    user = np.repeat(np.arange(len(scores)), np.diff(relevant.indptr))
    score = scores[user, relevant.indices]
    ranked = np.isfinite(score) if deep else np.isfinite(score) & (score >= lowest[user])
    ranks = np.zeros(len(user), dtype=np.int32)
    if ranked.any():
        user, score = user[ranked], score[ranked]
        ranks[ranked] = _count_at_least(scores, user, score) - _after_in_its_tie(user, score)
    if not deep:
        ranks[ranks > depth] = 0
    return ranks, lists


def _best(scores: NDArray[np.float32], depth: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The best items int32 [b, depth] with -1 at the end, and the lowest score float32 [b] among them."""
    n_items = scores.shape[1]
    shown = min(depth, n_items)
    values, indices = torch.topk(torch.from_numpy(scores), min(depth + 1, n_items), dim=1)
    top, items = values.numpy(), indices.numpy().astype(np.int32)
    if np.isnan(top[:, 0]).any() or np.isposinf(top[:, 0]).any():  # both sort first
        raise MovierecError(
            "the model returned NaN or infinite scores: its training diverged; lower trainer.learning_rate "
            "or set trainer.grad_clip, and train it again"
        )
    cut_in_a_tie = (top[:, shown - 1] == top[:, -1]) & np.isfinite(top[:, -1]) & (depth < n_items)
    for row in np.flatnonzero(cut_in_a_tie):
        above = items[row, :shown][top[row, :shown] > top[row, -1]]
        items[row, len(above) : shown] = np.flatnonzero(scores[row] == top[row, -1])[: shown - len(above)]
    top, items = top[:, :shown], items[:, :shown]
    tied = np.flatnonzero((top[:, 1:] == top[:, :-1]).any(axis=1))
    by_index = np.lexsort((items[tied], -top[tied]), axis=1)
    items[tied] = np.take_along_axis(items[tied], by_index, axis=1)
    lists = np.full((len(scores), depth), -1, dtype=np.int32)
    lists[:, :shown] = np.where(np.isfinite(top), items, -1)
    return lists, top[:, -1]


def _count_at_least(
    scores: NDArray[np.float32], user: NDArray[np.int64], score: NDArray[np.float32]
) -> NDArray[np.int64]:
    """For each entry how many items of its user score at least as much: int64 [n]. user is in ascending order."""
    counts = np.empty(len(user), dtype=np.int64)
    entries = np.bincount(user, minlength=len(scores))
    few = np.flatnonzero(entries[user] <= _FEW)
    for start in range(0, len(few), _CHUNK):
        chunk = few[start : start + _CHUNK]
        at_least = np.packbits(scores[user[chunk]] >= score[chunk, None], axis=1)
        counts[chunk] = np.bitwise_count(at_least).sum(axis=1, dtype=np.int64)
    many = np.flatnonzero(entries > _FEW)
    end = np.cumsum(entries)
    for start in range(0, len(many), _CHUNK):
        rows = many[start : start + _CHUNK]
        for row, ascending in zip(rows, np.sort(scores[rows], axis=1), strict=True):
            own = slice(end[row] - entries[row], end[row])
            counts[own] = scores.shape[1] - ascending.searchsorted(score[own])
    return counts


def _after_in_its_tie(user: NDArray[np.int64], score: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each entry how many entries of the same user and score come after it: int64 [n]."""
    after = np.zeros(len(user), dtype=np.int64)
    keys = np.sort(user << 32 | (score + 0).view(np.int32))  # + 0 makes one zero of 0.0 and -0.0
    if (keys[1:] != keys[:-1]).all():
        return after
    order = np.lexsort((score, user))
    same = (user[order][1:] == user[order][:-1]) & (score[order][1:] == score[order][:-1])
    group = np.concatenate([[0], np.cumsum(~same)])
    end = np.cumsum(np.bincount(group))
    after[order] = end[group] - 1 - np.arange(len(user))
    return after
