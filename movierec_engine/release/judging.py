"""Champion and challenger: whether the leaderboard's best model takes the place of the one that is served.

The rule, on validation, never on test, by `evaluation/gate.py`:

1. Only an index that is there, matches its checksums, loads, has a measured recall of `release.min_recall`, answers
   with the lists that were evaluated (where its search is exact) and with nothing that its user has rated, and whose
   model passed the newest leak canaries it was put to may be served. Else the challenger is refused. It is looked at
   anew each time, whatever a run's checks said.
2. A pinned champion stays. So does any champion when the challenger was rolled back from, or when its data have fallen
   against the champion's (`release.min_volume`, `release.min_overlap`): a person has to promote it.
3. The challenger must be at least as good as each baseline of `release.above` that was measured on the same data.
4. It must be at least as good as the champion, on the same users. Where the data has changed since (the fingerprints
   differ), the champion's numbers are of other users and say nothing, so its successor stands in for it: the newest
   model of its kind on its device that was measured on the challenger's data, of the same model settings if there is
   one. If the challenger is that successor, or there is none, the baselines decide; and if not one of those was
   measured there either, the champion stays, as there is nothing to compare with.
5. What is promoted is refitted on all interactions before it is served (`refit.py`), unless `release.refit=false`. The
   refitted version has checks of its own (`refit_checks.py`); where one fails, the challenger is refused.
6. Without a champion, or with one that is damaged, 1 to 3 decide. A newer index of the champion's own model needs 1
   and 5 alone.

A leader is chosen by the same validation users by whom it is then compared, which favours it a little; the test part
stays out of it, so that what is reported on test is never what was chosen by.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.evaluation.gate import ReleaseConfig, weigh
from movierec_engine.evaluation.metrics import less_is_better
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.pipeline import model_checks
from movierec_engine.pipeline.data_drift import raw_ratings_behind
from movierec_engine.pipeline.data_fall import data_fall
from movierec_engine.pipeline.members import TRIAL_OF
from movierec_engine.pipeline.reports import Measured, users_of
from movierec_engine.release.checks import ReleaseCheck, checks_of, damage_of
from movierec_engine.release.decisions import (
    KEPT,
    PROMOTED,
    REFUSED,
    UNCHANGED,
    Decision,
    key_of,
    pin_of,
    pinned_since,
    rolled_back_from,
    served_reference,
)
from movierec_engine.store import (
    SERVING,
    Artifact,
    ArtifactStore,
    Slot,
    is_refitted,
    kinds,
    measured_index,
    parse_reference,
)
from movierec_engine.store.objects import AwayError

CHAMPION, SUCCESSOR, BASELINE = "champion", "champion's successor", "baseline"


@dataclass(frozen=True)
class Champion:
    """The champion of a data set: its index and model; without them, the reason why they cannot be told or used."""

    data_set: str
    reference: str = ""
    index: Artifact | None = None
    model: Artifact | None = None
    damage: str = ""

    @property
    def name(self) -> str:
        return named(self.reference)


def judge(
    store: ArtifactStore, leaderboard: Artifact, config: ReleaseConfig, challenger: Artifact | None = None
) -> tuple[Decision, Artifact | None]:
    """The gate's decision on a measured version, and its index; nothing is recorded, refitted or served."""
    metric, data_set = config.metric or leaderboard.facts["metric"], leaderboard.slot.data_set
    model = challenger or store.resolve(leaderboard.facts["rows"][0][kinds.TRAINED_MODEL])
    if model.slot.data_set != data_set:
        raise StoreError(f"{model.reference} is of another data set than {leaderboard.reference}; rank its own")
    champion = champion_of(store, data_set)
    index = newest_index(store, model)
    if index and champion.index and not champion.damage and answers_for(champion.index, index, config):
        return _unchanged(champion, model), index
    checks = checks_of(store, model, index, config)
    evidence: dict[str, Any] = {
        "metric": metric,
        "part": "validation",
        "fingerprint": model.fingerprint,
        "champion_fingerprint": champion.model.fingerprint if champion.model else "",
        "champion_damage": champion.damage,
        "tolerance": config.tolerance,
        "leaderboard": leaderboard.reference,
        "checks": [asdict(check) for check in checks],
    }
    verdict, sentence = _judge(store, model, champion, checks, config, metric, evidence)
    decision = Decision(
        data_set=data_set,
        verdict=verdict,
        sentence=sentence,
        by="gate",
        champion=champion.reference,
        served=index.reference if index and verdict == PROMOTED else champion.reference,
        challenger=index.reference if index else "",
        champion_model=champion.model.reference if champion.model else "",
        challenger_model=model.reference,
        evidence=evidence,
    )
    return decision, index


def answers_for(answering: Artifact, index: Artifact, config: ReleaseConfig) -> bool:
    """True if the served index is a measured one in the form that is asked for: refitted, or as it was measured."""
    return measured_index(answering) == index.reference and is_refitted(answering) == config.refit


