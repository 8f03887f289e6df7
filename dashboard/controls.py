"""The choices that the pages over evaluation reports share: which reports, by which metric, at which depth."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard import state
from dashboard.queries import leaderboard
from dashboard.queries.leaderboard import Standing
from dashboard.queries.reports import Snapshot
from movierec_engine.evaluation.metrics import Metric, metric_title, metrics
from movierec_engine.reporting.comparable import EvaluationSetup

ALL = "all"


@dataclass(frozen=True)
class Chosen:
    """Comparable reports in their order by a metric."""

    group: EvaluationSetup
    everything: list[EvaluationSetup]
    metric: str
    k: int
    metrics: list[str]
    """All by which the group may be ranked, in the order that they are shown."""
    standings: list[Standing]
    labels: dict[str, str]

    @property
    def title(self) -> str:
        """Such as NDCG@10."""
        return f"{metric_title(self.metric)}@{self.k}"

    @property
    def column(self) -> str:
        """Such as ndcg@10."""
        return f"{self.metric}@{self.k}"

    @property
    def ranked(self) -> list[Standing]:
        return [standing for standing in self.standings if standing.score is not None]

    @property
    def models(self) -> dict[str, str]:
        """Label -> model, best first."""
        return {self.labels[standing.id]: standing.model for standing in self.standings}

    def standing(self, label: str) -> Standing:
        return next(one for one in self.standings if self.labels[one.id] == label)


def choose_reports(
    snapshot: Snapshot, *, suits: Callable[[Metric], bool] = lambda _: True, models: bool = True
) -> Chosen | None:
    """Boxes for data set, set-up, metric, k, device and models; None, with a word, where there is nothing to rank.

    suits: which of the metrics by which models are ranked can be chosen.
    """
    groups = leaderboard.groups(snapshot)
    columns = st.columns([1.1, 0.7, 1.2, 2.6, 0.9])
    with columns[2]:
        sets = list(dict.fromkeys(group.data for group in groups))
        data = state.choose("Data set", "data", [ALL, *sets], lambda name: "All data sets" if name == ALL else name)
    by_id = {group.id: group for group in groups if data in (ALL, group.data)}
    with columns[3]:
        chosen = state.choose("Evaluation set-up", "group", list(by_id), lambda key: by_id[key].name, explanation=WHY)
    group = by_id[chosen]
    measured = {name: k for name, k in leaderboard.metrics(snapshot, group).items() if suits(metrics()[name])}
    if not measured:
        st.info("The reports of this set-up hold no ranking metrics.")
        return None
    names = [name for name in metrics() if name in measured]
    with columns[0]:
        metric = state.choose("Metric", "metric", names, metric_title, default="ndcg")
    with columns[1]:
        k = int(state.choose("k", "k", [str(value) for value in measured[metric]], default="10"))
    with columns[4]:
        options = [ALL, *leaderboard.devices(snapshot, group)]
        device = state.choose("Device", "device", options, lambda name: "All devices" if name == ALL else name)
    standings = leaderboard.standings(snapshot, group, metric, k, None if device == ALL else device)
    labels = leaderboard.labels(standings)
    found = Chosen(group, groups, metric, k, names, standings, labels)
    return narrowed(found, _models(found)) if models else found


def narrowed(chosen: Chosen, labels: list[str]) -> Chosen:
    """The same with some of the reports."""
    kept = [standing for standing in chosen.standings if chosen.labels[standing.id] in labels]
    return Chosen(chosen.group, chosen.everything, chosen.metric, chosen.k, chosen.metrics, kept, chosen.labels)


def _models(chosen: Chosen) -> list[str]:
    options = list(chosen.models)
    return state.choose_many("Models", "models", options, options) if len(options) > 1 else options


WHY = (
    "Only reports with the same data, protocol and fingerprint (a hash of the split, the candidates and the metrics' "
    "definitions) are ranked together: other numbers answer another question."
)
