"""Queries over a data set: its ratings, what was dropped, its split, and the differences of its versions.

Every answer is aggregated in DuckDB; no row of the data leaves it. A version never changes, so that the pages may keep
the answers, and what two charts need is asked for once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.queries.parquet import arrays, columns, query, records, rows
from dashboard.queries.store_files import folders, newest, slot_of, store_at
from movierec_engine.data.interactions import EARLY
from movierec_engine.data.likes import tell_a_scale
from movierec_engine.data.nouns import MOVIES, Nouns, nouns_of_titles
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.drift import COUNTS_FILE
from movierec_engine.store import Artifact, kinds

RATINGS_FILE, SPLIT_FILE = "ratings.parquet", "split.parquet"
PER_SLOT = 50
"""Versions of a data set that can be chosen, newest first."""
PARTS = ("train", "fold_in", "validation", "test", "later")
EXACT_ROWS = 5_000_000
"""Rows up to which distinct users and movies are counted exactly."""
SAMPLE = 10_000
"""Ratings, about, by which it is told whether they are of a scale."""
PERIODS = 240
"""Steps that a timeline has at most."""
_STEPS = ("hour", "day", "week", "month", "quarter", "year")
_SECONDS = (3_600, 86_400, 604_800, 2_629_800, 7_889_400, 31_557_600)


@dataclass(frozen=True)
class Lorenz:
    """A long tail: of n users or movies, most active first, the share of all ratings that the first ones have."""

    of: str
    n: int
    smallest: int
    median: float
    largest: int
    share: tuple[float, ...]
    ratings: tuple[float, ...]

    def first(self, share: float) -> float:
        """Share of the ratings that this share of users or movies has."""
        return next((own for at, own in zip(self.share, self.ratings, strict=True) if at >= share - 1e-9), 1.0)


@dataclass(frozen=True)
class Each:
    """All users or movies of a version, in no order, with how many ratings each has."""

    ids: np.ndarray
    ratings: np.ndarray


@dataclass(frozen=True)
class DataLineage:
    """A raw version with the newest versions made from it, as far as they are in the store."""

    ratings: Artifact
    interactions: Artifact | None
    splits: Artifact | None


def data_sets(root: Path) -> list[str]:
    """Names of the data sets that have raw ratings, that of the newest version first."""
    found = [
        (versions[-1].name, folder.name)
        for folder in folders(root / kinds.RAW_RATINGS)
        if (versions := folders(folder))
    ]
    return [name for _, name in sorted(found, reverse=True)]


def nouns(root: Path, data: str) -> Nouns:
    """Nouns for the items of a data set, as its newest titles have them."""
    return next((nouns_of_titles(made.facts) for made in newest(root, kinds.RAW_MOVIES, data)), MOVIES)


def versions(root: Path, kind: str, data: str) -> list[Artifact]:
    """The newest PER_SLOT readable versions of a data set, newest first."""
    store, found = store_at(root), []
    for folder in reversed(folders(root / kind / data)[-PER_SLOT:]):
        try:
            found.append(store.get(slot_of(root, folder.parent), folder.name))
        except (StoreError, OSError, ValueError):
            continue
    return found


def lines_of(root: Path, ratings: Artifact) -> list[DataLineage]:
    """The lineages of a version of raw ratings: the newest split of each kind made from it, the newest first.

    Splits of one fingerprint are of one kind; where nothing was split it is one lineage without a split.
    """
    data = ratings.slot.data_set
    made = [
        one
        for one in versions(root, kinds.INTERACTIONS, data)
        if one.parents.get(kinds.RAW_RATINGS) == ratings.reference
    ]
    references = {one.reference: one for one in made}
    found: dict[str, DataLineage] = {}
    for splits in versions(root, kinds.SPLITS, data):
        if (parent := references.get(str(splits.parents.get(kinds.INTERACTIONS)))) is not None:
            found.setdefault(splits.fingerprint, DataLineage(ratings, parent, splits))
    return list(found.values()) or [DataLineage(ratings, made[0] if made else None, None)]


def rating_counts(folder: Path) -> list[tuple[float, int]]:
    """(Rating, how many) in ascending order; ratings of more than 40 values are put into 20 bins."""
    found = query(*_counted(folder, "rating"))
    if not found or len(found) <= 40:
        return [(float(rating), int(count)) for rating, count in found or []]
    low, high = float(found[0][0]), float(found[-1][0])
    width, bins = (high - low) / 20, dict[float, int]()
    for rating, count in found:
        start = low + width * min(int((rating - low) / width), 19)
        bins[round(start, 4)] = bins.get(round(start, 4), 0) + int(count)
    return sorted(bins.items())


def are_likes(counts: Sequence[tuple[float, int]], config: Mapping[str, Any]) -> bool:
    """Whether there are no ratings of a scale, but likes, which are all equal, or counts, such as of plays.

    counts: as of `rating_counts`. config: of the version.
    """
    if not counts or config.get("rating_min") or config.get("rating_max"):
        return False
    values, times = (np.array(column) for column in zip(*counts, strict=True))
    sample = np.repeat(values, np.maximum(times * SAMPLE // times.sum(), 1))  # every value, in about their shares
    return not tell_a_scale(sample)


def ratings_of_each(folder: Path, column: str) -> Each | None:
    """Count the ratings of each user (column user_id) or movie (movie_id); None when there are none to read."""
    found = arrays(*_counted(folder, column))
    return Each(np.asarray(found["id"]), np.asarray(found["ratings"])) if found and len(found["id"]) else None


def _counted(folder: Path, column: str) -> tuple[str, str]:
    """Query of the ratings by a column, in its order, and its file: counted when the version was made, or else here."""
    kept = folder / COUNTS_FILE
    if kept.is_file():
        of = f"SELECT {column} AS id, sum(n)::BIGINT AS ratings FROM parquet_file(?) WHERE {column} IS NOT NULL"
        return f"{of} GROUP BY id ORDER BY id", str(kept)
    return f"SELECT {column} AS id, count(*) AS ratings FROM parquet_file(?) GROUP BY id ORDER BY id", str(
        folder / RATINGS_FILE
    )


def long_tail(of_each: Each, name: str) -> tuple[Lorenz, list[dict[str, Any]]]:
    """The users' activity or the movies' popularity; there is at least one.

    Beside it how many have so many ratings: from, to (both counted in), count; each bin twice as wide as the last.
    """
    each = np.sort(of_each.ratings)[::-1]
    so_far = np.concatenate([[0], np.cumsum(each)]) / each.sum()
    places = np.unique(np.ceil(np.linspace(0, len(each), 101)).astype(np.int64))
    tail = Lorenz(
        of=name,
        n=len(each),
        smallest=int(each[-1]),
        median=float(np.median(each)),
        largest=int(each[0]),
        share=tuple(map(float, places / len(each))),
        ratings=tuple(map(float, so_far[places])),
    )
    counts = np.bincount(np.log2(each).astype(np.int64))
    bins = [{"from": 2**bin, "to": 2 ** (bin + 1) - 1, "count": int(count)} for bin, count in enumerate(counts)]
    first = next(place for place, row in enumerate(bins) if row["count"])
    return tail, bins[first:]


def timeline(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """The step (such as month) and the rows by it, ordered: start, part (of a split), ratings. At most PERIODS steps.

    Empty where the file cannot be read, has no times, or all of them are the same.
    """
    where, ends = str(path), _ends(path)
    if ends is None or ends[1] < EARLY or ends[0] == ends[1]:
        return "", []
    seconds = ends[1] - ends[0]
    step = next((name for name, length in zip(_STEPS, _SECONDS, strict=True) if seconds / length <= PERIODS), "year")
    part = "part" if "part" in columns(path) else "'ratings'"
    seconds = _SECONDS[0] if step == "hour" else _SECONDS[1]  # every step is of whole hours, or of whole days
    found = records(
        f"""SELECT strftime(start, '%Y-%m-%dT%H:%M') AS start, part, ratings
            FROM (SELECT date_trunc('{step}', make_timestamp(begun * 1000000)) AS start, part, sum(n)::BIGINT AS ratings
                  FROM (SELECT timestamp - (timestamp % {seconds} + {seconds}) % {seconds} AS begun, {part} AS part,
                               count(*) AS n
                        FROM parquet_file(?) GROUP BY ALL)
                  GROUP BY ALL)
            ORDER BY ALL""",
        where,
    )
    return step, found or []


def has_times(path: Path) -> bool:
    """False for a file of ratings whose timestamps are no times, but all 0, or places in an order (`EARLY`)."""
    ends = _ends(path)
    return ends is not None and ends[1] >= EARLY


def _ends(path: Path) -> tuple[int, int] | None:
    """The smallest and the largest timestamp; None when there are none to read."""
    found = query("SELECT min(timestamp), max(timestamp) FROM parquet_file(?)", str(path))
    return (found[0][0], found[0][1]) if found and found[0][0] is not None else None


def part_spans(folder: Path) -> list[dict[str, Any]]:
    """Each part of a split: rows, users, movies (estimated where there are over EXACT_ROWS), first and last day.

    The days are None where the data have no times.
    """
    day = "strftime(make_timestamp({}(timestamp) * 1000000), '%Y-%m-%d')" if has_times(folder / SPLIT_FILE) else "NULL"
    distinct = "approx_count_distinct({})" if rows(folder / SPLIT_FILE) > EXACT_ROWS else "count(DISTINCT {})"
    found = records(
        f"""SELECT part, count(*) AS rows, {distinct.format("user_id")} AS users,
                   {distinct.format("movie_id")} AS movies,
                  {day.format("min")} AS first, {day.format("max")} AS last
           FROM parquet_file(?) GROUP BY part""",
        str(folder / SPLIT_FILE),
    )
    return sorted(found or [], key=lambda row: PARTS.index(row["part"]) if row["part"] in PARTS else len(PARTS))


def arrivals(old: Each, new: Each, name: str) -> dict[str, int]:
    """Users or movies of the new version that the old one lacks, and the other way round."""
    shared = len(np.intersect1d(old.ids, new.ids, assume_unique=True))
    return {f"new {name}": len(new.ids) - shared, f"gone {name}": len(old.ids) - shared}
