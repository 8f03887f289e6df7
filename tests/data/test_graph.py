from pathlib import Path

import numpy as np

from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.id_map import IdMap
from worlds import interactions_of

PAIRS = np.array([(0, 0), (0, 1), (1, 1)])
USERS, ITEMS = IdMap(np.array([10, 20, 30])), IdMap(np.array([1, 2]))


def test_edges_weigh_one_over_the_root_of_the_product_of_degrees() -> None:
    graph = build_graph(interactions_of(PAIRS, USERS, ITEMS))
    expected = np.zeros((5, 5))
    expected[0, 3] = 1 / np.sqrt(2 * 1)
    expected[0, 4] = 1 / np.sqrt(2 * 2)
    expected[1, 4] = 1 / np.sqrt(1 * 2)
    assert np.allclose(graph.adjacency.toarray(), expected + expected.T)


def test_the_graph_has_the_given_edges_and_no_other() -> None:
    graph = build_graph(interactions_of(PAIRS, USERS, ITEMS))
    assert graph.n_edges == len(PAIRS)
    assert graph.adjacency[2].nnz == 0, "a user without interactions has no edge"
    assert build_graph(interactions_of(PAIRS, USERS, IdMap(np.arange(3)))).adjacency.shape == (6, 6), "nor has an item"


def test_a_saved_graph_comes_back(tmp_path: Path) -> None:
    graph = build_graph(interactions_of(PAIRS, USERS, ITEMS))
    graph.save(tmp_path)
    loaded = InteractionGraph.load(tmp_path)
    assert (loaded.adjacency != graph.adjacency).nnz == 0
    assert (loaded.n_users, loaded.n_items) == (3, 2)
