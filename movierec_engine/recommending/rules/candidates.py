"""Candidates for lists under rules: the best by boosted scores, and more that pins and shares ask for.

Lists are arranged a block at a time: items int64 [n, c] and scores float32 [n, c] are of n lists, best first, with item
-1 where a list has no more.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.models.top_k import best_lists
from movierec_engine.recommending.rules.active import ActiveRules, ActiveShare, PlacedPin
from movierec_engine.recommending.rules.item_columns import Mask
from movierec_engine.recommending.rules.shares import up

Items = NDArray[np.int64]
Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
MoreOfLists = Callable[[Rows, int, Mask], tuple[Items, Scores]]
"""Lists int64 [m], n and bool [n_items] -> the n best candidates of each of these lists among those items."""
_SPARE = 4
"""Times as many movies that a share asks for are among the candidates, wherever there are so many."""


def boosted(rules: ActiveRules, items: Items, scores: Scores) -> tuple[Items, Scores]:
    """The candidates by place / factor."""
    if rules.factors is None:
        return items, scores
    divided = np.arange(1, items.shape[1] + 1) / rules.factors[items]
    divided[items < 0] = np.inf
    order = np.argsort(divided, axis=1, kind="stable")
    return in_order(items, order), in_order(scores, order)


def with_wanted(
    rules: ActiveRules, pins: Sequence[PlacedPin], items: Items, scores: Scores, k: int, more: MoreOfLists
) -> tuple[Items, Scores]:
    """The candidates, and behind them the pinned ones and those that shares ask for, which are not among them yet.

    pins: those of these k places. A list with fewer candidates than `rules.candidates(k)` has all that there are.
    """
    there = items >= 0
    deep = np.count_nonzero(there, axis=1) >= rules.candidates(k)
    found: list[tuple[Rows, Items, Scores]] = []

    def ask(lacking: Mask, n: int, among: Mask) -> None:
        if len(rows := np.flatnonzero(lacking & deep)):
            found.append((rows, *more(rows, n, among)))

    if pins:
        pinned = [pin.item for pin in pins]
        among = np.zeros(rules.n_items, dtype=np.bool_)
        among[pinned] = True
        ask(~np.all([(items == item).any(axis=1) for item in pinned], axis=0), len(pinned), among)
    for limit in rules.limits:
        if isinstance(limit, ActiveShare) and limit.at_least:
            wanted = _SPARE * up(limit.at_least * k)
            few = np.count_nonzero(limit.matches[items] & there, axis=1) < wanted
            ask(few, wanted, limit.matches[: rules.n_items])
    return _with_others(items, scores, found, rules.n_items) if found else (items, scores)


def _with_others(
    items: Items, scores: Scores, found: Sequence[tuple[Rows, Items, Scores]], n_items: int
) -> tuple[Items, Scores]:
    """The candidates, and behind them what was found that is not among them: each once, by score and then by item."""
    row = np.concatenate([np.repeat(rows, own.shape[1]) for rows, own, _ in found])
    item = np.concatenate([own.ravel() for _, own, _ in found])
    score = np.concatenate([own.ravel() for _, _, own in found])
    key = row * (n_items + 1) + item + 1  # of a list and an item, or of a list and none
    lists = np.unique(row)
    own = np.concatenate([items[lists], np.full((len(lists), 1), -1)], axis=1)
    known = np.sort((lists[:, None] * (n_items + 1) + own + 1).ravel())
    key, first = np.unique(key, return_index=True)
    new = first[known[np.searchsorted(known, key).clip(max=len(known) - 1)] != key]
    new = new[np.lexsort((item[new], -score[new], row[new]))]
    row, item, score = row[new], item[new], score[new]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    others = np.full((len(items), place.max(initial=-1) + 1), -1, dtype=np.int64)
    of_others = np.zeros(others.shape, dtype=np.float32)
    others[row, place], of_others[row, place] = item, score
    return np.concatenate([items, others], axis=1), np.concatenate([scores, of_others], axis=1)


def more_of(scores: Scores) -> MoreOfLists:
    """The best candidates among some items by scores, float32 [lists, n_items], -inf for what is none."""

    def more(rows: Rows, n: int, among: Mask) -> tuple[Items, Scores]:
        columns = np.flatnonzero(among)
        best, of_best = best_lists(scores[rows[:, None], columns], n)
        return np.where(best < 0, -1, columns[best]) if len(columns) else best, of_best

    return more


def in_order(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """The values of each row in an order of columns. values: [n, c]; order: int64 [n, m]."""
    return values[np.arange(len(values))[:, None], order]
