"""Names of the kinds of artifacts: the first folder of a slot, and how a version's manifest names its parents."""

from typing import Final

RAW_RATINGS: Final = "raw_ratings"
"""The validated ratings of the files and the feedback log, one row for a person and a movie."""
RAW_MOVIES: Final = "raw_movies"
"""Titles, years and genres."""
INTERACTIONS: Final = "interactions"
"""Likes after the threshold and the k-core, as indices, with the id maps."""
SPLITS: Final = "splits"
"""Train, validation and test; the fingerprint begins here."""
INTERACTION_GRAPH: Final = "interaction_graph"
"""The symmetric normalised adjacency of train."""

TRAINED_MODEL: Final = "trained_model"
"""A model's weights, settings, id maps and history, and each user's metrics on validation."""
EVALUATION_REPORT: Final = "evaluation_report"
"""Metrics with intervals; each user's own, the rank of every test item, the lists, the segments."""
FAISS_INDEX: Final = "faiss_index"
"""All that a server answers from: vectors, history, fold-in, titles, item facts."""

REFITTED_MODEL: Final = "refitted_model"
"""A model that was trained on all interactions with the settings of a measured one."""
LEADERBOARD: Final = "leaderboard"
"""The newest reports of equal fingerprint, ranked on validation."""
RELEASE_DECISION: Final = "release_decision"
"""A decision on what is served, with its evidence."""
NOTE: Final = "pinned_note"
"""A person's note on a report or a release decision."""
KEPT_VIEWS: Final = "kept_views"
"""The dashboard's named views, all of them in each version."""

BUSINESS_RULES: Final = "business_rules"
"""Documents of rules for lists, each with who published it, when and why."""
RULES_PRICE: Final = "rules_price"
"""Effect of each rule of a document on a model's lists, on validation, alone and with the others."""

LEAK_CANARIES: Final = "leak_canaries"
"""Findings of the leak canaries: a model with planted leaks and on shuffled preferences."""
COMPARISON: Final = "comparison"
"""Paired tests of several models on the same users."""
BACKTEST: Final = "backtest"
"""Metrics of a model by window of time."""
STRONG_GENERALIZATION: Final = "strong_generalization"
"""Quality for people whom a model was not trained on, by the number of their movies."""
ELICITATION: Final = "elicitation"
"""The movies to ask a new user about."""
RERANKING_TRADEOFF: Final = "reranking_tradeoff"
"""The re-ranking trade-off: accuracy and the dial's own measure by the setting of each taste dial."""
COLD_ITEMS: Final = "cold_items"
"""Places of movies that no model knows, and what showing a share of them costs."""
OFF_POLICY: Final = "off_policy_estimate"
"""Estimates of what a model's lists would have earned, from lists that were shown."""
SWEEP: Final = "sweep"
"""The trials of a search over settings, ranked by validation."""

DATA: Final = (RAW_RATINGS, RAW_MOVIES, INTERACTIONS, SPLITS, INTERACTION_GRAPH)
"""Kinds that follow from the input files and the settings of data alone, in the order in which they are made."""

OF_A_DATA_SET: Final = (*DATA, LEADERBOARD, RELEASE_DECISION, NOTE, BUSINESS_RULES, COMPARISON, SWEEP)
"""Kinds with one slot for a data set; the others have one for each model and device."""

RECORDS: Final = (RELEASE_DECISION, NOTE, BUSINESS_RULES)
"""Kinds of which no version is ever pruned."""

OF_PEOPLE: Final = (*RECORDS, KEPT_VIEWS)
"""Kinds of what people decided, wrote or kept, which no step makes again."""
