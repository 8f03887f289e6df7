"""From scores by index to recommendations by public id."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from reprlib import repr as brief
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from movierec_engine.data.id_map import IdMap, Ids, as_ids
from movierec_engine.data.interactions import HistoryValues
from movierec_engine.data.sequences import told_times
from movierec_engine.errors import DataError
from movierec_engine.models.top_k import best_lists, check_scores

Floats = NDArray[np.float32]
Histories = Mapping[Any, "History"] | Sequence["History"]
"""By the person's id, which may be the index of a pandas Series, or in any order: the items that each person has, or
their ratings by item, oldest first."""
History = Iterable[Any] | Mapping[Any, float]

_LARGEST = float(np.finfo(np.float32).max)
_BLOCK_BYTES = 8 * 2**20
"""Budget for the scores of one block of people."""


def known_index(ids: ArrayLike, vocabulary: IdMap, what: str, instead: str) -> NDArray[np.int64]:
    """Indices int64 [n] of one id or several. Raises DataError for an id that is not in the vocabulary."""
    wanted = np.atleast_1d(as_ids(ids))
    if wanted.ndim > 1:
        raise DataError(f"{what} ids are one list, and these are of shape {wanted.shape}; flatten them")
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


def histories_by_index(
    histories: Histories, items: IdMap, like: float, values: HistoryValues
) -> tuple[Ids, sparse.csr_matrix]:
    """The people's ids [n], 0 to n - 1 where none are given, and their histories: float32 CSR [n, n_items].

    like: the rating of an item without one. values: what the entries are; places follow the order that is given, the
    oldest first, where an item that is named twice has its last, and times are the same moment for all, in that order.
    Items outside the vocabulary are left out: the model knows nothing of them.

    Raises DataError for what are no histories, one that is no list of items, and ratings that are no finite numbers.
    """
    by_person = _by_person(histories)
    rows, columns, entries = [], [], []
    for row, (person, history) in enumerate(by_person.items()):
        rated = _rated(history, like, person)
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


def rows_in(n_bytes: int, n_scores: int) -> int:
    """Rows of so many scores, float32, that a budget holds; at least one."""
    return max(1, n_bytes // (4 * n_scores))


def _by_person(histories: Any) -> Mapping[Any, Any]:
    """Each person's history by the person's id, which the index of a pandas Series has, or by place from 0."""
    if isinstance(histories, Mapping):
        return histories
    if hasattr(histories, "columns"):
        raise DataError(
            "histories go by person, and this is a table; give a history of each, such as pandas' "
            "frame.groupby('user_id')['movie_id'].agg(list)"
        )
    if isinstance(histories, str) or not isinstance(histories, Iterable):
        raise DataError(f"histories are a list of lists of items, and not {brief(histories)}; write [[318, 296]]")
    items = getattr(histories, "items", None)
    if not callable(items):
        return dict(enumerate(histories))
    pairs = list(items())
    if len(by_person := dict(pairs)) < len(pairs):
        raise DataError("a person stands more than once in the index of the histories; give each person one history")
    return by_person


def _rated(history: Any, like: float, person: Any) -> Mapping[Any, float]:
    """The rating of each item of a history, in its order; of an item without one that of a like."""
    if not isinstance(history, Mapping):
        ids = as_ids(history)
        if ids.ndim != 1:
            raise DataError(
                f"a history is a list of items, and that of {person!r} is {brief(history)}; write [[318, 296]]"
            )
        return dict.fromkeys(_newest_last(ids), like)
    for item, value in history.items():
        if not _is_finite(value):
            raise DataError(
                f"the rating of item {item!r} in the history of {person!r} is {brief(value)}; give a finite number, "
                "or a list of items without ratings"
            )
    return history


def _is_finite(value: Any) -> bool:
    """Whether a value is a finite float32."""
    try:
        return abs(float(value)) <= _LARGEST
    except (TypeError, ValueError, OverflowError):
        return False


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
    rows = rows_in(_BLOCK_BYTES, n_items)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _best_of_block(
    scores: Floats, block: slice, seen: sparse.csr_matrix | None, candidates: NDArray[np.int64] | None, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Rows, items and scores of the lists of a block, [m] each; rows count over all people."""
    check_scores(scores)
    if seen is not None:
        own = seen[block]
        scores[np.repeat(np.arange(len(scores)), np.diff(own.indptr)), own.indices] = -np.inf
    if candidates is not None:
        left_out = np.ones(scores.shape[1], dtype=np.bool_)
        left_out[candidates] = False
        scores[:, left_out] = -np.inf
    best, values = best_lists(scores, k)
    row, place = np.nonzero(best >= 0)
    return row + block.start, best[row, place], values[row, place]
