"""RecVAE: the scores, the prior and the regulariser against the paper's equations, and the turns of its two parts."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from families import TRAIN, some_histories
from scipy import sparse
from scipy.special import logsumexp
from scipy.stats import norm
from torch.nn import functional

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.errors import ConfigError
from movierec_engine.models import RecVAE, load_model
from movierec_engine.models.cost import DataSize
from movierec_engine.models.explanation import with_deletions
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.neural.recvae import RecVAENetwork
from movierec_engine.models.neural.variational import CompositePrior, Encoder, log_normal
from movierec_engine.training.config import TrainerConfig

SMALL = {"hidden_dim": 24, "latent_dim": 10, "num_layers": 4}
MULT_VAE = {
    "hidden_dim": 24, "latent_dim": 10, "num_layers": 1, "activation": "tanh", "decoder_dim": 20, "prior": "normal",
    "beta": 0.2, "anneal_epochs": 50, "decoder_epochs": 0,
}  # fmt: skip


def built(**settings: object) -> tuple[RecVAE, RecVAENetwork]:
    """A model whose weights and biases are all far from 0."""
    torch.manual_seed(5)
    model = RecVAE(**{**SMALL, **settings})
    network = model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    assert isinstance(network, RecVAENetwork)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
    model.export()
    return model, network


def dense(histories: sparse.csr_matrix) -> torch.Tensor:
    """The histories as the paper's encoder gets them: rows of unit length, float32 [n, n_items]."""
    return functional.normalize(torch.from_numpy(histories.toarray().astype(np.float32)))


def paper_scores(network: RecVAENetwork, x: torch.Tensor) -> torch.Tensor:
    """The authors' encoder, layer by layer, and the decoder, for the mean of q(z | x)."""
    encoder, before = network.encoder, []
    for number in range(1 + len(encoder.layers)):
        above = x @ encoder.table + encoder.bias if not before else encoder.layers[number - 1](before[-1])
        h = sum(before, start=above)
        h = encoder.norms[number](h * torch.sigmoid(h)) if len(encoder.norms) else torch.tanh(h)
        before.append(h)
    z = encoder.mean(before[-1])
    return (z if network.decoder is None else torch.tanh(network.decoder(z))) @ network.items.T + network.item_bias


@pytest.mark.parametrize("settings", [SMALL, MULT_VAE], ids=["recvae", "mult-vae"])
@torch.no_grad()
def test_numpys_scores_are_those_of_the_papers_layers_in_torch(settings: dict[str, object]) -> None:
    model, network = built(**settings)
    histories = some_histories(model)
    expected = paper_scores(network, dense(histories)).numpy()
    assert np.allclose(model.fold_in(histories), expected, atol=1e-5)
    own = paper_scores(network, dense(model.history)).numpy()
    assert np.allclose(model.score_users(np.arange(len(own))), own, atol=1e-5)
    mean, _ = network.encoder(network._histories(torch.arange(len(own)))[1])
    hidden = mean if network.decoder is None else torch.tanh(network.decoder(mean))
    assert np.allclose(model.query_vectors(np.arange(len(own)))[:, :-1], hidden, atol=1e-5)


def test_a_list_of_a_trained_user_is_the_encoder_on_the_history() -> None:
    model, _ = built()
    assert np.array_equal(model.score_users(np.arange(10)), model.fold_in(model.history[:10]))


def test_the_composite_prior_is_the_papers_mixture_in_each_dimension() -> None:
    _, network = built()
    prior = network.prior
    assert isinstance(prior, CompositePrior)
    bags = network._histories(torch.arange(6))[1]
    z = torch.randn(6, SMALL["latent_dim"])
    mean, log_variance = (part.numpy().astype(float) for part in prior.old(bags))
    densities = [
        np.log(0.15) + norm.logpdf(z),
        np.log(0.75) + norm.logpdf(z, mean, np.exp(log_variance / 2)),
        np.log(0.1) + norm.logpdf(z, 0, np.exp(10 / 2)),
    ]
    assert np.allclose(prior(z, bags), logsumexp(densities, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "weights"),
    [({"gamma": 0.3}, lambda lengths: 0.3 * lengths), ({"beta": 0.7}, lambda lengths: np.full(len(lengths), 0.7))],
    ids=["gamma by interaction", "beta by user"],
)
@torch.no_grad()
def test_the_regulariser_weighs_a_user_by_the_length_of_the_history_or_all_alike(
    settings: dict[str, float], weights: object
) -> None:
    """With the same draw of z, written out by scipy; a mean over the interactions, as the softmax's is."""
    _, network = built(prior="normal", dropout=0.0, **settings)
    users = torch.tensor([2, 3, 7])
    mean, log_variance = network.encoder(network._histories(users)[1])
    torch.manual_seed(1)
    deviation = torch.exp(log_variance / 2)
    z = mean + deviation * torch.randn_like(mean)
    torch.manual_seed(1)
    scores = network(users, None)
    assert torch.allclose(scores, z @ network.items.T + network.item_bias, atol=1e-5)
    each = (norm.logpdf(z, mean, deviation) - norm.logpdf(z)).sum(axis=1)
    lengths = np.diff(TRAIN.matrix().indptr)[users.numpy()]
    pairs = users.repeat_interleave(torch.from_numpy(lengths.astype(np.int64)))
    expected = (weights(lengths) * each).sum() / len(pairs)  # type: ignore[operator]
    assert float(network.penalty(pairs, pairs[:, None])) == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_the_weight_of_the_prior_rises_over_the_annealing_epochs() -> None:
    _, network = built(**MULT_VAE, dropout=0.0)
    users, found = torch.arange(3), []
    for epoch in (10, 25, 50, 60):
        network.start_epoch(epoch)
        torch.manual_seed(1)
        network(users, None)
        found.append(float(network.penalty(users, users[:, None])))
    assert np.allclose(found, np.array([0.2, 0.5, 1, 1]) * found[-1], rtol=1e-5)


