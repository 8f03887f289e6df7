"""The way from raw ratings to a served index, one function a step: what the command line and Dagster both call.

Each step takes the artifacts before it and publishes the next.
"""

from movierec_engine.pipeline.canaries import run_canaries
from movierec_engine.pipeline.data import (
    FILTER_SETTINGS,
    SPLIT_SETTINGS,
    Origin,
    build_interaction_graph,
    data_slot,
    filter_interactions,
    ingest_movies,
    ingest_ratings,
    load_split,
    split_interactions,
    split_settings,
)
from movierec_engine.pipeline.evaluation import evaluate_lists, evaluate_model
from movierec_engine.pipeline.index import build_faiss_index, rank_models
from movierec_engine.pipeline.members import model_slot
from movierec_engine.pipeline.runner import data_step_of, is_current, prepare, run, run_tracked
from movierec_engine.pipeline.training import (
    find_trained_model,
    movies_of,
    train_model,
    trained_model_key,
)

__all__ = [
    "FILTER_SETTINGS",
    "SPLIT_SETTINGS",
    "Origin",
    "build_faiss_index",
    "build_interaction_graph",
    "data_slot",
    "data_step_of",
    "evaluate_lists",
    "evaluate_model",
    "filter_interactions",
    "find_trained_model",
    "ingest_movies",
    "ingest_ratings",
    "is_current",
    "load_split",
    "model_slot",
    "movies_of",
    "prepare",
    "rank_models",
    "run",
    "run_canaries",
    "run_tracked",
    "split_interactions",
    "split_settings",
    "train_model",
    "trained_model_key",
]
