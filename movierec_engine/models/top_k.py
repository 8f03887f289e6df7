"""Exact top-k, with ties by index: of each row of a matrix (`largest`, `best_lists`), or of one (`highest`, `best`)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import MovierecError

Floats = NDArray[np.float32]
Scores = NDArray[np.floating[Any]]

_SPARE = 8
"""Times as many groups, and candidates, as places: enough that a group seldom has two of the largest."""
_GROUP = 16
"""Scores of one row of which the maximum alone is looked at first."""


def check_scores(scores: Floats) -> None:
    """Raises MovierecError for NaN and +inf in scores [n, n_items]."""
    if not (scores.max(axis=1) < np.inf).all():  # NaN is the largest of its row
        raise MovierecError(
            "the model returned NaN or infinite scores, as after ratings that are too large, or a training by gradient "
            "that diverged; scale the ratings, or lower trainer.learning_rate or set trainer.grad_clip, and train it "
            "again"
        )


def best_lists(scores: Floats, n: int) -> tuple[NDArray[np.int64], Floats]:
    """The n best items of each list and their scores, best first: int64 and float32 [lists, <=n].

    scores: float32 [lists, n_items], -inf for what is not listed. Where a list has no more, the item is -1.
    """
    items = largest(scores, min(n, scores.shape[1]))
    of_items = np.take_along_axis(scores, items, axis=1)
    items[of_items == -np.inf] = -1
    return items, of_items


def largest(values: Floats, k: int) -> NDArray[np.int64]:
    """The columns of each row's k largest values, largest first, equal ones by column: int64 [n, k].

    Nothing is sorted but what may be among them: all values that reach a lower bound of the k-th largest. Values are
    numbers or -inf.
    """
    rows = len(values)
    if not k:
        return np.empty((rows, 0), dtype=np.int64)
    bound = _kth_largest_at_least(values, k)
    row, column = _reaching(values, bound)
    crowded = np.flatnonzero(np.bincount(row, minlength=rows) > _SPARE * k)
    if len(crowded):  # many tie with the bound
        last = values.shape[1] - k
        bound[crowded] = np.partition(values[crowded], last, axis=1)[:, last]
        row, column = _reaching(values, bound)
    value = values[row, column]
    if len(crowded):  # of those that tie for the last places, those of the lowest columns stay
        tied = value == bound[row]
        room = k - np.bincount(row[~tied], minlength=rows)
        before = np.cumsum(tied) - tied
        first = before[np.searchsorted(row, np.arange(rows))]
        kept = ~tied | (before - first[row] < room[row])
        row, column, value = row[kept], column[kept], value[kept]
    return _sorted(row, column, value, rows)[:, :k]


def _reaching(values: Floats, bound: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the values that reach their row's bound, int64 [m] each, by row and then by column."""
    row, column = np.divmod(np.flatnonzero(values >= bound[:, None]), values.shape[1])
    return row, column


def _sorted(row: NDArray[np.int64], column: NDArray[np.int64], value: Floats, rows: int) -> NDArray[np.int64]:
    """The columns of each row by value, largest first, equal ones by column: int64 [rows, m], with more behind them.

    row: ascending. Whole numbers are sorted, whose first 32 bits order as values do, largest first, and whose last are
    the column, as numpy sorts those several times as fast as it ranks values.
    """
    bits = (value + 0).view(np.int32)  # -0.0 becomes 0.0, which it equals
    first = np.where(bits < 0, bits, bits ^ 0x7FFFFFFF).view(np.uint32)
    lengths = np.bincount(row, minlength=rows)
    keys = np.full((rows, lengths.max(initial=0)), np.iinfo(np.uint64).max)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    keys[row, place] = (first.astype(np.uint64) << np.uint64(32)) | column.astype(np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _kth_largest_at_least(values: Floats, k: int) -> Floats:
    """A lower bound of each row's k-th largest value, float32 [n]: the k-th largest of the maxima of groups."""
    rows, n = values.shape
    groups = n // max(1, n // (_SPARE * k))
    height = n // groups
    maxima = values[:, : height * groups].reshape(rows, height, groups).max(axis=1)
    return np.asarray(np.partition(maxima, groups - k, axis=1)[:, groups - k])


def best(items: NDArray[np.integer[Any]], scores: Scores, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The k items of the highest scores above -inf, best first, equal ones by index, and their scores.

    items: [n], ascending. scores: [n].
    """
    places = highest(scores, k)
    return items[places].astype(np.int64), np.asarray(scores[places], dtype=np.float32)


def highest(scores: Scores, k: int) -> NDArray[np.int64]:
    """The places of the k highest scores [n] above -inf, best first, equal ones by place: int64 [<=k]."""
    least = max(_at_most_the_last(scores, k), np.finfo(scores.dtype).min)
    places: NDArray[np.int64] = (scores >= least).nonzero()[0]
    order = (-scores[places]).argsort(kind="stable")[:k]
    return places[order]


def _at_most_the_last(scores: Scores, k: int) -> Any:
    """A bound from below of the k-th highest score, and seldom far from it.

    At least k scores are as high as the k-th highest of the groups' maxima, which in large catalogues is found in a
    tenth of the time of the k-th highest score itself.
    """
    groups = len(scores) // _GROUP
    if groups > k:
        scores = np.maximum.reduce(scores[: groups * _GROUP].reshape(_GROUP, groups))
    return np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
