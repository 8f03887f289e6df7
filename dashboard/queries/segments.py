"""Queries over segments, over how evenly lists use the catalogue, and over measured trade-off curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.queries.parquet import arrays, known, records
from dashboard.queries.store_files import newest
from movierec_engine.data.catalogue import POPULARITY_UP_TO
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import DataError
from movierec_engine.evaluation.report import LISTS_FILE, SEGMENTS_FILE
from movierec_engine.pipeline.reranking_tradeoff import TRADEOFF_FILE
from movierec_engine.pipeline.strong_generalization import CURVE_FILE
from movierec_engine.store import kinds

LORENZ_POINTS = 200
"""Points that a Lorenz curve is drawn with."""


@dataclass(frozen=True, eq=False)
class LorenzCurve:
    """The Lorenz curve of a model's lists over the catalogue's items."""

    items: int
    """The catalogue, items that nobody is shown included."""
    shown: int
    """Items in at least one list."""
    catalogue: NDArray[np.float64]
    places: NDArray[np.float64]
    """Lorenz curve: the least shown share of the catalogue, and its share of all places."""
    gini: float


def segment_rows(folders: Mapping[str, Path], metric: str) -> list[dict[str, Any]]:
    """One row a model and segment, in the files' order: model, kind, segment, users, test_items, value, low, high."""
    found = []
    for name, folder in folders.items():
        own = records(
            """SELECT kind, segment, users, test_items, value, low, high
               FROM numbered_parquet_file(?) WHERE metric = ? ORDER BY file_row_number""",
            *(str(folder / SEGMENTS_FILE), metric),
        )
        found += [{"model": name, **row} for row in own or []]
    return found


Leads = frozenset[tuple[str, str, str]]
"""Model, kind and segment of every lead over the champion."""


def contested(rows: Sequence[Mapping[str, Any]], champion: str) -> dict[str, tuple[str, ...]]:
    """Model -> the kinds of segments with one in which its mean is above the champion's."""
    least = {(row["kind"], row["segment"]): row["value"] for row in rows if row["model"] == champion}
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["value"] > least.get((row["kind"], row["segment"]), float("inf")):
            found.setdefault(row["model"], {})[row["kind"]] = None
    return {model: tuple(kinds) for model, kinds in found.items()}


def interval_leads(rows: Sequence[Mapping[str, Any]], champion: str) -> Leads:
    """The leads whose interval lies above the champion's: cautious, where users are too many to be tested here."""
    ends = {(row["kind"], row["segment"]): row["high"] for row in rows if row["model"] == champion}
    return frozenset(
        (row["model"], row["kind"], row["segment"])
        for row in rows
        if row["low"] > ends.get((row["kind"], row["segment"]), float("inf"))
    )


def beside(rows: Sequence[Mapping[str, Any]], champion: str, leads: Leads) -> list[dict[str, Any]]:
    """The rows of `segment_rows` with `difference` from the champion, whether it is a `lead`, and its `mark`."""
    values = {(row["kind"], row["segment"]): row["value"] for row in rows if row["model"] == champion}
    found = []
    for row in rows:
        lead = (row["model"], row["kind"], row["segment"]) in leads
        difference = row["value"] - values.get((row["kind"], row["segment"]), row["value"])
        found.append({**row, "difference": difference, "lead": lead, "mark": "★" if lead else ""})
    return found


@dataclass(frozen=True, eq=False)
class ListedMovies:
    """The movies in a report's lists, ascending, and how many places each has: float64 [n]."""

    movies: IdMap
    places: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainOrder:
    """The movies with train rows, ascending, and the share of these rows that more popular movies have: float64 [n]."""

    movies: IdMap
    before: NDArray[np.float64]


def listed_movies(folder: Path, k: int) -> ListedMovies | None:
    """The first k places of every list counted by movie; None when there are none to read."""
    found = arrays(
        "SELECT movie_id, count(*) AS places FROM parquet_file(?) WHERE rank <= ? GROUP BY movie_id ORDER BY movie_id",
        *(str(folder / LISTS_FILE), k),
    )
    movies = _movies(found)
    return ListedMovies(movies, np.asarray(found["places"], dtype=np.float64)) if found and movies else None


