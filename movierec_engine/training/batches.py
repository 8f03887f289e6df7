"""Batches of train interactions, and the pieces in which a batch is computed."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from movierec_engine.data.interactions import Interactions

B = TypeVar("B", bound=tuple[Any, ...])
T = TypeVar("T")

Batch = tuple[Tensor, Tensor]
"""Users and items, int64 [b] each, on the CPU."""


class Piece(NamedTuple, Generic[B]):
    """A part of a batch: the rows of it that this worker has, and how many all workers have; one has them all."""

    own: B
    whole: int


class Loss(Protocol[B]):
    """The loss of an epoch: how to batch train interactions on the CPU, cut a batch to memory, and score a piece."""

    def batches(self, interactions: Interactions, size: int) -> Iterator[B]:
        """Interactions in random order, about `size` of them at a time; a batch begins with one tensor over them."""
        ...

    def pieces(self, batch: B, size: int) -> list[B]:
        """A batch of about `size` interactions in parts that memory allows."""
        ...

    def loss(self, piece: B, device: torch.device) -> Tensor:
        """Mean over the interactions of a piece."""
        ...


def batches(interactions: Interactions, size: int, rng: np.random.Generator, whole_users: bool) -> Iterator[Batch]:
    """All interactions once in random order.

    b is `size` but for the last batch. With `whole_users` the users come in random order, each with all interactions in
    the batch that the first of them falls into.
    """
    if whole_users:
        place = rng.permutation(interactions.n_users)[interactions.user]
        order = np.argsort(place, kind="stable")
        count = np.bincount(place)
        number = (np.cumsum(count) - count) // size
        sizes = [int(n) for n in np.bincount(number, weights=count) if n]
    else:
        order = rng.permutation(len(interactions))
        sizes = [size] * (len(order) // size) + ([len(order) % size] if len(order) % size else [])
    users = torch.from_numpy(interactions.user[order].astype(np.int64))
    items = torch.from_numpy(interactions.item[order].astype(np.int64))
    yield from zip(torch.split(users, sizes), torch.split(items, sizes), strict=True)


def grouped(batches: Iterator[T], size: int) -> Iterator[list[T]]:
    """The batches in lists of so many; the last may be shorter."""
    while group := list(islice(batches, size)):
        yield group


def pieces(batch: Batch, rows: int, whole_users: bool) -> list[Batch]:
    """A batch in parts of at most so many rows: users where they are whole, else interactions."""
    users, items = batch
    if whole_users:
        first = torch.cat([torch.zeros(1, dtype=torch.int64), torch.diff(users).nonzero().flatten() + 1])
        cuts = first[rows::rows].tolist()
    else:
        cuts = list(range(rows, len(users), rows))
    return list(zip(torch.tensor_split(users, cuts), torch.tensor_split(items, cuts), strict=True))
