"""MLP: a multi-layer perceptron over both embeddings (He et al. 2017, "Neural Collaborative Filtering", section 3.3).

    score(u, i) = <h, relu(W_L ... relu(W_1 [p_u; q_i] + b_1) ... + b_L)> + c

Losses: `bce` with sampled negatives, as in the paper; `bpr`; `sampled_softmax`; or `softmax` over the whole catalogue.
"""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError
from movierec_engine.models.gradient import check_loss, check_ranges
from movierec_engine.models.neural.base import LOSSES, NeuralCF
from movierec_engine.models.neural.network import NeuralCFNetwork


@dataclass(frozen=True)
class MLPConfig:
    """Hyper-parameters of the MLP."""

    mlp_layers: tuple[int, ...] = (64, 32, 16)
    """Widths: the first of the input, half of it for each embedding, then of each hidden layer."""
    dropout: float = 0.0
    """Share of a hidden layer's units left out in training."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 10,000, `sampled_softmax` above; `bce` as in the paper, or `bpr`."""
    num_negatives: int = 4
    """Negatives drawn for each positive by `bce` and `bpr`."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""
    l2: float = 0.003
    """Weight of the squared norms of the weights and of the embeddings, the mean over a batch."""
    init_std: float = 0.1
    """Standard deviation of the initial embeddings (the paper uses 0.01)."""

    def __post_init__(self) -> None:
        check_loss("mlp", self.loss_type, LOSSES, self.num_negatives, self.sampled_items)
        check_ranges({"init_std": self.init_std}, {"dropout": self.dropout}, {"l2": self.l2})
        check_layers(self.mlp_layers)


class MLP(NeuralCF):
    """Scored by the network; its vectors only find candidates."""

    name = "mlp"
    Config = MLPConfig
    exact_vectors = False

    def make_network(self, n_users: int, n_items: int) -> NeuralCFNetwork:
        config = self.config
        return NeuralCFNetwork(n_users, n_items, 0, config.mlp_layers, config.dropout, 0.0, config.l2, config.init_std)


def check_layers(layers: tuple[int, ...]) -> None:
    """Raises ConfigError unless there is an even input width and at least one hidden layer."""
    if len(layers) < 2 or min(layers) < 1 or layers[0] % 2:
        raise ConfigError(
            f"model.mlp_layers={list(layers)} must be an even input width and then at least one hidden layer, "
            "such as [64,32,16]"
        )
