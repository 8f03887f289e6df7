"""Half sweeps of alternating least squares, in this process or by blocks of rows on several workers.

A worker has a block of the users' rows and one of the items', each of about as much work as any other's; the vectors
that are fixed in a half sweep it shares with the workers of its host.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import starmap

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.classic.least_squares import Floats, solve_rows
from movierec_engine.training.config import TrainerConfig
from movierec_engine.workers.start import start_team
from movierec_engine.workers.team import Team, WorkerLost, even_parts

USERS, ITEMS = 0, 1
"""The side whose vectors are solved."""
_ROW = 10
"""Entries that take as long as what a row costs beside its own: the steps' operations on its vector."""
_ATTEMPTS = 3
"""Teams in which one half sweep may lose a worker."""

HalfSweep = Callable[[int, Floats, Floats, Floats, float, NDArray[np.floating], int], Floats]
"""`solve_rows` of all rows of a side: of the side, fixed, start, turn, alpha0, strength and steps."""


@contextmanager
def half_sweeps(by_user: sparse.csr_matrix, by_item: sparse.csr_matrix, trainer: TrainerConfig) -> Iterator[HalfSweep]:
    """How half sweeps over a matrix, CSR [n_users, n_items], and its transpose are made by `trainer.workers`."""
    sides = (by_user, by_item)
    if trainer.workers == 1:
        yield lambda side, *arguments: solve_rows(sides[side], *arguments)
        return
    blocks = SolvedBlocks(sides, trainer)
    try:
        yield blocks.half_sweep
    finally:
        blocks.close()


class SolvedBlocks:
    """Half sweeps by a team; one that loses a worker begins again on a new team."""

    def __init__(self, sides: tuple[sparse.csr_matrix, sparse.csr_matrix], trainer: TrainerConfig) -> None:
        self._sides, self._trainer = sides, trainer
        self._parts = [even_parts(np.diff(rows.indptr) + _ROW, trainer.workers) for rows in sides]
        self._team: Team | None = None
        self._held: set[int] = set()
        """The sides whose vectors the workers have, each its own rows'."""

    def half_sweep(
        self,
        side: int,
        fixed: Floats,
        start: Floats,
        turn: Floats,
        alpha0: float,
        strength: NDArray[np.floating],
        steps: int,
    ) -> Floats:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                team = self._ready()
                shared, held = team.put(fixed), side in self._held
                own = [
                    (side, shared, None if held else start[rows], turn, alpha0, strength[rows], steps)
                    for rows in starmap(slice, self._parts[side])
                ]
                solved = np.concatenate(team.call("solve", own))
                self._held.add(side)
                return solved
            except WorkerLost:
                self.close()
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._team:
            self._team.close()
        self._team = None
        self._held.clear()

    def _ready(self) -> Team:
        if self._team is None:
            trainer = self._trainer
            counts = [np.bincount(rows.indices, minlength=rows.shape[1]) for rows in self._sides]
            own = (
                ([rows[first:last] for rows, (first, last) in zip(self._sides, parts, strict=True)], counts)
                for parts in zip(*self._parts, strict=True)
            )
            self._team = start_team(
                BlockSolver, own, trainer.workers, ray_address=trainer.ray_address, threads=trainer.worker_threads
            )
        return self._team


class BlockSolver:
    """Solves one worker's rows of each side."""

    def __init__(self, blocks: list[sparse.csr_matrix], counts: list[NDArray[np.int64]]) -> None:
        """blocks: rows of the users, then of the items. counts: of all entries in each column of both sides."""
        self._blocks, self._counts = blocks, counts
        self._solved: list[Floats | None] = [None] * len(blocks)

    def solve(
        self,
        side: int,
        fixed: Floats,
        start: Floats | None,
        turn: Floats,
        alpha0: float,
        strength: NDArray[np.floating],
        steps: int,
    ) -> Floats:
        """start: None for the vectors that were solved here the last time, turned as those of all rows were since."""
        start = self._solved[side] if start is None else start
        assert start is not None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nor is it written
            solved = solve_rows(self._blocks[side], fixed, start, turn, alpha0, strength, steps, self._counts[side])
        other = self._solved[1 - side]
        self._solved[1 - side] = None if other is None else other @ turn
        self._solved[side] = solved
        return solved
