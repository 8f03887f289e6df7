"""Models whose network encodes a history: trained and new users alike are scored by what comes out of it."""

from abc import abstractmethod
from typing import Any

from numpy.typing import NDArray

from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.fold_in.encoder import EncoderFoldIn, named_weights, weights_among
from movierec_engine.models.gradient import GradientRecommender


class HistoryNetworkRecommender(GradientRecommender):
    """A model that scores a trained user as its fold-in does a new one of the same history.

    vectors: float32 [n_items, d]. weights: those of the fold-in scorer.
    """

    vectors: Floats
    weights: dict[str, Floats]

    @abstractmethod
    def fold_in_scorer(self) -> EncoderFoldIn: ...

    def score_known(self, users: Indices) -> Floats:
        return self.fold_in_scorer().scores(self.history[users])

    def query_vectors(self, users: Indices) -> Floats:
        return self.fold_in_scorer().queries(self.history[users])

    def item_vectors(self) -> Floats:
        return self.vectors

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self.vectors, **named_weights(self.weights)}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.vectors, self.weights = tensors["vectors"], weights_among(tensors)
