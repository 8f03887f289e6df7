"""The reports in the store, found by the names that people give them, and aligned so that they may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.ratings import Movies
from movierec_engine.data.split import split_label
from movierec_engine.errors import ConfigError, MovierecError, StoreError
from movierec_engine.evaluation.metrics import judges, judging_metrics
from movierec_engine.evaluation.protocols import Protocol, described
from movierec_engine.evaluation.rankings import Rankings
from movierec_engine.evaluation.report import USERS_FILE, VALIDATION_USERS_FILE, EvaluationReport, load_rankings
from movierec_engine.pipeline.data import load_split
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, kinds

PARTS = ("test", "validation")


@dataclass(frozen=True)
class Measured:
    """A report with the artifact that it is in."""

    artifact: Artifact
    report: EvaluationReport


def newest_reports(store: ArtifactStore, data_set: str) -> list[Measured]:
    """One readable report of every model, device and fingerprint of a data set, newest first.

    It is the one that LATEST names, else the newest.
    """
    found: dict[tuple[str, ...], Measured] = {}
    for slot in store.slots(kinds.EVALUATION_REPORT, data_set):
        latest = latest_name(store, slot)
        for artifact in sorted(
            store.versions(slot), key=lambda one: (one.version == latest, one.version), reverse=True
        ):
            if (key := (slot.model, slot.device, artifact.fingerprint)) not in found:
                try:
                    found[key] = Measured(artifact, EvaluationReport.load(artifact.folder))
                except StoreError:
                    continue
    return sorted(found.values(), key=lambda measured: measured.artifact.version, reverse=True)


def latest_name(store: ArtifactStore, slot: Slot) -> str:
    """The version that LATEST names, or "" where it cannot be read."""
    try:
        return store.storage.latest(slot) or ""
    except OSError:
        return ""


def champion_setups(store: ArtifactStore, data_set: str) -> set[str]:
    """Fingerprints of the evaluation set-ups in which the served model was measured; none while nothing is served."""
    try:
        index = store.pointed(SERVING, data_set)
    except StoreError:
        return set()
    trained = index.parents.get(kinds.TRAINED_MODEL, "") if index else ""
    slots = store.slots(kinds.EVALUATION_REPORT, data_set, index.slot.model if index else "")
    return {
        report.fingerprint
        for slot in (slots if trained else ())
        for report in store.versions(slot)
        if report.parents.get(kinds.TRAINED_MODEL) == trained
    }


def find_report(store: ArtifactStore, data_set: str, name: str, protocol: Protocol | None = None) -> Measured:
    """The report of a data set by its name: `ease` and `ease/cpu` the newest one, `ease/cpu/VERSION` just that one.

    VERSION is the report's or its trained model's, or the beginning of either. protocol: by default the report that
    models are ranked by; else the newest by that protocol.

    Raises StoreError when there is none, with what to do.
    """
    model, device, version = [*name.strip("/").split("/"), "", ""][:3]
    slots = list(store.slots(kinds.EVALUATION_REPORT, data_set, model, device))
    candidates = [artifact for slot in slots for artifact in _versions(store, slot, version, protocol)]
    if not candidates:
        by = f" by protocol {protocol.name}" if protocol else ""
        option = f" --protocol {_option(protocol)}" if protocol else ""
        command = f"movierec evaluate --model {model}{option}" if slots else f"movierec train model={model}"
        raise StoreError(f"there is no report of {name}{by} on {data_set} in {store.location}; `{command}` makes one")
    artifact = max(candidates, key=lambda candidate: candidate.version)
    return Measured(artifact, EvaluationReport.load(artifact.folder))


def labels(measured: Sequence[Measured]) -> list[str]:
    """A short name for each report: its model, with device and version only where others have the same."""
    names = [one.report.model for one in measured]
    for longer in ("{0.model}/{0.device}", "{0.model}/{0.device}/{0.model_version}", ""):
        repeated = {name for name in names if names.count(name) > 1}
        names = [
            (longer.format(one.report) or one.artifact.reference) if name in repeated else name
            for name, one in zip(names, measured, strict=True)
        ]
    return names


def comparable(measured: Sequence[Measured]) -> None:
    """Raises MovierecError when reports may not be compared: their fingerprints differ."""
    first = measured[0].report
    for other in (one.report for one in measured[1:]):
        if other.fingerprint != first.fingerprint:
            raise MovierecError(
                f"{_with_setup(first)} and {_with_setup(other)} were measured on different data, splits or protocols "
                "and are not comparable; train and evaluate both on the same"
            )


def _with_setup(report: EvaluationReport) -> str:
    strategy = split_label(str(report.split.get("strategy", "")))
    return f"{report.model} ({described(report.protocol)}, split {strategy}, fingerprint {report.fingerprint})"


def users_of(
    store: ArtifactStore, measured: Sequence[Measured], metrics: Sequence[str], part: str = "test"
) -> list[dict[str, NDArray[np.float64]]]:
    """For each report its users' values of each metric, float64 [n], for the same users in the same order.

    part: `test`, or `validation` as it was measured after training.
    Raises StoreError for files that cannot be read, MovierecError for reports that may not be compared, and ConfigError
    for a metric by which none is better.
    """
    comparable(measured)
    for metric in metrics:
        if not judges(metric):
            raise ConfigError(
                f"no model is better by {metric}; choose {', '.join(judging_metrics())}, with a depth such as ndcg@10"
            )
    tables = [_users(store, one, part) for one in measured]
    for one, table in zip(measured, tables, strict=True):
        if not table["user_id"].equals(tables[0]["user_id"]):
            raise MovierecError(
                f"{one.artifact.reference} was measured on other users than {measured[0].artifact.reference}"
            )
        if missing := [metric for metric in metrics if metric not in table.column_names]:
            have = [name for name in table.column_names if judges(name)]
            raise MovierecError(
                f"{one.report.model} has no {missing[0]} of every user on {part}; choose from {', '.join(have)}"
            )
    return [{metric: table[metric].to_numpy() for metric in metrics} for table in tables]


def heldout_of(store: ArtifactStore, measured: Measured) -> HeldOut:
    """The held-out part that a report ranked."""
    parents = measured.artifact.parents
    movies = Movies.load(store.resolve(parents[kinds.RAW_MOVIES]).verify().folder)
    heldout = load_split(store.resolve(parents[kinds.SPLITS]).verify()).test_heldout(movies)
    return Protocol.named(measured.report.protocol).of(heldout)


def rankings_of(measured: Measured, heldout: HeldOut) -> Rankings:
    """The rankings behind a report; heldout: `heldout_of` any report with the same fingerprint."""
    return load_rankings(measured.artifact.verify().folder, heldout)


def _versions(store: ArtifactStore, slot: Slot, version: str, protocol: Protocol | None) -> list[Artifact]:
    versions = store.versions(slot)
    if version:
        versions = [
            one
            for one in versions
            if one.version.startswith(version)
            or one.parents.get(kinds.TRAINED_MODEL, "").split("/")[-1].startswith(version)
        ]
    if protocol:
        return [one for one in versions if one.facts.get("protocol") == protocol.name]
    if version:
        return [
            one for one in versions if one.fingerprint == store.resolve(one.parents[kinds.SPLITS]).fingerprint
        ] or versions
    latest = store.latest(slot)
    return [latest] if latest else []


def _users(store: ArtifactStore, measured: Measured, part: str) -> pa.Table:
    artifact, file = measured.artifact, USERS_FILE
    if part == "validation":
        if kinds.TRAINED_MODEL not in artifact.parents:
            raise StoreError(f"{artifact.reference} is of given lists, which are measured on test alone")
        artifact, file = store.resolve(artifact.parents[kinds.TRAINED_MODEL]), VALIDATION_USERS_FILE
        if file not in artifact.files:
            raise StoreError(f"{artifact.reference} has no validation measures of every user; train it again")
    try:
        return pq.read_table(artifact.verify(file).folder / file)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{artifact.folder / file}: cannot be read ({error}); evaluate the model again") from error


def _option(protocol: Protocol) -> str:
    return protocol.kind if not protocol.negatives else f"{protocol.kind}:{protocol.negatives}:{protocol.seed}"
