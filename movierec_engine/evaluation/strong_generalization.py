"""Strong generalization (Liang et al. 2018): fold-in of held-out users by number of known items, against popularity.

Where the split holds out whole users (`data.split=users`), the model at hand has never seen them: each part has users
of its own, who come with a few movies of their history. In any other split the model is trained on everybody, so users
are held out in turn, fold by fold: it is trained again without those of a fold, and meets them as new users with a few
movies of their own train history. In the end every user with a history long enough has been a new user once, and can be
set against the model that was trained on them as well.

How well the model finds their other items is set against popularity and against their whole history: on the validation
items, which decide from how many movies on fold-in is enough, and on the test items, which only report.

Everything of a part is ranked under the evaluator's mask, however few of its items the model is told of; so the values
of a part differ by the scores alone. A real new user's list would also hold movies that these users are known to have,
which is why the values say which answer is better, and not how good the first visit is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.split import Split
from movierec_engine.data.split_strategies import places_in_random_order
from movierec_engine.errors import EmptyDataError, MovierecError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import ALPHA, PairedComparison, compare_paired, holm
from movierec_engine.evaluation.metrics import PerUser
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.rank_block import Scores, rank_block

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

DEPTH = 10
SIZES = (1, 3, 5, 10)
"""Movies that a new user is folded in with."""
FOLDS = 5
"""Trainings that a curve takes. Ten cost at least twice as much on the bundled data and measure the same users: the
values of ease and als at `SIZES` changed by .004 at most, their intervals were as wide, and the same sizes enough."""
DRAWS = 4
"""Random choices of each new user's movies, whose values are averaged: which ones they happen to be moved the means of
all bundled users by .004, about half of their standard error, and with it the size that is enough."""
LEAST_HISTORY = 15
"""Known interactions of an eligible user, at least: more than any of `SIZES`."""
_BLOCK_CELLS = 2**22
"""Scores that are in memory together, at least one user's: 16 MiB."""

FOLD_IN, WHOLE_HISTORY, TRAINED_IN, POPULARITY = "fold_in", "whole_history", "trained_in", "popularity"
"""Where the scores of a value came from."""

Part = Literal["validation", "test"]
DECIDED_ON: Part = "validation"
"""The part whose curve says from how many movies on fold-in is enough."""
REPORTED_ON: Part = "test"
"""The part whose curve is shown, and by which nothing is chosen."""

CURVE_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("size", pa.int32()),
        ("source", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("users", pa.int32()),
        ("gain", pa.float64()),
        ("gain_low", pa.float64()),
        ("gain_high", pa.float64()),
        ("p_bootstrap", pa.float64()),
        ("p_wilcoxon", pa.float64()),
        ("better", pa.bool_()),
    ]
)


@dataclass(frozen=True, eq=False)
class FoldInCurve:
    """ndcg@10 of n held-out users on a part of the split, by the number of their items that the model knew.

    part: whose items were to be found. users: int64 [n], ascending. sizes: in ascending order.
    fold_in: float64 [n, len(sizes)], known by so many of their own movies; means over random choices of those.
    whole_history: float64 [n], folded in with all of them. popularity: float64 [n], not known at all.
    trained_in: float64 [n], trained on; None where the split holds them out, so that no model is.
    """

    part: Part
    users: NDArray[np.int64]
    sizes: tuple[int, ...]
    fold_in: PerUser
    whole_history: PerUser
    trained_in: PerUser | None
    popularity: PerUser


@dataclass(frozen=True)
class Gain:
    """Fold-in with `size` movies against popularity, on the same users."""

    size: int
    comparison: PairedComparison
    """Comparison of fold-in (a) with popularity (b), before correction."""
    p_bootstrap: float
    p_wilcoxon: float
    """The comparison's p values, Holm-corrected over the sizes."""

    @property
    def better(self) -> bool:
        """Both corrected p values are below ALPHA, and mean and ranks both favour fold-in."""
        favoured = min(self.comparison.difference, self.comparison.rank_biserial) > 0
        return favoured and max(self.p_bootstrap, self.p_wilcoxon) < ALPHA


def eligible_users(split: Split) -> NDArray[np.int64]:
    """The users who have validation and test items and at least 15 train interactions: int64, ascending."""
    history, validated, tested = (np.diff(part.matrix().indptr) for part in split.parts())
    return np.flatnonzero((history >= LEAST_HISTORY) & (validated > 0) & (tested > 0)).astype(np.int64)


def held_out_folds(split: Split, folds: int, seed: int) -> list[NDArray[np.int64]]:
    """The eligible users in so many random parts, whose sizes differ by one at most; each int64, ascending.

    Raises EmptyDataError when there are fewer users than folds, MovierecError for fewer than two folds.
    """
    users = eligible_users(split)
    if folds < 2:
        raise MovierecError(f"{folds} folds leave nobody to train on or nobody to measure; give at least 2")
    if len(users) < folds:
        raise EmptyDataError(
            f"{len(users)} users have {LEAST_HISTORY} train interactions, a validation item and a test item, so "
            f"fold-in cannot be measured in {folds} folds; use data with longer histories and a validation part, or "
            "fewer folds"
        )
    return [np.sort(part) for part in np.array_split(np.random.default_rng(seed).permutation(users), folds)]


