"""The rows that one person's home page can have, each with the best of what they may still be shown."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from movierec_engine.api.movie_filters import allowed_movies
from movierec_engine.api.requests import HomeRequest
from movierec_engine.api.trends import TrendScores
from movierec_engine.data.display_titles import display_title
from movierec_engine.models.top_k import best
from movierec_engine.recommending.fold_in import POPULARITY
from movierec_engine.recommending.rows.composition import MovieRow
from movierec_engine.recommending.rows.gems import quality
from movierec_engine.recommending.rows.genres import favourites
from movierec_engine.recommending.rows.seeds import seeds
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.similar_taste import mixed
from movierec_engine.serving.catalogue import add_movie
from movierec_engine.serving.list_making import list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person

FOR_YOU, POPULAR, TRENDING, RISING, SERIES, GEMS = (
    "for-you",
    "popular",
    "trending",
    "rising",
    "continue-series",
    "hidden-gems",
)
BECAUSE, GENRE = "because", "genre"
"""Kinds of rows of which there are several, such as genre:Crime."""
SEEDS = 4
"""Liked movies that rows of similar ones can be made of."""
GENRES = 5
TASTE = 0.5
"""Weight of the person's taste in rows of similar movies, as /api/similar has it."""
SHORTEST_SERIES = 2


