"""All ratings of all people, whatever became of them in training: the basis of the serving mask."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

RATED_FILE = "rated.npz"


@dataclass(frozen=True, eq=False)
class RatedMovies:
    """Every row of `raw_ratings` by person: of each part of the split, below the threshold, and outside the core.

    users: int64 [people], their public ids, ascending.
    starts: int64 [people + 1]; what the person at p has rated stands from starts[p] to starts[p + 1].
    movies: int32, or int64 where ids need it, [ratings]: public ids, each person's ascending.
    ratings: float32 [ratings].
    """

    users: NDArray[np.int64]
    starts: NDArray[np.int64]
    movies: NDArray[np.integer[Any]]
    ratings: NDArray[np.float32]

    @classmethod
    def of(cls, ratings: pa.Table) -> "RatedMovies":
        """From a table with the columns user_id, movie_id and rating, one row a pair."""
        user, movie, rating = (ratings[name].to_numpy() for name in ("user_id", "movie_id", "rating"))
        order = np.lexsort((movie, user))
        users, first = np.unique(user[order], return_index=True)
        narrow = np.int32 if movie.max(initial=0) <= np.iinfo(np.int32).max else np.int64
        starts = np.append(first, len(user)).astype(np.int64)
        return cls(users.astype(np.int64), starts, movie[order].astype(narrow), rating[order].astype(np.float32))

    def by(self, user_id: int) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """A person's movies [n], ascending public ids, and their ratings float32 [n]; empty for a stranger."""
        ids = self._user_ids
        place = bisect_left(ids, user_id)
        if place == len(ids) or ids[place] != user_id:
            return self.movies[:0], self.ratings[:0]
        own = slice(int(self.starts[place]), int(self.starts[place + 1]))
        return self.movies[own], self.ratings[own]

    def same_movies(self, other: "RatedMovies") -> bool:
        """True where both know of the same people and the same movies of each."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("users", "starts", "movies"))

    def save(self, folder: Path) -> None:
        np.savez(folder / RATED_FILE, users=self.users, starts=self.starts, movies=self.movies, ratings=self.ratings)

    @cached_property
    def _user_ids(self) -> Sequence[int]:
        """In plain Python, which finds one of them sooner than a numpy call."""
        return memoryview(self.users)  # type: ignore[arg-type]
