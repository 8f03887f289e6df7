"""A map of the catalogue: the two directions in which the movies' embeddings differ most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.queries.indices import SearchableIndex

MOST = 2_000
"""Movies on the map, the most popular ones; a person's own and the recommended ones are added."""


@dataclass(frozen=True, eq=False)
class MovieMap:
    """items: int64 [n], the movies that are drawn. place: float32 [n_items, 2], of every movie of the catalogue.

    known: bool [n_items], False for movies without an embedding, which have no place.
    explained: share of the embeddings' variance that the map shows.
    """

    items: NDArray[np.int64]
    place: NDArray[np.float32]
    known: NDArray[np.bool_]
    explained: float

    def highlighted(self, items: list[int]) -> list[int]:
        return [item for item in items if self.known[item]]


def movie_map(found: SearchableIndex) -> MovieMap | None:
    """Principal components (Pearson 1901) of the unit embeddings, which are the same for all models of a split.

    The components are those of the MOST most popular movies; the others are projected on them. None where fewer than
    three movies have embeddings.
    """
    units = found.index.item_facts.unit_embeddings
    known = np.asarray(units.any(axis=1))
    order = np.argsort(-found.index.popularity, kind="stable")
    items = order[known[order]][:MOST]
    if len(items) < 3 or units.shape[1] < 2:
        return None
    center = units[items].mean(axis=0)
    covariance = np.cov((units[items] - center).T)
    variances, axes = np.linalg.eigh(covariance)
    chosen = axes[:, [-1, -2]]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), [0, 1]])  # a direction's sign is arbitrary
    place = ((units - center) @ chosen).astype(np.float32)
    explained = float(variances[-2:].sum() / max(variances.sum(), 1e-12))
    return MovieMap(np.sort(items), place, known, explained)
