"""Movies that no model knows, placed among those that it knows by their genres and years.

A movie is new where it is not among the items that a model was trained on: nobody rated it, or too few did for the
k-core filter. With w_g = ln((1 + items) / items of genre g), and x_i the genres of movie i weighted so, two movies
are alike by

    s(i, j) = cos(x_i, x_j) exp(-|year_i - year_j| / YEARS)

Of a new movie of which only the genres or only the year is known, the other factor is its mean over pairs of items; one
of which neither is known, or that is like no item, is not placed, and counted. An item of which a factor that is
compared is not known is like nothing, and one without train interactions, of which models know nothing, is nobody's
neighbour.

A new movie's neighbours are the NEIGHBOURS items most like it, and its score for a person is the mean of that person's
scores of them, weighted by s. So it is made of scores alone, is on their scale, and comes from any model. Which of
equally like items are neighbours is drawn once, with a fixed seed: were it the popular ones, a movie of which only the
year is known would stand among the favourites of its year, and so above those of which more is known.

NEIGHBOURS, YEARS and the weights were chosen on validation of the bundled data, with items of the catalogue that models
were trained without: benchmarks/results/cold_items.md. numpy, scipy and pyarrow alone.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.id_map import IdMap, PublicId, as_ids
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.models.top_k import highest
from movierec_engine.models.vectors import unit_rows

NEIGHBOURS = 50
"""Catalogue items that a new movie's score is made of."""
YEARS = 5.0
"""Difference in years at which movies are alike by 1/e of what movies of one year are."""
NEAREST = 20
"""New movies that are kept for each catalogue item, as those most like it."""

MOVIES_FILE = "cold_items.parquet"
ARRAYS_FILE = "cold_items.npz"

_CELLS = 1 << 20
"""Pairs of movies that are compared at once: 8 MiB for each of the few arrays over them."""
_ARRAYS = ("neighbours", "weights", "nearest", "nearness", "counts")

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Content:
    """Contents of movies, by which they are compared.

    genres: float32 [n, n_genres], 1 where a movie is of a genre. year: int32 [n], 0 where it is not known.
    """

    genres: NDArray[np.float32]
    year: NDArray[np.int32]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        return cls(catalogue.genres, catalogue.year)

    @classmethod
    def of_movies(cls, table: pa.Table, genre_names: Sequence[str]) -> Self:
        """table: MOVIES_SCHEMA. A genre that is not among the names, those of the catalogue's, says nothing."""
        column = {name: number for number, name in enumerate(genre_names)}
        genres = np.zeros((len(table), len(column)), dtype=np.float32)
        for row, names in enumerate(table["genres"].to_pylist()):
            genres[row, [column[name] for name in names or () if name in column]] = 1
        return cls(genres, table["year"].fill_null(0).to_numpy().astype(np.int32))

    def take(self, rows: NDArray[np.integer[Any]]) -> Self:
        return type(self)(self.genres[rows], self.year[rows])

    def distinct(self) -> tuple[Self, NDArray[np.int64]]:
        """The contents without repetition, in the order in which they first occur, and each movie's row among them."""
        keys = [(genres.tobytes(), year) for genres, year in zip(self.genres, self.year.tolist(), strict=True)]
        number = {key: row for row, key in enumerate(dict.fromkeys(keys))}
        row_of = np.array([number[key] for key in keys], dtype=np.int64)
        return self.take(np.unique(row_of, return_index=True)[1]), row_of


