"""Products of a large sparse matrix in blocks of its columns, on a CPU.

    A @ X = sum over blocks B of A[:, B] @ X[B]

An entry of A reads a row of X. Where X is larger than the processor's cache each row comes from memory, as often as A
has entries; a block's rows come once, and are in the cache then.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from movierec_engine.models.gradient import to_csr_tensor

_BLOCK_FLOATS = 2**21
"""Floats of X in a block, 8 MB."""
LARGE_FLOATS = 3 * 2**21
"""Floats of X from which on there are blocks, 25 MB: of less they gain nothing, of twice as much they take two thirds
of the time (benchmarks/results/propagation.md)."""
WHOLE = slice(None)
"""All rows."""


class ColumnBlocks:
    """The symmetric matrix of a bipartite graph in blocks of columns; only the rows with an entry in a block are in it.

    adjacency: CSR float32 [n, n] on the CPU, users before items. n_users: of them; no block has columns of both kinds.
    width: columns of X, for the blocks' size.
    """

    def __init__(self, adjacency: Tensor, n_users: int, width: int) -> None:
        parts = (adjacency.values(), adjacency.col_indices(), adjacency.crow_indices())
        whole = sparse.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(adjacency.shape))
        size = max(1, _BLOCK_FLOATS // width)
        ends = (0, n_users, whole.shape[0])
        self._blocks = [block for start, end in pairwise(ends) for block in _cut(whole, start, end, size)]

    def product(self, x: Tensor, rows: slice = WHOLE, out: Tensor | None = None) -> Tensor:
        """Rows of A @ X, float32 [r, d], for X float32 [n, d]: of all nodes, or those of the users or of the items."""
        start, end, _ = rows.indices(len(x))
        result = x.new_zeros(end - start, x.shape[1]) if out is None else out.zero_()
        for columns, of_rows, block in self._blocks:
            if len(of_rows) and start <= of_rows[0] < end:  # of one kind, as all that columns of the other have
                result.index_add_(0, of_rows - start, weighted_sums(block, x[columns]))
        return result


def weighted_sums(matrix: Tensor, x: Tensor, rows: slice = WHOLE, out: Tensor | None = None) -> Tensor:
    """Rows of A @ X, float32 [r, d], of a CSR matrix A float32 [n, m] and X float32 [m, d].

    A row of it is a weighted sum of rows of X, which is what an embedding bag is. Its kernel fetches the next rows
    while it adds these: on a CPU it takes a third to a half of the time of `A @ X` (benchmarks/results/propagation.md).
    On CUDA it adds one after another, where cuSPARSE adds in an order that changes from run to run.
    """
    starts, entries = matrix.crow_indices(), WHOLE
    if rows != WHOLE:
        start, end, _ = rows.indices(len(matrix))
        starts = starts[start : end + 1]
        entries = slice(int(starts[0]), int(starts[-1]))
        starts = starts - starts[0]
    sums = functional.embedding_bag(
        matrix.col_indices()[entries],
        x,
        starts,
        mode="sum",
        per_sample_weights=matrix.values()[entries],
        include_last_offset=True,
    )
    return sums if out is None else out.copy_(sums)


def _cut(matrix: sparse.csr_matrix, start: int, end: int, size: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of the columns from start to end: those columns, the rows int64 [r], and the entries CSR [r, columns]."""
    for first in range(start, end, size):
        columns = slice(first, min(first + size, end))
        block = matrix[columns].T.tocsr()  # of a symmetric matrix, these columns
        rows = np.flatnonzero(np.diff(block.indptr))
        yield columns, torch.from_numpy(rows), to_csr_tensor(block[rows])
