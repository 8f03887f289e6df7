"""Movies like one, to a person's taste: similarity and the person's scores, mixed."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mixed(similarity: NDArray[np.floating], relevance: NDArray[np.floating], taste: float) -> Floats:
    """Scores that rank similar items by likeness and by the person's taste, float64 [n]:

        (1 - taste) similarity + taste relevance

    each scaled to 0..1 over the n items, so that `taste` means the same to every model. similarity, relevance: [n], to
    the one item and to the person. taste: from 0, by similarity alone, to 1, by relevance alone.
    """
    return (1 - taste) * _scaled(similarity) + taste * _scaled(relevance)


def _scaled(values: NDArray[np.floating]) -> Floats:
    """To 0..1; zeros where all are equal."""
    wide = values.astype(np.float64)
    low, high = wide.min(initial=np.inf), wide.max(initial=-np.inf)
    return np.asarray((wide - low) / (high - low)) if high > low else np.zeros(len(wide))