_Alike = Callable[[Content, Content], NDArray[np.float64]]
"""From n movies and m others to how alike they are, [n, m]."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """s(i, j) between movies and the items of a catalogue.

    weight: float64 [n_genres]. items: the catalogue's. typical_genres, typical_years: the factors' means over pairs of
    items, which stand for what is not known of a movie.
    """

    weight: NDArray[np.float64]
    items: Content
    years: float
    typical_genres: float
    typical_years: float

    @classmethod
    def to(cls, items: Content, years: float = YEARS, rare_genres_count_more: bool = True) -> Self:
        """rare_genres_count_more: whether a genre weighs w_g, as above, or 1. Raises ConfigError for years of 0."""
        if not years > 0:
            raise ConfigError(f"years={years} must be above 0: movies of other years would be like nothing")
        weight = np.ones(items.genres.shape[1])
        if rare_genres_count_more:
            # 1 +, since a genre that every item has would weigh 0, and movies of it alone be of no genre
            weight = np.log((1 + len(items.genres)) / np.maximum(items.genres.sum(axis=0), 1))
        mean = unit_rows(items.genres[items.genres.any(axis=1)] * weight).sum(axis=0)
        mean /= max(int(items.genres.any(axis=1).sum()), 1)
        known, count = np.unique(items.year[items.year > 0], return_counts=True)
        of_pairs = count @ np.exp(-np.abs(known[:, None] - known) / years) @ count
        return cls(weight, items, years, float(mean @ mean) or 1.0, float(of_pairs / max(count.sum(), 1) ** 2) or 1.0)

    def of(self, movies: Content) -> NDArray[np.float64]:
        """float64 [n, n_items], from 0 to 1; 0 for all items where nothing is known of a movie."""
        return self.between(movies, self.items)

    def between(self, movies: Content, items: Content) -> NDArray[np.float64]:
        """`of`, to some of the items."""
        of_genres = unit_rows(movies.genres * self.weight) @ unit_rows(items.genres * self.weight).T
        apart = np.abs(movies.year[:, None].astype(np.float64) - items.year)
        of_years = np.where(items.year > 0, np.exp(-apart / self.years), 0)
        by_genres, by_year = movies.genres.any(axis=1, keepdims=True), movies.year[:, None] > 0
        alike = np.where(by_genres, of_genres, self.typical_genres) * np.where(by_year, of_years, self.typical_years)
        return np.asarray(np.where(by_genres | by_year, alike, 0))


def neighbours_of(
    movies: Content, likeness: Likeness, popularity: NDArray[np.integer[Any]], k: int = NEIGHBOURS
) -> tuple[Indices, Floats]:
    """The items that each movie stands among, most alike first, and their weights, which sum to 1.

    popularity: int [n_items], train interactions; an item with 0 is nobody's neighbour. Returns int32 and float32
    [n, k]; where a movie has fewer, or none, the rest is -1 with weight 0.
    """
    drawn = np.random.default_rng(0).permutation(len(popularity))
    able = drawn[popularity[drawn] > 0]
    places, alike = _nearest(movies, likeness.items.take(able), k, likeness.between)
    items = np.append(able, -1)[places].astype(np.int32)  # place -1, of no neighbour, is the -1 at the end
    return items, (alike / np.maximum(alike.sum(axis=1, keepdims=True), 1e-300)).astype(np.float32)


def placed_scores(neighbours: Indices, weights: Floats, item_scores: NDArray[np.floating[Any]]) -> Floats:
    """Scores of placed movies from a person's scores of all items; see `ColdItems.scores`."""
    return _weighted_means(_as_matrix(neighbours, weights, item_scores.shape[-1]), item_scores)