def popularity(split: Path) -> TrainOrder | None:
    """The order of movies by their train rows in split.parquet, equals by id; None when there are none to read."""
    found = arrays(
        """WITH train AS (SELECT movie_id, count(*) AS n FROM parquet_file(?) WHERE part = 'train' GROUP BY movie_id)
           SELECT movie_id, (sum(n) OVER (ORDER BY n DESC, movie_id) - n) / sum(n) OVER () AS before
           FROM train ORDER BY movie_id""",
        str(split),
    )
    movies = _movies(found)
    return TrainOrder(movies, np.asarray(found["before"], dtype=np.float64)) if found and movies else None


def _movies(found: Mapping[str, Any] | None) -> IdMap | None:
    """The column movie_id, ascending; None where there is no row, or where these are no ids."""
    try:
        return IdMap(found["movie_id"]) if found and len(found["movie_id"]) else None
    except DataError:
        return None


def exposure(listed: ListedMovies, items: int | None) -> LorenzCurve:
    """How evenly the lists show the catalogue.

    items: size of the catalogue; by default the shown items alone. gini: as the reports have it (Shani and Gunawardana
    2011).
    """
    shown = np.sort(listed.places)
    n = max(items or 0, len(shown))
    every = np.concatenate([np.zeros(n - len(shown)), shown])
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ every / (n * every.sum()))
    places = np.concatenate([[0.0], np.cumsum(every) / every.sum()])
    drawn = np.unique(np.linspace(0, n, LORENZ_POINTS + 1).round().astype(int))
    return LorenzCurve(n, len(shown), drawn / n, places[drawn], gini)


def tier_shares(listed: ListedMovies, train: TrainOrder) -> list[dict[str, Any]]:
    """Head's, mid's and tail's share of all places; none when the ids of lists and split are of two types.

    The tiers are as `popularity_tier` has them: a movie belongs to the tier in which the train rows of the more popular
    ones end. Movies without train rows are tail.
    """
    bounds = list(POPULARITY_UP_TO.values())
    try:
        place = train.movies.index(listed.movies.ids)
    except DataError:
        return []
    before = np.where(place < 0, 1.0, train.before[place])
    tier = np.minimum(np.searchsorted(bounds, before, side="right"), len(bounds) - 1)
    places = np.bincount(tier, weights=listed.places, minlength=len(bounds))
    return [
        {"segment": name, "value": float(own / places.sum())}
        for name, own in zip(POPULARITY_UP_TO, places, strict=True)
    ]


@dataclass(frozen=True)
class TradeoffCurve:
    """The newest curve that `movierec strong-generalization` or `movierec dials` measured of a model on a device."""

    model: str
    device: str
    fingerprint: str
    facts: dict[str, Any]
    rows: tuple[dict[str, Any], ...]


def fold_in_curves(root: Path, data: str) -> list[TradeoffCurve]:
    """Rows on test with source, size, value, low and high; size is None where the model knew everything."""
    return _curves(root, data, kinds.STRONG_GENERALIZATION, CURVE_FILE, "source, size, value, low, high")


def reranking_tradeoff(root: Path, data: str) -> list[TradeoffCurve]:
    """Rows with dial, setting, measure, value, low and high."""
    return _curves(root, data, kinds.RERANKING_TRADEOFF, TRADEOFF_FILE, "dial, setting, measure, value, low, high")


def _curves(root: Path, data: str, kind: str, file: str, columns: str) -> list[TradeoffCurve]:
    """The curves in files that have the needed columns; more columns, of later versions, do no harm."""
    found = []
    for made in newest(root, kind, data):
        path = made.folder / file
        only = " WHERE part = 'test'" if known(["part"], path) else ""
        rows = records(f"SELECT {columns} FROM parquet_file(?){only}", str(path))
        if rows:
            model, device = made.slot.model, made.slot.device
            found.append(TradeoffCurve(model, device, made.fingerprint, made.facts, tuple(rows)))
    return found
