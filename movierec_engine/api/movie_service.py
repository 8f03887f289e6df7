"""Movies: one, those like it, and those by title; in the catalogue and outside of it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.api.answers import (
    FoundMovie,
    FoundMovies,
    How,
    MovieDetails,
    ScoredMovie,
    SimilarMovies,
    TrainingFacts,
)
from movierec_engine.api.cursors import Cursors, ListName
from movierec_engine.api.errors import ApiError
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.movie_filters import allowed_movies
from movierec_engine.api.parameters import ratings_told
from movierec_engine.api.requests import SearchRequest, SimilarRequest
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import called
from movierec_engine.models.vectors import cosines
from movierec_engine.recommending.rules.active import UnmetRule
from movierec_engine.recommending.rules.arranging import More, arrange
from movierec_engine.recommending.similar_taste import mixed
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.serving.loaded_index import LoadedIndex, ranked_items
from movierec_engine.serving.person import Person, of_history, of_user

FOUND: tuple[How, ...] = ("exact", "prefix", "words", "typos")
"""How a movie was found by title, by title_search's number."""


class MovieService:
    def __init__(self, service: ModelService, live: LiveFeedback, cursors: Cursors, rules: LiveRules) -> None:
        self._service, self._live, self._cursors, self._rules = service, live, cursors, rules

    def movie(self, movie_id: PublicId) -> MovieDetails:
        """A movie that the data set has, whether models know it, and its number of train interactions."""
        served = self._service.served()
        place = place_of(served, movie_id, "movie_id")
        return {**about(served), "movie": served.catalogue.movies[place], **_facts(served, place)}

    def people(self, movie_id: PublicId) -> int | None:
        """How many people have rated a movie; None for one that no model knows, and in older indices."""
        served = self._service.served()
        item, ratings = served.catalogue.item(movie_id), served.index.ratings_by_item
        return None if item is None or ratings is None else int(ratings.count[item])

    def search(self, request: SearchRequest) -> FoundMovies:
        """Movies by title, with how each was found."""
        served = self._service.served()
        movies: list[FoundMovie] = [
            {**served.catalogue.movies[place], "found": FOUND[how], **_facts(served, place)}
            for place, how in served.catalogue.titles.find(request.q, request.top_k)
        ]
        return {**about(served), "q": request.q, "movies": movies}

    def similar(self, request: SimilarRequest) -> SimilarMovies:
        """The catalogue's movies most like one: by model and genres, or by genres and years where it is `by` content.

        Where the similar ones that the index keeps run out, the others follow by the cosine of the model's item
        vectors, with a score of null, as it is on another scale. With a person, their taste is mixed in, and their list
        has none of the movies that may not be shown to them.
        """
        served = self._service.served(request.model)
        catalogue = served.catalogue
        place = place_of(served, request.item_id, "item_id")
        person = self._person(served, request)
        name = ListName(request.user_id, request.which, served.artifact.reference)
        before = self._cursors.read(request.next, name, len(catalogue.movies))
        allowed = allowed_movies(catalogue, request)
        left = np.ones(catalogue.n_items, dtype=np.bool_) if allowed is None else allowed[: catalogue.n_items].copy()
        left[catalogue.items(request.exclude)] = False
        left[before[before < catalogue.n_items]] = False
        rules = self._rules.active(served, "similar", request.region)
        if rules is not None and rules.allowed is not None:
            left &= rules.allowed[: catalogue.n_items]
        relevance, source = None, ""
        if person is not None:
            left[person.masked_items(frozenset())] = False
            relevance, source = person.scores()
        by = "content" if place >= catalogue.n_items else "model"
        if by == "model":
            left[place] = False
            items, scores = served.index.similar_to(place, catalogue.n_items)
        else:
            items, scores = catalogue.alike(place)
        best, values = _to_taste(items, scores, relevance, request.taste)
        kept = left[best]
        order, scores = best[kept].astype(np.int64), values[kept]
        wanted = request.top_k if rules is None else rules.candidates(request.top_k)
        if by == "model" and len(order) < wanted:
            left[items] = False
            others = np.flatnonzero(left)
            rest = _to_taste(others, _cosines(served, place, others), relevance, request.taste)[0]
            order = np.concatenate([order, rest])
            scores = np.concatenate([scores, np.full(len(rest), np.nan, dtype=scores.dtype)])
        unmet: tuple[UnmetRule, ...] = ()
        if rules is not None:
            made = arrange(rules, order[:wanted], scores[:wanted], request.top_k, _in_order(order, scores), before)
            order, scores, unmet = made.items, made.scores, made.unmet
        chosen, rounded, _ = ranked_items(order[: request.top_k], scores[: request.top_k], "")
        similar: list[ScoredMovie] = [
            {**catalogue.movies[item], "score": None if math.isnan(score) else score}
            for item, score in zip(chosen, rounded, strict=True)
        ]
        about_it: Any = {**about(served), "movie": catalogue.movies[place], "by": by, "similar": similar}
        answer: SimilarMovies = about_it
        if person is not None:
            answer["source"] = source
        if unmet:
            answer["unmet_rules"] = [{"rule": one.rule, "why": one.why} for one in unmet]
        if request.continues:
            shown = catalogue.places(one["movie_id"] for one in similar)
            answer["next"] = self._cursors.after(name, before, shown, request.top_k)
        return answer

    def _person(self, served: LoadedIndex, request: SimilarRequest) -> Person | None:
        if request.user_id is not None:
            return of_user(served, request.user_id, self._live.state(served.lineage.data_set, request.user_id))
        return None if request.history is None else of_history(served, ratings_told(request.history))


def _in_order(items: NDArray[np.int64], scores: NDArray[np.float32]) -> More:
    """The first items of an order among a mask."""

    def more(n: int, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        kept = np.flatnonzero(mask[items])[:n]
        return items[kept], scores[kept]

    return more


def place_of(served: LoadedIndex, movie_id: PublicId, parameter: str) -> int:
    """A movie's position among all movies. Raises ApiError 404 for one that the data set does not have."""
    place = served.catalogue.place(movie_id)
    if place is None:
        sought = called("GET /api/search finds movies by title", served.lineage.nouns)
        raise ApiError(404, f"there is no {served.lineage.nouns[0]} {movie_id}; {sought}", parameter)
    return place


def _facts(served: LoadedIndex, place: int) -> TrainingFacts:
    known = place < served.catalogue.n_items
    return {"in_catalogue": known, "interactions": int(served.index.popularity[place]) if known else 0}


def _to_taste(
    items: NDArray[np.int64], similarity: NDArray[np.float32], relevance: NDArray[np.float32] | None, taste: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Items and their ranking scores, best first. relevance: to a person, float32 [n_items]; None without one."""
    values = similarity if relevance is None else mixed(similarity, relevance[items], taste).astype(np.float32)
    order = np.argsort(-values, kind="stable")
    return items[order], values[order]


def _cosines(served: LoadedIndex, item: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
    vectors = served.index.vectors
    return np.asarray(cosines(vectors[[item]], vectors[others])[0], dtype=np.float32)