def without(split: Split, users: NDArray[np.int64]) -> Split:
    """The same split with some users removed from train and validation; vocabularies and test stay."""
    train, validation = (part.select(~np.isin(part.user, users)) for part in (split.train, split.validation))
    return replace(split, train=train, validation=validation)


def fold_in_curves(
    models_without: Iterable[tuple[NDArray[np.int64], "Recommender"]],
    model_with: "Recommender",
    split: Split,
    sizes: Sequence[int] = SIZES,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[FoldInCurve, FoldInCurve]:
    """Measure how well held-out users are served, by how many of their train movies the model is told of.

    Returns the curve on validation and the one on test, of the same users, models and movies.

    models_without: the users of each fold and a model trained on `without(split, users)`, whose popularity is theirs;
    taken one after the other, so that they can be made as they are asked for. model_with: trained on `split`. The
    movies are drawn at random, whatever the folds, so many times; those of a size are among those of every larger one.

    Raises MovierecError when a model has met the users of its fold.
    """
    sizes = tuple(sorted(sizes))
    told = _told(split.train.history(model_with.history_values), sizes, draws, seed)
    measured = ((split.train.matrix(), split.validation.matrix()), (split.known_before_test(), split.test.matrix()))
    folds = [(users, _values(model, users, told, measured, model_with)) for users, model in models_without]
    users, values = (np.concatenate(found) for found in zip(*folds, strict=True))
    order = np.argsort(users)
    validation, test = np.moveaxis(values[order], 1, 0)
    return _curve("validation", users[order], sizes, validation), _curve("test", users[order], sizes, test)


def held_out_curves(model: "Recommender", split: Split, seed: int = 0) -> tuple[FoldInCurve, FoldInCurve]:
    """The same of a split that holds out whole users, whom the model trained on it has never seen.

    Each part has users of its own, those of whom at least `LEAST_HISTORY` interactions can be folded in; nobody is
    trained in. Raises EmptyDataError where a part has none, MovierecError when the model has met them.
    """
    assert split.fold_in is not None
    seen = split.fold_in.matrix()
    told = _told(split.fold_in.history(model.history_values), SIZES, DRAWS, seed)
    curves = []
    for part, own in ((DECIDED_ON, split.validation), (REPORTED_ON, split.test)):
        users = np.unique(own.user[np.diff(seen.indptr)[own.user] >= LEAST_HISTORY]).astype(np.int64)
        if not len(users):
            raise EmptyDataError(
                f"no {part} user has {LEAST_HISTORY} interactions to fold in, so fold-in cannot be measured by their "
                "number; use data with longer histories, or hold out more users by data.train_ratio and data.val_ratio"
            )
        curves.append(_curve(part, users, SIZES, _values(model, users, told, [(seen, own.matrix())])[:, 0]))
    return curves[0], curves[1]


def gains(curve: FoldInCurve) -> tuple[Gain, ...]:
    """Fold-in against popularity at each size, ascending: the paired tests of `compare_paired`, Holm over the sizes.

    Ranks alone would favour fold-in: a mean over draws is seldom 0, where popularity's one list often is. The means do
    not, and both have to agree.
    """
    compared = [compare_paired(values, curve.popularity) for values in curve.fold_in.T]
    bootstrap, wilcoxon = holm([one.p_bootstrap for one in compared]), holm([one.p_wilcoxon for one in compared])
    return tuple(
        Gain(size, one, float(p_bootstrap), float(p_wilcoxon))
        for size, one, p_bootstrap, p_wilcoxon in zip(curve.sizes, compared, bootstrap, wilcoxon, strict=True)
    )


def fold_in_min_items(found: Sequence[Gain]) -> int | None:
    """The least size from which on fold-in is significantly better than popularity; None where it is at none.

    `Gain.better` holds at that size and at every larger one that was measured. A mean that is merely above popularity's
    is not enough: where the two are alike, its sign is chance (ease's at three movies changed with which three were
    drawn), and popularity claims less. Few users show only large differences: that there is no such size does not say
    that fold-in is no better.
    """
    least = None
    for one in sorted(found, key=lambda gain: -gain.size):
        if not one.better:
            break
        least = one.size
    return least


def curve_table(curve: FoldInCurve) -> pa.Table:
    """Means with 95 % intervals over users, columns of CURVE_SCHEMA.

    `part` is the curve's. `size` is 0 for popularity, and null where the model knew the whole history. `gain` is the
    mean difference to popularity, with its own interval and both corrected p values; it is null but for the sizes.
    """
    found = gains(curve)
    trained_in = [] if curve.trained_in is None else [curve.trained_in]
    names = [POPULARITY, *[FOLD_IN] * len(found), WHOLE_HISTORY, *[TRAINED_IN] * len(trained_in)]
    values = np.column_stack([curve.popularity, curve.fold_in, curve.whole_history, *trained_in])
    rest: list[None] = [None] * (1 + len(trained_in))
    bounds = bootstrap_intervals(values)
    columns = {
        "part": [curve.part] * len(names),
        "size": [0, *curve.sizes, *rest],
        "source": names,
        "value": values.mean(axis=0),
        "low": bounds[:, 0],
        "high": bounds[:, 1],
        "users": [len(curve.users)] * len(names),
        "gain": [None, *(one.comparison.difference for one in found), *rest],
        "gain_low": [None, *(one.comparison.low for one in found), *rest],
        "gain_high": [None, *(one.comparison.high for one in found), *rest],
        "p_bootstrap": [None, *(one.p_bootstrap for one in found), *rest],
        "p_wilcoxon": [None, *(one.p_wilcoxon for one in found), *rest],
        "better": [None, *(one.better for one in found), *rest],
    }
    return pa.table(columns, schema=CURVE_SCHEMA)


def ndcg_of_scores(scores: Scores, seen: sparse.csr_matrix, relevant: sparse.csr_matrix) -> PerUser:
    """ndcg@10 of every row, float64 [n], among all items that are not seen.

    scores: float32 [n, n_items], overwritten where seen. seen, relevant: CSR [n, n_items]; each row has a relevant
    item.
    """
    scores[seen.nonzero()] = -np.inf
    rank = rank_block(scores, relevant, DEPTH, deep=False).rank
    count = np.diff(relevant.indptr)
    row, found = np.repeat(np.arange(len(count)), count), rank > 0
    hits = np.zeros((len(count), DEPTH), dtype=np.bool_)
    hits[row[found], rank[found] - 1] = True
    return ndcg(hits, count, DEPTH)


def entries(matrix: sparse.csr_matrix, kept: NDArray[np.bool_]) -> sparse.csr_matrix:
    """A CSR matrix with only some of its stored entries; kept: bool [nnz], in their order."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return sparse.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), matrix.shape)


def _curve(part: Part, users: NDArray[np.int64], sizes: tuple[int, ...], values: PerUser) -> FoldInCurve:
    """The curve of a part's values, float64 [n, len(sizes) + 2 or 3], in the order of `_values`."""
    n = len(sizes)
    return FoldInCurve(
        part=part,
        users=users,
        sizes=sizes,
        fold_in=values[:, :n],
        whole_history=values[:, n],
        popularity=values[:, n + 1],
        trained_in=values[:, n + 2] if values.shape[1] > n + 2 else None,
    )


def _told(histories: sparse.csr_matrix, sizes: Sequence[int], draws: int, seed: int) -> list[list[sparse.csr_matrix]]:
    """Known histories, CSR [n_users, n_items]: for each size, `draws` random subsets; last, the whole histories."""
    told: list[list[sparse.csr_matrix]] = [*([] for _ in sizes), [histories]]
    row, rng = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr)), np.random.default_rng(seed)
    for _ in range(draws):
        place = places_in_random_order(row, rng)
        for size, drawn in zip(sizes, told, strict=False):
            drawn.append(entries(histories, place < size))
    return told


