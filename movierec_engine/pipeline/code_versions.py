"""Code versions: numbers that are raised where changed code makes something else of the same inputs and settings.

Dagster marks what an older number made as stale, and all that follows from it. They are raised by hand, and not a hash
of the source, so that a refactoring trains nothing again. tests/pipeline/test_code_versions.py notices a data step that
makes something else by the same number.
"""

from typing import Final

from movierec_engine.data.split import SPLIT_VERSION
from movierec_engine.evaluation.metrics import METRICS_VERSION
from movierec_engine.store import kinds

FIRST: Final = "1"

STEPS: Final = {
    kinds.RAW_RATINGS: FIRST,
    kinds.RAW_MOVIES: FIRST,
    kinds.INTERACTIONS: FIRST,
    kinds.SPLITS: f"{SPLIT_VERSION}, metrics {METRICS_VERSION}",  # both are in the fingerprint, which begins here
    kinds.INTERACTION_GRAPH: FIRST,
    kinds.TRAINED_MODEL: FIRST,  # the training loop, the losses and the samplers, which models share
    kinds.EVALUATION_REPORT: f"{METRICS_VERSION}",
    kinds.FAISS_INDEX: "3",  # with the scale of the ratings
    kinds.LEADERBOARD: FIRST,
}
"""The code version of each kind whose content its code decides."""

MODELS: Final[dict[str, int]] = {
    "als": 4,
    "ease": 3,
    "gf_cf": 3,
    "gmf": 3,
    "hybrid_ensemble": 3,
    "item_cf": 5,
    "lightgcn": 5,
    "markov": 3,
    "mlp": 5,
    "ncf": 6,
    "ngcf": 6,
    "recvae": 2,
    "sasrec": 4,
    "svd": 4,
}
"""Model -> the number of its own code, from 2 on. Dagster has one code version for all partitions of an asset, so that
any of them marks every trained model; the version in the UI names the model that it is about."""


def code_version(kind: str) -> str | None:
    """The code version of a kind, as Dagster shows it; None for a kind that has none."""
    if kind == kinds.TRAINED_MODEL:
        return ", ".join([STEPS[kind], *(f"{name} {number}" for name, number in sorted(MODELS.items()))])
    return STEPS.get(kind)


def in_key(kind: str) -> tuple[str, ...]:
    """The code version as part of a step's content key; empty for the first version, so that older keys stay valid."""
    return () if STEPS[kind] == FIRST else (STEPS[kind],)
