"""The choices that the pages over evaluation reports share: set-up, reports, metric and depth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import state, wording
from dashboard.queries import data, leaderboard, pairs, reports
from dashboard.queries.leaderboard import Standing
from dashboard.queries.reports import Snapshot
from dashboard.queries.versions import ReportVersion, version_labels, versions_in
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import Metric, metric_title, metrics
from movierec_engine.reporting.comparable import EvaluationSetup

ALL = "all"
CHOSEN = "models"
"""The name in the URL of the reports that are chosen."""


@dataclass(frozen=True)
class Chosen:
    """Comparable reports in their order by a metric."""

    snapshot: Snapshot
    """The newest reports, and the further versions that are chosen."""
    group: EvaluationSetup
    everything: list[EvaluationSetup]
    metric: str
    k: int
    metrics: list[str]
    """All by which the group may be ranked, in the order that they are shown."""
    standings: list[Standing]
    labels: dict[str, str]
    family: list[Standing]
    """Reports whose pairs are tested together, whatever is shown: the newest by model and device, and the chosen."""
    versions: list[ReportVersion]
    """Every version in the set-up, chosen or not."""

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

    def address(self, label: str) -> str:
        """A report's name in the URL, wherever it is chosen: model/device/version."""
        one = self.standing(label)
        return f"{one.model}/{one.device}/{one.version}"

    def standing(self, label: str) -> Standing:
        return next(one for one in self.standings if self.labels[one.id] == label)


def new_bar() -> DeltaGenerator:
    """A row for boxes, which wraps where it is narrow."""
    return st.container(horizontal=True, vertical_alignment="bottom", gap="small")


def choose_reports(
    snapshot: Snapshot,
    *,
    suits: Callable[[Metric], bool] = lambda _: True,
    models: bool = True,
    bar: DeltaGenerator | None = None,
) -> Chosen | None:
    """A bar of boxes for set-up, metric, k, device and reports; None, with a word, where there is nothing to rank.

    suits: which of the metrics by which models are ranked can be chosen. models: whether the bar has the box of
    reports; without it all of the newest are chosen. Further versions that the URL names are chosen in either case.
    bar: where the boxes stand, for a page that adds its own; by default a bar of their own.
    """
    groups = leaderboard.groups(snapshot)
    with bar or new_bar():
        group = _choose_setup(groups)
        wording.speak_of(data.nouns(snapshot.root, group.data))
        measured = {name: k for name, k in leaderboard.metrics(snapshot, group).items() if suits(metrics()[name])}
        if not measured:
            st.info("The reports of this set-up hold no ranking metrics.")
            return None
        names = [name for name in metrics() if name in measured]
        metric = state.choose("Metric", "metric", names, metric_title, default="ndcg", width=150)
        k = int(state.choose("k", "k", [str(value) for value in measured[metric]], default="10", width=80))
        device = _choose_device(leaderboard.devices(snapshot, group))
        newest = leaderboard.standings(snapshot, group, metric, k)
        labels = leaderboard.labels(newest)
        versions = versions_in(snapshot.root, group.data, group.fingerprint)
        others = _others(newest, versions)
        here = [labels[one.id] for one in newest if device in (None, one.device)]
        kept = _choose_models(here, others) if models else [*here, *_named(others, list(labels.values()))]
    found = reports.with_versions(snapshot, [one for one in versions if one.key in kept])
    family = leaderboard.standings(found, group, metric, k)
    labels |= {one.id: others[one.key] for one in versions if one.key in others}
    keys = {one.id: one.key for one in versions if one.key in others}
    chosen = Chosen(found, group, groups, metric, k, names, family, labels, family, versions)
    return narrowed(chosen, [labels[one.id] for one in family if keys.get(one.id, labels[one.id]) in kept])


def narrowed(chosen: Chosen, labels: Sequence[str]) -> Chosen:
    """The same with some of the reports."""
    return replace(chosen, standings=[one for one in chosen.standings if chosen.labels[one.id] in labels])


def standings_of(chosen: Chosen, snapshot: Snapshot, reports_of: Sequence[str]) -> list[Standing]:
    """The standings of some reports of a snapshot, by the chosen metric, in the order that they are named."""
    found = {one.id: one for one in leaderboard.standings(snapshot, chosen.group, chosen.metric, chosen.k)}
    return [found[report] for report in reports_of if report in found]


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def paired_tests(folders: dict[str, str], metric: str) -> tuple[Verdict, ...]:
    """The paired tests of every two reports, corrected together; folders: of the reports, by label."""
    return pairs.all_pairs({name: Path(folder) for name, folder in folders.items()}, metric)


def _choose_setup(groups: list[EvaluationSetup]) -> EvaluationSetup:
    sets = list(dict.fromkeys(group.data for group in groups))
    data = ALL
    if len(sets) > 1:
        show = {ALL: "All data sets"}
        data = state.choose("Data set", "data", [ALL, *sets], lambda name: show.get(name, name), width=170)
    by_id = {group.id: group for group in groups if data in (ALL, group.data)}
    several = len({group.data for group in by_id.values()}) > 1

    def name(key: str) -> str:
        return f"{by_id[key].data} · {by_id[key].name}" if several else by_id[key].name

    return by_id[state.choose("Evaluation set-up", "group", list(by_id), name, explanation=WHY, width=400)]


def _choose_device(devices: list[str]) -> str | None:
    """The device whose reports are shown, None for all; no box where there is one alone."""
    if len(devices) < 2:
        return None
    show = {ALL: "All devices"}
    device = state.choose("Device", "device", [ALL, *devices], lambda name: show.get(name, name), width=130)
    return None if device == ALL else device


def _others(newest: list[Standing], versions: list[ReportVersion]) -> dict[str, str]:
    """Key -> label of the versions that are not the newest of their model and device."""
    shown = {one.id for one in newest}
    usual = {(one.model, one.device): one for one in versions if one.id in shown}
    return version_labels([one for one in versions if one.id not in shown], usual)


def _named(others: dict[str, str], newest: list[str]) -> list[str]:
    """Keys of the further versions that were chosen on another page, or by the URL."""
    return [key for key in state.heed(CHOSEN, [*newest, *others]) if key in others]


def _choose_models(newest: list[str], others: dict[str, str]) -> list[str]:
    """Labels of the newest, and keys of other versions, as they are ticked; the newest where none is."""
    options = [*newest, *others]
    if len(options) < 2:
        return options
    with st.popover("Models and versions", width=185, icon=":material/checklist:"):
        explanation = (
            "At first the newest report of each model. Older versions, other seeds and settings, and the trials of "
            "sweeps stand below; they are named by what differs from the newest."
        )
        show = {**{label: label for label in newest}, **others}
        return state.choose_many("Models and versions", CHOSEN, options, newest, show.__getitem__, explanation)


WHY = (
    "Only reports with the same data, protocol and fingerprint (a hash of the split, the candidates and the metrics' "
    "definitions) are ranked together: other numbers answer another question. The set-up of what is served comes "
    "first, then the one with the most models."
)
