"""The two masks of a trained user's list.

- Serving leaves out every movie that the user is known to have rated: each row of `raw_ratings`, and what the API adds
  to it from the live log.
- Evaluation leaves out what its protocol says, train for validation and train and validation for test, so that the
  held-out movies can be found.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.retrieval.index import RetrievalIndex

Mask = Callable[[int], NDArray[np.integer[Any]]]
"""User index -> the item indices that may not be in the user's list."""


def serving_mask(index: RetrievalIndex) -> Mask:
    """The serving mask: every movie that a user of an index has rated in the raw data.

    All of them are looked up once, here, and not for each list.
    """
    starts, ends, items = index.rated.within(index.users, index.items)
    return lambda user: items[starts[user] : ends[user]]


def evaluation_mask(known: sparse.csr_matrix) -> Mask:
    """The evaluation mask of a protocol: the rows of a matrix, CSR [n_users, n_items]."""
    return lambda user: np.asarray(known.indices[known.indptr[user] : known.indptr[user + 1]])


def no_mask(user: int) -> NDArray[np.integer[Any]]:
    """The empty mask, for where movies may be recommended again."""
    return np.empty(0, dtype=np.int64)
