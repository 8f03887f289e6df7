"""Products of a large sparse matrix in blocks of its columns, on a CPU.

    A @ X = sum over blocks B of A[:, B] @ X[B]

An entry of A reads a row of X. Where X is larger than the processor's cache each row comes from memory, as often as A
has entries; a block's rows come once, and are in the cache then.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from movierec_engine.models.gradient import to_csr_tensor

_BLOCK_FLOATS = 2**21
"""Of X in a block, 8 MB."""
LARGE_FLOATS = 3 * 2**21
"""Of X from which on there are blocks, 25 MB: of less they gain nothing, of twice as much they take two thirds of the
time (benchmarks/results/propagation.md)."""


class ColumnBlocks:
    """A symmetric matrix in blocks of columns; only the rows that have an entry in a block are in it.

    adjacency: CSR float32 [n, n] on the CPU. width: columns of X, for the blocks' size.
    """

    def __init__(self, adjacency: Tensor, width: int) -> None:
        self._blocks = [*_cut(adjacency, max(1, _BLOCK_FLOATS // width))]

    def product(self, x: Tensor) -> Tensor:
        """A @ X, float32 [n, d], for X float32 [n, d]."""
        result = torch.zeros_like(x)
        for columns, rows, block in self._blocks:
            result.index_add_(0, rows, weighted_sums(block, x[columns]))
        return result


def weighted_sums(matrix: Tensor, x: Tensor) -> Tensor:
    """A @ X, float32 [n, d], of a CSR matrix A float32 [n, m] and X float32 [m, d].

    A row of it is a weighted sum of rows of X, which is what an embedding bag is. Its kernel fetches the next rows
    while it adds these: on a CPU it takes a third to a half of the time of `A @ X` (benchmarks/results/propagation.md).
    On CUDA it adds one after another, where cuSPARSE adds in an order that changes from run to run.
    """
    return functional.embedding_bag(
        matrix.col_indices(),
        x,
        matrix.crow_indices(),
        mode="sum",
        per_sample_weights=matrix.values(),
        include_last_offset=True,
    )


def _cut(adjacency: Tensor, size: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """The columns of each block, its rows int64 [r] and its entries CSR [r, columns]."""
    parts = (adjacency.values(), adjacency.col_indices(), adjacency.crow_indices())
    whole = sparse.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(adjacency.shape))
    for start in range(0, whole.shape[1], size):
        block = whole[start : start + size].T.tocsr()  # of a symmetric matrix, these columns
        rows = np.flatnonzero(np.diff(block.indptr))
        yield slice(start, start + size), torch.from_numpy(rows), to_csr_tensor(block[rows])
