"""A filter takes two places: a field of the request, and a line that applies it to the movies."""

from typing import Annotated

import numpy as np
import pytest
from flask.testing import FlaskClient

from movierec_engine.api.access import ApiKeys
from movierec_engine.api.answers import SimilarMovies
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.cursors import Cursors
from movierec_engine.api.endpoints import Topic, register
from movierec_engine.api.model_service import ModelService
from movierec_engine.api.movie_filters import allowed_movies
from movierec_engine.api.movie_service import MovieService
from movierec_engine.api.openapi import describe
from movierec_engine.api.parameters import text
from movierec_engine.api.requests import Filters, PersonalRequest, SimilarRequest
from movierec_engine.api.workers import Workers
from movierec_engine.serving.catalogue import Mask, MovieCatalogue
from movierec_engine.store import ArtifactStore
from worlds import Publish


class ByWords(SimilarRequest):
    titled: Annotated[str, text(10)] | None = None
    """A part of the title."""


def also_by_words(catalogue: MovieCatalogue, by: Filters) -> Mask | None:
    allowed = allowed_movies(catalogue, by)
    if isinstance(by, ByWords) and by.titled:
        titled = np.array([by.titled in movie["title"] for movie in catalogue.movies])
        allowed = titled if allowed is None else allowed & titled
    return allowed


@pytest.fixture
def topic(store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> tuple[FlaskClient, Topic]:
    """An API with an endpoint whose lists can be narrowed by a part of titles."""
    publish()
    monkeypatch.setattr("movierec_engine.api.movie_service.allowed_movies", also_by_words)
    app, topic = create_app(store.root), Topic("movies")
    of_app = app.extensions["movierec"]
    models = ModelService(of_app["reloader"], store, Workers(None, 1))
    service = MovieService(models, of_app["live"], Cursors(b"secret", 60), of_app["rules"])

    @topic.endpoint("/api/by-words/<item_id>")
    def by_words(asked: ByWords) -> SimilarMovies:
        """Similar movies by a part of titles."""
        return service.similar(asked)

    register(app, topic.endpoints, ServingConfig(), ApiKeys())
    return app.test_client(), topic


def test_a_field_and_the_line_that_applies_it_make_a_filter(topic: tuple[FlaskClient, Topic]) -> None:
    client, of = topic
    every = client.get("/api/by-words/10").json["similar"]
    wanted = [movie for movie in every if "3" in movie["title"]]
    assert 0 < len(wanted) < len(every)
    assert client.get("/api/by-words/10?titled=3").json["similar"] == wanted
    error = client.get("/api/by-words/10?titled=longer than ten").json["error"]
    assert error["message"] == "titled must have 1 to 10 characters"
    assert "did you mean titled?" in client.get("/api/by-words/10?title=3").json["error"]["message"]
    parameters = describe(of.endpoints, ServingConfig())["paths"]["/api/v1/by-words/{item_id}"]["get"]["parameters"]
    described = next(one for one in parameters if one["name"] == "titled")
    assert described["description"] == "A part of the title."
    assert described["schema"]["maxLength"] == 10


def test_a_list_with_any_filter_is_not_the_models_own() -> None:
    values = {"genres": ("Drama",), "genres_not": ("War",), "year_from": 1990, "year_to": 1990, "candidates": (10,)}
    assert set(values) == set(Filters.model_fields), "a new filter is tried here as well"
    for name, value in values.items():
        assert not PersonalRequest.model_validate({name: value}).options.plain
    assert PersonalRequest(genres=(), year_from=None, novelty=0).options.plain
