"""Popularity: every user gets the items with the most train interactions. The floor that any model must clear.

score(u, i) = |{v : (v, i) in train}|
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.cost import DataSize, ModelCost, factor_cost
from movierec_engine.models.fold_in.popularity import PopularityFoldIn
from movierec_engine.training.config import TrainerConfig


@dataclass(frozen=True)
class PopularityConfig:
    """Popularity has nothing to set."""


class Popularity(ClosedFormRecommender):
    """Ranks items by their number of train interactions."""

    name = "popularity"
    Config = PopularityConfig

    personal = False

    def learn(self, train: Interactions) -> None:
        """There is nothing to find: `popularity` is counted of every model's train interactions."""

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        return factor_cost(size, 1, fit_bytes=0, seconds=0)

    def score_known(self, users: Indices) -> Floats:
        return np.tile(self.popularity, (len(users), 1))

    def fold_in_scorer(self) -> PopularityFoldIn:
        return PopularityFoldIn(self.basis())

    def query_vectors(self, users: Indices) -> Floats:
        return np.ones((len(users), 1), dtype=np.float32)

    def item_vectors(self) -> Floats:
        return self.popularity[:, None]

    def similarity_vectors(self) -> sparse.csr_matrix:
        return self.users_by_item()

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        pass