def _values(
    model: "Recommender",
    users: NDArray[np.int64],
    told: Sequence[Sequence[sparse.csr_matrix]],
    measured: Sequence[tuple[sparse.csr_matrix, sparse.csr_matrix]],
    model_with: "Recommender | None" = None,
) -> PerUser:
    """ndcg@10 of held-out users: float64 [n, len(measured), len(told) + 1 or 2], by popularity and trained in last.

    model: trained without them. model_with: trained on them as well. told: histories whose values are averaged.
    measured: the items of each part that are not ranked, among them those of the part before, and the relevant ones.
    Matrices are CSR [n_users, n_items].
    """
    if model.history[users].nnz:
        raise MovierecError(f"{model.name} was trained on users that it should not know; train it without them")
    values = np.empty((len(users), len(measured), len(told) + 1 + (model_with is not None)))
    step = max(1, _BLOCK_CELLS // model.history.shape[1])
    for start in range(0, len(users), step):
        block = users[start : start + step]
        parts = [(seen[block], relevant[block]) for seen, relevant in measured]
        makers: list[list[Callable[[], Scores]]] = [
            [partial(model.fold_in, histories[block]) for histories in drawn] for drawn in told
        ]
        makers += [[partial(np.tile, model.popularity, (len(block), 1))]]
        makers += [] if model_with is None else [[partial(model_with.score_users, block)]]
        for column, averaged in enumerate(makers):
            reached = [_ndcg_of_parts(scores(), parts) for scores in averaged]
            values[start : start + step, :, column] = np.mean(reached, axis=0)
    return values


def _ndcg_of_parts(scores: Scores, parts: Sequence[tuple[sparse.csr_matrix, sparse.csr_matrix]]) -> PerUser:
    """float64 [n, len(parts)] of scores that one part after the other masks further, as `ndcg_of_scores` does."""
    return np.column_stack([ndcg_of_scores(scores, seen, relevant) for seen, relevant in parts])
