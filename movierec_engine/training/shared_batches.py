"""The batches of one worker of several: its own rows of the very batches, and pieces, that one worker alone would take.

Every worker draws the order of everything from the same generator and keeps what is its own.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from movierec_engine.data.sequences import Sequences, ranges
from movierec_engine.training.batches import Batch, Piece
from movierec_engine.training.next_item_objective import Windows, windows_at
from movierec_engine.training.share import Share

Numbers = NDArray[np.int64]


def batches_of_users(share: Share, size: int, rows: int, rng: np.random.Generator) -> Iterator[list[Piece[Batch]]]:
    """`batches` of whole users, in pieces of so many users."""
    place = rng.permutation(len(share.user_counts))
    count = np.empty(len(place), dtype=np.int64)
    count[place] = share.user_counts
    having = count > 0
    number = (np.cumsum(count) - count) // size
    rank: Numbers = np.cumsum(having) - having  # among those who have interactions
    first = np.full(int(number.max()) + 1, len(place))
    np.minimum.at(first, number[having], rank[having])
    piece = _numbered(number[having], (rank[having] - first[number[having]]) // rows)
    of_place = np.zeros(len(place), dtype=np.int64)
    of_place[having] = piece
    wholes = np.bincount(piece, weights=count[having]).astype(np.int64)
    batch_of = np.empty(len(wholes), dtype=np.int64)
    batch_of[piece] = number[having]
    own = place[share.users][share.interactions.user]
    order = np.argsort(own, kind="stable")
    yield from _pieces(of_place[own[order]], wholes, batch_of, _pairs(share, order))


def batches_of_pairs(share: Share, size: int, rows: int, rng: np.random.Generator) -> Iterator[list[Piece[Batch]]]:
    """`batches` of single interactions, in pieces of so many."""
    total = share.total
    order = np.arange(total, dtype=np.int32)
    rng.shuffle(order)  # as `permutation` does, in half the memory
    mine = np.zeros(total, dtype=np.bool_)
    mine[share.rows] = True
    places = np.flatnonzero(mine[order])
    own = np.searchsorted(share.rows, order[places])
    del order, mine
    starts = np.array([at for begin in range(0, total, size) for at in range(begin, min(begin + size, total), rows)])
    piece = np.searchsorted(starts, places, side="right") - 1
    yield from _pieces(piece, np.diff(np.append(starts, total)), starts // size, _pairs(share, own))


def batches_of_windows(
    share: Share, own: Sequences, size: int, most: float, length: int, rng: np.random.Generator
) -> Iterator[list[Piece[Windows]]]:
    """`NextItemObjective.batches`, in pieces of so many items; own: the sequences of the share's users."""
    starts = np.concatenate([[0], np.cumsum(share.history_lengths, dtype=np.int64)])
    begins, lengths = Sequences(np.empty(0, dtype=np.int64), starts).windows(length, rng)
    order = rng.permutation(len(begins))
    begins, lengths = begins[order], lengths[order]
    ends = np.cumsum(lengths)
    number = (ends - lengths) // size
    first = np.concatenate([[True], np.diff(number) > 0])
    base = (ends - lengths)[first][np.cumsum(first) - 1]
    piece = _numbered(number, np.ceil((ends - base) / most).astype(np.int64))
    wholes = np.bincount(piece, weights=lengths).astype(np.int64)
    batch_of = np.empty(len(wholes), dtype=np.int64)
    batch_of[piece] = number
    user = np.searchsorted(starts, begins, side="right") - 1
    index = np.full(len(starts) - 1, -1)
    index[share.users] = np.arange(len(share.users))
    mine = index[user] >= 0
    among = (ends - lengths - (np.cumsum(wholes) - wholes)[piece])[mine]  # the items of its piece
    begins, lengths, piece = (
        begins[mine] - starts[user[mine]] + own.starts[index[user[mine]]],
        lengths[mine],
        piece[mine],
    )

    def rows(a: int, b: int) -> Windows:
        places = torch.from_numpy(ranges(among[a:b], lengths[a:b]))
        whole = int(wholes[piece[a]]) if b > a else 0
        return windows_at(own, begins[a:b], lengths[a:b])._replace(own=places, whole=whole)

    yield from _pieces(piece, wholes, batch_of, rows)


def _numbered(*keys: Numbers) -> Numbers:
    """The number of each row's run of equal keys, int64 [n]."""
    change = np.any([np.diff(key) != 0 for key in keys], axis=0)
    return np.concatenate([[0], np.cumsum(change)])


def _pairs(share: Share, order: NDArray[np.integer]) -> Callable[[int, int], Batch]:
    """Users and items of the share's interactions in an order, from one place to another."""
    users = torch.from_numpy(share.interactions.user[order].astype(np.int64))
    items = torch.from_numpy(share.interactions.item[order].astype(np.int64))
    return lambda begin, end: (users[begin:end], items[begin:end])


def _pieces(
    piece: Numbers, wholes: Numbers, batch_of: Numbers, rows: Callable[[int, int], Any]
) -> Iterator[list[Piece[Any]]]:
    """Batches of pieces.

    piece: of each own row, ascending. wholes, batch_of: of each piece, its rows and its batch. rows: own ones by place.
    """
    ends = np.cumsum(np.bincount(piece, minlength=len(wholes)))
    begins = np.concatenate([[0], ends[:-1]])
    for batch in np.split(np.arange(len(wholes)), np.flatnonzero(np.diff(batch_of)) + 1):
        yield [Piece(rows(int(begins[n]), int(ends[n])), int(wholes[n])) for n in batch]
