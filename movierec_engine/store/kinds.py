"""Names of the kinds of artifacts: the first folder of a slot, and how a version's manifest names its parents."""

from typing import Final

RAW_RATINGS: Final = "raw_ratings"
RAW_MOVIES: Final = "raw_movies"
INTERACTIONS: Final = "interactions"
SPLITS: Final = "splits"
INTERACTION_GRAPH: Final = "interaction_graph"

TRAINED_MODEL: Final = "trained_model"
EVALUATION_REPORT: Final = "evaluation_report"
FAISS_INDEX: Final = "faiss_index"

REFITTED_MODEL: Final = "refitted_model"
"""A model that was trained on all interactions with the settings of a measured one."""
LEADERBOARD: Final = "leaderboard"
RELEASE_DECISION: Final = "release_decision"

LEAK_CANARIES: Final = "leak_canaries"
COMPARISON: Final = "comparison"
BACKTEST: Final = "backtest"
STRONG_GENERALIZATION: Final = "strong_generalization"
ELICITATION: Final = "elicitation"
RERANKING_TRADEOFF: Final = "reranking_tradeoff"
COLD_ITEMS: Final = "cold_items"
SWEEP: Final = "sweep"

DATA: Final = (RAW_RATINGS, RAW_MOVIES, INTERACTIONS, SPLITS, INTERACTION_GRAPH)
"""Kinds that follow from the input files and the settings of data alone, in the order in which they are made."""

OF_A_DATA_SET: Final = (*DATA, LEADERBOARD, RELEASE_DECISION, COMPARISON, SWEEP)
"""Kinds with one slot for a data set; the others have one for each model and device."""
