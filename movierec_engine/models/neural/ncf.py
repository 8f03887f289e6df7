"""NCF, also NeuMF: GMF and MLP joined in the last layer (He et al. 2017, "Neural Collaborative Filtering", 3.4).

    score(u, i) = <h, [p_u * q_i; relu(W_L ... relu(W_1 [p'_u; q'_i] + b_1) ... + b_L)]> + c

It may start from a trained gmf and a trained mlp of the same widths, as in the paper: their embeddings and layers are
taken over, and h = [alpha h_gmf; (1 - alpha) h_mlp]. Losses: `bce` with sampled negatives, as in the paper; `bpr`;
`sampled_softmax`; or `softmax` over the whole catalogue.
"""

from dataclasses import dataclass

import torch

from movierec_engine.errors import ConfigError
from movierec_engine.models.gradient import check_loss, check_ranges
from movierec_engine.models.neural.base import LOSSES, NeuralCF
from movierec_engine.models.neural.gmf import GMF
from movierec_engine.models.neural.mlp import MLP, check_layers
from movierec_engine.models.neural.network import NeuralCFNetwork


@dataclass(frozen=True)
class NCFConfig:
    """Hyper-parameters of NCF."""

    mf_dim: int = 64
    """Length of an embedding of the GMF part."""
    mlp_layers: tuple[int, ...] = (64, 32, 16)
    """Widths of the MLP part: the first of its input, half of it for each embedding, then of each hidden layer."""
    dropout: float = 0.0
    """Share of a hidden layer's units left out in training."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 10,000, `sampled_softmax` above; `bce` as in the paper, or `bpr`."""
    num_negatives: int = 4
    """Negatives drawn for each positive by `bce` and `bpr`."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""
    l2: float = 0.2
    """Weight of the squared norms of the GMF part's embeddings, the mean over a batch."""
    l2_mlp: float = 0.05
    """Weight of the squared norms of the MLP part's weights and embeddings, the mean over a batch."""
    init_std: float = 0.1
    """Standard deviation of the initial embeddings (the paper uses 0.01)."""
    pretrained_gmf: str = ""
    """Trained gmf to start from: `latest`, the newest of the same split and `mf_dim`, trained first if there is
    none, or a version of the same split, trained_model/DATA_SET/gmf/cpu/VERSION; empty: none."""
    pretrained_mlp: str = ""
    """Trained mlp to start from, like `pretrained_gmf`, of the same `mlp_layers`."""
    alpha: float = 0.5
    """Weight of the pretrained gmf against the mlp (the paper's 0.5)."""

    def __post_init__(self) -> None:
        check_loss("ncf", self.loss_type, LOSSES, self.num_negatives, self.sampled_items)
        check_ranges({"init_std": self.init_std}, {"dropout": self.dropout}, {"l2": self.l2, "l2_mlp": self.l2_mlp})
        check_layers(self.mlp_layers)
        if self.mf_dim < 1:
            raise ConfigError(f"model.mf_dim={self.mf_dim} must be at least 1")
        if not 0 < self.alpha < 1:
            raise ConfigError(f"model.alpha={self.alpha} must be above 0 and below 1")
        if bool(self.pretrained_gmf) != bool(self.pretrained_mlp):
            raise ConfigError("model.pretrained_gmf and model.pretrained_mlp go together; set both or none")


class NCF(NeuralCF):
    """Scored by the network; its vectors only find candidates."""

    name = "ncf"
    Config = NCFConfig
    exact_vectors = False
    members = {"gmf": ("mf_dim",), "mlp": ("mlp_layers",)}  # noqa: RUF012 - a constant

    def make_network(self, n_users: int, n_items: int) -> NeuralCFNetwork:
        config = self.config
        network = NeuralCFNetwork(
            n_users,
            n_items,
            config.mf_dim,
            config.mlp_layers,
            config.dropout,
            config.l2,
            config.l2_mlp,
            config.init_std,
        )
        if self._start:
            gmf, mlp = self._start["gmf"], self._start["mlp"]
            assert isinstance(gmf, GMF) and isinstance(mlp, MLP)
            _take_over(network, gmf.network, mlp.network, config.alpha)
            self._start = {}
        return network


@torch.no_grad()
def _take_over(network: NeuralCFNetwork, gmf: NeuralCFNetwork, mlp: NeuralCFNetwork, alpha: float) -> None:
    network.gmf_users.copy_(gmf.gmf_users)
    network.gmf_items.copy_(gmf.gmf_items)
    network.mlp_users.copy_(mlp.mlp_users)
    network.mlp_items.copy_(mlp.mlp_items)
    network.layers.load_state_dict(mlp.layers.state_dict())
    network.output.weight.copy_(torch.cat([alpha * gmf.output.weight, (1 - alpha) * mlp.output.weight], dim=1))
    network.output.bias.copy_(alpha * gmf.output.bias + (1 - alpha) * mlp.output.bias)
