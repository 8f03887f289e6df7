"""Recommendation models behind one interface; `from movierec_engine.models import LightGCN` imports only that model."""

from typing import Any

from movierec_engine.models.base import Recommender
from movierec_engine.models.explanation import Explanation
from movierec_engine.models.registry import (
    OWN_MODELS,
    load_model,
    model_class,
    model_names,
    register_model,
    single_models,
)

__all__ = [
    "Explanation",
    "Recommender",
    "load_model",
    "model_class",
    "model_names",
    "register_model",
    "single_models",
]


def __getattr__(name: str) -> Any:
    for model in OWN_MODELS:
        if model.replace("_", "") == name.lower():
            return model_class(model)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
