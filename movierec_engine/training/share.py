"""Shares of the train interactions: each worker of a training has all interactions of its own users."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions

Counts = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Share:
    """One worker's share of the interactions, and the counts over all, by which the workers agree on batches.

    interactions: those of its own users, over a vocabulary of these alone.
    users: int64 [n], indices of its own users among all, ascending.
    rows: int32 [m], indices of its interactions among all, ascending.
    user_counts, item_counts: int32 [n_users], [n_items], interactions of everybody.
    history_lengths, item_degrees: the same without repeated pairs.
    """

    interactions: Interactions
    users: NDArray[np.int64]
    rows: NDArray[np.int32]
    user_counts: Counts
    item_counts: Counts
    history_lengths: Counts
    item_degrees: Counts

    @property
    def total(self) -> int:
        """Interactions of all workers."""
        return int(self.user_counts.sum(dtype=np.int64))


def owners(user_counts: NDArray[np.integer], workers: int) -> NDArray[np.int64]:
    """The worker of each user, int64 [n_users]: as many users each, and about as many interactions.

    Users are dealt out by their number of interactions, forwards and backwards in turn.
    """
    order = np.argsort(-user_counts.astype(np.int64), kind="stable")
    turn, place = np.divmod(np.arange(len(order)), workers)
    owner = np.empty(len(order), dtype=np.int64)
    owner[order] = np.where(turn % 2, workers - 1 - place, place)
    return owner


def shares(train: Interactions, users: Sequence[NDArray[np.int64]], by_order: bool) -> Iterator[Share]:
    """The share of each worker's users, made when it is asked for.

    by_order: whether the model learns from the order of time, which equal times then keep in the shares.
    """
    matrix = train.matrix()
    user_counts = np.bincount(train.user, minlength=train.n_users).astype(np.int32)
    item_counts = np.bincount(train.item, minlength=train.n_items).astype(np.int32)
    history_lengths = np.diff(matrix.indptr).astype(np.int32)
    item_degrees = np.bincount(matrix.indices, minlength=train.n_items).astype(np.int32)
    del matrix
    if by_order:
        train = replace(train, timestamp=train.exact_times())  # type: ignore[arg-type]
    for of_worker in users:
        index = np.full(train.n_users, -1, dtype=np.int32)
        index[of_worker] = np.arange(len(of_worker), dtype=np.int32)
        rows = np.flatnonzero(index[train.user] >= 0)
        own = train.select(rows)
        own = replace(own, user=index[own.user], users=IdMap(train.users.ids[of_worker]))
        yield Share(own, of_worker, rows.astype(np.int32), user_counts, item_counts, history_lengths, item_degrees)
