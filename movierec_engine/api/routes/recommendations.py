"""Recommendations for people."""

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.keys import READ
from movierec_engine.api.recommending import Recommending
from movierec_engine.api.requests import BatchRequest, RecommendRequest


def recommendations(service: Recommending) -> Topic:
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
