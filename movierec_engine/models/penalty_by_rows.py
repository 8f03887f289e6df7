"""A penalty whose weight follows the interactions of a row.

    l2 = relative_l2 / (|train| / (|U| |I|)^1/2)^1/2 unless it is given

In a batch an interaction brings the penalty of its user and its item along, so that one weight holds long rows back as
much as short ones. The best weight falls about as the root of the interactions of a row, the geometric mean of a user's
and an item's: from 10 of them to 210 it is a fifth to a seventh. Twice the best, and all vectors may be 0.
"""

import math
from dataclasses import replace
from typing import Any, Self

from scipy import sparse


class PenaltyByRows:
    """A model with the settings `relative_l2` and `l2`, which is None where the former is to hold."""

    config: Any
    history: sparse.csr_matrix

    @property
    def l2(self) -> float:
        """The weight in force for the interactions in `history`."""
        if self.config.l2 is not None:
            return float(self.config.l2)
        of_row = self.history.nnz / math.sqrt(math.prod(self.history.shape))
        return float(self.config.relative_l2 / math.sqrt(max(of_row, 1.0)))

    def for_worker(self) -> Self:
        """A model to be trained on a share of the data, with the weight that holds for all of it."""
        return type(self)(replace(self.config, l2=self.l2))  # type: ignore[call-arg]