def champion_of(store: ArtifactStore, data_set: str) -> Champion:
    """The champion that a data set's pointer names, and whether a server that starts now could still answer from it.

    Raises AwayError while the store does not answer, which is no damage.
    """
    try:
        index = store.pointed(SERVING, data_set)
    except AwayError:
        raise
    except StoreError as error:
        return Champion(data_set, served_reference(store, data_set), damage=str(error))
    if index is None:
        return Champion(data_set)
    damage = damage_of(index)
    model = None
    try:
        model = store.resolve(index.parents[kinds.TRAINED_MODEL])
    except AwayError:
        raise
    except (StoreError, KeyError) as error:
        damage = damage or str(error)
    return Champion(data_set, index.reference, index, model, damage)


def newest_index(store: ArtifactStore, model: Artifact) -> Artifact | None:
    """The newest measured index of just this trained model."""
    for index in reversed(store.versions(model.slot.beside(kinds.FAISS_INDEX))):
        if index.parents.get(kinds.TRAINED_MODEL) == model.reference and not is_refitted(index):
            return index
    return None


def weighed_into(
    evidence: dict[str, Any],
    store: ArtifactStore,
    model: Artifact,
    champion: Champion,
    config: ReleaseConfig,
    metric: str,
) -> list[dict[str, Any]]:
    """The comparisons, which also go into the evidence, with the baselines that are missing and the tuning budgets."""
    compared = list(comparisons_of(store, model, champion, config, metric))
    there = {model.slot.model, *(row["model"] for row in compared)}
    trials = tuning_trials(store, model.slot.data_set)
    evidence["comparisons"] = compared
    evidence["baselines_missing"] = [name for name in config.above if name not in there]
    evidence["tuning_trials"] = {name: trials[name] for name in sorted(there)}
    return compared


def comparisons_of(
    store: ArtifactStore, model: Artifact, champion: Champion, config: ReleaseConfig, metric: str
) -> Iterator[dict[str, Any]]:
    """The challenger weighed against champion or successor, and against each baseline that was measured, as rows.

    A pair that cannot be compared, because a file is damaged or a metric was not measured, has not passed.
    """
    for role, other in _others(store, model, champion, config):
        row = {
            "name": named(other.reference) if role == BASELINE else f"{role} {named(other.reference)}",
            "role": role,
            "model": other.slot.model,
            "device": other.slot.device,
            kinds.TRAINED_MODEL: other.reference,
        }
        try:
            measured = [report_of(store, one) for one in (model, other)]
            a, b = (values[metric] for values in users_of(store, measured, [metric], "validation"))
            yield {
                **row,
                "report": measured[1].artifact.reference,
                **weigh(a, b, config.tolerance, less_is_better(metric)).plain(),
            }
        except MovierecError as error:
            yield {**row, "passed": False, "sentence": f"cannot be compared ({error})"}


def report_of(store: ArtifactStore, model: Artifact) -> Measured:
    """The newest report of just this trained model by its split's own protocol. Raises StoreError without one."""
    made = model_checks.report_of(store, model)
    if made is None:
        raise StoreError(f"{model.reference} has no report; `movierec evaluate --model {model.slot.model}` makes one")
    return Measured(made, EvaluationReport.load(made.folder))


def tuning_trials(store: ArtifactStore, data_set: str) -> Counter[str]:
    """Number of trials of a data set's sweeps by model; a model that is not there has its defaults.

    Comparisons are fair where the numbers are alike: baselines get the same tuning budget.
    """
    spent: Counter[str] = Counter()
    for sweep in store.versions(Slot(kinds.SWEEP, data_set)):
        try:
            spent.update(pq.read_table(sweep.folder / "trials.parquet", columns=["model"])["model"].to_pylist())
        except (OSError, pa.ArrowException):  # damaged; the others still count
            continue
    for slot in store.slots(kinds.EVALUATION_REPORT, data_set):
        spent[slot.model] += sum("wandb_sweep_id" in report.origin for report in store.versions(slot))
    return spent


def named(reference: str) -> str:
    """A version for people: `ease on cpu`."""
    try:
        slot, _ = parse_reference(reference)
    except StoreError:
        return reference
    return f"{slot.model} on {slot.device}" if slot.model else reference


def _judge(
    store: ArtifactStore,
    model: Artifact,
    champion: Champion,
    checks: list[ReleaseCheck],
    config: ReleaseConfig,
    metric: str,
    evidence: dict[str, Any],
) -> tuple[str, str]:
    """Verdict and sentence; what was compared goes into the evidence."""
    challenger = named(model.reference)
    stays = f"{champion.name} stays" if champion.reference else "nothing is promoted"
    if failed := next((check for check in checks if not check.passed), None):
        return REFUSED, f"{stays}: {challenger} failed {failed.name}: {failed.sentence}"
    if why := _held(store, model, champion, config):
        return KEPT, f"{stays}: {why}"
    if champion.model == model:
        return PROMOTED, f"{challenger} is served from another index of the same model"
    compared = weighed_into(evidence, store, model, champion, config, metric)
    if why := _outweighed(model, champion, config, metric, evidence):
        return KEPT, f"{stays}: {why}"
    reasons = [_occasion(champion, model, compared)]
    reasons += [f"next to {row['name']} its validation {metric} {row['sentence']}" for row in compared]
    if missing := evidence["baselines_missing"]:
        reasons.append(f"{', '.join(missing)} not measured on this data")
    return PROMOTED, f"{challenger} is promoted: {'; '.join(reason for reason in reasons if reason)}"


