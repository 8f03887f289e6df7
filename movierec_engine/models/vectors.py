"""Row vectors: of unit length, with one more column, and their cosines."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import norm as sparse_norm

Number = TypeVar("Number", bound=np.floating[Any])


def unit_rows(rows: NDArray[Number]) -> NDArray[Number]:
    """Rows [n, d] scaled to length 1, of the same dtype; zeros stay zeros."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def with_column(rows: NDArray[np.float32], column: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Rows [n, d] with one more number each, of the column [n]: float32 [n, d + 1]."""
    return np.concatenate([rows, column[:, None].astype(np.float32)], axis=1)


def cosines(vectors: Any, others: Any) -> NDArray[np.float32]:
    """float32 [m, n], of vectors [m, d] with others [n, d], both dense or both sparse; 0 for zeros."""
    norm = sparse_norm if sparse.issparse(vectors) else np.linalg.norm
    products = (vectors @ others.T).toarray() if sparse.issparse(vectors) else vectors @ others.T
    lengths = norm(vectors, axis=1)[:, None] * norm(others, axis=1)
    return np.asarray(products / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
