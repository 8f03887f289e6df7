"""Half sweeps of alternating least squares, in this process or by blocks of rows on several workers.

A half sweep turns the vectors of both sides into the eigenvectors of the fixed side's Gram matrix, and then solves the
other side's rows (`least_squares.py`). A worker has a block of the users' rows and one of the items', each
of about as much work as any other's, and their vectors: it adds its rows' share to the Gram matrix, turns its own and
solves its own. The vectors that are fixed in a half sweep are gathered, and shared by the workers of a host.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import starmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.classic.least_squares import Floats, eigenbasis, gram, solve_rows
from movierec_engine.training.config import TrainerConfig
from movierec_engine.workers.start import start_team
from movierec_engine.workers.team import Team, WorkerLost, even_parts

USERS, ITEMS = 0, 1
"""The side whose vectors are solved."""
_ROW = 10
"""Entries that take as long as what a row costs beside its own: the steps' operations on its vector."""
_ATTEMPTS = 3
"""Teams that may lose a worker in one sweep."""

Sides = tuple[sparse.csr_matrix, sparse.csr_matrix]
"""The matrix, CSR [n_users, n_items], and its transpose."""
T = TypeVar("T")


@dataclass(frozen=True)
class Ridge:
    """The weight of what is not observed, each side's strengths of the regularisation, and the steps of a half sweep.

    strengths: float64 [n_users] and [n_items].
    """

    alpha0: float
    strengths: tuple[NDArray[np.float64], NDArray[np.float64]]
    steps: int


class Sweeps(ABC):
    """Sweeps over the users and then the items of one training."""

    @abstractmethod
    def sweep(self) -> None:
        """Solve the users' vectors against the items', and then the items' against those."""

    @abstractmethod
    def vectors(self) -> tuple[Floats, Floats]:
        """The users' and the items' vectors now, float32 [n_users, d] and [n_items, d]."""


@contextmanager
def sweeps(sides: Sides, ridge: Ridge, start: tuple[Floats, Floats], trainer: TrainerConfig) -> Iterator[Sweeps]:
    """Sweeps by `trainer.workers` from some vectors of the users and the items on."""
    if trainer.workers == 1:
        yield _InProcess(sides, ridge, start)
        return
    team_sweeps = TeamSweeps(sides, ridge, start, trainer)
    try:
        yield team_sweeps
    finally:
        team_sweeps.close()


class _InProcess(Sweeps):
    def __init__(self, sides: Sides, ridge: Ridge, start: tuple[Floats, Floats]) -> None:
        self._rows = Rows(sides, ridge, start, _counts(sides))

    def sweep(self) -> None:
        for side in (USERS, ITEMS):
            unobserved, turn = eigenbasis(self._rows.gram(1 - side))
            self._rows.solve(side, self._rows.turned(1 - side, turn), turn, unobserved)

    def vectors(self) -> tuple[Floats, Floats]:
        return self._rows.own(USERS), self._rows.own(ITEMS)


