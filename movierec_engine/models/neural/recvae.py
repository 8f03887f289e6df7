"""RecVAE (Shenbin et al. 2020, "RecVAE: A New Variational Autoencoder for Top-N Recommendations with Implicit
Feedback").

    z ~ q(z | x_u),    score(u, i) = <w_i, z> + c_i

    loss(u) = sum_{i in x_u} -log softmax_i(score(u, .)) + beta_u (log q(z | x_u) - log p(z)),    beta_u = gamma |x_u|

x_u: the history of user u, of which the encoder sees a part in training; q and the composite prior p are those of
`variational.py`. Encoder and decoder are trained in turn, an epoch being of one of them: three of the encoder with
items left out, then one of the decoder without. A list is that of z = mu(x), for trained and new users alike.

Mult-VAE (Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering") is `num_layers=1 activation=tanh
decoder_dim=600 hidden_dim=600 latent_dim=200 prior=normal beta=0.2 anneal_epochs=50 decoder_epochs=0`.

Losses: `softmax` over the whole catalogue as in the papers, or `sampled_softmax`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.fold_in.recvae import RecVAEFoldIn
from movierec_engine.models.gradient import check_loss, check_ranges, descent_cost, rows_of
from movierec_engine.models.history_network import HistoryNetworkRecommender
from movierec_engine.models.neural.variational import Bags, CompositePrior, Encoder, log_normal
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.trainable import Network

LOSSES = ("auto", "softmax", "sampled_softmax")
ACTIVATIONS = ("swish", "tanh")
PRIORS = ("composite", "normal")
_INIT_STD = 0.01
"""Standard deviation of the decoder's initial weights: small, so that items of few interactions have no likeness
by chance."""


@dataclass(frozen=True)
class RecVAEConfig:
    """Hyper-parameters of RecVAE."""

    hidden_dim: int = 300
    """Width of the encoder's layers (the paper's 600)."""
    latent_dim: int = 128
    """Length of z, and of an item's vector where there is no decoder_dim (the paper's 200)."""
    num_layers: int = 5
    """Layers of the encoder, each of which sees all before it (the paper's 5; Mult-VAE has 1)."""
    activation: str = "swish"
    """Activation of the encoder: `swish` and a layer norm, as in the paper, or `tanh`, as in Mult-VAE."""
    decoder_dim: int = 0
    """Width of a tanh layer between z and the items (Mult-VAE's 600); 0: none, as in the paper."""
    dropout: float = 0.5
    """Share of a history that the encoder does not see in training (the paper's 0.5)."""
    prior: str = "composite"
    """Prior of z: `composite`, as in the paper, or the standard `normal` of Mult-VAE."""
    gamma: float = 0.005
    """Weight of the prior by interaction, so that it grows with a user's history (the paper's 0.005)."""
    beta: float = 0.0
    """Weight of the prior by user (Mult-VAE's 0.2), instead of gamma; 0: by gamma."""
    anneal_epochs: int = 0
    """Epochs in which the prior's weight rises from 0 (Mult-VAE)."""
    encoder_epochs: int = 3
    """Epochs of the encoder before those of the decoder, again and again (the paper's 3)."""
    decoder_epochs: int = 1
    """Epochs of the decoder, which sees whole histories (the paper's 1); 0: both are trained together (Mult-VAE)."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 20,000, `sampled_softmax` above."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""

    def __post_init__(self) -> None:
        check_loss("recvae", self.loss_type, LOSSES, 1, self.sampled_items)
        check_ranges({}, {"dropout": self.dropout}, {"gamma": self.gamma, "beta": self.beta})
        for name, choices in (("activation", ACTIVATIONS), ("prior", PRIORS)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"model.{name}={getattr(self, name)} is not known; choose {' or '.join(choices)}")
        for name in ("hidden_dim", "latent_dim", "num_layers", "encoder_epochs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 1")
        for name in ("decoder_dim", "anneal_epochs", "decoder_epochs"):
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 0")


class RecVAENetwork(Network):
    """items: float32 [n_items, d], the decoder's last layer w. item_bias: float32 [n_items], c.

    starts int64 [n_users + 1] and history int64 [n_train]: the users' histories, as CSR has them.
    """

    starts: Tensor
    history: Tensor

    def __init__(self, train: sparse.csr_matrix, config: RecVAEConfig) -> None:
        super().__init__()
        self.config = config
        n_items, width = train.shape[1], config.decoder_dim or config.latent_dim
        self.encoder = Encoder(
            n_items, config.hidden_dim, config.latent_dim, config.num_layers, config.activation == "swish"
        )
        self.prior = CompositePrior(self.encoder) if config.prior == "composite" else None
        self.decoder = nn.Linear(config.latent_dim, config.decoder_dim) if config.decoder_dim else None
        self.items = nn.Parameter(torch.randn(n_items, width).mul_(_INIT_STD))
        counts = np.bincount(train.indices, minlength=n_items)
        self.item_bias = nn.Parameter(torch.from_numpy(np.log(counts + 1.0).astype(np.float32)))  # starts as popularity
        self.register_buffer("starts", torch.from_numpy(train.indptr.astype(np.int64)), persistent=False)
        self.register_buffer("history", torch.from_numpy(train.indices.astype(np.int64)), persistent=False)
        self._start_with(decoder=False, prior_share=1.0)

    def start_epoch(self, number: int) -> None:
        """Choose what is trained in this epoch; each round of both begins with the encoder as the prior's old one."""
        config = self.config
        turn = (number - 1) % (config.encoder_epochs + config.decoder_epochs)
        if self.prior and turn == 0:
            self.prior.remember(self.encoder)
        self._start_with(turn >= config.encoder_epochs, min(1.0, number / max(config.anneal_epochs, 1)))

    def _start_with(self, decoder: bool, prior_share: float) -> None:
        """decoder: whether it is the decoder's turn. prior_share: of the prior's full weight."""
        together = not self.config.decoder_epochs
        self._left_out = 0.0 if decoder else self.config.dropout
        self._prior_share = prior_share
        self.encoder.requires_grad_(not decoder)
        for part in (self.items, self.item_bias, *(self.decoder.parameters() if self.decoder else ())):
            part.requires_grad_(decoder or together)

    def forward(self, users: Tensor, items: Tensor | None) -> Tensor:
        """Scores float32 [u, m] of distinct users with the same items for all of them, or with all of the catalogue."""
        lengths, bags = self._histories(users)
        mean, log_variance = self.encoder(bags, self._left_out)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        prior = self.prior(z, bags) if self.prior else log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
        divergence = (log_normal(z, mean, log_variance) - prior).sum(dim=1)
        self._regularizer = ((self.config.beta or self.config.gamma * lengths) * divergence).sum()
        hidden = z if self.decoder is None else torch.tanh(self.decoder(z))
        if items is None:
            return hidden @ self.items.T + self.item_bias
        return hidden @ rows_of(self.items, items).T + self.item_bias[items]

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """beta_u (log q(z | x_u) - log p(z)), summed over the users, who are those of `forward` just before."""
        return self._prior_share * self._regularizer / len(users)

    def _histories(self, users: Tensor) -> tuple[Tensor, Bags]:
        """The lengths int64 [u] of the users' histories, and those."""
        first = self.starts[users]
        lengths = self.starts[users + 1] - first
        begins = torch.cumsum(lengths, dim=0) - lengths
        places = torch.repeat_interleave(first - begins, lengths)
        items = self.history[places + torch.arange(len(places), device=places.device)]
        return lengths, (items, torch.repeat_interleave(lengths.float().rsqrt(), lengths), begins)


class RecVAE(HistoryNetworkRecommender):
    """vectors: float32 [n_items, d + 1], the decoder's weights and biases. weights: those of `RecVAEFoldIn`."""

    name = "recvae"
    several_workers = True
    Config = RecVAEConfig
    learning_rate = 0.003  # by 0.01 validation ndcg@10 of the bundled data was .167 instead of .175
    losses = LOSSES

    network: RecVAENetwork

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Two tables of the items; the history and the layers of each user of a batch."""
        config = self.config
        width = config.decoder_dim or config.latent_dim
        layers = config.hidden_dim * (config.hidden_dim * (config.num_layers - 1.0) + 2 * config.latent_dim)
        layers += config.latent_dim * config.decoder_dim
        parameters = size.n_items * (config.hidden_dim + width + 1.0) + layers
        encoding = 2.0 * (size.per_user * config.hidden_dim + layers)
        training = descent_cost(
            size,
            trainer,
            config,
            width=width + 1,
            parameters=parameters,
            user_floats=4.0 * config.num_layers * config.hidden_dim + 3 * size.per_user,
            user_operations=encoding * (4 / 3 if config.prior == "composite" else 1),  # the old encoder's forward pass
        )
        return replace(training, model_bytes=4 * parameters, score_operations=training.score_operations + encoding)

    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        self.set_history(train)
        self.network = RecVAENetwork(self.history, self.config).to(device)
        return self.network

    def export(self) -> None:
        self.network.eval()
        state = {name: tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        self.vectors = np.concatenate([state["items"], state["item_bias"][:, None]], axis=1)
        own = [name for name in state if name.startswith(("encoder.", "decoder.")) and "log_variance" not in name]
        self.weights = {name: state[name] for name in own}

    def fold_in_scorer(self) -> RecVAEFoldIn:
        return RecVAEFoldIn(self.basis(), self.weights)

    def similarity_vectors(self) -> Any:
        """The decoder's weights w, without the biases."""
        return self.vectors[:, :-1]
