"""From scores by index to recommendations by public id."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from movierec_engine.data.id_map import IdMap, Ids, as_ids
from movierec_engine.data.interactions import HistoryValues
from movierec_engine.data.sequences import told_times
from movierec_engine.errors import DataError, MovierecError

Floats = NDArray[np.float32]
Histories = Mapping[Any, "History"] | Sequence["History"]
"""By the person's id, or in any order: the items that each person has, or their ratings by item, oldest first."""
History = Iterable[Any] | Mapping[Any, float]

_BLOCK_BYTES = 8 * 2**20
"""Budget for the scores of one block of people."""
_SPARE = 8
"""Times as many groups, and candidates, as places: enough that a group seldom has two of the largest."""


def known_index(ids: ArrayLike, vocabulary: IdMap, what: str, instead: str) -> NDArray[np.int64]:
    """Indices int64 [n] of one id or several. Raises DataError for an id that is not in the vocabulary."""
    wanted = np.atleast_1d(as_ids(ids))
    index = vocabulary.index(wanted)
    if (index < 0).any():
        unknown = wanted[index < 0]
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise DataError(
            f"{what} {unknown[0]}{others}: not among the {len(vocabulary):,} {what}s that the model was fitted to; "
            f"{instead}"
        )
    return index


def check_length(k: Any) -> None:
    """Raises DataError for a length of lists that is not a whole number of at least 1."""
    if not isinstance(k, Integral):
        raise DataError(f"k={k!r} must be a whole number")
    if k < 1:
        raise DataError(f"k={k} must be at least 1")


def best_items(
    people: Ids,
    scores: Callable[[slice], Floats],
    seen: sparse.csr_matrix | None,
    candidates: NDArray[np.int64] | None,
    items: IdMap,
    k: int,
) -> pa.Table:
    """The k best items of each person: columns user_id, movie_id, rank from 1 and score, the best first.

    people: [n], what stands in user_id. scores: float32 [b, n_items] of a block of people, -inf for what is never
    recommended; it may be written to. seen: CSR [n, n_items], what is left out for each person. candidates: the items
    that may be listed. Equal scores go by item index; a list ends where nothing is left.
    """
    check_length(k)
    parts = [_best_of_block(scores(block), block, seen, candidates, k) for block in _blocks(len(people), len(items))]
    row, item, score = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else ([], [], [])
    row = np.asarray(row, dtype=np.int64)
    place = np.arange(len(row)) - np.searchsorted(row, row) + 1
    return pa.table(
        {
            "user_id": people[row],
            "movie_id": items.ids[np.asarray(item, dtype=np.int64)],
            "rank": place.astype(np.int32),
            "score": np.asarray(score, dtype=np.float32),
        }
    )


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


def histories_by_index(
    histories: Histories, items: IdMap, like: float, values: HistoryValues
) -> tuple[Ids, sparse.csr_matrix]:
    """The people's ids [n], 0 to n - 1 where none are given, and their histories: float32 CSR [n, n_items].

    like: the rating of an item without one. values: what the entries are; places follow the order that is given, the
    oldest first, where an item that is named twice has its last, and times are the same moment for all, in that order.
    Items outside the vocabulary are left out: the model knows nothing of them.
    """
    by_person = histories if isinstance(histories, Mapping) else dict(enumerate(histories))
    rows, columns, entries = [], [], []
    for row, history in enumerate(by_person.values()):
        rated = history if isinstance(history, Mapping) else dict.fromkeys(_newest_last(as_ids(history)), like)  # type: ignore[arg-type]
        index = items.index(list(rated))
        there = index >= 0
        columns.append(index[there])
        rows.append(np.full(int(there.sum()), row))
        entries.append(_entries(rated, values)[there])
    shape = (len(by_person), len(items))
    if not by_person:
        return np.empty(0, dtype=np.int64), sparse.csr_matrix(shape, dtype=np.float32)
    places = np.concatenate(rows), np.concatenate(columns)
    matrix = sparse.csr_matrix((np.concatenate(entries), places), shape)
    matrix.sort_indices()
    return as_ids(list(by_person)), matrix


def _newest_last(ids: Ids) -> list[Any]:
    """The ids without repeats, each at its last place."""
    return [*dict.fromkeys(reversed(ids.tolist()))][::-1]


def _entries(rated: Mapping[Any, float], values: HistoryValues) -> NDArray[np.floating[Any]]:
    """float32 [h], of times float64."""
    if values == "ones":
        return np.ones(len(rated), dtype=np.float32)
    if values == "times":
        return told_times(np.zeros(len(rated)))
    given = np.fromiter(rated.values(), np.float32, len(rated))
    return given if values == "ratings" else np.arange(1, len(rated) + 1, dtype=np.float32)


def _blocks(n: int, n_items: int) -> Iterator[slice]:
    rows = max(1, _BLOCK_BYTES // (4 * n_items))
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _best_of_block(
    scores: Floats, block: slice, seen: sparse.csr_matrix | None, candidates: NDArray[np.int64] | None, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows, items and scores of the lists of a block, [m] each; rows count over all people."""
    if not (scores < np.inf).all():  # NaN is not below it either
        raise MovierecError(
            "the model returned NaN or infinite scores: its training diverged; lower the learning rate and fit it again"
        )
    if seen is not None:
        own = seen[block]
        scores[np.repeat(np.arange(len(scores)), np.diff(own.indptr)), own.indices] = -np.inf
    if candidates is not None:
        left_out = np.ones(scores.shape[1], dtype=np.bool_)
        left_out[candidates] = False
        scores[:, left_out] = -np.inf
    best = largest(scores, min(k, scores.shape[1]))
    values = np.take_along_axis(scores, best, axis=1)
    row, place = np.nonzero(values > -np.inf)
    return row + block.start, best[row, place], values[row, place]
