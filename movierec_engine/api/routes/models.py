"""Models and their versions."""

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.inference import InferenceService
from movierec_engine.api.requests import NoParameters


def models(service: InferenceService) -> Topic:
    topic = Topic("models")

    @topic.endpoint("/api/models", NoParameters, schema="Models")
    def models(asked: NoParameters) -> Answer:
        """The models that can answer with their versions, newest first, and which one does by default."""
        return service.models()

    return topic