@torch.no_grad()
def test_scores_of_given_items_are_those_columns_of_all() -> None:
    _, network = built()
    users, items = torch.tensor([4, 1]), torch.tensor([7, 0, 3])
    torch.manual_seed(0)
    whole = network(users, None)
    torch.manual_seed(0)
    assert torch.allclose(network(users, items), whole[:, items], atol=1e-6)


def test_encoder_and_decoder_are_trained_in_turn_and_the_old_encoder_is_that_of_the_last_round() -> None:
    """Two epochs of the encoder, one of the decoder, and again: what an epoch changes, and what the prior remembers."""
    model, states = RecVAE(**SMALL, encoder_epochs=2), []

    def keep(_: object) -> None:
        states.append(deepcopy(model.network.state_dict()))

    model.fit(Dataset(TRAIN), Fitting(TrainerConfig(max_epochs=6, learning_rate=0.01, batch_size=200), on_epoch=keep))

    def changed(epoch: int, name: str) -> bool:
        return not torch.equal(states[epoch - 1][name], states[epoch - 2][name])

    for epoch, decoder in ((2, False), (3, True), (4, False), (5, False), (6, True)):
        assert changed(epoch, "items") == changed(epoch, "item_bias") == decoder
        assert changed(epoch, "encoder.table") == changed(epoch, "encoder.layers.0.weight") == (not decoder)
    for name, tensor in model.network.prior.old.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(tensor, states[2][f"encoder.{name}"]), "as it was before the second round"


def test_the_decoder_sees_whole_histories_and_the_encoder_a_part() -> None:
    _, network = built(dropout=0.5)
    shares = []
    network.encoder.register_forward_hook(lambda _, inputs, __: shares.append(inputs[1]))
    for epoch in range(1, 6):
        network.start_epoch(epoch)
        network(torch.arange(3), None)
    assert shares == [0.5, 0.5, 0.5, 0.0, 0.5]


def test_items_left_out_of_a_history_change_the_encoding_and_the_rest_weighs_more() -> None:
    encoder = Encoder(8, 6, 4, 2, swish=True)
    bags = (torch.arange(8), torch.full((8,), 8**-0.5), torch.tensor([0]))
    whole = encoder(bags)[0]
    torch.manual_seed(3)
    parts = [encoder(bags, 0.5)[0] for _ in range(4)]
    assert not any(torch.allclose(whole, part) for part in parts)
    assert torch.equal(whole, encoder(bags, 0.0)[0])


def test_an_effect_of_deletion_is_the_difference_of_two_fold_ins() -> None:
    model, _ = built()
    scorer, history = model.fold_in_scorer(), some_histories(model)[[2]]
    deleted, items = np.arange(history.nnz), np.array([3, 11])
    scores = scorer.scores(with_deletions(history, deleted)).astype(np.float64)
    expected = scores[:, items] - scores.mean(axis=1, keepdims=True)
    assert np.allclose(scorer.leads(history, deleted, items), expected, atol=1e-4)


def test_similar_items_go_by_the_decoders_weights_without_its_biases() -> None:
    model, network = built()
    assert np.array_equal(model.similarity_vectors(), network.items.detach().numpy())


def test_a_model_is_loaded_without_its_network(tmp_path: Path) -> None:
    model, _ = built(**MULT_VAE)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert not hasattr(loaded, "network")
    assert np.array_equal(loaded.score_users(np.arange(5)), model.score_users(np.arange(5)))


def test_before_any_epoch_items_stand_by_popularity() -> None:
    network = RecVAE(**SMALL).build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    counts = np.bincount(TRAIN.item, minlength=TRAIN.n_items)
    assert np.allclose(network.item_bias.detach(), np.log(counts + 1), atol=1e-6)  # type: ignore[union-attr, operator]


def test_the_cost_follows_the_histories_and_the_widths() -> None:
    size, trainer = DataSize(6_000, 3_700, 800_000), TrainerConfig()
    usual, wide = (RecVAE(hidden_dim=width).cost(size, trainer) for width in (300, 600))
    twice = RecVAE(hidden_dim=300).cost(DataSize(6_000, 3_700, 1_600_000), trainer)
    assert usual.fit_bytes < wide.fit_bytes and usual.seconds < wide.seconds
    assert usual.seconds < twice.seconds
    with_a_million = RecVAE().cost(DataSize(10_000_000, 5_000_000, 10**9), trainer)
    assert with_a_million.fit_bytes > 24 * 2**30, "refused on a machine of 24 GB"


def test_a_normal_density_is_scipys() -> None:
    z, mean, log_variance = torch.randn(3, 5, 4)
    expected = norm.logpdf(*(part.numpy() for part in (z, mean, torch.exp(log_variance / 2))))
    assert np.allclose(log_normal(z, mean, log_variance), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss_type": "bpr"}, "model.loss_type=bpr is not a loss of recvae; choose one of auto, softmax"),
        ({"activation": "relu"}, "model.activation=relu is not known; choose swish or tanh"),
        ({"prior": "vamp"}, "model.prior=vamp is not known; choose composite or normal"),
        ({"dropout": 1.0}, "model.dropout=1.0 must be at least 0 and below 1"),
        ({"gamma": -0.1}, "model.gamma=-0.1 must be at least 0"),
        ({"num_layers": 0}, "model.num_layers=0 must be at least 1"),
        ({"decoder_epochs": -1}, "model.decoder_epochs=-1 must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecVAE(**settings)
