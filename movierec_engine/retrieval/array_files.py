"""Arrays and sparse matrices in the files of an index; nothing is pickled."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.errors import StoreError


def equal(one: sparse.csr_matrix, other: sparse.csr_matrix) -> bool:
    """Whether two CSR matrices hold the same entries in the same places."""
    return one.shape == other.shape and all(
        np.array_equal(getattr(one, part), getattr(other, part)) for part in ("indptr", "indices", "data")
    )


def matrix_parts(name: str, matrix: sparse.csr_matrix) -> dict[str, NDArray[Any]]:
    """A CSR matrix's arrays; without the values where they are all 1."""
    parts = {f"{name}_indptr": matrix.indptr, f"{name}_indices": matrix.indices}
    return parts if (matrix.data == 1).all() else {**parts, f"{name}_data": matrix.data}


def matrix_of(name: str, arrays: dict[str, NDArray[Any]], shape: tuple[int, int]) -> sparse.csr_matrix:
    """The CSR matrix whose `matrix_parts` are among the arrays."""
    indices = arrays[f"{name}_indices"]
    values = arrays.get(f"{name}_data")
    data = np.ones(len(indices), dtype=np.float32) if values is None else values
    return sparse.csr_matrix((data, indices, arrays[f"{name}_indptr"]), shape=shape)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file. Raises StoreError where a number in it is none."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    for name, values in arrays.items():
        if values.dtype.kind == "f":
            check_finite(f"{path}: {name}", values)
    return arrays


def check_finite(name: str, values: NDArray[np.floating[Any]]) -> None:
    """Raises StoreError where a number is none."""
    if values.size and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise StoreError(f"{name} has a NaN or an infinity; train the model and build its index again")
