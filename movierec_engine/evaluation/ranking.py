"""From scores to ranks: who is in the top of the list, and where the relevant items stand."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor


def rank_block(
    scores: NDArray[np.float32], relevant: sparse.csr_matrix, depth: int
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Where a block of users' relevant items stand in their rankings.

    scores: float32 [b, n_items], -inf where an item is not recommended.
    relevant: CSR [b, n_items], nonzero where relevant.
    Returns hits bool [b, depth], and lists int32 [b, depth] of the best items with -1 where a list has ended.

    Ties count against the model: among equal scores the relevant items stand last. With s the score of a relevant item,
    its rank is 1 + |{j : s_j > s}| + |{irrelevant j : s_j = s}| + |{relevant j : s_j = s, j before it}|.
    """
    matrix = torch.from_numpy(scores)
    depth_here = min(depth, matrix.shape[1])
    top, items = torch.topk(matrix, depth_here, dim=1)
    lists = np.full((len(scores), depth), -1, dtype=np.int32)
    lists[:, :depth_here] = np.where(torch.isfinite(top).numpy(), items.numpy(), -1)

    hits = np.zeros((len(scores), depth), dtype=np.bool_)
    user, item = _entries(relevant)
    score = matrix[user, item]
    reachable = (score >= top[user, -1]) & torch.isfinite(score)
    user, score = user[reachable], score[reachable]
    if len(user):
        rank = _pessimistic_rank(matrix, top, user, score)
        inside = rank < depth
        hits[user[inside].numpy(), rank[inside].numpy()] = True
    return hits, lists


def _pessimistic_rank(matrix: Tensor, top: Tensor, user: Tensor, score: Tensor) -> Tensor:
    """0-based ranks int64 [n] of relevant entries (user, score), all of at least the lowest score in `top`."""
    best = top[user]
    above = (best > score[:, None]).sum(dim=1)
    tied = (best == score[:, None]).sum(dim=1)
    at_edge = score == top[user, -1]  # further equal scores may stand below the top
    tied[at_edge] = (matrix[user[at_edge]] == score[at_edge, None]).sum(dim=1)
    group = torch.stack([user.double(), score.double()], dim=1)
    _, member, size = torch.unique(group, dim=0, return_inverse=True, return_counts=True)
    order = torch.argsort(member, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order)) - (torch.cumsum(size, 0) - size)[member[order]]
    rank: Tensor = above + (tied - size[member]) + place
    return rank


def _entries(matrix: sparse.csr_matrix) -> tuple[Tensor, Tensor]:
    """Row and column of each stored entry, int64 [nnz] each."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return torch.from_numpy(row), torch.from_numpy(matrix.indices.astype(np.int64))
