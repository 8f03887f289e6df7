"""Beyond-accuracy metrics: coverage, novelty, diversity and their kind.

Values are relative to the train interactions alone; inputs as in `registry.INPUTS`. But for serendipity, none of these
is better merely because it is higher: they say what accuracy costs.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.evaluation.metrics.registry import Counts, Lists, PerUser, register_metric


@register_metric(
    title="Serendipity",
    formula="hits in the first k that are not among the k most popular items that the user could be shown / k",
    meaning="hits that popularity would not have found",
)
def serendipity(
    row: NDArray[np.int64], rank: NDArray[np.int32], more_popular: NDArray[np.int64], relevant: Counts, k: int
) -> PerUser:
    """|relevant items in the first k that are not among the user's k most popular| / k (Ge et al. 2010).

    The k most popular items are ranked under the same mask, as the popularity model ranks them.
    """
    unexpected = (rank > 0) & (rank <= k) & (more_popular >= k)
    return np.asarray(np.bincount(row[unexpected], minlength=len(relevant)) / k)


@register_metric(
    title="Novelty",
    formula="mean over the shown items of −log2(share of the users who have the item in train), in bits",
    meaning="bits of surprise in an item; higher is less known",
    bounds=(0, np.inf),
    direction="",
    unit="bits",
)
def novelty(lists: Lists, catalogue: Catalogue, k: int) -> PerUser:
    """Mean self-information of the shown items, -log2(p_i), in bits (Zhou et al. 2010; Vargas and Castells 2011).

    p_i: share of the users who have item i in train; an item that nobody has counts as one that a single user has. The
    denominator is the number of shown items.
    """
    share = np.maximum(catalogue.popularity, 1) / catalogue.n_users
    return _mean_over_list(-np.log2(share), lists, k)


@register_metric(
    title="Average popularity",
    formula="mean over the shown items of the share of the users who have the item in train",
    meaning="share of users who know a shown item",
    direction="",
    unit="%",
)
def average_popularity(lists: Lists, catalogue: Catalogue, k: int) -> PerUser:
    """Mean share of the users who have a shown item in train (average recommendation popularity, Yin et al. 2012).

    Theirs is the number of interactions; the share does not grow with the data set. The denominator is the number of
    shown items.
    """
    return _mean_over_list(catalogue.popularity / catalogue.n_users, lists, k)


@register_metric(
    title="Genre diversity",
    formula="mean of 1 − cosine of the genres over all pairs of shown items",
    meaning="how unlike in genre a list's items are",
    direction="",
)
def genre_diversity(lists: Lists, genres: NDArray[np.float32], k: int) -> PerUser:
    """`intra_list_diversity` of the items' genres."""
    return intra_list_diversity(lists, genres, k)


@register_metric(
    title="Embedding diversity",
    formula="mean of 1 − cosine of the items' embeddings over all pairs of shown items; the embeddings are a rank-32 "
    "decomposition of train, the same for all models",
    meaning="how unlike in who watches them",
    bounds=(0, 2),
    direction="",
)
def embedding_diversity(lists: Lists, embeddings: NDArray[np.float32], k: int) -> PerUser:
    """`intra_list_diversity` of the items' embeddings."""
    return intra_list_diversity(lists, embeddings, k)


@register_metric(
    title="Coverage",
    formula="items that stand in the first k of at least one user / all items of the catalogue",
    meaning="share of the catalogue that anybody is shown",
    unit="%",
    per_user=False,
)
def coverage(lists: Lists, n_items: int, k: int) -> float:
    """Share of the catalogue that stands in the first k of at least one user's list (Ge et al. 2010)."""
    return float((_exposure(lists, n_items, k) > 0).mean())


@register_metric(
    title="Gini",
    formula="inequality of how often items are shown: 0 where all are shown equally often, near 1 where few items are "
    "shown to everybody; the whole catalogue counts",
    meaning="how unequally items are shown; lower is more even",
    direction="",
    per_user=False,
)
def gini(lists: Lists, n_items: int, k: int) -> float:
    """Inequality of the items' exposure: sum_i (2i - n - 1) x_i / (n sum_i x_i) (Shani and Gunawardana 2011).

    x_i: how many users have item i in their first k, in ascending order; n: the whole catalogue, items that nobody is
    shown included. 0 where all items are shown equally often, near 1 where few items are shown to all.
    """
    shown = np.sort(_exposure(lists, n_items, k))
    if not shown.sum():
        return 0.0
    return float((2 * np.arange(1, n_items + 1) - n_items - 1) @ shown / (n_items * shown.sum()))


def intra_list_diversity(lists: Lists, vectors: NDArray[np.float32], k: int) -> PerUser:
    """Mean of 1 - cosine over the ordered pairs of different shown items (Ziegler et al. 2005; Smyth and McClave 2001).

    vectors: float32 [n_items, d]; of genres, or embeddings. The cosine with an item without a vector (zeros) is 0. With
    unit vectors v_i of m shown items: 1 - (|sum_i v_i|^2 - sum_i |v_i|^2) / (m (m - 1)); 0 for fewer than two items.
    """
    norm = np.linalg.norm(vectors, axis=1)
    unit = np.zeros((len(vectors) + 1, vectors.shape[1]), dtype=np.float32)  # the last row stands for -1
    unit[:-1] = vectors / np.maximum(norm, 1e-12)[:, None]
    shown = lists[:, :k]
    total = np.zeros((len(lists), vectors.shape[1]), dtype=np.float32)
    for rank in range(shown.shape[1]):
        total += unit[shown[:, rank]]
    count = (shown >= 0).sum(axis=1)
    alike = np.einsum("ud,ud->u", total, total, dtype=np.float64) - np.append(norm > 0, False)[shown].sum(axis=1)
    pairs = count * (count - 1)
    mean = np.divide(alike, pairs, out=np.ones(len(lists)), where=pairs > 0)
    return np.asarray(np.clip(1 - mean, 0, 2))


def _exposure(lists: Lists, n_items: int, k: int) -> NDArray[np.int64]:
    """Number of lists that show each item among their first k: int64 [n_items]."""
    return np.bincount(lists[:, :k].ravel() + 1, minlength=n_items + 1)[1:]


def _mean_over_list(value: NDArray[np.float64], lists: Lists, k: int) -> PerUser:
    """Mean of a value of items over each list's first k; 0 for an empty list."""
    shown = lists[:, :k]
    total = np.append(value, 0.0)[shown].sum(axis=1)
    return np.asarray(total / np.maximum((shown >= 0).sum(axis=1), 1))
