"""NGCF: the layers against the paper's equations in plain matrices."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models import NGCF
from movierec_engine.models.graph.ngcf import NGCFNetwork
from worlds import interactions_of

PAIRS = np.array([(0, 0), (0, 1), (1, 1), (2, 0), (2, 2)])
TRAIN = interactions_of(PAIRS, IdMap(np.arange(3)), IdMap(np.arange(3)))
SHAPE = {"embedding_dim": 4, "hidden_dims": (5, 2)}


def built(train=TRAIN, **settings: object) -> tuple[NGCF, NGCFNetwork]:  # type: ignore[no-untyped-def]
    """A model whose weights and biases are all far from 0."""
    torch.manual_seed(5)
    model = NGCF(NGCF.Config(**{**SHAPE, **settings}))
    network = model.build(train, build_graph(train), torch.device("cpu"))
    assert isinstance(network, NGCFNetwork)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.7)
    return model, network


def laplacian(pairs: np.ndarray, n_users: int, n_items: int) -> np.ndarray:
    """D^-1/2 A D^-1/2 of the bipartite graph, entry by entry."""
    matrix = np.zeros((n_users + n_items, n_users + n_items))
    for user, item in pairs:
        value = 1 / np.sqrt((pairs[:, 0] == user).sum() * (pairs[:, 1] == item).sum())
        matrix[user, n_users + item] = matrix[n_users + item, user] = value
    return matrix


def paper(network: NGCFNetwork) -> np.ndarray:
    """Equations 7 and 8 of Wang et al. with the authors' biases; each layer's output normalised before it joins."""
    links = laplacian(PAIRS, 3, 3)
    here = network.embeddings.detach().numpy().astype(float)
    joined = [here]
    for linear, bilinear in zip(network.linear, network.bilinear, strict=True):
        w1, b1, w2, b2 = (part.detach().numpy() for part in (*linear.parameters(), *bilinear.parameters()))
        total = (links + np.eye(6)) @ here @ w1.T + b1 + (links @ here * here) @ w2.T + b2
        here = np.where(total > 0, total, 0.2 * total)
        joined.append(here / np.linalg.norm(here, axis=1, keepdims=True))
    return np.concatenate(joined, axis=1)


def test_final_embeddings_and_scores_are_those_of_the_papers_equations() -> None:
    model, network = built(temperature=1.0)
    expected = paper(network)
    model.export()
    assert np.allclose(model.user_embeddings, expected[:3], atol=1e-5)
    assert np.allclose(model.item_embeddings, expected[3:], atol=1e-5)
    scores = expected[:3] @ expected[3:].T + model.item_bias
    assert np.allclose(model.score_users(np.arange(3)), scores, atol=1e-5)
    users, items = torch.tensor([2, 0]), torch.tensor([[1, 0], [2, 2]])
    network.eval()
    assert np.allclose(network(users, None).detach(), scores[[2, 0]], atol=1e-5)
    assert torch.allclose(network(users, items), network(users, None).gather(1, items), atol=1e-6)


def test_the_temperature_divides_the_scores_of_training_alone() -> None:
    model, network = built(temperature=0.5)
    network.eval()
    model.export()
    users = torch.arange(3)
    assert np.allclose(network(users, None).detach() * 0.5, model.score_users(np.arange(3)), atol=1e-5)


def test_what_items_send_is_every_layer_but_the_last() -> None:
    """For a person who is folded in: E^(0) and E^(1) of the items, as they are and not normalised."""
    model, network = built()
    model.export()
    layers = [layer.detach() for layer in network.propagate()]
    assert [layer.shape[1] for layer in layers] == [4, 5, 2]
    assert np.array_equal(model.item_layers, torch.cat(layers[:2], dim=1)[3:].numpy())


def matched() -> NGCFNetwork:
    """Eight users with one item each of their own, and a layer that passes on what arrives: E^(1) = E^(0) + L E^(0)."""
    own = np.stack([np.arange(8), np.arange(8)], axis=1)
    train = interactions_of(own, IdMap(np.arange(8)), IdMap(np.arange(8)))
    _, network = built(train, dropout=0.5, message_dropout=0.0, hidden_dims=(4,))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.embeddings.fill_(1.0)
        network.linear[0].weight.copy_(torch.eye(4))
    return network


def test_node_dropout_silences_whole_nodes_in_training_and_scales_up_the_others() -> None:
    network = matched()
    network.train()
    received = network.propagate()[1] - 1
    assert set(received.flatten().tolist()) == {0.0, 2.0}, "nothing, or twice what one neighbour has"
    assert (received == received[:, :1]).all(), "a node is silent in all its dimensions"
    network.eval()
    assert network.propagate()[1].unique().tolist() == [2.0]


def test_message_dropout_leaves_out_outputs_in_training_and_scales_up_the_others() -> None:
    _, network = built(message_dropout=0.5, dropout=0.0)
    network.eval()
    whole = network.propagate()
    network.train()
    torch.manual_seed(0)
    thinned = network.propagate()
    assert torch.equal(whole[0], thinned[0]), "embeddings are not dropped"
    kept = thinned[1] != 0
    assert kept.any() and not kept.all()
    assert torch.allclose(thinned[1][kept], 2 * whole[1][kept], atol=1e-6)


def test_the_penalty_is_of_the_batchs_initial_embeddings_a_user_and_an_item_as_often_as_they_stand_in_it() -> None:
    _, network = built(l2=0.3)
    users, items = torch.tensor([2, 0]), torch.tensor([[1, 0], [1, 2]])
    embeddings = network.embeddings.detach()
    squares = sum(float(embeddings[node].square().sum()) for node in (2, 0, 3 + 1, 3 + 0, 3 + 1, 3 + 2))
    assert network.penalty(users, items).item() == pytest.approx(0.3 / 2 * squares / 2, rel=1e-5)


def test_layers_start_with_biases_of_0_and_weights_by_glorot() -> None:
    torch.manual_seed(0)
    model = NGCF(NGCF.Config(embedding_dim=40, hidden_dims=(60,), init_std=0.05))
    network = model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    assert isinstance(network, NGCFNetwork)
    for layer in (*network.linear, *network.bilinear):
        assert not layer.bias.any()
        assert layer.weight.abs().max().item() == pytest.approx((6 / 100) ** 0.5, rel=0.02)
    assert network.embeddings.std().item() == pytest.approx(0.05, rel=0.2)
    assert functional.normalize(network.embeddings, dim=1).shape == (6, 40)


@pytest.mark.parametrize(
    "settings",
    [
        {"embedding_dim": 0},
        {"hidden_dims": ()},
        {"hidden_dims": (4, 0)},
        {"temperature": 0.0},
        {"dropout": 1.0},
        {"message_dropout": -0.1},
        {"l2": -1.0},
        {"loss_type": "hinge"},
        {"loss_type": "bpr", "num_negatives": 0},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="model"):
        NGCF.Config(**settings)  # type: ignore[arg-type]
