"""The endpoints that answer data: a typed request in, the service's answer out."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from movierec_engine.api.config import ADMIN, READ, WRITE
from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.live_experiment import LiveExperiment
from movierec_engine.api.live_feedback import LiveFeedback
from movierec_engine.api.metrics import EXPOSITION, Metrics
from movierec_engine.api.model_service import ModelService
from movierec_engine.api.movie_service import MovieService
from movierec_engine.api.openapi import EXAMPLES_AT
from movierec_engine.api.people_service import PeopleService
from movierec_engine.api.recommendation_service import RecommendationService
from movierec_engine.api.rendering import json_response, page, to_json
from movierec_engine.api.requests import (
    BatchRequest,
    EraseRequest,
    FeedbackRequest,
    InterviewRequest,
    MovieRequest,
    NoParameters,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    UndoRequest,
    UserRequest,
)


def recommendations(service: RecommendationService) -> Topic:
    topic = Topic("recommendations")

    @topic.endpoint(
        "/api/recommend",
        RecommendRequest,
        methods=("GET", "POST"),
        schema="Recommendations",
        of_people=lambda asked: asked.user_id is not None,
    )
    def recommend(asked: RecommendRequest) -> Answer:
        """The movies that a user, or somebody with a history, will like best of those not seen."""
        return service.recommend(asked)

    @topic.endpoint("/api/batch-recommend", BatchRequest, methods=("POST",), schema="BatchRecommendations", scope=READ)
    def batch_recommend(asked: BatchRequest) -> Answer:
        """Recommendations for many users, in the order given and all from one version."""
        return service.batch(asked)

    return topic


def movies(service: MovieService) -> Topic:
    topic = Topic("movies")

    @topic.endpoint("/api/similar/<item_id>", SimilarRequest, schema="SimilarMovies")
    def similar(asked: SimilarRequest) -> Answer:
        """The movies most similar to one; by genres and years to one that no model knows."""
        return service.similar(asked)

    @topic.endpoint("/api/movie/<movie_id>", MovieRequest, schema="MovieDetails")
    def movie(asked: MovieRequest) -> Answer:
        """A movie's title, year and genres, whether models know it, and how many interactions they were trained on."""
        return service.movie(asked.movie_id)

    @topic.endpoint("/api/search", SearchRequest, schema="FoundMovies")
    def search(asked: SearchRequest) -> Answer:
        """Movies by title: found exactly first, then by the beginning, by words, and by words with typos."""
        return service.search(asked)

    return topic


def people(service: PeopleService) -> Topic:
    topic = Topic("people")

    @topic.endpoint("/api/users/<user_id>", UserRequest, schema="User", scope=READ)
    def user(asked: UserRequest) -> Answer:
        """A user's history, live feedback, and taste beside everybody's."""
        return service.user(asked)

    @topic.endpoint("/api/users/<user_id>", EraseRequest, methods=("DELETE",), schema="Erased", scope=ADMIN)
    def erase(asked: EraseRequest) -> Answer:
        """Erase a user's feedback and stop personalising at once; later trainings leave out the user's past."""
        return service.erase(asked.user_id)

    @topic.endpoint("/api/feedback", FeedbackRequest, methods=("POST",), schema="Feedback", scope=WRITE)
    def feedback(asked: FeedbackRequest) -> Answer:
        """Record what people did with movies, all or none and exactly once; on disk when this answers."""
        return service.record(asked)

    @topic.endpoint("/api/feedback", UndoRequest, methods=("DELETE",), schema="Undone", scope=WRITE)
    def undo_feedback(asked: UndoRequest) -> Answer:
        """Take feedback back, so that a dismissed movie may be recommended again: an event, or a kind of a movie."""
        return service.undo(asked)

    @topic.endpoint("/api/interview", InterviewRequest, schema="Interview")
    def interview(asked: InterviewRequest) -> Answer:
        """The movies to ask a new user about, whose answers are a history for /api/recommend."""
        return service.interview(asked)

    return topic


def models(service: ModelService, experiment: LiveExperiment) -> Topic:
    topic = Topic("models")

    @topic.endpoint("/api/models", NoParameters, schema="Models")
    def models(asked: NoParameters) -> Answer:
        """The models that can answer with their versions and metrics, newest first, and which one does by default."""
        return service.models()

    @topic.endpoint("/api/experiments", NoParameters, schema="Experiments", scope=READ)
    def experiments(asked: NoParameters) -> Answer:
        """The experiment that is running, and what experiments have found: rates and duels with 95 % intervals."""
        return experiment.summary(service.served().lineage.data_set)

    return topic


def operations(
    service: ModelService, live: LiveFeedback, metrics: Metrics, described: Callable[[], Mapping[str, Any]]
) -> Topic:
    """described: the OpenAPI description."""
    topic = Topic("operations")

    @topic.endpoint("/api/health", NoParameters, schema="Health", limited=False)
    def health(asked: NoParameters) -> Answer:
        """Whether the server lives, and what it serves: always 200 while it does."""
        return service.health()

    @topic.endpoint("/api/ready", NoParameters, schema="Health", limited=False)
    def ready(asked: NoParameters) -> Answer:
        """Whether there is an index to answer from (200, else 503), what is refused, and how the feedback log is."""
        body, status = service.readiness()
        if status == 200:
            body["feedback"] = live.health(service.served().lineage.data_set)
        return json_response(body, status)

    @topic.endpoint("/metrics", NoParameters, content="text/plain", scope=READ, limited=False)
    def prometheus(asked: NoParameters) -> Answer:
        """Counters and latencies of all workers, in Prometheus' text format."""
        return Response(metrics.exposition(), content_type=EXPOSITION)

    @topic.endpoint("/api/openapi.json", NoParameters, schema="Description")
    def openapi(asked: NoParameters) -> Answer:
        """This description, in OpenAPI 3.1."""
        return Response(to_json(described()), content_type="application/json")

    @topic.endpoint("/docs", NoParameters, content="text/html")
    def docs(asked: NoParameters) -> Answer:
        """This description as a page.

        Its examples ask the server at the address by which the reader found it.
        """
        address = request.url_root.rstrip("/") if request.host else EXAMPLES_AT
        return page("docs.html.j2", here="docs", api=described(), examples_at=EXAMPLES_AT, address=address)

    return topic
