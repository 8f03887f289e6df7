"""Models with their versions, and experiments between them."""

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.experiment import Trial
from movierec_engine.api.inference import InferenceService
from movierec_engine.api.keys import READ
from movierec_engine.api.requests import NoParameters


def models(service: InferenceService, trial: Trial) -> Topic:
    topic = Topic("models")

    @topic.endpoint("/api/models", NoParameters, schema="Models")
    def models(asked: NoParameters) -> Answer:
        """The models that can answer with their versions and metrics, newest first, and which one does by default."""
        return service.models()

    @topic.endpoint("/api/experiments", NoParameters, schema="Experiments", scope=READ)
    def experiments(asked: NoParameters) -> Answer:
        """The experiment that is running, and what experiments have found: rates and duels with 95 % intervals."""
        return trial.summary(service.served().lineage.data_set)

    return topic
