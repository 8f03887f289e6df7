"""Cold items: the AUC of movies that a model was trained without, placed by their neighbours in content.

Items of the catalogue are taken out of training, a random part at a time, and placed by their genres and years as new
movies are. Each user with one of them in the held-out part has the part's items ranked, without those that the mask
holds. AUC and ndcg are the house's, ties against the order: of random scores AUC is 0.5. Items of the catalogue are
better known than movies that are new in truth, so the numbers are of the way of placing, and not a forecast.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError, MovierecError
from movierec_engine.evaluation.metrics.accuracy import auc, ndcg
from movierec_engine.evaluation.rank_block import rank_block
from movierec_engine.evaluation.rankings import heldout_scores
from movierec_engine.models.base import Recommender
from movierec_engine.recommending.cold_items import Content, Floats, Indices, Likeness, neighbours_of, placed_scores

FOLDS = 5
K = 10
"""Depth of the ndcg."""

_BLOCK = 512

Scoring = Callable[[NDArray[np.int64]], Floats]
"""From users [b] to their scores of some items, float32 [b, n]."""
Placing = Callable[[Content, Content, NDArray[np.int64]], tuple[Indices, Floats]]
"""From movies, items and the items' popularity to neighbours and weights, as `neighbours_of` returns them."""


@dataclass(frozen=True, eq=False)
class Found:
    """Ranking quality of n users' held-out items among the items of their parts.

    users: int64 [n], ascending. auc: float64 [n], share of the pairs of a held-out and another item of the same part
    that are in the right order. ndcg: float64 [n], ndcg@10, the mean over the parts where the user has a held-out item.
    """

    users: NDArray[np.int64]
    auc: NDArray[np.float64]
    ndcg: NDArray[np.float64]


def cold_folds(train: Interactions, folds: int, seed: int) -> list[NDArray[np.int64]]:
    """The items with train interactions in so many random parts, whose sizes differ by one at most; each ascending.

    Raises EmptyDataError when there are fewer items than folds, MovierecError for fewer than two folds.
    """
    items = np.flatnonzero(np.bincount(train.item, minlength=train.n_items)).astype(np.int64)
    if folds < 2:
        raise MovierecError(f"{folds} folds leave no item to train on; give at least 2")
    if len(items) < folds:
        raise EmptyDataError(f"{len(items)} items have train interactions, too few for {folds} folds; give fewer folds")
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(items), folds)]


def without_items(split: Split, items: NDArray[np.int64]) -> Split:
    """The same split with some items removed from train, validation and histories; vocabularies and test stay."""
    left = {name: part.select(~np.isin(part.item, items)) for name, part in split.named().items()}
    return replace(split, train=left["train"], validation=left["validation"], fold_in=left.get("fold_in"))


def default_placing(movies: Content, items: Content, popularity: NDArray[np.int64]) -> tuple[Indices, Floats]:
    """The default placement of cold items, that of `ColdItems`."""
    return neighbours_of(movies, Likeness.to(items), popularity)


def placed(
    score: Scoring, cold: NDArray[np.int64], catalogue: Catalogue, placing: Placing = default_placing
) -> Scoring:
    """Scores of cold items by their places among the others, whose scores for users `score` has, [b, n_items]."""
    content, popularity = Content.of(catalogue), catalogue.popularity.copy()
    popularity[cold] = 0  # so that none is another one's neighbour
    neighbours, weights = placing(content.take(cold), content, popularity)
    return lambda users: placed_scores(neighbours, weights, score(users))


def placed_by_popularity(cold: NDArray[np.int64], catalogue: Catalogue) -> Scoring:
    """The same for everybody: how popular the neighbours are."""
    popularity = catalogue.popularity.astype(np.float32)
    return placed(lambda users: np.tile(popularity, (len(users), 1)), cold, catalogue)


def scores_of(model: Recommender, heldout: HeldOut) -> Scoring:
    """A model's scores of all items for users of a held-out part."""
    return lambda users: heldout_scores(model, heldout, users)


def found(of_parts: Iterable[tuple[NDArray[np.int64], Scoring]], heldout: HeldOut) -> Found:
    """Measure scores of cold items, part by part.

    of_parts: the cold items of each part and their scores, in the items' order; taken one after the other.
    Raises EmptyDataError when no user has a cold item in the held-out part beside one to tell it from.
    """
    n_users = heldout.seen.shape[0]
    pairs, right, gain, parts = (np.zeros(n_users) for _ in range(4))
    relevant_matrix = heldout.interactions.matrix()
    for items, scoring in of_parts:
        relevant, seen = relevant_matrix[:, items].tocsr(), heldout.seen[:, items].tocsr().astype(np.bool_)
        having = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int64)
        for start in range(0, len(having), _BLOCK):
            users = having[start : start + _BLOCK]
            wanted = relevant[users]
            scores = np.where(seen[users].toarray(), np.float32(-np.inf), scoring(users))
            ranks, tied, _ = rank_block(scores, wanted, len(items))
            row, counts = np.repeat(np.arange(len(users)), np.diff(wanted.indptr)), np.diff(wanted.indptr)
            others = len(items) - np.asarray((seen[users] + wanted.astype(np.bool_)).sum(axis=1)).ravel()
            both = (counts * others).astype(np.float64)
            right[users] += auc(row, ranks, tied, counts, others) * both
            pairs[users] += both
            gain[users] += ndcg(_hits(row, ranks, len(users)), counts, K)
            parts[users] += 1
    able = np.flatnonzero(pairs > 0)
    if not len(able):
        raise EmptyDataError("no user has an item of the held-out part to be found among others; use more data")
    return Found(able.astype(np.int64), right[able] / pairs[able], gain[able] / parts[able])


def _hits(row: NDArray[np.integer[Any]], ranks: NDArray[np.int32], n: int) -> NDArray[np.bool_]:
    """bool [n, K] from the row and the rank of each relevant item."""
    hits = np.zeros((n, K), dtype=np.bool_)
    shown = (ranks > 0) & (ranks <= K)
    hits[row[shown], ranks[shown] - 1] = True
    return hits
