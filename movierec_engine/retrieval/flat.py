"""Exact inner products: over the memory of a FAISS index, without a second copy of its vectors, or of sparse ones."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]


class _Memory:
    """A numpy view of a flat index's vectors; holds a reference so that FAISS's memory outlives it."""

    def __init__(self, index: faiss.Index) -> None:
        flat: Any = faiss.downcast_index(index)
        self._index = index
        self._view = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        self.__array_interface__ = {**self._view.__array_interface__, "shape": (flat.ntotal, flat.d)}


def is_flat(index: faiss.Index) -> bool:
    """True for an index that holds the vectors as they are, one after the other, and searches all of them."""
    return isinstance(faiss.downcast_index(index), faiss.IndexFlat)


def shared_vectors(index: faiss.Index) -> Floats:
    """The vectors of a flat index, float32 [n, d], in the index's own memory."""
    return np.asarray(_Memory(index))


def inner_products(vectors: Any, query: Floats) -> Floats:
    """float32 [n], of vectors [n, d] with a query [d]; equal vectors have equal products, wherever they stand.

    Sparse vectors are CSC: what is read of them is the columns where the query is not 0.
    """
    if sparse.issparse(vectors):
        return np.asarray((sparse.csr_matrix(query) @ vectors.T).toarray()[0], dtype=np.float32)
    products: NDArray[Any] = np.empty(len(vectors), dtype=np.float32)
    pointers = (faiss.swig_ptr(array) for array in (products, query, np.ascontiguousarray(vectors)))
    library: Any = faiss  # whose stubs lack it
    library.fvec_inner_products_ny(*pointers, vectors.shape[1], len(vectors))
    return products
