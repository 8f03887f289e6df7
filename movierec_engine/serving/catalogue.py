"""All movies of a data set: those of a catalogue, which models know, and after them the others."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NotRequired, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import called
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies, with_ids_of
from movierec_engine.errors import MovierecError, NotYetError
from movierec_engine.models.fold_in.base import ones
from movierec_engine.recommending.cold_items import ColdItems, Content, Likeness
from movierec_engine.recommending.rows.series import MovieSeries
from movierec_engine.recommending.rules.item_columns import ItemColumns
from movierec_engine.recommending.title_search import TitleSearch
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.serving.lineage import Lineage
from movierec_engine.serving.pictures import PicturesConfig

Mask = NDArray[np.bool_]
SERIES = "series"
"""The column of metadata that names the series that a movie is of."""
PLACES_SECONDS = 5.0
"""How long a list with new movies waits in a server that is placing them."""


class CatalogueMovie(TypedDict):
    """A movie as lists, pages and answers show it."""

    movie_id: PublicId
    title: str
    year: int | None
    genres: list[str]
    picture: NotRequired[str]
    """The address of a picture."""


class MovieCatalogue:
    """movies: movie_id, title, year and genres of each, in item order, then the others by movie_id.

    Nobody changes them. A movie's place in it is its item index, as far as it has one. Versions trained on the same
    data share one.
    """

    def __init__(
        self,
        index: RetrievalIndex,
        lineage: Lineage,
        preferred: Movies | None = None,
        pictures: PicturesConfig | None = None,
    ) -> None:
        """preferred: titles that take precedence over those of the data set and the index's.

        pictures: which column of the data set's metadata has the addresses of pictures.
        """
        self.n_items = len(index.items)
        self.awaits_places = False
        """Whether the new movies are being placed meanwhile, so that lists are to go without them."""
        self._placing = threading.Lock()
        self._new: ColdItems | None = None
        self._items, self._history, self._popularity = index.items, index.history, index.popularity
        self._placed, self._nouns = lineage.placed, lineage.nouns
        self._facts, self._own_titles = index.item_facts, index.movies
        self._schema = with_ids_of(index.movies.schema, MOVIES_SCHEMA)
        self._metadata = lineage.movies if len(lineage.movies) else self._schema.empty_table()
        known = (index.movies, self._metadata)
        tables = [table.select(MOVIES_SCHEMA.names).cast(self._schema) for table in known]
        own = dict.fromkeys(index.items.ids.tolist())
        titles: dict[PublicId, CatalogueMovie] = {}
        for table in (*([preferred.table] if preferred else []), *tables):
            for movie in table.to_pylist():
                titles.setdefault(movie["movie_id"], movie)
        self.movies: list[CatalogueMovie] = [
            *(titles[movie_id] for movie_id in own),
            *(titles[movie_id] for movie_id in sorted(titles) if movie_id not in own),
        ]
        self._places = {movie["movie_id"]: place for place, movie in enumerate(self.movies)}
        self._series_names = _values_of(lineage.movies, SERIES)
        if pictures is not None and pictures.column:
            for movie_id, value in _values_of(lineage.movies, pictures.column).items():
                if (address := pictures.address(value)) is not None:
                    self.movies[self._places[movie_id]]["picture"] = address

    def warm(self) -> None:
        """Builds the search, the genres and the series, which most requests would otherwise wait for."""
        _ = self.titles, self._genres, self.series

    def expect_places(self) -> None:
        """Let lists that do not ask for new movies go without them until `place_new` has been called."""
        self.awaits_places = "places_of_new" not in vars(self)

    def place_new(self) -> None:
        """Place the new movies, in seconds, which lists with a share of them would wait for."""
        try:
            with suppress(MovierecError):  # whoever asks for new movies is told
                _ = self.places_of_new
        finally:
            self.awaits_places = False

    def place(self, movie_id: PublicId) -> int | None:
        return self._places.get(movie_id)

    def places(self, movie_ids: Iterable[PublicId]) -> NDArray[np.int64]:
        """The places of movies that the data set has, int64 [n]."""
        return np.array([self._places[movie_id] for movie_id in movie_ids], dtype=np.int64)

    def item(self, movie_id: PublicId) -> int | None:
        """The item index of a movie, None where the catalogue lacks it."""
        place = self._places.get(movie_id)
        return place if place is not None and place < self.n_items else None

    def items(self, movie_ids: Sequence[PublicId]) -> NDArray[np.int64]:
        """The item indices of those that the catalogue has, int64 [<=n]."""
        found = (self._places.get(movie_id, self.n_items) for movie_id in movie_ids)
        return np.array([place for place in found if place < self.n_items], dtype=np.int64)

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """The genres of all movies, sorted."""
        return tuple(sorted({genre for movie in self.movies for genre in movie["genres"]}))

    def of_genre(self, name: str) -> Mask | None:
        """The movies of a genre, bool [movies] by place, whatever its case; None where there is no such genre."""
        return self._genres.get(name.casefold())

    @cached_property
    def series(self) -> MovieSeries:
        """The series of movies, by place: those of the metadata's column `series`, or else those that titles tell."""
        years = [movie["year"] for movie in self.movies]
        if self._series_names:
            return MovieSeries.named([self._series_names.get(movie["movie_id"]) for movie in self.movies], years)
        return MovieSeries.told_by([movie["title"] for movie in self.movies], years)

    @cached_property
    def columns(self) -> ItemColumns:
        """All columns that are known of the movies, by place; those that are unknown of one are null."""
        rows = pc.index_in(self._table["movie_id"].combine_chunks(), self._metadata["movie_id"].combine_chunks())
        table = self._table
        for name in self._metadata.column_names:
            if name not in table.column_names:
                table = table.append_column(name, self._metadata[name].take(rows))
        return ItemColumns(table)

    @cached_property
    def titles(self) -> TitleSearch:
        """Search over the titles, made when it is first needed."""
        popularity = np.zeros(len(self.movies), dtype=np.float32)
        popularity[: self.n_items] = self._popularity
        years = [movie["year"] for movie in self.movies]
        return TitleSearch([movie["title"] for movie in self.movies], years, popularity)

    @cached_property
    def new(self) -> ColdItems:
        """The movies outside the catalogue that have a place in it: as measured, or else placed now, in seconds.

        Of several who ask at once one places them, and the others wait for it. Raises NotYetError where that takes a
        server longer than PLACES_SECONDS.
        """
        if not self._placing.acquire(timeout=PLACES_SECONDS if self.awaits_places else -1):
            movies = called("the new movies are", self._nouns)
            raise NotYetError(f"{movies} being placed among the others; ask again in a minute, or without them")
        try:
            if self._new is None and self._placed is not None:
                self._new = ColdItems.load(self._placed)
            elif self._new is None:
                everything = Movies(self._table.sort_by("movie_id"))
                self._new = ColdItems.of(self._facts_of_items, self._items, everything)
            return self._new
        finally:
            self._placing.release()

    @cached_property
    def places_of_new(self) -> list[int]:
        """The place of each row of `new`."""
        return [self._places[movie_id] for movie_id in self.new.ids.ids.tolist()]

    def alike(self, place: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items that are like a movie by genres and year, best first, and how much, from 0 to 1: int64, float32.

        Of equally like ones the more popular comes first.
        """
        content = Content.of_movies(self._table.slice(place, 1), self._facts_of_items.genre_names)
        alike = Likeness.to(Content.of(self._facts_of_items)).of(content)[0]
        order = np.lexsort((-self._popularity, -alike))
        order = order[(alike[order] > 0) & (self._popularity[order] > 0)]
        return order, alike[order].astype(np.float32)

    @cached_property
    def interactions(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Train interactions by genre, a movie of several in equal parts, and by decade, such as 1990s."""
        genres = defaultdict[str, float](float)
        decades = defaultdict[str, float](float)
        for movie, count in zip(self.movies, self._popularity.tolist(), strict=False):
            add_movie(movie, count, genres, decades)
        return dict(genres), dict(decades)

    @cached_property
    def _genres(self) -> dict[str, Mask]:
        masks = {name.casefold(): np.zeros(len(self.movies), dtype=np.bool_) for name in self.genre_names}
        for place, movie in enumerate(self.movies):
            for genre in movie["genres"]:
                masks[genre.casefold()][place] = True
        return masks

    @cached_property
    def years(self) -> NDArray[np.int32]:
        """By place, int32 [movies]; 0 where it is not known."""
        return np.array([movie["year"] or 0 for movie in self.movies], dtype=np.int32)

    @cached_property
    def _table(self) -> pa.Table:
        return pa.Table.from_pylist(self.movies, schema=self._schema)

    @cached_property
    def _facts_of_items(self) -> Catalogue:
        """The genres and years of the index's items, from the titles that it was built with."""
        names = tuple(sorted({genre for genres in self._own_titles["genres"].to_pylist() for genre in genres}))
        return Catalogue(ones(self._history), self._facts.genres, names, self._facts.year)


def _values_of(metadata: pa.Table, column: str) -> dict[PublicId, str]:
    """Movie -> its non-empty value in a column, as a text; empty without such a column."""
    if column not in metadata.column_names:
        return {}
    rows = zip(metadata["movie_id"].to_pylist(), metadata[column].to_pylist(), strict=True)
    return {movie_id: str(value) for movie_id, value in rows if value not in (None, "")}


def add_movie(
    movie: CatalogueMovie, count: float, genres: defaultdict[str, float], decades: defaultdict[str, float]
) -> None:
    """Count a movie's genres, in equal parts, and its decade, as far as they are known."""
    for genre in movie["genres"]:
        genres[genre] += count / len(movie["genres"])
    if movie["year"]:
        decades[f"{movie['year'] // 10 * 10}s"] += count
