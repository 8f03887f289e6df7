"""Rows of unit length and cosines, on numbers whose lengths are known."""

import numpy as np
import pytest
from scipy import sparse

from movierec_engine.models.vectors import cosines, unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_have_length_one_and_keep_their_dtype_and_zeros_stay(dtype: type[np.floating]) -> None:
    found = unit_rows(np.array([[3, 4], [0, 0], [0, -2]], dtype=dtype))
    assert found.dtype == dtype
    assert found == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))


def test_cosines_of_dense_and_sparse_rows_are_those_of_unit_rows_and_of_zeros_none() -> None:
    one, other = np.array([[3, 4], [0, 0]], dtype=np.float32), np.array([[4, 3], [1, 0], [0, 0]], dtype=np.float32)
    expected = [[24 / 25, 3 / 5, 0], [0, 0, 0]]
    assert cosines(one, other) == pytest.approx(np.array(expected))
    assert cosines(sparse.csr_matrix(one), sparse.csr_matrix(other)) == pytest.approx(np.array(expected))
