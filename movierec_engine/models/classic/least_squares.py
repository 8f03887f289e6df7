"""Regularised least squares of many rows at once, by conjugate gradients: the inner problem of `als.py`.

    (alpha0 H^T H + sum_{i in I_u} h_i h_i^T + strength_u E) w_u = sum_{i in I_u} h_i        for every row u

No system is built: its product with a vector p is alpha0 H^T H p + sum_{i in I_u} <h_i, p> h_i, which costs |I_u| d
(Takacs, Pilaszy and Tikk 2011, "Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative
Filtering"). The vectors are turned into the eigenvectors of H^T H first, which changes no score: there alpha0 H^T H is
diagonal, and the diagonal of a system is near the system, so that few steps preconditioned by it are enough.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float32]

_BLOCK_FLOATS = 2**20
"""Floats in each of the six [rows, d] arrays of a block, 4 MB: what a processor's cache holds is 1.5 times as fast."""
_BLOCK_GATHERED = 2**21
"""Floats of the vectors that the entries of a block name, 8 MB: each step reads them twice. Where they are read again
from memory and not the cache, a sweep of 20 million entries at 128 dimensions takes a quarter longer."""
_GRAM_ROWS = 2**13
"""Rows whose products are added up in single precision."""
_TINY = 1e-30
"""Keeps rows that are solved already, such as those without entries, from 0 / 0."""


def eigenbasis(gram_matrix: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """The turn, float32 [d, d], that makes the Gram matrix of vectors @ turn diagonal, behind that diagonal, [d].

    Where both sides' vectors are turned by it all inner products stay.
    """
    diagonal, turn = np.linalg.eigh(gram_matrix)
    return np.maximum(diagonal, 0).astype(np.float32), turn.astype(np.float32)


def gram(vectors: Floats) -> NDArray[np.float64]:
    """vectors^T vectors, [d, d], of float32 [n, d]: some rows at a time in single precision, their sum in double.

    That takes a seventh of the time of a product in double precision, and is as near it as the vectors themselves are.
    """
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for first in range(0, len(vectors), _GRAM_ROWS):
        rows = vectors[first : first + _GRAM_ROWS]
        total += rows.T @ rows
    return total


def solve_rows(
    rows: sparse.csr_matrix,
    fixed: Floats,
    start: Floats,
    everything: Floats,
    strength: NDArray[np.floating],
    steps: int,
    counts: NDArray[np.integer],
) -> Floats:
    """The solutions w, float32 [n, d], after some steps from `start` [n, d], which is overwritten by them.

    rows: CSR [n, m], row u has an entry for each i in I_u. fixed: H [m, d], turned as `start` is, so that H^T H is
    diagonal. everything: [d], the diagonal of alpha0 H^T H. strength: [n].
    counts: [m], how often each i occurs, be it in rows that are not among these.
    """
    vectors, solved = torch.from_numpy(fixed), torch.from_numpy(start)
    typical = torch.from_numpy(_mean_squares(fixed, counts))
    unobserved = torch.from_numpy(everything)
    ridge = torch.from_numpy(strength.astype(np.float32))[:, None]
    length = torch.from_numpy(np.diff(rows.indptr).astype(np.float32))[:, None]
    for first, last in _blocks(rows, fixed.shape[1]):
        diagonal = unobserved + ridge[first:last]
        block = _Block(rows, first, last, vectors, diagonal)
        _descend(block, solved[first:last], diagonal + length[first:last] * typical, steps)
    return solved.numpy()


def _mean_squares(vectors: Floats, counts: NDArray[np.integer]) -> Floats:
    """The mean of the vectors' squares, float32 [d], each as often as it counts; some rows at a time, as in `gram`."""
    total = np.zeros(vectors.shape[1])
    for first in range(0, len(vectors), _GRAM_ROWS):
        total += counts[first : first + _GRAM_ROWS].astype(np.float32) @ np.square(vectors[first : first + _GRAM_ROWS])
    return (total / max(int(counts.sum()), 1)).astype(np.float32)


def block_bytes(longest: int, width: int) -> float:
    """Memory of a block of rows, the longest of which has this many entries, with vectors of a width."""
    return 6 * 4.0 * _BLOCK_FLOATS + 12.0 * max(longest, _BLOCK_GATHERED // width)


class _Block:
    """The systems of some of the rows."""

    def __init__(self, rows: sparse.csr_matrix, first: int, last: int, vectors: Tensor, diagonal: Tensor) -> None:
        """vectors: H [m, d]. diagonal: [b, d], that of alpha0 H^T H + strength E."""
        begin, end = rows.indptr[first], rows.indptr[last]
        self.vectors, self.diagonal = vectors, diagonal
        self.items = torch.from_numpy(rows.indices[begin:end])
        self.starts = torch.from_numpy(rows.indptr[first : last + 1] - begin)
        size = (last - first, len(vectors))
        ones = torch.ones(len(self.items))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            self.pattern = torch.sparse_csr_tensor(self.starts, self.items, ones, size, check_invariants=False)

    def products(self, w: Tensor) -> Tensor:
        """<h_i, w_u> of every entry, [nnz], for w [b, d]."""
        products: Tensor = torch.sparse.sampled_addmm(self.pattern, w, self.vectors.T, beta=0.0).values()
        return products

    def sums(self, weights: Tensor) -> Tensor:
        """sum_{i in I_u} weight_ui h_i, [b, d], for weights [nnz]."""
        return functional.embedding_bag(
            self.items, self.vectors, self.starts, mode="sum", per_sample_weights=weights, include_last_offset=True
        )

    def residual(self, w: Tensor) -> Tensor:
        """Residuals of the systems at w: right sides less products, [b, d]."""
        return self.sums(1 - self.products(w)) - self.diagonal * w

    def matmul(self, w: Tensor) -> Tensor:
        """The systems' products with w, [b, d]."""
        return self.sums(self.products(w)) + self.diagonal * w


def _descend(block: _Block, solved: Tensor, preconditioner: Tensor, steps: int) -> None:
    """Preconditioned conjugate gradients (Saad 2003, algorithm 9.1) for each row of `solved` [b, d], in place."""
    residual = block.residual(solved)
    scaled = residual / preconditioner
    direction, left = scaled, _dot(residual, scaled)
    for step in range(1, steps + 1):
        product = block.matmul(direction)
        length = left / (_dot(direction, product) + _TINY)
        solved += length * direction
        if step < steps:
            residual -= length * product
            scaled = residual / preconditioner
            before, left = left, _dot(residual, scaled)
            direction = scaled + left / (before + _TINY) * direction


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """The inner product of each row, [b, 1]."""
    return (one * other).sum(dim=1, keepdim=True)


def _blocks(rows: sparse.csr_matrix, width: int) -> list[tuple[int, int]]:
    """First and last row, exclusive, of blocks within both budgets; a block has at least one row."""
    n, most, pairs = rows.shape[0], max(1, _BLOCK_FLOATS // width), max(1, _BLOCK_GATHERED // width)
    blocks, first = [], 0
    while first < n:
        within = int(np.searchsorted(rows.indptr, rows.indptr[first] + pairs, side="right")) - 1
        last = min(n, first + most, max(first + 1, within))
        blocks.append((first, last))
        first = last
    return blocks
