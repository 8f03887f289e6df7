from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from devices import DEVICES

from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models import LightGCN
from movierec_engine.models.gradient import to_csr_tensor
from movierec_engine.models.graph import column_blocks, propagation
from movierec_engine.models.graph.column_blocks import ColumnBlocks, weighted_sums
from movierec_engine.models.graph.lightgcn import LightGCNNetwork, undirected_edge
from movierec_engine.models.graph.propagation import SymmetricLGConv
from worlds import interactions_of

PAIRS = np.array([(0, 0), (0, 1), (1, 1), (2, 0), (2, 2)])
TRAIN = interactions_of(PAIRS, IdMap(np.arange(3)), IdMap(np.arange(3)))
GRAPH = build_graph(TRAIN)
DENSE = torch.from_numpy(GRAPH.adjacency.toarray())


def network(**settings: object) -> LightGCNNetwork:
    torch.manual_seed(3)
    built = LightGCN(LightGCN.Config(embedding_dim=4, **settings)).build(TRAIN, GRAPH, torch.device("cpu"))
    assert isinstance(built, LightGCNNetwork)
    return built


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_final_embeddings_are_the_mean_of_the_powers_of_the_adjacency(num_layers: int) -> None:
    built = network(num_layers=num_layers)
    powers = [torch.linalg.matrix_power(DENSE, k) @ built.embeddings for k in range(num_layers + 1)]
    expected = torch.stack(powers).mean(dim=0)
    assert torch.allclose(torch.cat(built.final()), expected, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_propagation_and_its_gradient_are_those_of_the_dense_product(device: str) -> None:
    x, weight = torch.randn(6, 4), torch.randn(6, 4)
    on_device = x.to(device).requires_grad_()
    propagated = SymmetricLGConv(3)(on_device, network().to(device).adjacency)
    (propagated * weight.to(device)).sum().backward()
    assert torch.allclose(propagated.cpu(), DENSE @ x, atol=1e-6)
    assert on_device.grad is not None
    assert torch.allclose(on_device.grad.cpu(), DENSE.T @ weight, atol=1e-6)


def test_propagation_over_the_graph_is_that_of_pytorch_geometric() -> None:
    """Whose LGConv is given the edges of a larger graph, and normalises them itself."""
    from torch_geometric.nn import LGConv

    pairs = np.argwhere(np.random.default_rng(1).random((40, 60)) < 0.1)
    graph = build_graph(interactions_of(pairs, IdMap(np.arange(40)), IdMap(np.arange(60))))
    edges = torch.from_numpy(np.stack(graph.adjacency.nonzero())).long()
    x = torch.randn(100, 8)
    propagated = SymmetricLGConv(40)(x, to_csr_tensor(graph.adjacency))
    assert torch.allclose(propagated, LGConv()(x, edges), atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_a_product_is_the_same_to_the_bit_whenever_it_is_made(device: str) -> None:
    """With rows long enough for threads to share."""
    pairs = np.argwhere(np.random.default_rng(0).random((400, 3000)) < 0.3)
    train = interactions_of(pairs, IdMap(np.arange(400)), IdMap(np.arange(3000)))
    adjacency = to_csr_tensor(build_graph(train).adjacency).to(device)
    x = torch.randn(3400, 64, device=device)
    first = weighted_sums(adjacency, x)
    assert all(torch.equal(weighted_sums(adjacency, x), first) for _ in range(10))
    assert torch.allclose(first.cpu(), adjacency.cpu() @ x.cpu(), atol=1e-4)


@pytest.mark.parametrize("columns", [1, 2, 5, 100])
def test_a_product_in_blocks_of_columns_is_the_whole_one(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_blocks, "_BLOCK_FLOATS", 3 * columns)
    pairs = np.argwhere(np.random.default_rng(0).random((20, 30)) < 0.1)
    train = interactions_of(pairs, IdMap(np.arange(22)), IdMap(np.arange(31)))
    adjacency = build_graph(train).adjacency
    x = torch.randn(53, 3)
    whole = torch.from_numpy(adjacency.toarray()) @ x
    blocks = ColumnBlocks(to_csr_tensor(adjacency), 22, 3)
    for rows in (slice(None), slice(22), slice(22, None)):
        for product in (blocks.product, partial(weighted_sums, to_csr_tensor(adjacency))):
            assert torch.allclose(product(x, rows), whole[rows], atol=1e-6)
            out = torch.randn(53, 3)
            assert torch.equal(product(x, rows, out=out[rows]), out[rows])
            assert torch.allclose(out[rows], whole[rows], atol=1e-6)


def test_a_large_graph_is_propagated_over_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = network()
    monkeypatch.setattr(column_blocks, "_BLOCK_FLOATS", 4)
    monkeypatch.setattr(propagation, "LARGE_FLOATS", 6 * 4)
    made: list[torch.Tensor] = []
    whole = ColumnBlocks.product

    def product(self: ColumnBlocks, x: torch.Tensor) -> torch.Tensor:
        made.append(x)
        return whole(self, x)

    monkeypatch.setattr(ColumnBlocks, "product", product)
    blocked = network()
    for one in (plain, blocked):
        torch.cat(one.final()).square().sum().backward()
    assert len(made) == 2 * blocked.config.num_layers, "forward and backward"
    assert torch.allclose(torch.cat(blocked.final()), torch.cat(plain.final()), atol=1e-6)
    assert blocked.embeddings.grad is not None and plain.embeddings.grad is not None
    assert torch.allclose(blocked.embeddings.grad, plain.embeddings.grad, atol=1e-6)


def test_scores_of_pairs_are_those_of_the_whole_catalogue() -> None:
    built = network()
    users, items = torch.tensor([2, 0]), torch.tensor([[1, 0], [2, 2]])
    assert torch.allclose(built(users, items), built(users, None).gather(1, items), atol=1e-6)
    halved = network(temperature=2.0)
    assert torch.allclose(halved(users, None), built(users, None) / 2)
    assert torch.allclose(halved(users, items), built(users, items) / 2)


def test_the_penalty_is_of_the_batchs_initial_embeddings_as_often_as_they_stand_in_it() -> None:
    built = network(l2=0.3)
    users, items = torch.tensor([2, 0]), torch.tensor([[1, 0], [1, 2]])
    squares = built.embeddings.detach()[[2, 0, 3 + 1, 3 + 0, 3 + 1, 3 + 2]].square().sum().item()
    assert built.penalty(users, items).item() == pytest.approx(0.3 / 2 * squares / 2, rel=1e-5)


def test_embeddings_start_as_wide_as_said() -> None:
    assert network(init_std=0.2).embeddings.std().item() == pytest.approx(2 * network().embeddings.std().item())


def test_dropped_edges_are_dropped_in_both_directions() -> None:
    built = network(dropout=0.5)
    thinned = built._thinned().to_dense()
    assert torch.equal(thinned, thinned.T)
    kept = thinned != 0
    assert torch.allclose(thinned[kept], 2 * DENSE[kept])
    assert not torch.equal(kept, DENSE != 0)
    share = torch.stack([network(dropout=0.9)._thinned().to_dense() != 0 for _ in range(3)]).sum() / (3 * 10)
    assert share < 0.5, "the share is of what is left out"
    model = LightGCN(LightGCN.Config(embedding_dim=4, dropout=0.9))
    trained = model.build(TRAIN, GRAPH, torch.device("cpu"))
    assert isinstance(trained, LightGCNNetwork)
    trained.train()
    model.export()
    whole = torch.stack([torch.linalg.matrix_power(DENSE, k) @ trained.embeddings for k in range(4)]).mean(dim=0)
    assert np.allclose(model.user_embeddings, whole.detach()[:3], atol=1e-6), "nothing is left out of what scores"


def test_each_edge_has_one_number_in_both_directions() -> None:
    numbers = undirected_edge(GRAPH.adjacency)
    assert sorted(numbers.tolist()) == sorted(2 * list(range(len(PAIRS))))


def test_a_new_user_joins_the_graph_as_a_node_without_an_embedding_of_its_own() -> None:
    model = LightGCN(LightGCN.Config(embedding_dim=4, num_layers=2))
    built = model.build(TRAIN, GRAPH, torch.device("cpu"))
    model.export()
    layers = [torch.linalg.matrix_power(DENSE, k) @ built.embeddings.detach() for k in range(3)]
    items = [layer[3:].numpy() for layer in layers]
    degree = np.bincount(PAIRS[:, 1])
    history = [0, 2]
    vector = sum(items[k - 1][i] / np.sqrt(2 * degree[i]) for k in (1, 2) for i in history) / 3
    expected = vector @ model.item_embeddings.T + model.item_bias
    folded = model.fold_in(TRAIN.matrix()[2])  # user 2 has items 0 and 2
    assert np.allclose(folded[0], expected, atol=1e-6)


def test_an_item_of_the_history_adds_its_last_hop() -> None:
    """By hand, d = 1, K = 1: user 2 has the items 0 and 2 of degrees 2 and 1, and is explained item 1.

    e_u = (3 + 5 / sqrt(2 * 2) + 7 / sqrt(2 * 1)) / 2; e_1 = (6 + 1 / sqrt(2 * 2) + 2 / sqrt(1 * 2)) / 2.
    """
    model = LightGCN(LightGCN.Config(embedding_dim=1, num_layers=1))
    built = model.build(TRAIN, GRAPH, torch.device("cpu"))
    assert isinstance(built, LightGCNNetwork)
    with torch.no_grad():
        built.embeddings[:, 0] = torch.tensor([1.0, 2, 3, 5, 6, 7])
    model.export()
    item = (6 + 1 / 2 + 2 / np.sqrt(2)) / 2
    trained, folded_in = model.explain_user(2, 1), model.explain_history(model.history[[2]], 1)
    for why in (trained, folded_in):
        assert why.items.tolist() == [2, 0]
        assert why.contributions == pytest.approx([7 / np.sqrt(2) / 2 * item, 5 / 2 / 2 * item])
    own = 3 / 2 * item
    assert trained.base == pytest.approx(own + model.item_bias[1]), "the user's own vector and the item's popularity"
    assert folded_in.base == pytest.approx(model.item_bias[1], abs=1e-5)


def test_an_explanation_of_a_cosine_survives_saving(tmp_path: Path) -> None:
    model = LightGCN(LightGCN.Config(embedding_dim=4, num_layers=2, cosine=True))
    built = model.build(TRAIN, GRAPH, torch.device("cpu"))
    assert isinstance(built, LightGCNNetwork)
    model.export()
    model.save(tmp_path)
    loaded = LightGCN.load(tmp_path)
    layers = [(torch.linalg.matrix_power(DENSE, k) @ built.embeddings.detach()).numpy() for k in range(3)]
    length = np.linalg.norm(np.mean(layers, axis=0)[2])
    own = layers[0][2] / 3 @ model.item_embeddings[1] / length
    assert loaded.explain_user(2, 1).base == pytest.approx(own, rel=1e-4)
    folded_in = loaded.explain_history(loaded.history[[2]], 1)
    assert folded_in.contributions.sum() == pytest.approx(folded_in.score, rel=1e-4)


@pytest.mark.parametrize(
    "settings", [{"loss_type": "hinge"}, {"embedding_dim": 0}, {"num_layers": -1}, {"dropout": 1.0}, {"temperature": 0}]
)
def test_values_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="model"):
        LightGCN.Config(**settings)


def test_where_embeddings_say_nothing_items_are_ranked_by_popularity() -> None:
    """Embeddings of length 0 leave the prior, log((1 + n_i) / (1 + n)), for trained and new users."""
    model = LightGCN(LightGCN.Config(embedding_dim=2, num_layers=1))
    built = model.build(TRAIN, GRAPH, torch.device("cpu"))
    with torch.no_grad():
        built.embeddings.zero_()
    model.export()
    counts = 1 + np.bincount(PAIRS[:, 1], minlength=TRAIN.n_items)
    prior = np.log(counts / counts.mean())
    assert model.score_users(np.array([0]))[0] == pytest.approx(prior)
    assert model.fold_in(TRAIN.matrix()[2])[0] == pytest.approx(prior)
    assert (model.query_vectors(np.array([0])) @ model.item_vectors().T)[0] == pytest.approx(prior)


def test_a_share_of_the_users_has_the_prior_of_the_whole_graph() -> None:
    degrees = np.array([9, 4, 2])
    of_share = LightGCN().build(TRAIN, build_graph(TRAIN, degrees), torch.device("cpu"))
    assert of_share.item_bias.numpy() == pytest.approx(np.log(np.array([10, 5, 3]) / 6))  # type: ignore[union-attr]


def test_a_model_from_before_the_prior_scores_by_its_embeddings(tmp_path: Path) -> None:
    model = LightGCN(LightGCN.Config(embedding_dim=2, num_layers=1))
    model.build(TRAIN, GRAPH, torch.device("cpu"))
    model.export()
    older = LightGCN(model.config)
    older.users, older.items = model.users, model.items
    older.set_history(TRAIN)
    older.restore({name: array for name, array in model.tensors().items() if name != "item_bias"})
    expected = model.user_embeddings @ model.item_embeddings.T
    assert older.score_users(np.arange(TRAIN.n_users)) == pytest.approx(expected)
