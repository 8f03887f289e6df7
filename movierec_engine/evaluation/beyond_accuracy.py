"""What recommendations are like apart from being right: for each user, or for all users together.

lists: int32 [n_users, depth], recommended items, rank 1 first, -1 where a list has ended. Values are relative to the
train interactions alone. Users without a recommendation have the value 0. None of these is better merely because it is
higher: they say at what price accuracy comes.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue

Lists = NDArray[np.int32]
PerUser = NDArray[np.float64]


def coverage(lists: Lists, n_items: int, k: int) -> float:
    """Share of the catalogue that stands in the first k of at least one user's list (Ge et al. 2010)."""
    return float((_exposure(lists, n_items, k) > 0).mean())


def gini(lists: Lists, n_items: int, k: int) -> float:
    """Inequality of the items' exposure: sum_i (2i - n - 1) x_i / (n sum_i x_i) (Shani and Gunawardana 2011).

    x_i: how many users have item i in their first k, in ascending order; n: the whole catalogue, items that nobody is
    shown included. 0 where all items are shown equally often, near 1 where few items are shown to all.
    """
    shown = np.sort(_exposure(lists, n_items, k))
    if not shown.sum():
        return 0.0
    return float((2 * np.arange(1, n_items + 1) - n_items - 1) @ shown / (n_items * shown.sum()))


def novelty(lists: Lists, catalogue: Catalogue, k: int) -> PerUser:
    """Mean self-information of the shown items, -log2(p_i), in bits (Zhou et al. 2010; Vargas and Castells 2011).

    p_i: share of the users who have item i in train; an item that nobody has counts as one that a single user has. The
    denominator is the number of shown items.
    """
    share = np.maximum(catalogue.popularity, 1) / catalogue.n_users
    return _mean_over_list(-np.log2(share), lists, k)


def average_popularity(lists: Lists, catalogue: Catalogue, k: int) -> PerUser:
    """Mean share of the users who have a shown item in train (average recommendation popularity, Yin et al. 2012).

    Theirs is the number of interactions; the share does not grow with the data set. The denominator is the number of
    shown items.
    """
    return _mean_over_list(catalogue.popularity / catalogue.n_users, lists, k)


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


def serendipity(row: NDArray[np.int64], more_popular: NDArray[np.int64], n_users: int, k: int) -> PerUser:
    """|relevant items in the first k that are not among the user's k most popular| / k (Ge et al. 2010).

    The k most popular items are ranked under the same mask, as the popularity model ranks them.
    row: int64 [hits], the user of each relevant item in the first k. more_popular: int64 [hits], how many items that
    may be recommended to its user are more popular.
    """
    return np.asarray(np.bincount(row[more_popular >= k], minlength=n_users) / k)


def _exposure(lists: Lists, n_items: int, k: int) -> NDArray[np.int64]:
    """How many lists show each item among their first k: int64 [n_items]."""
    return np.bincount(lists[:, :k].ravel() + 1, minlength=n_items + 1)[1:]


def _mean_over_list(value: NDArray[np.float64], lists: Lists, k: int) -> PerUser:
    """Mean of a value of items over each list's first k; 0 for an empty list."""
    shown = lists[:, :k]
    total = np.append(value, 0.0)[shown].sum(axis=1)
    return np.asarray(total / np.maximum((shown >= 0).sum(axis=1), 1))
