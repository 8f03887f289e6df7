"""Checks of a refitted version before it answers in the measured one's place; each takes a store and its index."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import OF_ORDER
from movierec_engine.evaluation.blas_threads import one_blas_thread
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.models.registry import load_model
from movierec_engine.models.top_k import highest
from movierec_engine.pipeline.data import load_split
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, ArtifactStore, kinds, measured_index

if TYPE_CHECKING:
    from movierec_engine.retrieval.index import RetrievalIndex

AGREEMENT_USERS = 1000
"""Users whose two lists are compared."""
AGREEMENT_DEPTH = 10
SMALL_SECONDS, SMALL_MB = 60.0, 1024.0
"""Time and memory that a refit may take in any case."""


def refit_is_finite(store: ArtifactStore, faiss_index: Artifact) -> Finding:
    """The refitted model's files match their checksums, and every number in them is finite."""
    model = load_model(store.resolve(faiss_index.parents[kinds.REFITTED_MODEL]).verify().folder)
    values = {name: array for name, array in model.arrays().items() if np.issubdtype(array.dtype, np.floating)}
    wrong = [name for name, array in values.items() if not np.isfinite(array).all()]
    return Finding(
        "refit_is_finite",
        not wrong,
        f"{', '.join(wrong) or 'none'} of its {len(values)} arrays has a number that is not finite",
        {"arrays": len(values), "not_finite": len(wrong)},
    )


def refit_agrees(
    store: ArtifactStore, faiss_index: Artifact, min_agreement: float = ReleaseConfig.min_agreement
) -> Finding:
    """The refitted and the measured version have at least `release.min_agreement` of a user's ten best in common.

    The mean over up to 1,000 users drawn at random, whom the measured version knows, is taken. Neither list has any of
    the split's interactions: those of test are new to the one and trained on by the other. By a model of order both
    are answered from the whole history, as its newest items decide, which the measured version knows nothing of.
    Whoever was erased since the split is not in the refitted version, and is left out.
    """
    from movierec_engine.retrieval.index import RetrievalIndex
    from movierec_engine.retrieval.masks import evaluation_mask

    measured = store.resolve(measured_index(faiss_index))
    everything = load_split(store.resolve(measured.parents[kinds.SPLITS]).verify()).everything()
    mask = evaluation_mask(everything.matrix())
    indices = [RetrievalIndex.load(one.verify().folder) for one in (measured, faiss_index)]
    in_refit = indices[1].users.index(indices[0].users.ids)
    users = np.random.default_rng(0).permutation(np.flatnonzero(indices[0].personal & (in_refit >= 0)))
    users = users[:AGREEMENT_USERS]
    values = indices[0].fold_in_scorer.history_values
    histories = everything.history(values) if values in OF_ORDER else None
    with one_blas_thread():
        shares = [
            _in_common(
                *(
                    _best(index, place, mask(user), None if histories is None else histories[[user]])
                    for index, place in zip(indices, (user, int(in_refit[user])), strict=True)
                )
            )
            for user in users.tolist()
        ]
    agreement = float(np.mean(shares)) if shares else 1.0
    return Finding(
        "refit_agrees",
        agreement >= min_agreement,
        f"{numbers.score(agreement, 3)} of the {AGREEMENT_DEPTH} best are the measured version's too, over "
        f"{numbers.counted(len(users), 'user')}; release.min_agreement={min_agreement}",
        {"agreement": agreement, "users": len(users)},
    )


def refit_costs_alike(
    store: ArtifactStore, faiss_index: Artifact, max_refit_cost: float = ReleaseConfig.max_refit_cost
) -> Finding:
    """Refitting took at most `release.max_refit_cost` times what the measured training did, in time and in memory.

    Up to a minute and up to 1 GB nothing is held against it. Memory is the most that the process has had.
    """
    refitted, measured = (
        store.resolve(faiss_index.parents[kind]).facts for kind in (kinds.REFITTED_MODEL, kinds.TRAINED_MODEL)
    )
    seconds, memory = (
        (refitted[name], measured[name], max(small, max_refit_cost * measured[name]))
        for name, small in (("seconds", SMALL_SECONDS), ("peak_memory_mb", SMALL_MB))
    )
    return Finding(
        "refit_costs_alike",
        seconds[0] <= seconds[2] and memory[0] <= memory[2],
        f"{numbers.duration(seconds[0])} and {numbers.memory(memory[0])}; the measured training took "
        f"{numbers.duration(seconds[1])} and {numbers.memory(memory[1])}; release.max_refit_cost={max_refit_cost:g}",
        {
            "seconds": seconds[0],
            "measured_seconds": seconds[1],
            "memory_mb": memory[0],
            "measured_memory_mb": memory[1],
        },
    )


def _best(
    index: "RetrievalIndex", user: int, masked: NDArray[np.integer[Any]], history: sparse.csr_matrix | None
) -> NDArray[np.int64]:
    """A user's ten best items beside the masked ones, int64 [<=10]; folded in where there is a history [1, n_items]."""
    if history is None:
        return index.recommend(user, AGREEMENT_DEPTH, masked)[0]
    scores = index.fold_in_scorer.scores(history)[0]
    scores[masked] = -np.inf
    return highest(scores, AGREEMENT_DEPTH)


def _in_common(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Share of the longer list that both have; 1 where both are empty."""
    longest = max(len(a), len(b))
    return len(np.intersect1d(a, b)) / longest if longest else 1.0
