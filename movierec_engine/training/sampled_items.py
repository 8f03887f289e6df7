"""The items that stand for a whole catalogue in a sampled softmax."""

import numpy as np
from numpy.typing import NDArray

TAIL = 0.5
"""Power of a train count in the probability of being drawn; 0 and 1 do as well (benchmarks/sampled_softmax.py)."""


class ItemSampler:
    """Draws the items of a batch's sampled softmax: the batch's own, and `count` of the catalogue, shared by its users.

    An item that is in the sample with probability pi weighs 1 / pi in the softmax's sum, so that its expectation is the
    sum over the whole catalogue (Horvitz and Thompson 1952; for softmax Bengio and Senécal 2003). The batch's own items
    are certain and weigh 1; counted as a sample, they would punish popular items (Yi et al. 2019). The others are drawn
    in proportion to (train count + 1)^TAIL, without replacement and with one random number, by systematic sampling
    (Madow 1949). With count = n_items that is the catalogue itself.
    """

    def __init__(self, popularity: NDArray[np.integer], count: int, rng: np.random.Generator) -> None:
        inclusion = inclusion_probabilities((popularity + 1.0) ** TAIL, count)
        self._log_inclusion = np.log(inclusion).astype(np.float32)
        self._ends = np.cumsum(inclusion)
        self._count = min(count, len(inclusion))
        self._rng = rng

    def sample(self, own: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Distinct items int64 [m], ascending, of a batch with the items `own`, and log pi of each, float32 [m]."""
        drawn = np.searchsorted(self._ends, self._rng.random() + np.arange(self._count), side="right")
        certain, taken = np.zeros((2, len(self._ends)), dtype=np.bool_)
        certain[own] = True
        taken[np.minimum(drawn, len(taken) - 1)] = True
        items = np.flatnonzero(certain | taken)
        return items, np.where(certain[items], np.float32(0), self._log_inclusion[items])


def inclusion_probabilities(weights: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """min(1, c w) for each weight above 0, with c such that they sum to `count`; all ones where there are no more."""
    if count >= len(weights):
        return np.ones(len(weights))
    certain = np.zeros(len(weights), dtype=np.bool_)
    while True:
        rest = np.where(certain, 0.0, weights)
        inclusion = np.where(certain, 1.0, rest * (count - certain.sum()) / rest.sum())
        if not (inclusion > 1).any():
            return inclusion
        certain |= inclusion > 1
