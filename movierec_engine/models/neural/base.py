"""Base of gmf, mlp and ncf: the network scores known users, and a new user's vectors are fitted to it."""

from abc import abstractmethod
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.neural import NeuralFoldIn
from movierec_engine.models.gradient import GradientRecommender, descent_cost
from movierec_engine.models.neural.network import NeuralCFNetwork
from movierec_engine.models.pair_scorer import PairScorer
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.trainable import Network

LOSSES = ("auto", "softmax", "sampled_softmax", "bce", "bpr")
_SAMPLE = 1024
"""Users whose scores the candidate vectors are fitted to."""
_SMALL = 10.0
"""How many times as long an operation of layers this narrow takes in training as one of a large product."""


class NeuralCF(GradientRecommender):
    """network: the NeuralCFNetwork that scores, in evaluation mode between two epochs."""

    losses = LOSSES
    several_workers = True
    network: NeuralCFNetwork

    @abstractmethod
    def make_network(self, n_users: int, n_items: int) -> NeuralCFNetwork:
        """A network of this model's architecture, freshly initialised."""

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The hidden layers of every pair of a batch are kept for the gradient."""
        config = self.config
        layers = tuple(getattr(config, "mlp_layers", ()))
        operations = sum(2.0 * a * b for a, b in pairwise(layers[1:]))
        training = descent_cost(
            size,
            trainer,
            config,
            width=getattr(config, "mf_dim", 0) + (layers[0] // 2 if layers else 0),
            pair_floats=float(sum(layers[1:])),
            pair_operations=_SMALL * operations,
            keeps_scores=bool(layers),
        )
        sampled = 12.0 * _SAMPLE * size.n_items if layers else 0  # whose scores the candidate vectors are fitted to
        return replace(
            training,
            index_bytes=training.index_bytes + sampled,
            score_operations=training.score_operations + size.n_items * operations,
        )

    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        self.set_history(train)
        self.network = self.make_network(train.n_users, train.n_items).to(device)
        return self.network

    def export(self) -> None:
        self.network.eval()
        self._directions: Floats | None = None

    @torch.no_grad()
    def score_known(self, users: Indices) -> Floats:
        network = self.network
        rows = torch.from_numpy(np.asarray(users, dtype=np.int64)).to(network.gmf_users.device)
        return network.score_all(network.gmf_users[rows], network.mlp_users[rows]).cpu().numpy()

    def fold_in_scorer(self) -> NeuralFoldIn:
        return self.network.fold_in_scorer(Basis(self.network.item_embeddings(), self.history))

    def query_vectors(self, users: Indices) -> Floats:
        """The scores' coordinates in the directions of `item_vectors`."""
        return np.asarray(self.score_known(users) @ self.item_vectors(), dtype=np.float32)

    def item_vectors(self) -> Floats:
        """The directions in which the scores of users differ most, float32 [n_items, d <= 128], orthonormal columns.

        They are the right singular vectors of the scores of up to 1,024 users, so that no other vectors of this length
        come nearer to those scores (Eckart and Young 1936).
        """
        if self._directions is None:
            known = np.flatnonzero(np.diff(self.history.indptr))
            sample = np.sort(np.random.default_rng(0).permutation(known)[:_SAMPLE])
            scores = self.score_known(sample).astype(np.float64)
            values, vectors = np.linalg.eigh(scores @ scores.T)
            strong = np.flatnonzero(values > values[-1] * 1e-10)[::-1][:128]
            self._directions = (scores.T @ vectors[:, strong] / np.sqrt(values[strong])).astype(np.float32)
        return self._directions

    def pair_scorer(self) -> PairScorer | None:
        return self.network.pair_scorer()

    def similarity_vectors(self) -> Any:
        """The items' embeddings q and q'; without q who has each item, as the layers above alone make sense of q'."""
        parts = (self.network.gmf_items, self.network.mlp_items)
        if not parts[0].shape[1]:
            return self.users_by_item()
        return np.concatenate([part.detach().cpu().numpy() for part in parts], axis=1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {name: tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.network = self.make_network(len(self.users), len(self.items))
        self.network.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
        self.export()