@dataclass(frozen=True, eq=False)
class ColdItems:
    """The placed new movies of a catalogue.

    movies: MOVIES_SCHEMA, a row for each of n_new placed movies, sorted by movie_id.
    neighbours: int32 [n_new, k], the catalogue items that each stands among, most alike first, -1 where there are no
        more. weights: float32 [n_new, k], by how much each counts; they sum to 1.
    nearest: int32 [n_items, m], rows of `movies` most like each catalogue item, -1 where there are no more. nearness:
        float32 [n_items, m], how much, from 0 to 1.
    unplaceable: how many new movies have no place.
    """

    movies: pa.Table
    neighbours: Indices
    weights: Floats
    nearest: Indices
    nearness: Floats
    unplaceable: int

    @classmethod
    def of(cls, catalogue: Catalogue, items: IdMap, movies: Movies, k: int = NEIGHBOURS) -> Self:
        """Place every movie that is not an item.

        catalogue: of the items, with their genres and years. movies: all that the data set has, items among them.
        """
        new = movies.table.filter(items.index(movies.table["movie_id"]) < 0)
        content, likeness = Content.of_movies(new, catalogue.genre_names), Likeness.to(Content.of(catalogue))
        neighbours, weights = neighbours_of(content, likeness, catalogue.popularity, k)
        placed = np.flatnonzero(neighbours[:, 0] >= 0) if k else np.empty(0, dtype=np.int64)
        nearest, nearness = _nearest(
            likeness.items, content.take(placed), NEAREST, lambda items, movies: likeness.between(movies, items).T
        )
        return cls(
            movies=new.take(placed).combine_chunks(),
            neighbours=neighbours[placed],
            weights=weights[placed],
            nearest=nearest,
            nearness=nearness.astype(np.float32),
            unplaceable=len(new) - len(placed),
        )

    def __len__(self) -> int:
        return len(self.neighbours)

    @property
    def n_items(self) -> int:
        """Items of the catalogue that the movies are placed in."""
        return len(self.nearest)

    @cached_property
    def ids(self) -> IdMap:
        """From public ids to rows of `movies`."""
        return IdMap(as_ids(self.movies["movie_id"]))

    @cached_property
    def _matrix(self) -> sparse.csr_matrix:
        return _as_matrix(self.neighbours, self.weights, self.n_items)

    def scores(self, item_scores: NDArray[np.floating[Any]]) -> Floats:
        """A person's scores of the new movies: the weighted means of the scores of their neighbours.

        item_scores: [n_items], or [b, n_items] of b people, of any model, seen items among them. Returns float32
        [n_new] or [b, n_new]. An item of score -inf, which is never recommended, is left out of the means; a movie with
        no other neighbour has -inf.
        """
        return _weighted_means(self._matrix, item_scores)

    def best(self, item_scores: NDArray[np.floating[Any]], n: int) -> Indices:
        """The rows of the n new movies of highest score for a person, best first; int32 [<= n].

        Movies of the same genres and year have the same score: of equal ones the larger movie_id, which was mostly
        added later, comes first. item_scores: [n_items].
        """
        return self.best_of(self.scores(item_scores), n)

    def best_of(self, scores: NDArray[np.floating[Any]], n: int) -> Indices:
        """`best` by scores [n_new] that are known already; those of -inf are left out."""
        return (len(scores) - 1 - highest(scores[::-1], n)).astype(np.int32)

    def rows(self, movie_ids: Iterable[PublicId]) -> NDArray[np.int64]:
        """The rows of those movies that are new ones, int64 [<= n]."""
        rows = map(self.ids.place, movie_ids)
        return np.array([row for row in rows if row is not None], dtype=np.int64)

    def similar_to(self, row: int) -> tuple[Indices, Floats]:
        """The catalogue items that a new movie stands among, most alike first, and their weights."""
        kept = self.neighbours[row] >= 0
        return self.neighbours[row][kept], self.weights[row][kept]

    def like(self, item: int) -> tuple[Indices, Floats]:
        """The new movies most like a catalogue item, as rows of `movies`, and how much, from 0 to 1."""
        kept = self.nearest[item] >= 0
        return self.nearest[item][kept], self.nearness[item][kept]

    def save(self, folder: Path) -> None:
        pq.write_table(self.movies, folder / MOVIES_FILE, compression="zstd")
        arrays = {name: getattr(self, name) for name in _ARRAYS if name != "counts"}
        np.savez_compressed(folder / ARRAYS_FILE, counts=np.array([self.unplaceable]), **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises StoreError when a file is missing or damaged, or when they do not belong together."""
        try:
            movies = pq.read_table(folder / MOVIES_FILE)
            with np.load(folder / ARRAYS_FILE, allow_pickle=False) as arrays:
                neighbours, weights, nearest, nearness, counts = (arrays[name] for name in _ARRAYS)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, pa.ArrowException) as error:
            raise StoreError(f"{folder}: no readable new movies ({error}); place them again") from error
        if neighbours.shape != weights.shape or len(neighbours) != len(movies) or nearest.shape != nearness.shape:
            raise StoreError(f"{folder}: {MOVIES_FILE} and {ARRAYS_FILE} are of different movies; place them again")
        return cls(movies, neighbours, weights, nearest, nearness, int(counts[0]))


def new_places(n_items: int, n_new: int, share: float, k: int) -> NDArray[np.bool_]:
    """The places of a list of k that go to new movies: bool [length].

    n_items, n_new: how many a model has to recommend, and how many new movies there are. `new_among` places, at most
    n_new, go to new movies; the others to the model's items as long as there are any, so that the list may be shorter
    than k. With n new movies in a list of length l, place p holds one where floor(p n / l) > floor((p - 1) n / l): the
    last of every l / n places, and never the first unless all are new.

    Raises ConfigError for a share outside 0 to 1.
    """
    n = min(new_among(share, k), n_new)
    length = n + min(k - n, n_items)
    return np.diff(np.arange(length + 1) * n // max(length, 1)) > 0


def new_among(share: float, k: int) -> int:
    """How many of k places a share is, rounded half up. Raises ConfigError for a share outside 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(f"share is {share!r}; the share of new movies goes from 0, none, to 1, nothing else")
    return int(share * k + 0.5)


def mix(items: Sequence[T], new: Sequence[T], share: float, k: int) -> list[T]:
    """A list of at most k: the model's items in their order, with new movies in theirs at `new_places` between them.

    With share 0 it is the model's own list. Raises ConfigError for a share outside 0 to 1.
    """
    of_items, of_new = iter(items), iter(new)
    return [next(of_new if is_new else of_items) for is_new in new_places(len(items), len(new), share, k)]


def _as_matrix(neighbours: Indices, weights: Floats, n_items: int) -> sparse.csr_matrix:
    """CSR float32 [n, n_items] of the weights."""
    kept = neighbours >= 0
    row = np.repeat(np.arange(len(neighbours)), kept.sum(axis=1))
    return sparse.csr_matrix((weights[kept], (row, neighbours[kept])), shape=(len(neighbours), n_items))


def _weighted_means(matrix: sparse.csr_matrix, item_scores: NDArray[np.floating[Any]]) -> Floats:
    finite = np.isfinite(item_scores)
    if finite.all():
        return np.asarray((matrix @ item_scores.T).T, dtype=np.float32)
    total, weight = matrix @ np.where(finite, item_scores, 0).T, matrix @ finite.T.astype(np.float32)
    means = np.where(weight > 0, total / np.where(weight > 0, weight, 1), -np.inf)
    return np.asarray(means.T, dtype=np.float32)


def _nearest(movies: Content, others: Content, k: int, alike: _Alike) -> tuple[Indices, NDArray[np.float64]]:
    """The k others most like each movie, more than 0, the first of equally like ones: their places, and how much.

    Returns int32 and float64 [n, k], -1 and 0 where there are no more. Movies of the same genres and year are compared
    once, since large catalogues have many times as many movies as different contents.
    """
    (own, own_row), (kinds, kind_of) = movies.distinct(), others.distinct()
    by_kind, sizes = np.argsort(kind_of, kind="stable"), np.bincount(kind_of)
    starts = np.cumsum(sizes) - sizes
    n, n_kinds = len(own.year), len(kinds.year)
    found, values = np.full((n, k), -1, dtype=np.int32), np.zeros((n, k))
    height = max(1, _CELLS // max(n_kinds, 1))
    for start in range(0, n if min(k, n_kinds) else 0, height):
        block = alike(own.take(np.arange(start, min(start + height, n))), kinds)
        for row, of_kinds in enumerate(block, start=start):
            best = highest(of_kinds, min(k, n_kinds))
            best = best[of_kinds[best] > 0]
            # of kinds that tie, the k whose first place is first: all that can be among the k nearest
            places = np.concatenate([by_kind[starts[kind] :][: min(sizes[kind], k)] for kind in best] or [best])
            value = of_kinds[kind_of[places]]
            order = np.lexsort((places, -value))[:k]
            found[row, : len(order)], values[row, : len(order)] = places[order], value[order]
    return found[own_row], values[own_row]
