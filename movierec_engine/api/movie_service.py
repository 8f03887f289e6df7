"""Movies: one, those like it, and those by title; in the catalogue and outside of it."""

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
from movierec_engine.api.errors import ApiError
from movierec_engine.api.loaded_index import LoadedIndex, ranked_items
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.requests import SearchRequest, SimilarRequest
from movierec_engine.data.id_map import PublicId
from movierec_engine.models.fold_in.base import cosines

FOUND: tuple[How, ...] = ("exact", "prefix", "words", "typos")
"""How a movie was found by title, by title_search's number."""


class MovieService:
    def __init__(self, service: ModelService) -> None:
        self._service = service

    def movie(self, movie_id: PublicId) -> MovieDetails:
        """A movie that the data set has, whether models know it, and its number of train interactions."""
        served = self._service.served()
        place = place_of(served, movie_id, "movie_id")
        return {**about(served), "movie": served.catalogue.movies[place], **_facts(served, place)}

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
        vectors, with a score of null, as it is on another scale.
        """
        served = self._service.served(request.model)
        catalogue = served.catalogue
        place = place_of(served, request.item_id, "item_id")
        left = catalogue.allowed(request)[: catalogue.n_items].copy()
        left[catalogue.items(request.exclude)] = False
        by = "content" if place >= catalogue.n_items else "model"
        if by == "model":
            left[place] = False
            items, scores = served.index.similar_to(place, catalogue.n_items)
        else:
            items, scores = catalogue.alike(place)
        kept = np.flatnonzero(left[items])[: request.top_k]
        chosen, values, _ = ranked_items(items[kept], scores[kept], "")
        similar: list[ScoredMovie] = [
            {**catalogue.movies[item], "score": score} for item, score in zip(chosen, values, strict=True)
        ]
        if by == "model" and len(chosen) < request.top_k:
            left[items] = False
            rest: list[int] = _by_cosine(served, place, np.flatnonzero(left)).tolist()
            similar += [{**catalogue.movies[item], "score": None} for item in rest[: request.top_k - len(chosen)]]
        return {**about(served), "movie": catalogue.movies[place], "by": by, "similar": similar}


def place_of(served: LoadedIndex, movie_id: PublicId, parameter: str) -> int:
    """A movie's position among all movies. Raises ApiError 404 for one that the data set does not have."""
    place = served.catalogue.place(movie_id)
    if place is None:
        raise ApiError(
            404, f"there is no {served.lineage.nouns[0]} {movie_id}; GET /api/search finds movies by title", parameter
        )
    return place


def _facts(served: LoadedIndex, place: int) -> TrainingFacts:
    known = place < served.catalogue.n_items
    return {"in_catalogue": known, "interactions": int(served.index.popularity[place]) if known else 0}


def _by_cosine(served: LoadedIndex, item: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
    vectors = served.index.vectors
    return others[np.argsort(-cosines(vectors[[item]], vectors[others])[0], kind="stable")]
