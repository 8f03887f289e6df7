"""Services that every answer with lists needs beside its request."""

from dataclasses import dataclass

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.cursors import Cursors
from movierec_engine.api.live_experiment import LiveExperiment
from movierec_engine.api.model_service import ModelService
from movierec_engine.serving.live_exploration import LiveExploration
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules


@dataclass(frozen=True)
class ListServices:
    """experiment: the one that is running, if one is. exploration: of lists for users, if it is on."""

    models: ModelService
    live: LiveFeedback
    experiment: LiveExperiment
    exploration: LiveExploration
    limits: ServingConfig
    cursors: Cursors
    rules: LiveRules
