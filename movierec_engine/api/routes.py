"""The endpoints that answer data: a typed request in, the service's answer out."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from movierec_engine.api.answers import (
    BatchRecommendations,
    Erased,
    Experiments,
    FoundMovies,
    Home,
    Interview,
    Models,
    MovieDetails,
    Recommendations,
    RecordedFeedback,
    RowPage,
    RulesTrial,
    ScenarioRules,
    ServerHealth,
    SimilarMovies,
    Undone,
    User,
)
from movierec_engine.api.config import ADMIN, READ, WRITE
from movierec_engine.api.endpoints import Topic
from movierec_engine.api.home_service import HomeService
from movierec_engine.api.live_experiment import LiveExperiment
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
    HomeRequest,
    InterviewRequest,
    MovieRequest,
    NoParameters,
    PublishRulesRequest,
    RecommendRequest,
    RollBackRulesRequest,
    RowRequest,
    RulesRequest,
    SearchRequest,
    SimilarRequest,
    TryRulesRequest,
    UndoRequest,
    UserRequest,
)
from movierec_engine.api.rules_service import RulesService
from movierec_engine.serving.live_feedback import LiveFeedback


def recommendations(service: RecommendationService) -> Topic:
    topic = Topic("recommendations")

    @topic.endpoint(
        "/api/recommend",
        methods=("GET", "POST"),
        of_people=lambda asked: asked.user_id is not None,
    )
    def recommend(asked: RecommendRequest) -> Recommendations:
        """The movies that a user, or somebody with a history, will like best of those not seen."""
        return service.recommend(asked)

    @topic.endpoint("/api/batch-recommend", methods=("POST",), scope=READ)
    def batch_recommend(asked: BatchRequest) -> BatchRecommendations:
        """Recommendations for many users, in the order given and all from one version."""
        return service.batch(asked)

    return topic


def home(service: HomeService) -> Topic:
    topic = Topic("home")

    @topic.endpoint("/api/home", methods=("GET", "POST"), of_people=lambda asked: asked.user_id is not None)
    def home(asked: HomeRequest) -> Home:
        """A home page in rows, each with its reason, ordered by the person's taste; no movie stands in two."""
        return service.home(asked)

    @topic.endpoint("/api/home/<row>", methods=("GET", "POST"), of_people=lambda asked: asked.user_id is not None)
    def row(asked: RowRequest) -> RowPage:
        """One row of a home page, or by `next` what follows of it."""
        return service.row(asked)

    return topic


def movies(service: MovieService) -> Topic:
    topic = Topic("movies")

    @topic.endpoint("/api/similar/<item_id>", of_people=lambda asked: asked.user_id is not None)
    def similar(asked: SimilarRequest) -> SimilarMovies:
        """The movies most similar to one, also to a person's taste; by genres and years to one that no model knows."""
        return service.similar(asked)

    @topic.endpoint("/api/movie/<movie_id>")
    def movie(asked: MovieRequest) -> MovieDetails:
        """A movie's title, year and genres, whether models know it, and how many interactions they were trained on."""
        return service.movie(asked.movie_id)

    @topic.endpoint("/api/search")
    def search(asked: SearchRequest) -> FoundMovies:
        """Movies by title: found exactly first, then by the beginning, by words, and by words with typos."""
        return service.search(asked)

    return topic


def rules(service: RulesService) -> Topic:
    topic = Topic("rules")

    @topic.endpoint("/api/rules/<scenario>", scope=ADMIN)
    def scenario_rules(asked: RulesRequest) -> ScenarioRules:
        """The rules that lists of a scenario are made under, and who changed them, when and why."""
        return service.rules(asked.scenario)

    @topic.endpoint("/api/rules/<scenario>", methods=("PUT",), scope=ADMIN)
    def publish_rules(asked: PublishRulesRequest) -> ScenarioRules:
        """Let rules hold from now on, at every host within a second; the ones before stay in the history."""
        return service.publish(asked)

    @topic.endpoint("/api/rules-dry-run/<scenario>", methods=("POST",), scope=ADMIN)
    def try_rules(asked: TryRulesRequest) -> RulesTrial:
        """The effect of rules on lists at this moment; nothing changes."""
        return service.dry_run(asked)

    @topic.endpoint("/api/rules-rollback/<scenario>", methods=("POST",), scope=ADMIN)
    def roll_back_rules(asked: RollBackRulesRequest) -> ScenarioRules:
        """Let the rules of an earlier version hold again."""
        return service.roll_back(asked)

    return topic


