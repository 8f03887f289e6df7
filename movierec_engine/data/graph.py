"""The user-item graph that LightGCN and NGCF propagate over, from train interactions alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class InteractionGraph:
    """Symmetric normalised bipartite adjacency D^-1/2 A D^-1/2 (Kipf and Welling 2017).

    adjacency: CSR float32 [n_users + n_items, n_users + n_items]; users come first. An edge between user u and item i
    weighs 1 / sqrt(degree(u) * degree(i)); nodes without an edge have an empty row.
    item_degrees: int [n_items]; those of the whole graph where this one is of a part of the users.
    """

    adjacency: sparse.csr_matrix
    n_users: int
    n_items: int
    item_degrees: NDArray[np.integer[Any]]

    @property
    def n_edges(self) -> int:
        """Undirected edges: one for each train interaction."""
        return int(self.adjacency.nnz) // 2

    def save(self, folder: Path) -> None:
        np.savez(
            folder / "graph.npz",
            indptr=self.adjacency.indptr,
            indices=self.adjacency.indices,
            data=self.adjacency.data,
            shape=np.array([self.n_users, self.n_items]),
        )

    @classmethod
    def load(cls, folder: Path) -> "InteractionGraph":
        with np.load(folder / "graph.npz", allow_pickle=False) as arrays:
            n_users, n_items = (int(n) for n in arrays["shape"])
            n = n_users + n_items
            adjacency = sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return cls(adjacency, n_users, n_items, np.diff(adjacency.indptr)[n_users:])


def build_graph(train: Interactions, item_degrees: NDArray[np.integer[Any]] | None = None) -> InteractionGraph:
    """The normalised graph of the train interactions.

    item_degrees: [n_items], of a larger graph that these users are a part of; those of this one unless given.
    """
    matrix = train.matrix()
    if item_degrees is None:
        item_degrees = np.bincount(matrix.indices, minlength=train.n_items)
    user_scale, item_scale = inverse_sqrt_degree(np.diff(matrix.indptr)), inverse_sqrt_degree(item_degrees)
    weights = (sparse.diags(user_scale) @ matrix @ sparse.diags(item_scale)).tocsr().astype(np.float32)
    adjacency = sparse.bmat([[None, weights], [weights.T, None]], format="csr", dtype=np.float32)
    adjacency.sort_indices()
    return InteractionGraph(adjacency, train.n_users, train.n_items, np.asarray(item_degrees))


def inverse_sqrt_degree(degree: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """1 / sqrt(degree) as float32, and 0 where the degree is 0."""
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    return np.asarray(scale, dtype=np.float32)
