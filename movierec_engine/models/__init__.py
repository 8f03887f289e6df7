"""Recommendation models behind one contract; `from movierec_engine.models import LightGCN` imports only that model."""

from typing import Any

from movierec_engine.models.base import Recommender
from movierec_engine.models.explanation import Explanation
from movierec_engine.models.registry import MODEL_NAMES, SINGLE_MODELS, load_model, model_class

__all__ = ["MODEL_NAMES", "SINGLE_MODELS", "Explanation", "Recommender", "load_model", "model_class"]


def __getattr__(name: str) -> Any:
    for model in MODEL_NAMES:
        if model.replace("_", "") == name.lower():
            return model_class(model)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
