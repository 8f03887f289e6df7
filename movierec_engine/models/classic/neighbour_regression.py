"""Item weights by one ridge regression an item, on the items most similar to it (fsSLIM: Ning and Karypis 2011, "SLIM:
Sparse Linear Methods for Top-N Recommender Systems", with the penalty of EASE in place of its L1).

    b_j = argmin_b |x_j - X_N b|^2 + l2 |b|^2 = (G_NN + l2 I)^-1 G_Nj        G = X^T X

X: the binary user-item matrix [n_users, n_items], its rows perhaps scaled, x_j its columns. N: the k items i of largest
G_ij / sqrt(G_ii + l2 / 20), which orders them by their cosine with j, those of few users further back. With all other
items as N, b_j is the column of EASE's weights.

G is made in blocks of rows. Of its pairs those of most users in common are kept, `PAIRS` times as many as items: next
to l2 on the diagonal a few common users say little.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.cost import FLOPS, RANDOM_READS, DataSize
from movierec_engine.reporting.progress import advance

PAIRS = 4_000
"""Pairs of G that are kept, at most, times the number of items."""
RARE = 0.05
"""The share of l2 that is added to G_ii in the order of neighbours; chosen on validation of two data sets."""
BLOCK = 2**23
"""Numbers of a block of G, or of the systems that are solved at once."""

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]


def neighbour_weights(history: sparse.csr_matrix, l2: float, k: int) -> sparse.csr_matrix:
    """The weights b_j as columns: float32 CSR [n_items, n_items], at most k entries a column, zero diagonal.

    history: X above, float32 CSR.
    """
    counts, neighbours, common = common_users(history, l2, k)
    diagonal = common_with_itself(history) + l2
    solved = np.zeros(neighbours.shape, dtype=np.float32)
    size = max(1, BLOCK // k**2)
    for start in range(0, len(neighbours), size):
        advance(start, len(neighbours), "items solved")
        block = slice(start, start + size)
        solved[block] = _solve(counts, diagonal, neighbours[block], common[block])
    kept = solved != 0
    column = np.broadcast_to(np.arange(len(neighbours))[:, None], kept.shape)
    return sparse.csr_matrix((solved[kept], (neighbours[kept], column[kept])), (len(neighbours), len(neighbours)))


def neighbours_cost(size: DataSize, k: int) -> tuple[float, float]:
    """Memory in bytes and seconds of `neighbour_weights`."""
    n, pairs = float(size.n_items), min(float(size.n_items) ** 2, PAIRS * float(size.n_items))
    memory = 16.0 * size.n_train + 8 * pairs + 40 * n * k + 20.0 * BLOCK
    compared, looked_up, solved = 4 * size.n_train * size.per_user, n * k**2 / 2, n * k**3
    return memory, (2 * compared + 5 * looked_up) / RANDOM_READS + solved / FLOPS


def common_users(history: sparse.csr_matrix, l2: float, k: int) -> tuple[sparse.csr_matrix, Indices, Floats]:
    """G with the pairs that are kept, float32 CSR [n_items, n_items]; N and G_Nj of each item j, [n_items, k].

    Where an item shares users with fewer than k others, the rest of its row of N is -1, and of G_Nj 0.
    """
    n = history.shape[1]
    neighbours, common = np.full((n, k), -1, dtype=np.int32), np.zeros((n, k), dtype=np.float32)
    scale = 1 / np.sqrt(common_with_itself(history) + RARE * l2, dtype=np.float32)
    blocks: list[sparse.csr_matrix] = []
    least, held = 0, 0
    for start, block in _gram_blocks(history):
        advance(start, n, "items compared")
        for row, (begin, end) in enumerate(zip(block.indptr[:-1], block.indptr[1:], strict=True)):
            others, counts = block.indices[begin:end], block.data[begin:end]
            found = _largest(counts * scale[others] * (others != start + row), others, k)
            neighbours[start + row, : len(found)], common[start + row, : len(found)] = others[found], counts[found]
        blocks.append(_at_least(block, least))
        held += blocks[-1].nnz
        while held > PAIRS * n:
            least += 1 + least // 4
            for place, one in enumerate(blocks):  # one after the other, so that they are in memory once
                blocks[place] = _at_least(one, least)
            held = sum(one.nnz for one in blocks)
    return _stacked(blocks, held), neighbours, common


def common_with_itself(history: sparse.csr_matrix) -> NDArray[np.float64]:
    """G_ii, float64 [n_items]."""
    squares = history.data.astype(np.float64) ** 2
    return np.bincount(history.indices, squares, minlength=history.shape[1]).astype(np.float64)


def _gram_blocks(history: sparse.csr_matrix) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Rows of G, CSR with the columns of each in any order, and the number of the first."""
    by_item = history.T.tocsr()
    size = max(1, BLOCK // max(1, history.shape[1]))
    for start in range(0, by_item.shape[0], size):
        yield start, by_item[start : start + size] @ history


def _largest(values: Floats, columns: Indices, k: int) -> NDArray[np.int64]:
    """The places of the k largest values above 0; of equal ones those of the lower columns."""
    least = np.partition(values, -k)[-k] if len(values) > k else 0
    above = np.flatnonzero((values >= least) & (values > 0))
    return above[np.lexsort((columns[above], -values[above]))[:k]]


def _at_least(block: sparse.csr_matrix, least: int) -> sparse.csr_matrix:
    """The entries of at least so much, the columns of each row ascending."""
    kept = block.data >= least
    indptr = np.concatenate([[0], np.cumsum(kept)])[block.indptr]
    left = sparse.csr_matrix((block.data[kept], block.indices[kept], indptr), block.shape)
    left.sort_indices()
    return left


def _stacked(blocks: list[sparse.csr_matrix], held: int) -> sparse.csr_matrix:
    """The blocks one below the other; they are taken from the list, so that they are in memory once."""
    data, indices = np.empty(held, dtype=np.float32), np.empty(held, dtype=np.int32)
    n, lengths, end = blocks[0].shape[1], [np.zeros(1, dtype=np.int64)], 0
    for _ in range(len(blocks)):
        block = blocks.pop(0)
        data[end : end + block.nnz], indices[end : end + block.nnz] = block.data, block.indices
        lengths.append(np.diff(block.indptr))
        end += block.nnz
    return sparse.csr_matrix((data, indices, np.cumsum(np.concatenate(lengths))), (n, n))


def _solve(
    counts: sparse.csr_matrix, diagonal: NDArray[np.floating], neighbours: Indices, common: Floats
) -> NDArray[np.float64]:
    """b_j of items j over their neighbours [b, k]: float64 [b, k], 0 where there is none.

    diagonal: [n_items], that of G + l2 I. common: G_Nj [b, k].
    """
    n, k = neighbours.shape
    one, other = np.triu_indices(k, 1)
    known, places = neighbours >= 0, np.maximum(neighbours, 0)
    pairs = counts[places[:, one].ravel(), places[:, other].ravel()]
    systems = np.zeros((n, k, k))
    systems[:, one, other] = np.asarray(pairs).reshape(n, -1) * (known[:, one] & known[:, other])
    systems[:, other, one] = systems[:, one, other]
    systems[:, np.arange(k), np.arange(k)] = np.where(known, diagonal[places], 1)
    return np.asarray(np.linalg.solve(systems, common[:, :, None].astype(np.float64))[:, :, 0])
