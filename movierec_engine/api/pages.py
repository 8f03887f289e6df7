"""The pages for people: HTML over the service that answers the API. What they change in place, their scripts do."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from flask import Response
from pydantic import Field

from movierec_engine.api.answers import Overview
from movierec_engine.api.endpoints import Topic
from movierec_engine.api.home_service import HomeService
from movierec_engine.api.known_ids import MovieId, UserId
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.movie_service import MovieService
from movierec_engine.api.parameters import RequestModel, text
from movierec_engine.api.rendering import json_response, page, wants_page
from movierec_engine.api.requests import ForModel, HomeRequest, NoParameters, SearchRequest, SimilarRequest
from movierec_engine.data.display_titles import display_title
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import MOVIES
from movierec_engine.data.rating_scale import MOVIELENS
from movierec_engine.recommending.dials import Dials
from movierec_engine.serving.loaded_index import LoadedIndex

SIMILAR = 12
ROW = 12
FOUND = 30
_ALL_DIALS = Dials(diversity=1, novelty=1, decade_balance=1, genre_balance=1)


class MoviePage(ForModel):
    movie_id: MovieId = Field(examples=[10])


class SearchPage(RequestModel):
    q: Annotated[str, text(200)] = Field(examples=["heat 1995"])
    """Words of a title, perhaps with a year."""


class UserPage(RequestModel):
    user_id: UserId = Field(examples=[1])


def pages(service: ModelService, rows: HomeService, movies: MovieService, overview: Mapping[str, Any]) -> Topic:
    """overview: the body of `/` for a client that is no browser."""
    topic = Topic("pages")

    @topic.endpoint("/", answers=Overview)
    def endpoints(asked: NoParameters) -> Response:
        """The endpoints, and the bounds on what may be asked; for a browser, the page to start from."""
        response = _home() if wants_page() else json_response(overview)
        response.headers["Vary"] = "Accept"
        return response

    def _home() -> Response:
        found = rows.home(HomeRequest(top_k=ROW))
        shelves: list[dict[str, Any]] = [
            {**row, "movies": [displayed(one) for one in row["movies"]]} for row in found["rows"]
        ]
        fan = shelves[0]["movies"][:3] if shelves else []
        genres = service.served().catalogue.genre_names
        return page("home.html.j2", served=found, genres=genres, rows=shelves, fan=fan, ids=service.ids())

    @topic.endpoint("/search", content="text/html")
    def search_page(asked: SearchPage) -> Response:
        """Movies by title, as a page."""
        found = movies.search(SearchRequest(q=asked.q, top_k=FOUND))
        return page("search.html.j2", served=found, asked=asked.q, movies=[displayed(one) for one in found["movies"]])

    @topic.endpoint("/movies/<movie_id>", content="text/html")
    def movie_page(asked: MoviePage) -> Response:
        """A movie with those like it, as a page."""
        return _movie(asked)

    @topic.endpoint("/movies", content="text/html")
    def movie_lookup(asked: MoviePage) -> Response:
        """The page of a movie whose id is a dot or two, which no path can have."""
        return _movie(asked)

    def _movie(asked: MoviePage) -> Response:
        details = movies.movie(asked.movie_id)
        alike = movies.similar(SimilarRequest(item_id=asked.movie_id, top_k=SIMILAR, model=asked.model, paged=True))
        return page(
            "movie.html.j2",
            served=alike,
            movie=displayed(details["movie"]),
            people=movies.people(asked.movie_id),
            similar=[displayed(one) for one in alike["similar"]],
            next=alike["next"],
            asked_model=asked.model,
            models=service.names(),
        )

    @topic.endpoint("/discover", content="text/html")
    def discover_page(asked: NoParameters) -> Response:
        """The page where somebody without an account rates movies, and the list follows."""
        return page("discover.html.j2", here="discover", served=about(service.served()), **_controls())

    @topic.endpoint("/users/<user_id>", content="text/html")
    def user_page(asked: UserPage) -> Response:
        """A user's history and taste, and what several models recommend, side by side, as a page."""
        return _user(asked.user_id)

    @topic.endpoint("/users", content="text/html")
    def user_lookup(asked: UserPage) -> Response:
        """The page of the user whose id was typed in."""
        return _user(asked.user_id)

    def _user(user_id: PublicId) -> Response:
        return page("user.html.j2", user_id=user_id, served=about(service.served()), **_controls())

    def _controls() -> dict[str, Any]:
        served = service.served()
        return {
            "genres": served.catalogue.genre_names,
            "years": bool(served.catalogue.years.any()),
            "lacking": served.index.item_facts.lacking(_ALL_DIALS),
            "models": service.names(),
        }

    return topic


def words(served: LoadedIndex | None) -> dict[str, Any]:
    """Template variables of every page: the item's noun and its plural, the rating scale, and the words for rating."""
    noun, nouns = served.lineage.nouns if served else MOVIES
    scale = served.known_ids.scale if served else MOVIELENS
    rate, rating = ("Like", "like") if scale.likes_only else ("Rate", "rating")
    return {"noun": noun, "nouns": nouns, "scale": scale, "rate": rate, "rating": rating}


def address_of(movie_id: PublicId, model: str = "") -> str:
    """The path of a movie's page, and its query. model: whose similar movies it shows.

    An id of one or two dots, which clients take for a folder, stands in the query.
    """
    text, asked = str(movie_id), {"model": model} if model else {}
    path = f"/movies/{quote(text, safe='')}"
    if text in (".", ".."):
        path, asked = "/movies", {"movie_id": text, **asked}
    return f"{path}?{urlencode(asked)}" if asked else path


def displayed(movie: Mapping[str, Any]) -> dict[str, Any]:
    """A movie with its title as a poster has it."""
    return {**movie, "title": display_title(movie["title"])}
