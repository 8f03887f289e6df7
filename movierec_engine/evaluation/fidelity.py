"""How good fold-in is, and from how many movies on it is worth more than popularity.

Some users are held out: a model is trained without them, and meets them as newcomers with a few movies of their own
train history. How well it then finds their test items is set against popularity, against their whole history, and
against the model that was trained on them as well.

Everything is ranked under one mask, the items of train and validation of the original split, however few of them the
model is told of; so the values differ by the scores alone. A real newcomer's list would also hold movies that these
users are known to have, which is why the values say which answer is better, and not how good the first visit is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError, MovierecError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import ALPHA, compare_paired
from movierec_engine.evaluation.metrics import PerUser, ndcg
from movierec_engine.evaluation.ranking import Scores, rank_block

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

DEPTH = 10
SIZES = (1, 3, 5, 10)
"""Movies that a newcomer is folded in with."""
SHARE, MOST = 0.1, 500
"""Share of the eligible users who are held out, and how many at most."""
LEAST_HISTORY = 15
"""Train interactions of an eligible user, at least: more than any of `SIZES`."""

FOLD_IN, WHOLE_HISTORY, TRAINED_IN, POPULARITY = "fold_in", "whole_history", "trained_in", "popularity"
"""Where the scores of a value came from."""

CURVE_SCHEMA = pa.schema(
    [
        ("size", pa.int32()),
        ("source", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("users", pa.int32()),
    ]
)


@dataclass(frozen=True, eq=False)
class FoldInCurve:
    """ndcg@10 on test of n held-out users, by what the model knew of them.

    users: int64 [n]. sizes: in ascending order.
    fold_in: float64 [n, len(sizes)], known by so many of their own train movies.
    whole_history, trained_in: float64 [n], folded in with all of them, and trained on.
    popularity: float64 [n], not known at all.
    """

    users: NDArray[np.int64]
    sizes: tuple[int, ...]
    fold_in: PerUser
    whole_history: PerUser
    trained_in: PerUser
    popularity: PerUser


def held_out_users(split: Split, seed: int, share: float = SHARE, most: int = MOST) -> NDArray[np.int64]:
    """A random share of the users who have test items and at least 15 train interactions: int64, ascending.

    Raises EmptyDataError when there is no such user.
    """
    history, tested = (np.diff(part.matrix().indptr) for part in (split.train, split.test))
    eligible = np.flatnonzero((history >= LEAST_HISTORY) & (tested > 0))
    if not len(eligible):
        raise EmptyDataError(
            f"no user has {LEAST_HISTORY} train interactions and a test item, so fold-in cannot be measured; "
            "use data with longer histories"
        )
    size = min(most, max(1, round(share * len(eligible))))
    return np.sort(np.random.default_rng(seed).choice(eligible, size, replace=False)).astype(np.int64)


def without(split: Split, users: NDArray[np.int64]) -> Split:
    """The same split without what train and validation know of some users; vocabularies and test stay."""
    train, validation = (part.select(~np.isin(part.user, users)) for part in (split.train, split.validation))
    return replace(split, train=train, validation=validation)


def fold_in_curve(
    model_without: "Recommender",
    model_with: "Recommender",
    split: Split,
    users: NDArray[np.int64],
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
) -> FoldInCurve:
    """Measure how well held-out users are served, by how many of their train movies the model is told of.

    model_without: trained on `without(split, users)`; popularity is the one that it knows. model_with: trained on
    `split`. The movies are drawn at random, and are nested: those of a size are among those of every larger one.

    Raises MovierecError when `model_without` has met the users.
    """
    if model_without.history[users].nnz:
        raise MovierecError(f"{model_without.name} was trained on users that it should not know; train it without them")
    train = split.train.ratings_matrix() if model_without.uses_ratings else split.train.matrix()
    histories, seen, relevant = train[users], split.known()[users], split.test.matrix()[users]
    turn = _random_turns(histories, np.random.default_rng(seed))

    def reached(scores: Scores) -> PerUser:
        return ndcg_of_scores(scores, seen, relevant)

    sizes = tuple(sorted(sizes))
    few = [reached(model_without.fold_in(entries(histories, turn < size))) for size in sizes]
    return FoldInCurve(
        users=users,
        sizes=sizes,
        fold_in=np.column_stack(few),
        whole_history=reached(model_without.fold_in(histories)),
        trained_in=reached(model_with.score(users)),
        popularity=reached(np.tile(model_without.popularity, (len(users), 1))),
    )


def curve_table(curve: FoldInCurve) -> pa.Table:
    """Means with 95 % intervals over users, columns of CURVE_SCHEMA.

    `size` is 0 for popularity, and null where the model knew the whole history.
    """
    names = [POPULARITY, *[FOLD_IN] * len(curve.sizes), WHOLE_HISTORY, TRAINED_IN]
    values = np.column_stack([curve.popularity, curve.fold_in, curve.whole_history, curve.trained_in])
    bounds = bootstrap_intervals(values)
    columns = {
        "size": [0, *curve.sizes, None, None],
        "source": names,
        "value": values.mean(axis=0),
        "low": bounds[:, 0],
        "high": bounds[:, 1],
        "users": [len(curve.users)] * len(names),
    }
    return pa.table(columns, schema=CURVE_SCHEMA)


def enough(curve: FoldInCurve) -> int | None:
    """The least size from which on fold-in is significantly better than popularity; None where it is at none.

    At that size and at every larger one the mean difference is above 0, and both tests of `compare_paired` say so. Few
    users show only large differences: that there is no such size does not say that fold-in is no better.
    """
    least = None
    for size, values in zip(reversed(curve.sizes), curve.fold_in.T[::-1], strict=True):
        compared = compare_paired(values, curve.popularity)
        if (
            max(compared.p_bootstrap, compared.p_wilcoxon) >= ALPHA
            or min(compared.difference, compared.rank_biserial) <= 0
        ):
            break
        least = size
    return least


def ndcg_of_scores(scores: Scores, seen: sparse.csr_matrix, relevant: sparse.csr_matrix) -> PerUser:
    """ndcg@10 of every row, float64 [n], among all items that are not seen.

    scores: float32 [n, n_items], overwritten where seen. seen, relevant: CSR [n, n_items]; each row has a relevant
    item.
    """
    scores[seen.nonzero()] = -np.inf
    rank, _ = rank_block(scores, relevant, DEPTH, deep=False)
    count = np.diff(relevant.indptr)
    row, found = np.repeat(np.arange(len(count)), count), rank > 0
    hits = np.zeros((len(count), DEPTH), dtype=np.bool_)
    hits[row[found], rank[found] - 1] = True
    return ndcg(hits, count, DEPTH)


def entries(matrix: sparse.csr_matrix, kept: NDArray[np.bool_]) -> sparse.csr_matrix:
    """A CSR matrix with only some of its stored entries; kept: bool [nnz], in their order."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return sparse.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), matrix.shape)


def _random_turns(matrix: sparse.csr_matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [nnz]: the place of each stored entry in a random order of its row, from 0."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((rng.random(matrix.nnz), row))
    turn = np.empty(matrix.nnz, dtype=np.int64)
    turn[order] = np.arange(matrix.nnz) - matrix.indptr[row]
    return turn
