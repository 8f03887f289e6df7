"""A group's models in order of one metric, and what comparing their users says."""

from dataclasses import dataclass

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.comparison import Verdict, compare_all_pairs
from movierec_engine.evaluation.metrics import Reported, hit_metrics, less_is_better, metric_title
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.pipeline.reports import Measured, users_of
from movierec_engine.reporting import conclusions
from movierec_engine.reporting.comparable import ComparableReports, within
from movierec_engine.reporting.conclusions import Outcome
from movierec_engine.reporting.html.charts import AMONG, BASELINE, BEHIND, BEST
from movierec_engine.store import Artifact, ArtifactStore, kinds


@dataclass(frozen=True)
class Ranking:
    """Reports by label, the best mean on test first; at least one, and all have the metric."""

    store: ArtifactStore
    group: ComparableReports
    metric: str
    reports: dict[str, Measured]
    verdicts: tuple[Verdict, ...]
    """Verdicts on all pairs of models whose users can be compared, Holm-corrected together."""
    promoted: Artifact | None
    """The index that is served, None while none is."""
    notes: tuple[str, ...]
    """Sentences on reports that could not be compared."""

    @property
    def title(self) -> str:
        return metric_title(self.metric)

    @property
    def names(self) -> list[str]:
        return list(self.reports)

    @property
    def leader(self) -> str:
        return self.names[0]

    @property
    def depth(self) -> int:
        """The metric's depth, or for one over all ranks 10, or the greatest that was measured."""
        if depth := Reported.read(self.metric).depth:
            return depth
        depths = {depth for name in self.report(self.leader).metrics if (depth := Reported.read(name).depth)}
        return 10 if 10 in depths or not depths else max(depths)

    @property
    def by_segment(self) -> str:
        """The metric by which segments are shown: the ranking's own where segments have it."""
        return self.metric if Reported.read(self.metric).name in hit_metrics() else f"ndcg@{self.depth}"

    def report(self, name: str) -> EvaluationReport:
        return self.reports[name].report

    def mean(self, name: str) -> float:
        return self.report(name).metrics[self.metric]

    def interval(self, name: str) -> tuple[float, float]:
        """The 95 % interval; the mean itself twice where there is none."""
        low, high = self.report(name).intervals.get(self.metric, (self.mean(name),) * 2)
        return low, high

    def against_leader(self, name: str) -> Verdict | None:
        """The leader against another model, where their users can be compared."""
        return next((one for one in self.verdicts if (one.better, one.worse) == (self.leader, name)), None)

    @property
    def outcome(self) -> Outcome:
        """The ranking's outcome, as every surface words it."""
        return conclusions.outcome(self.metric, {name: self.mean(name) for name in self.names}, self.verdicts)

    @property
    def tied(self) -> list[str]:
        """The other models that are not significantly worse than the leader."""
        return self.outcome.tied

    def role(self, name: str) -> str:
        """A model's role in charts."""
        if name == self.leader:
            return BEST
        if name in self.tied:
            return AMONG
        return BASELINE if self.report(name).model == conclusions.BASELINE else BEHIND

    @property
    def validation(self) -> dict[str, float]:
        """Name -> mean on validation, of the models that were measured there."""
        return {
            name: one.report.validation_metrics[self.metric]
            for name, one in self.reports.items()
            if self.metric in one.report.validation_metrics
        }

    @property
    def chosen(self) -> str:
        """The model that validation picks, or "" where none was measured there."""
        return conclusions.picked(self.outcome, self.validation)

    @property
    def served(self) -> str:
        """The label of the report whose trained model is promoted, or ""."""
        parents = {name: one.artifact.parents.get(kinds.TRAINED_MODEL, "") for name, one in self.reports.items()}
        served = self.promoted.parents.get(kinds.TRAINED_MODEL, "") if self.promoted else ""
        return next((name for name, trained in parents.items() if trained and trained == served), "")


def rank(
    store: ArtifactStore, group: ComparableReports, metric: str, promoted: Artifact | None = None
) -> Ranking | None:
    """The group's models by a metric; None where no report has it. promoted: as in `Ranking`."""
    having = {name: one for name, one in group.reports.items() if metric in one.report.metrics}
    if not having:
        return None
    sign = 1 if less_is_better(metric) else -1
    order = sorted(having, key=lambda name: (sign * having[name].report.metrics[metric], having[name].report.seconds))
    reports = {name: having[name] for name in order}
    notes = [f"{name} has no {metric} and is left out." for name in group.reports if name not in having]
    readable = []
    for name, one in reports.items():
        try:
            users_of(store, [one], [metric])
            readable.append(name)
        except MovierecError as error:
            notes.append(f"{name} is compared with no other model: {within(store, error)}.")
    verdicts: tuple[Verdict, ...] = ()
    if len(readable) > 1:
        try:
            values = users_of(store, [reports[name] for name in readable], [metric])
            verdicts = compare_all_pairs(
                {name: value[metric] for name, value in zip(readable, values, strict=True)},
                less_is_better=less_is_better(metric),
            )
        except MovierecError as error:
            notes.append(f"The models are not compared: {within(store, error)}.")
    return Ranking(store, group, metric, reports, verdicts, promoted, tuple(notes))
