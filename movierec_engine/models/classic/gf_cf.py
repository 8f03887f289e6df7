"""GF-CF: a graph filter in closed form (Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?").

    R~ = D_u^-1/2 R D_i^-1/2,    G = R~^T R~ = V diag(s) V^T,    scores = R (D_i^-p h(G) D_i^p + r q^T)

R: the binary user-item matrix of train; D_u, D_i: shrinkage + the interactions of each user and each item; G: the item
graph. h gives each eigenvalue s of G, a taste that many or few people share, its response:

    h(s) = s exp(-t (s - s_K) / e) + a e [s > 3/4 e]    for the K largest,    h(s) = s    for the others

Its parts are the linear filter s; sharpening by t, which takes from what all people share (Choi et al. 2023,
"Blurring-Sharpening Process Models for Collaborative Filtering", whose process has this closed form); and the ideal
low-pass filter, which adds the same to all tastes that stand out from noise. e is about the largest eigenvalue that
noise alone gives G, so that the same settings hold for data of any density:

    e = (sqrt(m_u) + sqrt(m_i))^2 / ((m_u + shrinkage) (m_i + shrinkage))

m_u, m_i: mean interactions of a user and of an item. The K strongest directions stand as short vectors. What the others
add, G - V_K diag(s) V_K^T, is kept where the entries of G are largest, a few for each item. GF-CF as published has no
shrinkage, no sharpening and no prior, p = 0 for the linear filter and 1/2 for the ideal one;
benchmarks/results/graph_filters.md compares them, and leaves out one part at a time.

r q^T is popularity, which counts where train tells little (`fold_in/prior.py`); of item j how little it tells is
n_j = shrinkage / (shrinkage + its interactions).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import svds

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.classic.prior_strength import PriorStrength
from movierec_engine.models.cost import FLOPS, RANDOM_READS, DataSize, ModelCost
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.graph_filter import GraphFilterFoldIn
from movierec_engine.models.fold_in.prior import check_popularity_weight, check_prior, shares, strengths
from movierec_engine.models.pair_scorer import HistoryScorer
from movierec_engine.reporting.progress import advance
from movierec_engine.training.config import TrainerConfig

_SIGNAL = 0.75
"""The share of e from which on an eigenvalue stands out from noise."""
_DENSE = 2500
"""With up to so many users or items all eigenvalues of a dense matrix are found sooner than some of a sparse one."""
_BLOCK = 256


@dataclass(frozen=True)
class GFCFConfig:
    """Hyper-parameters of the graph filter; the defaults were chosen on validation of data of several densities."""

    shrinkage: float = 10.0
    """Interactions that every user and every item is given more than they have, so that few of them say less; the
    paper's 0 recommends what hardly anybody has."""
    exponent: float = 0.25
    """Exponent p of an item's interactions: the larger, the less a popular item of the history counts and the more a
    popular one is recommended."""
    sharpening: float = 0.25
    """Strength t of sharpening, relative to the noise in the data; 0 leaves it out."""
    alpha: float = 1.2
    """Weight a of the ideal low-pass filter, relative to the noise in the data (the paper's 0.3 is absolute); 0 leaves
    it out."""
    prior: float = 8.0
    """Strength of popularity where train tells little of items or of people; 0 leaves it out."""
    popularity_weight: float | None = None
    """How much stronger the prior is made, by 8 times this (`classic/prior_strength.py`); null: chosen on validation,
    0 where it has none."""
    n_factors: int = 256
    """Strongest directions K whose response is not linear, at most (the paper's 256)."""
    neighbours: int = 200
    """Entries of the item graph that are kept for each item beside those directions, at most."""

    def __post_init__(self) -> None:
        for name in ("shrinkage", "sharpening", "alpha"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"model.{name}={getattr(self, name)} must not be below 0")
        check_prior(self.prior)
        check_popularity_weight(self.popularity_weight)
        if not 0 <= self.exponent <= 1:
            raise ConfigError(f"model.exponent={self.exponent} must be from 0 to 1")
        for name in ("n_factors", "neighbours"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 1")


class GFCF(PriorStrength, ClosedFormRecommender):
    """directions: float32 [n_items, K], D_i^p V_K. response: float32 [K], h of their eigenvalues, the largest first.

    weights: float32 CSR [n_items, n_items], D_i^-p (G - V_K diag(s) V_K^T) D_i^p where it is kept: in row j what having
    item j adds to the score of each item beside the directions.

    rest: float32 [n_items], r above; None without a prior.
    """

    name = "gf_cf"
    Config = GFCFConfig
    exact_vectors = False

    directions: Floats
    response: Floats
    weights: sparse.csr_matrix
    rest: Floats | None

    def learn(self, train: Interactions) -> None:
        of_users = np.diff(self.history.indptr) + self.config.shrinkage
        scale = [sparse.diags_array(np.maximum(n, 1) ** -0.5) for n in (of_users, self._of_items)]
        graph = sparse.csr_matrix(scale[0] @ self.history @ scale[1], dtype=np.float32)
        eigenvalues, vectors = strongest_directions(graph, self.config.n_factors)
        self.response = self.responses(eigenvalues)
        power = self._of_items ** np.float32(self.config.exponent)
        self.directions = vectors * power[:, None]
        rest = item_graph(graph, self.config.neighbours, vectors * np.sqrt(eigenvalues))
        self.weights = sparse.csr_matrix(sparse.diags_array(1 / power) @ rest @ sparse.diags_array(power))
        unknown = self.config.shrinkage / self._of_items
        self.rest = strengths(self.config.prior, self.history, unknown)
        self._fold_in = self._make_fold_in()

    @property
    def noise(self) -> float:
        """e above, about the largest eigenvalue that noise alone gives the item graph."""
        users, items = (self.history.nnz / n for n in self.history.shape)
        more = self.config.shrinkage
        return float((np.sqrt(users) + np.sqrt(items)) ** 2 / max((users + more) * (items + more), 1e-12))

    def responses(self, eigenvalues: Floats) -> Floats:
        """h of the largest eigenvalues, float32 [K], the largest first."""
        beyond = (eigenvalues - eigenvalues[-1:]) / self.noise
        ideal = self.config.alpha * self.noise * (eigenvalues > _SIGNAL * self.noise)
        return np.asarray(eigenvalues * np.exp(-self.config.sharpening * beyond) + ideal, dtype=np.float32)

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Lanczos vectors of the smaller side, then the pairs of items of a user, each met twice."""
        n, small, k = size.n_items, min(size.n_users, size.n_items), self.config.n_factors
        weights, directions = 8.0 * n * min(self.config.neighbours, n), 4.0 * n * k
        block = _BLOCK * (12.0 * n + 8.0 * min(self.config.neighbours, n) * k)
        dense = small <= max(_DENSE, 2 * k)
        found = 8.0 * small**2 if dense else 4.0 * small * (2 * k + 1) + 2 * directions
        solved = 4.0 * small**3 if dense else 512.0 * k * (small * k + size.n_train)
        pairs = 3 * float(size.n_train) * size.per_user
        return ModelCost(
            fit_bytes=24.0 * size.n_train + 2 * directions + max(found, 2 * weights + block),
            seconds=solved / FLOPS + (pairs + weights / 8 * k) / RANDOM_READS,
            model_bytes=weights + 2 * directions,
            index_bytes=2 * directions + 8.0 * size.n_users * k,
            score_operations=2.0 * n * k + 2 * size.per_user * self.config.neighbours,
            instead="set a smaller model.n_factors or model.neighbours",
        )

    def score_known(self, users: Indices) -> Floats:
        return self._fold_in.scores(self.history[users])

    def fold_in_scorer(self) -> GraphFilterFoldIn:
        return self._fold_in

    def pair_scorer(self) -> HistoryScorer:
        return HistoryScorer(self._fold_in)

    def query_vectors(self, users: Indices) -> Floats:
        """R D_i^-p V_K diag(h(s)) and R r, [n, K + 1]: the strongest directions alone, and popularity."""
        return np.asarray(self.history[users] @ self._fold_in.steps, dtype=np.float32)

    def item_vectors(self) -> Floats:
        return np.asarray(self._fold_in.basis.vectors)

    def similarity_vectors(self) -> Floats:
        """The strongest directions, each by its response."""
        return self.directions * self.response

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = {part: getattr(self.weights, part) for part in ("data", "indices", "indptr")}
        given = {} if self.rest is None else {"rest": self.rest}
        return {
            "directions": self.directions,
            "response": self.response,
            **weights,
            **given,
            **self.prior_tensors(),
        }

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        self.directions, self.response, self.rest = tensors["directions"], tensors["response"], tensors.get("rest")
        parts = (tensors["data"], tensors["indices"], tensors["indptr"])
        self.weights = sparse.csr_matrix(parts, (len(self.items), len(self.items)))
        self._fold_in = self._make_fold_in()

    def _weigh(self, weight: float) -> None:
        super()._weigh(weight)
        self._fold_in = self._make_fold_in()

    def _make_fold_in(self) -> GraphFilterFoldIn:
        vectors = self.directions
        if self.rest is not None:
            vectors = np.column_stack([vectors, shares(self.popularity)])
        scale = self._of_items ** np.float32(-2 * self.config.exponent)
        return GraphFilterFoldIn(Basis(vectors, self.history), self.weights, scale, self.response, self.rest)

    @property
    def _of_items(self) -> Floats:
        """The diagonal of D_i, float32 [n_items]; 1 at least."""
        return np.asarray(np.maximum(self.popularity + self.config.shrinkage, 1), dtype=np.float32)


def strongest_directions(graph: sparse.csr_matrix, k: int) -> tuple[Floats, Floats]:
    """The k largest eigenvalues of graph^T graph, float32 [k], and their eigenvectors, float32 [n_items, k].

    graph: float32 CSR [n_users, n_items]. The largest eigenvalue comes first; those that rounding may have made are
    left out. The component of a vector that is largest by absolute value is positive.
    """
    small, k = min(graph.shape), min(k, *graph.shape)
    if small <= max(_DENSE, 2 * k):
        by_user = graph.shape[0] <= graph.shape[1]
        gram = (graph @ graph.T if by_user else graph.T @ graph).toarray()
        values, vectors = linalg.eigh(gram, subset_by_index=(small - k, small - 1), overwrite_a=True)
        if by_user:
            vectors = graph.T @ vectors / np.sqrt(np.maximum(values, 1e-12))
    else:
        start = np.ones(small, dtype=np.float32)  # else it is drawn at random
        _, singular, rows = svds(graph, k, tol=1e-3, v0=start, return_singular_vectors="vh")
        values, vectors = singular**2, rows.T
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 1e-5 * values.max(initial=0)]
    values, vectors = values[order], vectors[:, order]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(order))]
    return values.astype(np.float32), np.asarray(vectors * np.sign(largest), dtype=np.float32, order="C")


def item_graph(graph: sparse.csr_matrix, kept: int, explained: Floats) -> sparse.csr_matrix:
    """graph^T graph - explained explained^T where each row of graph^T graph has its largest entries: CSR, float32.

    graph: float32 CSR [n_users, n_items]. explained: float32 [n_items, k]. A block of rows is made at a time.
    """
    by_item, blocks = graph.T.tocsr(), []
    for start in range(0, graph.shape[1], _BLOCK):
        advance(start, graph.shape[1], "items of the graph")
        block = largest_entries(by_item[start : start + _BLOCK] @ graph, kept)
        row = start + np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        block.data -= np.vecdot(explained[row], explained[block.indices])
        blocks.append(block)
    return sparse.vstack(blocks, format="csr")


def largest_entries(rows: sparse.csr_matrix, kept: int) -> sparse.csr_matrix:
    """The `kept` largest entries of each row of a CSR matrix, or all where there are no more; columns ascending.

    Of equal entries any stay: products of sparse rows have no order to go by.
    """
    rows.sort_indices()
    stays = np.ones(rows.nnz, dtype=np.bool_)
    for row in np.flatnonzero(np.diff(rows.indptr) > kept):
        start, end = rows.indptr[row], rows.indptr[row + 1]
        stays[start + np.argpartition(-rows.data[start:end], kept)[kept:]] = False
    ends = np.concatenate([[0], np.cumsum(stays)])[rows.indptr]
    return sparse.csr_matrix((rows.data[stays], rows.indices[stays], ends), rows.shape)