class HomeRows:
    """person: without what may not be shown. n: movies of each row. rules: those for home, whose filters hold for all
    rows, and whose pins, boosts, shares and caps for the person's own list."""

    def __init__(
        self,
        served: LoadedIndex,
        person: Person,
        request: HomeRequest,
        trends: TrendScores,
        n: int,
        rules: ActiveRules | None = None,
    ) -> None:
        self._served, self._person, self._request, self._trends, self._n = served, person, request, trends, n
        self._index, self._movies = served.index, served.catalogue.movies
        self._rules = rules
        asked = allowed_movies(served.catalogue, request)
        self._allowed = asked if rules is None else rules.also(asked)
        self._scores, self.source = person.scores()
        self.first = POPULAR if self.source == POPULARITY else FOR_YOU

    @cached_property
    def relevance(self) -> NDArray[np.float32]:
        """The person's scores from 0 to 1 over the catalogue, float32 [n_items]."""
        low, high = self._scores.min(initial=np.inf), self._scores.max(initial=-np.inf)
        return np.asarray((self._scores - low) / max(high - low, np.float32(1e-12)))

    def every(self) -> list[MovieRow]:
        """All rows that have a movie."""
        rows = [self.named(self.first), *self._because(), *self._genres()]
        rows += [self.named(name) for name in (TRENDING, RISING, SERIES, GEMS)]
        return [row for row in rows if row is not None and len(row.items)]

    def named(self, name: str) -> MovieRow | None:
        """One row by its name, which may have no movie left; None where there is no such row."""
        kind, _, of = name.partition(":")
        if kind == BECAUSE and of:
            return self._because_of(of)
        if kind == GENRE and of:
            return self._of_genre(of)
        made = self._single.get(name)
        return made() if made else None

    @cached_property
    def _single(self) -> dict[str, Callable[[], MovieRow]]:
        return {
            FOR_YOU: self._for_you,
            POPULAR: self._popular,
            TRENDING: self._trending,
            RISING: self._rising,
            SERIES: self._series,
            GEMS: self._gems,
        }

    def _for_you(self) -> MovieRow:
        return MovieRow(FOR_YOU, "Recommended for you", "what you should like best", self._listed())

    def _popular(self) -> MovieRow:
        return MovieRow(POPULAR, "Popular with everyone", "what most people here like", self._listed())

    def _listed(self) -> NDArray[np.int64]:
        """The list of /api/recommend, of the same length, as rules arrange lists by it."""
        asked = self._request
        options = ListOptions(asked.top_k, exclude=frozenset(asked.exclude), filtered=asked.filtered)
        trained = self._person.user is not None and self._index.exact and not self._person.live.ratings
        scores = self._scores if trained else None
        made = list_for(self._served, self._person, options, self._allowed, self._rules, scores)
        return np.array(made.items, dtype=np.int64)

    @cached_property
    def _liked(self) -> dict[int, float | None]:
        """Item -> its rating, of what the person liked, the newest last."""
        ratings, least = self._person.ratings, self._index.facts.liked_from
        known = [(self._served.catalogue.item(movie), rating) for movie, rating in ratings.items()]
        return {item: rating for item, rating in known if item is not None and (rating is None or rating >= least)}

    def _because(self) -> Iterator[MovieRow]:
        for seed in seeds([*self._liked.items()], lambda item: self._index.similar_to(item, self._n)[0], SEEDS):
            yield self._similar_to(seed)

    def _because_of(self, text: str) -> MovieRow | None:
        """A row by the text of its movie's id."""
        for movie_id in (text, int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else (text,):
            if (item := self._served.catalogue.item(movie_id)) is not None:
                return self._similar_to(item)
        return None

    def _similar_to(self, seed: int) -> MovieRow:
        """Because it was liked; of a movie that the person asks for, or likes no more, the row claims nothing."""
        items, similarity = self._index.similar_to(seed, len(self._movies))
        order = np.argsort(-mixed(similarity, self._scores[items], TASTE), kind="stable")
        movie = self._movies[seed]
        title = display_title(movie["title"])
        return MovieRow(
            f"{BECAUSE}:{movie['movie_id']}",
            f"Because you liked {title}" if seed in self._liked else f"More like {title}",
            f"like {title}{'' if self.source == POPULARITY else ', and to your taste'}",
            self._first(items[order]),
        )

    def _genres(self) -> Iterator[MovieRow]:
        own = defaultdict[str, float](float)
        for item in self._person.taste.liked.indices.tolist():
            add_movie(self._movies[item], 1, own, defaultdict(float))
        for name in favourites(own, self._served.catalogue.interactions[0])[:GENRES]:
            if (row := self._of_genre(name)) is not None:
                yield row

    def _of_genre(self, name: str) -> MovieRow | None:
        mask = self._served.catalogue.of_genre(name)
        if mask is None:
            return None
        shown = next(one for one in self._served.catalogue.genre_names if one.casefold() == name.casefold())
        personal = self.source != POPULARITY
        title, why = (f"Top in {shown}", "to your taste") if personal else (f"Popular in {shown}", "with everyone")
        return MovieRow(f"{GENRE}:{shown}", title, why, self._best(mask[: len(self._left)], self._scores))

    def _trending(self) -> MovieRow:
        return self._by_trend(TRENDING, "Trending", "liked most lately", self._trends.trending)

    def _rising(self) -> MovieRow:
        return self._by_trend(RISING, "New and rising", "liked more lately than before", self._trends.rising)

    def _by_trend(self, name: str, title: str, reason: str, scores: NDArray[np.float64]) -> MovieRow:
        return MovieRow(name, title, reason, self._best(scores > 0, scores.astype(np.float32)))

    def _series(self) -> MovieRow:
        catalogue, least = self._served.catalogue, self._index.facts.liked_from
        rated = {catalogue.item(movie): rating for movie, rating in self._person.ratings.items()}
        seen = {item: rating for item, rating in rated.items() if item is not None}
        disliked = {item for item, rating in seen.items() if rating is not None and rating < least}
        found = [movie for movie, _ in catalogue.series.continued([*seen], disliked) if movie < len(self._left)]
        items = self._first(np.array(found, dtype=np.int64))
        return MovieRow(SERIES, "Continue a series", "the next part of what you have seen", items, SHORTEST_SERIES)

    def _gems(self) -> MovieRow:
        ratings, personal = self._index.ratings_by_item, self.source != POPULARITY
        items = np.empty(0, dtype=np.int64)
        if ratings is not None:
            items = self._best(self._served.gems, self._scores if personal else quality(ratings).astype(np.float32))
        return MovieRow(GEMS, "Hidden gems", "rated high by the few who know them", items)

    def _best(self, mask: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.int64]:
        items = np.flatnonzero(mask & self._left)
        return best(items, scores[items], self._n)[0]

    def _first(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        return items[self._left[items]][: self._n]

    @cached_property
    def _left(self) -> NDArray[np.bool_]:
        """bool [n_items], the items that may still be shown."""
        n = self._served.catalogue.n_items
        left = np.ones(n, dtype=np.bool_) if self._allowed is None else self._allowed[:n].copy()
        left[self._person.masked_items(frozenset(self._request.exclude))] = False
        return left