class TeamSweeps(Sweeps):
    """Sweeps by a team; one that loses a worker goes on, on a new team, from the vectors that were gathered last."""

    def __init__(self, sides: Sides, ridge: Ridge, start: tuple[Floats, Floats], trainer: TrainerConfig) -> None:
        self._sides, self._ridge, self._trainer = sides, ridge, trainer
        self._parts = [even_parts(np.diff(rows.indptr) + _ROW, trainer.workers) for rows in sides]
        self._team: Team | None = None
        self._done = self._gathered_at = 0
        """Half sweeps so far, and those before the vectors were gathered last."""
        self._gathered = list(start)
        """Each side's vectors as they were gathered last: the one whose turn it was to be solved then, one earlier."""
        self._turn: Floats | None = None
        """How that side has been turned since."""

    def sweep(self) -> None:
        self._until(self._done + 2, lambda _: None)

    def vectors(self) -> tuple[Floats, Floats]:
        def own(team: Team) -> tuple[Floats, Floats]:
            users, items = (np.concatenate(team.all("own", side)) for side in (USERS, ITEMS))
            return users, items

        return self._until(self._done, own)

    def close(self) -> None:
        if self._team:
            self._team.close()
        self._team = None

    def _until(self, half_sweeps: int, then: Callable[[Team], T]) -> T:
        """Calls `then` with the team once it has done `half_sweeps`; a lost team is started again and catches up."""
        lost = 0
        while True:
            try:
                team = self._ready()
                if self._done == half_sweeps:
                    return then(team)
                self._half_sweep(team, self._done % 2)
                self._done += 1
            except WorkerLost:
                self._go_back()
                lost += 1
                if lost == _ATTEMPTS:
                    raise

    def _half_sweep(self, team: Team, side: int) -> None:
        fixed = 1 - side
        unobserved, turn = eigenbasis(sum(team.all("gram", fixed)))
        rows = [last - first for first, last in self._parts[fixed]]
        shared, self._gathered[fixed] = team.gather("turned", (fixed, turn), rows, len(turn))
        self._gathered_at, self._turn = self._done, turn
        team.all("solve", side, shared, turn, unobserved)

    def _go_back(self) -> None:
        self.close()
        self._done, side = self._gathered_at, self._gathered_at % 2
        if self._turn is not None:
            self._gathered[side] = self._gathered[side] @ self._turn
        self._turn = None

    def _ready(self) -> Team:
        if self._team is None:
            trainer, counts = self._trainer, _counts(self._sides)
            own = (self._share(parts, counts) for parts in zip(*self._parts, strict=True))
            self._team = start_team(
                Rows, own, trainer.workers, ray_address=trainer.ray_address, threads=trainer.worker_threads
            )
        return self._team

    def _share(
        self, parts: Sequence[tuple[int, int]], counts: list[NDArray[np.int64]]
    ) -> tuple[list[sparse.csr_matrix], Ridge, list[Floats], list[NDArray[np.int64]]]:
        """The arguments of the worker that has these rows of each side."""
        slices = list(starmap(slice, parts))
        users, items = (own[rows] for own, rows in zip(self._ridge.strengths, slices, strict=True))
        return (
            [own[rows] for own, rows in zip(self._sides, slices, strict=True)],
            replace(self._ridge, strengths=(users, items)),
            [own[rows] for own, rows in zip(self._gathered, slices, strict=True)],
            counts,
        )


class Rows:
    """Some rows of each side, and their vectors: those of one worker, or all of them."""

    def __init__(
        self,
        blocks: Sequence[sparse.csr_matrix],
        ridge: Ridge,
        start: Sequence[Floats],
        counts: list[NDArray[np.int64]],
    ) -> None:
        """blocks: rows of the users, then of the items. counts: of all entries in each column of both sides."""
        self._blocks, self._ridge, self._own, self._counts = blocks, ridge, list(start), counts

    def own(self, side: int) -> Floats:
        """The vectors of a side's rows."""
        return self._own[side]

    def gram(self, side: int) -> NDArray[np.float64]:
        """The share of a side's rows in its Gram matrix, [d, d]."""
        return gram(self._own[side])

    def turned(self, side: int, turn: Floats) -> Floats:
        """The vectors of a side's rows, turned from now on."""
        self._own[side] = self._own[side] @ turn
        return self._own[side]

    def solve(self, side: int, fixed: Floats, turn: Floats, unobserved: Floats) -> None:
        """Solve a side's rows against all vectors of the other side, which are turned; its own are not yet.

        unobserved: [d], the diagonal of the fixed side's Gram matrix.
        """
        ridge, start = self._ridge, self._own[side] @ turn
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor is it written
            self._own[side] = solve_rows(
                self._blocks[side],
                fixed,
                start,
                ridge.alpha0 * unobserved,
                ridge.strengths[side],
                ridge.steps,
                self._counts[side],
            )


def _counts(sides: Sides) -> list[NDArray[np.int64]]:
    return [np.bincount(rows.indices, minlength=rows.shape[1]) for rows in sides]
