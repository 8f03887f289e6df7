"""Segments and fairness: for whom models are good, how evenly they show the catalogue, and what that costs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import charts, controls, shell, state
from dashboard.controls import Chosen
from dashboard.plots import by_segment
from dashboard.plots import segments as plots
from dashboard.queries import leaderboard, pairs, segments, store_files
from dashboard.queries.data import SPLIT_FILE
from dashboard.queries.leaderboard import Standing
from dashboard.queries.parquet import SAMPLE_USERS
from dashboard.queries.reports import Snapshot
from dashboard.queries.segments import Leads, ListedMovies, TradeoffCurve, TrainOrder
from dashboard.queries.store_files import Signature, store_at
from dashboard.views import drill_down
from dashboard.wording import say
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.evaluation.reranking_tradeoff import ACCURACY as DIAL_ACCURACY
from movierec_engine.evaluation.reranking_tradeoff import BUYS
from movierec_engine.pipeline.reports import Measured, labels
from movierec_engine.reporting import numbers, words
from movierec_engine.reporting.conclusions import BASELINE
from movierec_engine.store import kinds

FEW = 30
"""Fewer users than this say little."""
_TIERS = ("activity", "length", "gap", "popularity")
"""Kinds with few segments, which get charts of dots."""
MOST_MODELS = 6
"""Models that the page begins with, the champion, the baseline, and whoever is better somewhere among them."""


def page() -> None:
    root = store_files.store_root()
    snapshot, _ = shell.newest_reports(root)
    seen = store_files.signature(root, kinds.STRONG_GENERALIZATION, kinds.RERANKING_TRADEOFF)
    shell.watch(lambda: store_files.signature(root, kinds.STRONG_GENERALIZATION, kinds.RERANKING_TRADEOFF), seen)
    st.title("Segments and fairness")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root)
        return
    answer = st.container()
    everything = controls.choose_reports(snapshot, suits=lambda metric: metric.of_hits, models=False)
    if everything is not None:
        if not everything.ranked:
            st.info(f"No report here holds {shell.plain(everything.title)}; choose another metric or k.")
        else:
            champion = next((one for one in everything.ranked if one.served), everything.ranked[0])
            compared = _compared(root, everything, champion)
            chosen = _choose_models(everything, champion, compared)
            _by_kind(root, everything, chosen, champion, compared, answer)
            _catalogue(root, snapshot, chosen)
            _new_users(root, seen, chosen)
            _dials(root, seen, chosen)


@dataclass(frozen=True)
class _Compared:
    """Every model of the set-up beside the champion."""

    rows: list[dict[str, Any]]
    """As `segments.beside` has them."""
    tested: bool
    """Whether the leads are tested user by user, or told from intervals."""


def _compared(root: Path, everything: Chosen, champion: Standing) -> _Compared:
    means = _segments({everything.labels[one.id]: one.folder for one in everything.standings}, everything.column)
    leads, tested = _leads(root, everything, champion, means)
    return _Compared(segments.beside(means, everything.labels[champion.id], leads), tested)


def _choose_models(everything: Chosen, champion: Standing, compared: _Compared) -> Chosen:
    """The models that are drawn: the champion, the baseline, and those that are chosen, at first whoever is better."""
    always = {everything.labels[one.id] for one in everything.ranked if one.id == champion.id or one.model == BASELINE}
    options = [name for one in everything.ranked if (name := everything.labels[one.id]) not in always]
    better = {row["model"] for row in compared.rows if row["lead"]}
    usual = sorted(options, key=lambda name: name not in better)[: MOST_MODELS - len(always)]
    explanation = f"Beside {numbers.listed(sorted(always))}, always drawn. Conclusions are over all models"
    more = state.choose_many("Models drawn", "shown", options, usual, explanation=explanation) if options else []
    if BASELINE not in {one.model for one in everything.ranked}:
        st.caption(f"The baseline has not been measured in this set-up: `movierec train model={BASELINE}`.")
    return controls.narrowed(everything, [*always, *more])


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _segments(folders: dict[str, str], metric: str) -> list[dict[str, Any]]:
    return segments.segment_rows({name: Path(folder) for name, folder in folders.items()}, metric)


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _listed(folder: str, k: int) -> ListedMovies | None:
    return segments.listed_movies(Path(folder), k)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _popularity(split: str) -> TrainOrder | None:
    return segments.popularity(Path(split))


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _fold_in(root: str, data: str, seen: Signature) -> list[TradeoffCurve]:
    return segments.fold_in_curves(Path(root), data)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _reranking_tradeoff(root: str, data: str, seen: Signature) -> list[TradeoffCurve]:
    return segments.reranking_tradeoff(Path(root), data)


def _by_kind(
    root: Path, everything: Chosen, chosen: Chosen, champion: Standing, compared: _Compared, answer: DeltaGenerator
) -> None:
    """Charts of the chosen models, under conclusions over all.

    answer: the place above the boxes for the conclusion over all kinds.
    """
    st.header("Which users and items each model serves best")
    if not compared.rows:
        shell.missing(
            "These reports have no readable metrics by segments of users and items.",
            f"movierec evaluate --model {chosen.standings[0].model}",
        )
        return
    first, tested = everything.labels[champion.id], compared.tested
    head, where = by_segment.verdict(compared.rows, first, tested)
    answer.markdown(f"## {shell.plain(head)}" + (f"\n\n{shell.plain(where)}" if where else ""))
    rows = [row for row in compared.rows if row["model"] in chosen.models]
    few = sorted({str(row["segment"]) for row in rows if row["users"] < FEW})
    kinds = {str(row["kind"]) for row in rows}
    of_items = [kind for kind in ("popularity", "genre", "decade") if kind in kinds]
    text = (
        "Users by the length of the history that is folded in, and by how long after it the next item came; "
        if "length" in kinds
        else "Users by how many train items they have; "
    )
    text += say(f"movies by {numbers.listed(of_items)}, where only the segment's own movies count as relevant.")
    role = "champion" if champion.served else "leader, as nothing that is served was measured here"
    text += f" Every model stands beside {first}, the {role}. "
    text += (
        "★: its lead is significant user by user, Holm-corrected over the segments of a kind."
        if tested
        else "★: its 95 % interval lies above; there are too many users, or too few files, to test each lead."
    )
    if len(chosen.models) < len(everything.models):
        text += f" Drawn: {len(chosen.models)} of the {len(everything.models)} models that the conclusions are over."
    if few:
        text += f" Under {FEW} users, which say little: {numbers.listed(few)}."
    st.caption(shell.plain(text))
    beside = by_segment.BesideChampion(chosen.models, chosen.title, first, tested)
    segment = drill_down.choose_segment(rows)

    def concluded(kind: str) -> str:
        return by_segment.conclusion(kind, [row for row in compared.rows if row["kind"] == kind], first, tested)

    def draw(chart: charts.Chart, own: list[dict[str, Any]], kind: str) -> None:
        charts.draw(chart, own, f"segments-by-{kind}", drill_down.on_segment(kind, "segment"))
        if segment is not None and segment[0] == kind:
            drill_down.users_of_segment(root, chosen, chosen.standings, segment)

    columns = st.columns(2, gap="large")
    for place, kind in enumerate(kind for kind in _TIERS if kind in kinds):
        own = [row for row in rows if row["kind"] == kind]
        with columns[place % 2]:
            draw(by_segment.tiers(own, kind, concluded(kind), beside), own, kind)
    for kind in ("genre", "decade"):
        if own := [row for row in rows if row["kind"] == kind]:
            draw(by_segment.differences(own, kind, concluded(kind), beside), own, kind)


def _leads(root: Path, everything: Chosen, champion: Standing, means: list[dict[str, Any]]) -> tuple[Leads, bool]:
    """The leads over the champion, and whether they were tested; only what has a higher mean needs a test."""
    first = everything.labels[champion.id]
    if max(one.users for one in everything.standings) > SAMPLE_USERS:
        return segments.interval_leads(means, first), False
    found = set()
    for label, kinds_of in segments.contested(means, first).items():
        verdicts = _verdicts(str(root), champion.id, everything.standing(label).id, everything.column, kinds_of)
        if not verdicts:
            return segments.interval_leads(means, first), False
        found |= {(label, kind, segment) for kind, segment, won in verdicts if won}
    return frozenset(found), True


@st.cache_data(show_spinner="Testing the leads", max_entries=256, ttl=600)
def _verdicts(
    root: str, champion: str, other: str, metric: str, kinds_of: tuple[str, ...]
) -> list[tuple[str, str, bool]]:
    """Kind, segment, and whether the other is significantly better there; none when the files cannot tell."""
    store = store_at(Path(root))
    try:
        versions = [store.resolve(name) for name in (champion, other)]
        ours, theirs = (Measured(one, EvaluationReport.load(one.folder)) for one in versions)
    except (StoreError, OSError):
        return []
    name = labels([ours, theirs])[1]
    return [
        (one.kind, one.segment, one.verdict.significant and one.verdict.better == name)
        for one in pairs.segments_won(store, ours, theirs, metric, kinds_of)
    ]


def _catalogue(root: Path, snapshot: Snapshot, chosen: Chosen) -> None:
    st.header("How they use the catalogue")
    if chosen.group.sampled:
        st.caption("Lists hold sampled candidates alone here, so they say little about lists that people would see.")
    items = _items(root, chosen)
    listed = {
        chosen.labels[one.id]: found for one in chosen.standings if (found := _listed(one.folder, chosen.k)) is not None
    }
    exposures = {name: segments.exposure(found, items) for name, found in listed.items()}
    left, right = st.columns(2, gap="large")
    with left:
        if exposures:
            chart = plots.lorenz(exposures, chosen.models, chosen.k)
            charts.draw(chart, plots.lorenz_rows(exposures), f"concentration-at-{chosen.k}")
            if items is None:
                st.caption(
                    say("The size of the catalogue is not known here, so the curves are of the shown movies alone.")
                )
        else:
            shell.missing(
                "The lists of these reports cannot be read.", f"movierec evaluate --model {chosen.standings[0].model}"
            )
    with right:
        _novelty(snapshot, chosen)
    split = store_files.parent_folder(root, chosen.standings[0].splits)
    train = _popularity(str(split / SPLIT_FILE)) if split else None
    shares = [
        {"model": name, **row}
        for name, found in listed.items()
        for row in (segments.tier_shares(found, train) if train else [])
    ]
    if shares:
        charts.draw(plots.list_shares(shares, chosen.models, chosen.k), shares, f"list-shares-at-{chosen.k}")
    else:
        shell.missing(
            "Head and tail of the catalogue are not known: the lists or their split cannot be read.",
            f"movierec evaluate --model {chosen.standings[0].model}",
        )


def _items(root: Path, chosen: Chosen) -> int | None:
    """The size of the catalogue, from the split that the reports are of."""
    try:
        items = store_at(root).resolve(chosen.standings[0].splits).facts.get("items")
    except (StoreError, OSError, ValueError):
        return None
    return items if isinstance(items, int) else None


def _novelty(snapshot: Snapshot, chosen: Chosen) -> None:
    scores = leaderboard.scores_at(snapshot, chosen.k)
    rows = [
        {"model": chosen.labels[one.id], "score": one.score, "novelty": scores[(one.id, "novelty")]}
        for one in chosen.ranked
        if (one.id, "novelty") in scores
    ]
    if len(rows) < 2:
        shell.missing("Fewer than two of these reports have novelty; evaluate with it.", "movierec train model=ease")
        return
    chart = plots.novelty(rows, chosen.models, chosen.title, f"Novelty@{chosen.k}")
    charts.draw(chart, rows, f"novelty-and-{chosen.column}")


def _new_users(root: Path, seen: Signature, chosen: Chosen) -> None:
    st.header("What new users get")
    models = {one.model for one in chosen.standings}
    everything = _fold_in(str(root), chosen.group.data, seen)
    curves = [curve for curve in everything if curve.model in models]
    if not curves:
        names = numbers.listed(sorted({curve.model for curve in everything}))
        more = f" There are some of {shell.plain(names)}, which are not chosen." if names else ""
        shell.missing(
            f"How good the lists of new users are has not been measured for these models.{more}",
            f"movierec strong-generalization --model {chosen.standings[0].model}",
        )
        return
    labels = dict(enumerate(words.model_labels([(curve.model, curve.device) for curve in curves])))
    rows = plots.fold_in_rows(curves, labels)
    charts.draw(plots.fold_in(rows, {labels[n]: curve.model for n, curve in enumerate(curves)}), rows, "fold-in")
    _elsewhere(curves, chosen)
    old = [labels[number] for number, curve in enumerate(curves) if "folds" not in curve.facts]
    if old:
        shell.notes(
            [
                f"{numbers.listed(old)} was measured on a part of the users held out once, by an older "
                "program; measure again by movierec strong-generalization."
            ]
        )


def _dials(root: Path, seen: Signature, chosen: Chosen) -> None:
    st.header("Trade-off of the taste dials")
    models = {one.model for one in chosen.standings}
    curves = [curve for curve in _reranking_tradeoff(str(root), chosen.group.data, seen) if curve.model in models]
    if not curves:
        shell.missing(
            "The trade-off of the dials has not been measured for these models.",
            f"movierec dials --model {chosen.standings[0].model}",
        )
        return
    labels = words.model_labels([(curve.model, curve.device) for curve in curves])
    name = state.choose("Model of the dials", "dials", labels) if len(labels) > 1 else labels[0]
    curve = curves[labels.index(name)]
    rows, bought = plots.dial_rows(curve, DIAL_ACCURACY), plots.bought_rows(curve, BUYS)
    left, right = st.columns(2, gap="large")
    if rows:
        with left:
            charts.draw(plots.dials(rows, name, DIAL_ACCURACY), rows, "dial-tradeoff")
    if bought:
        with right:
            charts.draw(plots.dials_buy(bought, list(dict.fromkeys(row["dial"] for row in rows))), bought, "dial-gains")
    _elsewhere([curve], chosen)


def _elsewhere(curves: list[TradeoffCurve], chosen: Chosen) -> None:
    """Say so where a curve is of another split than the reports above."""
    others = sorted({curve.model for curve in curves if curve.fingerprint != chosen.group.fingerprint})
    if others:
        st.caption(f"Measured on another split than the reports above: {shell.plain(numbers.listed(others))}.")
