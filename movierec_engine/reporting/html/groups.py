"""Groups of comparable reports: those of one fingerprint, and so of one protocol."""

from dataclasses import dataclass

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.protocols import FULL
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
from movierec_engine.pipeline.reports import Measured, labels
from movierec_engine.store import ArtifactStore, Slot, kinds


@dataclass(frozen=True)
class ComparableReports:
    """Reports with the same fingerprint, by label: one of every model and device."""

    reports: dict[str, Measured]
    current: bool
    """Whether models are ranked by any of them: it is what LATEST names."""

    @property
    def any(self) -> EvaluationReport:
        """One of the reports, for what all have in common."""
        return next(iter(self.reports.values())).report

    @property
    def sampled(self) -> bool:
        return self.any.protocol != FULL

    @property
    def newest(self) -> str:
        """The newest report's version."""
        return max(one.artifact.version for one in self.reports.values())


def find_groups(store: ArtifactStore, data_set: str) -> tuple[list[ComparableReports], list[str]]:
    """Every group of a data set, those that models are ranked by first, then the newest; and what was left out.

    Of each model, device and fingerprint the report that LATEST names, or else the newest that can be read.
    """
    chosen: dict[str, list[tuple[Measured, bool]]] = {}
    notes: list[str] = []
    for slot in store.slots(kinds.EVALUATION_REPORT, data_set):
        found, damaged = _readable(store, slot)
        latest = _latest(store, slot)
        for one in found:
            chosen.setdefault(one.report.fingerprint, []).append((one, one.artifact.version == latest))
        if damaged:
            more = f" ({len(damaged)} versions of {slot} were left out)" if len(damaged) > 1 else " (left out)"
            notes.append(f"{damaged[0]}{more}.")
    groups = []
    for members in chosen.values():
        reports = [one for one, _ in members]
        current = any(is_latest for _, is_latest in members)
        groups.append(ComparableReports(dict(zip(labels(reports), reports, strict=True)), current))
    return sorted(groups, key=lambda group: (group.current, group.newest), reverse=True), notes


def within(store: ArtifactStore, error: Exception) -> str:
    """An error's sentence with paths as they are within the store."""
    return str(error).replace(f"{store.root}/", "").rstrip(".")


def _readable(store: ArtifactStore, slot: Slot) -> tuple[list[Measured], list[str]]:
    """One report of each fingerprint in a slot, and what is wrong with those that it was chosen before."""
    folder = store.latest_file(slot).parent
    versions = sorted((path.name for path in folder.iterdir() if path.is_dir()), reverse=True)
    latest = _latest(store, slot)
    found: dict[str, Measured] = {}
    damaged = []
    for version in sorted(versions, key=lambda version: version != latest):
        try:
            artifact = store.get(slot, version)
            if artifact.fingerprint not in found:
                report = EvaluationReport.load(artifact.verify(REPORT_FILE).folder)
                found[artifact.fingerprint] = Measured(artifact, report)
        except StoreError as error:
            damaged.append(within(store, error))
    return list(found.values()), damaged


def _latest(store: ArtifactStore, slot: Slot) -> str:
    try:
        return store.latest_file(slot).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
