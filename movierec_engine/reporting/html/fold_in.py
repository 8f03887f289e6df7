"""Fold-in against popularity by number of known items."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.evaluation.strong_generalization import (
    FOLD_IN,
    LEAST_HISTORY,
    POPULARITY,
    TRAINED_IN,
    WHOLE_HISTORY,
)
from movierec_engine.pipeline.strong_generalization import curve_rows
from movierec_engine.reporting import numbers
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import Series, lines
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.store import ArtifactStore, kinds

METRIC = "ndcg@10"
"""The metric of the curves, on test, whatever the page is about."""


@dataclass(frozen=True)
class MeasuredFoldIn:
    """The fold-in measurement of one model.

    folds: in how many parts the users were held out in turn; 0 where the split holds them out.
    fold_in_min_items: the size from which on fold-in is significantly better than popularity on validation, or None.
    few: the row of curve.parquet on test of each size, ascending. popularity, whole_history: the others, and
        trained_in, which there is with folds alone.
    """

    folds: int
    fold_in_min_items: int | None
    few: dict[int, dict[str, Any]]
    popularity: dict[str, Any]
    whole_history: dict[str, Any]
    trained_in: dict[str, Any] | None

    @property
    def best_known(self) -> float:
        """The value at the largest size."""
        return float(self.few[max(self.few)]["value"])


def fold_in(store: ArtifactStore, data_set: str) -> list[Section]:
    """One section for each set of people whom models were measured on; unlike ones are never in one chart."""
    found: dict[tuple[Any, ...], dict[str, MeasuredFoldIn]] = {}
    notes = []
    for slot in store.slots(kinds.STRONG_GENERALIZATION, data_set):
        try:
            made = store.require(slot).verify()
            rows = curve_rows(made)
            curve = _curve(made.facts["folds"], made.facts["fold_in_min_items"], rows)
            people = (made.fingerprint, curve.folds, curve.popularity["users"], curve.popularity["value"], *curve.few)
            name = slot.label
            found.setdefault(people, {})[name] = curve
        except (MovierecError, OSError, KeyError) as error:
            notes.append(Prose(f"A fold-in curve cannot be shown: {within(store, error)}.", quiet=True))
    sections = [_section(number, curves) for number, curves in enumerate(found.values(), start=1)]
    if notes:
        sections.append(Section("fold-in-missing", "Other new users", "What could not be read.", tuple(notes)))
    return sections


def _curve(folds: int, fold_in_min_items: int | None, rows: list[dict[str, Any]]) -> MeasuredFoldIn:
    by_source = {row["source"]: row for row in rows}
    few = {row["size"]: row for row in rows if row["source"] == FOLD_IN}
    ends = by_source[POPULARITY], by_source[WHOLE_HISTORY], by_source[TRAINED_IN] if folds else None
    return MeasuredFoldIn(folds, fold_in_min_items, few, *ends)


def _section(number: int, curves: dict[str, MeasuredFoldIn]) -> Section:
    any_curve = next(iter(curves.values()))
    users = any_curve.popularity["users"]
    blocks: tuple[Block, ...] = (_chart(curves), _table(curves))
    people, decided = numbers.counted(users, "user"), "from how many movies on fold-in is used was decided on"
    held_out = (
        f"{people} were held out in turn, in {numbers.counted(any_curve.folds, 'fold')}: each model was trained again "
        "without those of a fold, and then met them with some movies of their own. The values are of their test items; "
        f"{decided} their validation items."
        if any_curve.folds
        else f"{people} are held out by the split: no model was trained on them, and each meets them with some movies "
        f"of their own. The values are of their test items; {decided} the validation users, who are others."
    )
    return Section(f"fold-in-{number}", "New users" if number == 1 else f"New users, group {number}", held_out, blocks)


def _chart(curves: dict[str, MeasuredFoldIn]) -> Figure:
    """The curves, straight between the sizes that were measured, and popularity as a level."""
    any_curve = next(iter(curves.values()))
    sizes = list(any_curve.few)
    known = np.arange(1, max(sizes) + 1)
    values = {name: [row["value"] for row in curve.few.values()] for name, curve in curves.items()}
    values[POPULARITY] = [any_curve.popularity["value"]] * len(sizes)
    series = [Series(name, tuple(np.interp(known, sizes, own).tolist())) for name, own in values.items()]
    at = numbers.listed([str(size) for size in sizes])
    spoken = f"{metric_title(METRIC)} on test of new users known by {at} movies: " + "; ".join(
        f"{name} {', '.join(numbers.score(value) for value in own)}" for name, own in values.items()
    )
    axis = f"{metric_title(METRIC)} on test, mean over new users"
    return Figure(
        _conclusion(curves),
        lines(series, "movies that the model knows of a new user", axis, spoken),
        f"Measured at {at} movies.",
    )


def _conclusion(curves: dict[str, MeasuredFoldIn]) -> str:
    best = max(curves, key=lambda name: curves[name].best_known)
    size, least = max(curves[best].few), curves[best].fold_in_min_items
    leads = f"With {numbers.counted(size, 'movie')} of a new user known, {best} is the best on test"
    if len(curves) == 1:
        leads = f"{best} was measured with up to {numbers.counted(size, 'movie')} of a new user known"
    if least is None:
        return f"{leads}; on validation there is no size from which on it is significantly better than popularity"
    return (
        f"{leads}; on validation it is significantly better than popularity from {numbers.counted(least, 'movie')} on"
    )


def _table(curves: dict[str, MeasuredFoldIn]) -> Table:
    sizes = list(next(iter(curves.values())).few)
    rows = []
    for name, curve in curves.items():
        measured = [curve.popularity, *curve.few.values(), curve.whole_history]
        measured += [curve.trained_in] if curve.trained_in else []
        cells = [
            Cell(
                f"{numbers.score(row['value'])}{' ★' if row['better'] else ''}",
                numbers.interval(row["low"], row["high"]),
            )
            for row in measured
        ]
        rows.append(
            Row(
                Cell(name),
                (*cells, Cell("no size" if curve.fold_in_min_items is None else str(curve.fold_in_min_items))),
            )
        )
    columns = [Column("Model", words=True), Column("Popularity", "nothing known")]
    columns += [Column(numbers.counted(size, "movie"), "folded in") for size in sizes]
    columns.append(Column("All movies", "folded in"))
    columns += [Column("Trained in", "all movies")] if any(curve.trained_in for curve in curves.values()) else []
    columns.append(Column("Folds in from", "movies, on validation"))
    note = (
        f"{metric_title(METRIC)} on test with 95 % intervals, of users of whom {LEAST_HISTORY} or more "
        "interactions are known; random choices of their movies are averaged. The same items are masked in every "
        "column: all that is known of the user before test. "
        "★: significantly better than popularity on test, by both paired tests after Holm's correction over the sizes. "
        "Folds in from: the least size from which on every measured size is, by the same tests on the validation "
        "items, so that nothing is decided on test."
    )
    return Table("New users by model", tuple(columns), tuple(rows), note)
