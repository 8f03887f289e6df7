"""Releases by the gate: what it decides is refitted, checked, recorded and served. Its rules: `judging.py`."""

import logging
from dataclasses import asdict, replace

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline.data import Origin
from movierec_engine.release.checks import ReleaseCheck, checks_of
from movierec_engine.release.decisions import (
    KEPT,
    PROMOTED,
    REFUSED,
    UNCHANGED,
    Decision,
    carry_out,
    record,
    rolled_back_indices,
)
from movierec_engine.release.judging import judge, named, newest_index
from movierec_engine.release.refit import find_refitted_index, refit_index
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

log = logging.getLogger(__name__)


def decide_release(
    store: ArtifactStore,
    leaderboard: Artifact,
    config: ReleaseConfig | None = None,
    challenger: Artifact | None = None,
    origin: Origin | None = None,
) -> Decision:
    """Put a challenger to the gate and serve it if it holds; the decision is recorded with its evidence.

    challenger: a trained model; by default the leaderboard's best. Nothing is recorded when it is served already.
    """
    config = config or ReleaseConfig()
    failure = ""
    while True:
        with store.deciding(leaderboard.slot.data_set):  # let go of while refitting: people may decide meanwhile
            decision, index = judge(store, leaderboard, config, challenger)
            if index is None or decision.verdict != PROMOTED:
                return _concluded(store, decision, origin)
            answers = find_refitted_index(store, index) if config.refit else index
            if answers or failure:
                if config.refit:
                    decision = _refitted(store, decision, answers, config, failure)
                decision = _concluded(store, decision, origin)
                if answers and decision.verdict == PROMOTED:
                    _serve(store, decision, answers, leaderboard)
                return decision
        try:
            refit_index(store, index, origin)
        except MovierecError as error:
            failure = str(error)


def refit_best(
    store: ArtifactStore, leaderboard: Artifact, config: ReleaseConfig | None = None, origin: Origin | None = None
) -> tuple[Decision, Artifact | None]:
    """Refit and index the leaderboard's best where the gate would serve it, so that deciding finds it made.

    Returns what the gate would decide of the measured version, not recorded, and the refitted index, if one is wanted.
    Where refitting fails, what is served stays: that decision is recorded, and the error goes on.
    """
    config = config or ReleaseConfig()
    with store.deciding(leaderboard.slot.data_set):
        decision, index = judge(store, leaderboard, config)
    if index is None or not config.refit or decision.verdict != PROMOTED:
        return decision, None
    try:
        return decision, refit_index(store, index, origin)
    except Exception as error:
        with store.deciding(leaderboard.slot.data_set):
            decision, index = judge(store, leaderboard, config)  # anew: people may have decided meanwhile
            if decision.verdict == PROMOTED:
                _concluded(store, _refitted(store, decision, None, config, str(error) or type(error).__name__), origin)
        raise


def best_refitted(store: ArtifactStore, data_set: str) -> Artifact | None:
    """The refitted index of the best of a data set's newest leaderboard, if there is one."""
    leaderboard = store.latest(Slot(kinds.LEADERBOARD, data_set))
    if leaderboard is None:
        return None
    index = newest_index(store, store.resolve(leaderboard.facts["rows"][0][kinds.TRAINED_MODEL]))
    return find_refitted_index(store, index) if index else None


def _refitted(
    store: ArtifactStore, decision: Decision, answers: Artifact | None, config: ReleaseConfig, failure: str
) -> Decision:
    """A promotion with the refitted index that is to answer, whose checks go into the evidence; refused by any of them.

    answers: None, with the failure, where refitting failed.
    """
    model = store.resolve(decision.challenger_model)
    checks = checks_of(store, model, answers, config) if answers else [ReleaseCheck("refit", False, failure)]
    served = answers.reference if answers else ""
    evidence = {**decision.evidence, "refit_checks": [asdict(check) for check in checks]}
    challenger, stays = named(model.reference), f"{named(decision.champion)} stays" if decision.champion else ""
    kept = replace(decision, served=decision.champion, evidence=evidence)
    if failed := next((check for check in checks if not check.passed), None):
        why = f"{challenger}, refitted on all interactions, failed {failed.name}: {failed.sentence}"
        return replace(kept, verdict=REFUSED, sentence=f"{stays or 'nothing is promoted'}: {why}")
    if served in rolled_back_indices(store, decision.data_set):
        why = f"{challenger}, refitted, was rolled back from, so that only a person can promote it again"
        return replace(kept, verdict=KEPT, sentence=f"{stays}: {why}")
    sentence = f"{decision.sentence}; it is served refitted on all interactions"
    return replace(decision, sentence=sentence, served=served, evidence=evidence)


def _concluded(store: ArtifactStore, decision: Decision, origin: Origin | None) -> Decision:
    """A decision as it is recorded; what is served already is not."""
    if decision.verdict == UNCHANGED:
        return decision
    decision = record(store, decision, origin)
    log.info("%s", decision.sentence)
    return decision


def _serve(store: ArtifactStore, decision: Decision, answers: Artifact, leaderboard: Artifact) -> None:
    rows = [row for row in leaderboard.facts["rows"] if row[kinds.TRAINED_MODEL] == decision.challenger_model]
    carry_out(store, decision, answers, {"leaderboard": leaderboard.reference, **(rows[0] if rows else {})})
