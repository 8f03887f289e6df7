"""All ratings of all people, trained on or not: the serving mask, and the histories of those who are folded in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from movierec_engine.data.id_map import IdMap, Ids, PublicId

RATED_FILE = "rated.npz"
_COLUMNS = ("starts", "movies", "ratings")


@dataclass(frozen=True, eq=False)
class RatedMovies:
    """Every row of `raw_ratings` by person: of each part of the split, below the threshold, and outside the core.

    users: the people.
    starts: int64 [people + 1]; what the person at p has rated stands from starts[p] to starts[p + 1].
    movies: int32, or int64 where ids need it, [ratings]: public ids, each person's oldest rating first; where ids are
        texts, their places in `texts`.
    ratings: float32 [ratings].
    texts: all movies where their ids are texts, else None.
    times: int64 [ratings], seconds; None in the index of a model that does not go by them.
    """

    users: IdMap
    starts: NDArray[np.int64]
    movies: NDArray[np.integer[Any]]
    ratings: NDArray[np.float32]
    texts: IdMap | None = None
    times: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, ratings: pa.Table) -> Self:
        """From a table with the columns user_id, movie_id and rating, one row a pair.

        Without a column timestamp all times are equal; of equal ones the movie of the lower id comes first.
        """
        users, movies = IdMap.of(ratings["user_id"]), IdMap.of(ratings["movie_id"])
        user, movie = users.index(ratings["user_id"]), movies.index(ratings["movie_id"])
        time = ratings["timestamp"].to_numpy() if "timestamp" in ratings.column_names else np.zeros(len(user))
        order = np.lexsort((movie, time, user))
        starts = np.append(0, np.cumsum(np.bincount(user, minlength=len(users)))).astype(np.int64)
        narrow = np.int32 if movies.are_texts or movies.ids.max(initial=0) <= np.iinfo(np.int32).max else np.int64
        rated: NDArray[np.integer[Any]] = (movie if movies.are_texts else movies.ids[movie])[order].astype(narrow)
        rating = ratings["rating"].to_numpy()[order].astype(np.float32)
        return cls(users, starts, rated, rating, movies if movies.are_texts else None, time[order].astype(np.int64))

    def by(self, user_id: PublicId) -> tuple[Ids, NDArray[np.float32]]:
        """A person's movies [n], public ids, oldest rating first, and the ratings float32 [n]; empty for a stranger."""
        own = self._of(user_id)
        return self.movies[own] if self.texts is None else self.texts.ids[self.movies[own]], self.ratings[own]

    def times_by(self, user_id: PublicId) -> dict[PublicId, int]:
        """The second of each of a person's ratings, by movie; empty where times are not kept."""
        if self.times is None:
            return {}
        return dict(zip(self.by(user_id)[0].tolist(), self.times[self._of(user_id)].tolist(), strict=True))

    def _of(self, user_id: PublicId) -> slice:
        place = self.users.place(user_id)
        return slice(0, 0) if place is None else slice(int(self.starts[place]), int(self.starts[place + 1]))

    def within(
        self, users: IdMap, items: IdMap
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.int32]]:
        """The items that users have rated, where other maps than these say which there are: starts, ends and items.

        Those of user u stand from starts[u] to ends[u] in items, int32 [<= ratings]: item indices, oldest rating first.
        """
        item = items.index(self.movies) if self.texts is None else items.index(self.texts.ids)[self.movies]
        before = np.append(0, np.cumsum(item >= 0))  # of each rating, how many there are before it
        place = self.users.index(users.ids)
        starts, ends = (np.where(place < 0, 0, before[self.starts[place + one]]) for one in (0, 1))
        return starts, ends, item[item >= 0].astype(np.int32)

    def same_movies(self, other: "RatedMovies") -> bool:
        """True where both know of the same people and the same movies of each, in whatever order."""
        if (self.users, self.texts) != (other.users, other.texts) or not np.array_equal(self.starts, other.starts):
            return False
        person = np.repeat(np.arange(len(self.users)), np.diff(self.starts))
        own, others = (one.movies[np.lexsort((one.movies, person))] for one in (self, other))
        return np.array_equal(own, others)

    def save(self, folder: Path) -> None:
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        if self.texts is not None:
            arrays["texts"] = self.texts.packed()
        if self.times is not None:
            arrays["times"] = self.times
        np.savez(folder / RATED_FILE, users=self.users.packed(), **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        with np.load(folder / RATED_FILE, allow_pickle=False) as arrays:
            texts = IdMap.unpacked(arrays["texts"]) if "texts" in arrays else None
            times = arrays.get("times")
            users, columns = IdMap.unpacked(arrays["users"]), {name: arrays[name] for name in _COLUMNS}
            return cls(users, **columns, texts=texts, times=times)