def fall_of(store: ArtifactStore, model: Artifact, champion: Champion, config: ReleaseConfig) -> str:
    """Fall of a model's data against the champion's, in words; "" within the limits, or if either are gone."""
    if champion.model is None or champion.damage:
        return ""
    then, now = (raw_ratings_behind(store, one) for one in (champion.model, model))
    return data_fall(then, now, config) if then and now else ""


def _held(store: ArtifactStore, model: Artifact, champion: Champion, config: ReleaseConfig) -> str:
    """The reason why the champion stays whatever the challenger is worth, or ""."""
    pin = pin_of(store, model.slot.data_set)
    if pin and not champion.damage:
        return f"it is {pinned_since(pin)}; unpin it first"
    if champion.model != model and key_of(model.reference) in rolled_back_from(store, model.slot.data_set):
        return f"{named(model.reference)} was rolled back from, so that only a person can promote it again"
    if fall := fall_of(store, model, champion, config):
        return (
            f"the challenger's data have fallen against the champion's: {fall}; see whether they are whole; "
            f"`movierec models promote {model.slot.model}` serves it all the same"
        )
    return ""


def _outweighed(
    model: Artifact, champion: Champion, config: ReleaseConfig, metric: str, evidence: dict[str, Any]
) -> str:
    """The reason why the challenger is not at least as good as those that it has to match, or ""."""
    compared, missing, before = evidence["comparisons"], evidence["baselines_missing"], champion.model
    if missing and config.require_above:
        return f"{missing[0]} was not measured on the challenger's data, and release.require_above is set"
    if lost := next((row for row in compared if not row["passed"]), None):
        return f"the validation {metric} of {named(model.reference)}, next to {lost['name']}, {lost['sentence']}"
    if before and not champion.damage and not compared and before.slot != model.slot:
        return (
            f"the data has changed since, and neither {before.slot.model} nor a baseline was measured on it; "
            "train one of them on it first"
        )
    return ""


def _occasion(champion: Champion, model: Artifact, compared: list[dict[str, Any]]) -> str:
    """The part of the reason that is no comparison."""
    before = champion.model
    if champion.damage:
        return f"what was served cannot be used ({champion.damage})"
    if before is None:
        return "nothing was served"
    if before.fingerprint == model.fingerprint:
        return ""
    if before.slot == model.slot:
        return "it is the champion's model, trained on newer data"
    if any(row["role"] == SUCCESSOR for row in compared):
        return "the data has changed, and the champion's model was trained again on it"
    return f"the data has changed, and {champion.name} was not trained again on it"


def _others(
    store: ArtifactStore, model: Artifact, champion: Champion, config: ReleaseConfig
) -> Iterator[tuple[str, Artifact]]:
    """Role and trained model of everything that the challenger is weighed against, each model once."""
    seen = {model.reference}
    if champion.model and not champion.damage:
        if champion.model.fingerprint == model.fingerprint:
            stands_in, role = [champion.model], CHAMPION
        else:
            stands_in, role = _successors(store, champion.model, model.fingerprint)[:1], SUCCESSOR
        for other in stands_in:
            if other.reference not in seen:
                seen.add(other.reference)
                yield role, other
    for name in config.above:
        if name == model.slot.model:
            continue
        reports = (
            report
            for slot in store.slots(kinds.EVALUATION_REPORT, model.slot.data_set, name)
            for report in store.versions(slot)
            if report.fingerprint == model.fingerprint and TRIAL_OF not in report.origin
        )
        newest = max(reports, key=lambda report: report.version, default=None)
        if newest and newest.parents[kinds.TRAINED_MODEL] not in seen:
            seen.add(newest.parents[kinds.TRAINED_MODEL])
            yield BASELINE, store.resolve(newest.parents[kinds.TRAINED_MODEL])


def _successors(store: ArtifactStore, champion: Artifact, fingerprint: str) -> list[Artifact]:
    """Models of the champion's kind that were measured on other data; of its own settings first, then the newest."""
    measured = {
        report.parents[kinds.TRAINED_MODEL]
        for report in store.versions(champion.slot.beside(kinds.EVALUATION_REPORT))
        if report.fingerprint == fingerprint
    }
    versions = (one for one in store.versions(champion.slot) if TRIAL_OF not in one.origin)
    found = [one for one in versions if one.reference in measured]
    wanted = champion.config.get("model")
    return sorted(found, key=lambda one: (one.config.get("model") == wanted, one.version), reverse=True)


def _unchanged(champion: Champion, model: Artifact) -> Decision:
    return Decision(
        data_set=model.slot.data_set,
        verdict=UNCHANGED,
        sentence=f"{champion.name} is served already",
        by="gate",
        champion=champion.reference,
        served=champion.reference,
        challenger=champion.reference,
        champion_model=model.reference,
        challenger_model=model.reference,
    )