def people(service: PeopleService) -> Topic:
    topic = Topic("people")

    @topic.endpoint("/api/users/<user_id>", scope=READ)
    def user(asked: UserRequest) -> User:
        """A user's history, live feedback, and taste beside everybody's."""
        return service.user(asked)

    @topic.endpoint("/api/users/<user_id>", methods=("DELETE",), scope=ADMIN)
    def erase(asked: EraseRequest) -> Erased:
        """Erase a user's feedback and stop personalising at once; later trainings leave out the user's past."""
        return service.erase(asked.user_id)

    @topic.endpoint("/api/feedback", methods=("POST",), scope=WRITE)
    def feedback(asked: FeedbackRequest) -> RecordedFeedback:
        """Record what people did with movies, all or none and exactly once; on disk when this answers."""
        return service.record(asked)

    @topic.endpoint("/api/feedback", methods=("DELETE",), scope=WRITE)
    def undo_feedback(asked: UndoRequest) -> Undone:
        """Take feedback back, so that a dismissed movie may be recommended again: an event, or a kind of a movie."""
        return service.undo(asked)

    @topic.endpoint("/api/interview")
    def interview(asked: InterviewRequest) -> Interview:
        """The movies to ask a new user about, whose answers are a history for /api/recommend."""
        return service.interview(asked)

    return topic


def models(service: ModelService, experiment: LiveExperiment) -> Topic:
    topic = Topic("models")

    @topic.endpoint("/api/models")
    def models(asked: NoParameters) -> Models:
        """The models that can answer with their versions and metrics, newest first, and which one does by default."""
        return service.models()

    @topic.endpoint("/api/experiments", scope=READ)
    def experiments(asked: NoParameters) -> Experiments:
        """The experiment that is running, and what experiments have found: rates and duels with 95 % intervals."""
        return experiment.summary(service.served())

    return topic


def operations(
    service: ModelService, live: LiveFeedback, metrics: Metrics, described: Callable[[], Mapping[str, Any]]
) -> Topic:
    """described: the OpenAPI description."""
    topic = Topic("operations")

    @topic.endpoint("/api/health", limited=False)
    def health(asked: NoParameters) -> ServerHealth:
        """Liveness of the server, and the version that it serves: always 200 while it lives."""
        return service.health()

    @topic.endpoint("/api/ready", limited=False, answers=ServerHealth)
    def ready(asked: NoParameters) -> Response:
        """Readiness: 200 with an index to answer from, else 503; refused versions, and the feedback log's state."""
        body, status = service.readiness()
        if status == 200:
            body["feedback"] = live.health(service.served().lineage.data_set)._asdict()
        return json_response(body, status)

    @topic.endpoint("/metrics", content="text/plain", scope=READ, limited=False)
    def prometheus(asked: NoParameters) -> Response:
        """Counters and latencies of all workers, in Prometheus' text format."""
        return Response(metrics.exposition(), content_type=EXPOSITION)

    @topic.endpoint("/api/openapi.json")
    def openapi(asked: NoParameters) -> Response:
        """This description, in OpenAPI 3.1."""
        return Response(to_json(described()), content_type="application/json")

    @topic.endpoint("/docs", content="text/html")
    def docs(asked: NoParameters) -> Response:
        """This description as a page.

        Its examples ask the server at the address by which the reader found it.
        """
        address = request.url_root.rstrip("/") if request.host else EXAMPLES_AT
        return page("docs.html.j2", here="docs", api=described(), examples_at=EXAMPLES_AT, address=address)

    return topic
