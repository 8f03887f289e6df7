"""Drift of ratings: how far newer data are from those of a training, in users, items, ratings and genres.

Each is a distribution over a few parts, and the distance of two is Jensen and Shannon's (Lin 1991; a metric, Endres and
Schindelin 2003): the square root of the mean of both's divergences in bits from their mixture, from 0, the same, to 1,
nothing in common. Unlike the population stability index it is finite where a part is empty, as new items are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine.data.table_file import LITERAL_PATH, connect
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.reporting import numbers

if TYPE_CHECKING:
    import duckdb

GROUPS = 20
"""Parts into which users are divided by a hash of their ids: how far halves of them are apart is chance."""
SPLITS = 200
"""Random halves of the groups whose distances are drawn."""
CHANCE = 0.99
"""Quantile of those distances that a drift must be above."""
TIERS = 10
"""Tiers of items, each with so many of the ratings of the training, the most rated first."""
VALUES = 20
"""Ratings of more values than these are put into so many bins of equal width."""
NEW = "not in training"
"""The part of items that the training did not have."""
COUNTS_FILE = "counts.parquet"
"""Beside a version's ratings: how many each user, movie and value has, counted once, as a version never changes."""
COUNTED = ("user_id", "movie_id", "rating")
_RATINGS, _MOVIES = "ratings.parquet", "movies.parquet"
_FILE = f"read_parquet({LITERAL_PATH.format('?')}, hive_partitioning = false)"

Counts = NDArray[np.float64]
"""Weight of each part by group of users, float64 [GROUPS, parts]."""


@dataclass(frozen=True)
class DriftConfig:
    """Jensen-Shannon distances beyond which newer data are told to have drifted from those of the training."""

    users: float = 0.2
    """Limit for the numbers of ratings that users have, in doubling bins."""
    items: float = 0.25
    """Limit for the ratings by tier of items: the training's popular and rare ones, and those that it did not have."""
    ratings: float = 0.1
    """Limit for the ratings' values."""
    genres: float = 0.07
    """Limit for the ratings by genre."""

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if not 0 < limit <= 1:
                raise ConfigError(f"automation.freshness.drift.{name}={limit} must be above 0 and at most 1")


@dataclass(frozen=True)
class Drift:
    """How one thing differs between a training's data and newer ones."""

    of: str
    """users, items, ratings or genres."""
    distance: float
    """Jensen-Shannon distance, from 0 to 1."""
    chance: float
    """The distance that as many users of the training's own have by chance."""
    parts: tuple[str, ...]
    then: tuple[float, ...]
    """Share of each part in the training's data."""
    now: tuple[float, ...]

    def told(self, limits: DriftConfig) -> bool:
        """Whether it is above both the limit and chance."""
        return self.distance > max(float(getattr(limits, self.of)), self.chance)

    @property
    def most(self) -> str:
        """The part whose share has changed most, and both its shares."""
        place = int(np.argmax(np.abs(np.subtract(self.now, self.then))))
        before, after = numbers.percent(self.then[place]), numbers.percent(self.now[place])
        return f"{self.parts[place]}: {before} before, {after} now"

    @property
    def sentence(self) -> str:
        """The distance, and the part that has moved most."""
        return f"{self.of} {numbers.score(self.distance, 3)} ({numbers.score(self.chance, 3)} by chance; {self.most})"


def drifts(then: Path, now: Path, movies: Path | None = None) -> list[Drift]:
    """The drift of users, items, ratings and, where movies have any, genres, from one version of ratings to another.

    then, now: folders of the versions. movies: the folder of the raw movies. A version without COUNTS_FILE, as an older
    program made it, is counted here, by three passes over its ratings. Raises DataError for a file that cannot be read.
    """
    import duckdb  # a server has none

    try:
        with connect() as connection:
            one, other = (_Version.read(connection, folder) for folder in (then, now))
            genres = _genres(connection, movies / _MOVIES) if movies is not None else {}
    except (duckdb.Error, pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{then} and {now}: their drift cannot be told: {reason}; make the damaged one again"
        ) from error
    before, after = max(one.users, 1), max(other.users, 1)
    noise = (1 / before + 1 / after) / (4 / before)
    return [_drift(both, noise) for both in _compared(one, other, genres)]


def save_counts(folder: Path) -> None:
    """Count the ratings in a version's folder, and write beside them what comparisons read of it: COUNTS_FILE."""
    with connect() as connection:
        pq.write_table(_counted(connection, folder / _RATINGS), folder / COUNTS_FILE, compression="zstd")


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jensen-Shannon distance in bits of weights, float64 [..., parts], by row; 0 where one has none."""
    totals = [own.sum(axis=-1, keepdims=True) for own in (one, other)]
    shares = [own / np.maximum(total, 1e-300) for own, total in zip((one, other), totals, strict=True)]
    mixture = (shares[0] + shares[1]) / 2
    bits = sum((own * np.log2(np.where(own > 0, own / np.where(own > 0, mixture, 1), 1))).sum(-1) for own in shares)
    empty = (totals[0] <= 0)[..., 0] | (totals[1] <= 0)[..., 0]
    return np.asarray(np.where(empty, 0.0, np.sqrt(np.maximum(np.asarray(bits) / 2, 0.0))))


def _counted(connection: "duckdb.DuckDBPyConnection", path: Path) -> pa.Table:
    """Ratings `n` by group `g` of users and one of user_id, movie_id and rating, in this order; the others are null."""
    group = f"(hash(user_id) % {GROUPS})::TINYINT AS g"
    query = " UNION ALL BY NAME ".join(
        f"SELECT {group}, {column}, count(*) AS n FROM {_FILE} GROUP BY ALL" for column in COUNTED
    )
    ordered = f"{query} ORDER BY {', '.join(f'{column} NULLS LAST' for column in COUNTED)}, g"
    return connection.sql(ordered, params=[str(path)] * len(COUNTED)).to_arrow_table()


@dataclass(frozen=True, eq=False)
class _Version:
    """One version's counts by group of users: rows group, key and count of each."""

    values: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
    activity: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
    """By the logarithm of the ratings that a user has."""
    items: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

    @classmethod
    def read(cls, connection: "duckdb.DuckDBPyConnection", folder: Path) -> "_Version":
        kept = folder / COUNTS_FILE
        table = pq.read_table(kept) if kept.is_file() else _counted(connection, folder / _RATINGS)
        start, of_each = 0, []
        for key in COUNTED:  # one after another, by the order of `_counted`
            own = table.select(["g", key, "n"]).slice(start, len(table) - table[key].null_count)
            of_each.append(tuple(column.to_numpy() for column in own.columns))
            start += len(own)
        (group, _, ratings), items, values = of_each
        sizes = np.frexp(ratings)[1] - 1  # floor(log2)
        return cls(values, (group, sizes, np.ones(len(sizes))), items)

    @property
    def users(self) -> float:
        return float(self.activity[2].sum())


@dataclass(frozen=True, eq=False)
class _Distributions:
    """One thing's counts by group of users, in both versions."""

    of: str
    parts: Sequence[str]
    then: Counts
    now: Counts


def _compared(then: _Version, now: _Version, genres: dict[Any, list[str]]) -> Iterator[_Distributions]:
    sizes = int(max(one.activity[1].max(initial=0) for one in (then, now))) + 1
    names = [f"{2**size:,} to {2 ** (size + 1) - 1:,} ratings" if size else "1 rating" for size in range(sizes)]
    yield _Distributions("users", names, _counts(*then.activity, sizes), _counts(*now.activity, sizes))
    ids = np.unique(np.concatenate([then.items[1], now.items[1]]))
    old, new = ((one.items[0], np.searchsorted(ids, one.items[1]), one.items[2]) for one in (then, now))
    tiers = _tiers(_counts(*old, len(ids)).sum(0))
    names = [*(f"tenth {place + 1} by popularity" for place in range(TIERS)), NEW]
    of_tier = [_counts(group, tiers[item], count, len(names)) for group, item, count in (old, new)]
    yield _Distributions("items", names, *of_tier)
    values = np.unique(np.concatenate([then.values[1], now.values[1]]))
    bins, names = _bins(values)
    of_value = [
        _counts(group, bins[np.searchsorted(values, value)], count, len(names))
        for group, value, count in (then.values, now.values)
    ]
    yield _Distributions("ratings", names, *of_value)
    if genres:
        names, weights = _weights(ids, genres)
        of_genre = [_counts(group, item, count, len(ids)) @ weights for group, item, count in (old, new)]
        yield _Distributions("genres", names, *of_genre)


def _drift(both: _Distributions, noise: float) -> Drift:
    """noise: the variance of the difference of two samples of so many users against that of halves of the first."""
    then, now = both.then, both.now
    generator = np.random.default_rng(0)
    halves = np.array([generator.permutation(GROUPS) < GROUPS // 2 for _ in range(SPLITS)], dtype=np.float64)
    apart = distance(halves @ then, (1 - halves) @ then)
    chance = float(np.quantile(apart, CHANCE) * np.sqrt(noise))
    totals = then.sum(0), now.sum(0)
    used = [place for place in range(len(both.parts)) if totals[0][place] or totals[1][place]]
    shares = [tuple((total[used] / max(total.sum(), 1)).tolist()) for total in totals]
    named = tuple(both.parts[place] for place in used)
    return Drift(both.of, float(distance(*totals)), chance, named, shares[0], shares[1])


def _counts(group: NDArray[Any], part: NDArray[Any], count: NDArray[Any], parts: int) -> Counts:
    flat = np.bincount(group.astype(np.int64) * parts + part.astype(np.int64), count, GROUPS * parts)
    return flat.astype(np.float64).reshape(GROUPS, parts)


def _tiers(ratings: Counts) -> NDArray[np.int64]:
    """The tier of each item by its ratings in the training, float64 [n]; TIERS for those without any."""
    order = np.argsort(-ratings, kind="stable")
    before = np.cumsum(ratings[order]) - ratings[order]
    tiers = np.empty(len(ratings), dtype=np.int64)
    tiers[order] = np.minimum(before * TIERS / max(ratings.sum(), 1), TIERS - 1).astype(np.int64)
    tiers[ratings == 0] = TIERS
    return tiers


def _bins(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """The part of each value, ascending, and the parts' names."""
    if len(values) <= VALUES:
        return np.arange(len(values)), [f"{value:g}" for value in values.tolist()]
    edges = np.linspace(values[0], values[-1], VALUES + 1)
    bins = np.minimum(np.searchsorted(edges, values, side="right") - 1, VALUES - 1)
    return bins, [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges.tolist())]


def _genres(connection: "duckdb.DuckDBPyConnection", path: Path) -> dict[Any, list[str]]:
    """Each movie's genres; none where the file cannot be read, which stops no other comparison."""
    import duckdb  # a server has none

    query = f"SELECT movie_id, genres FROM {_FILE} WHERE len(genres) > 0"
    try:
        return dict(connection.execute(query, [str(path)]).fetchall())
    except duckdb.Error:
        return {}


def _weights(ids: NDArray[Any], genres: dict[Any, list[str]]) -> tuple[list[str], Counts]:
    """The genres in order, and each item's weight for them, float64 [items, genres]: equal parts that sum to 1."""
    names = sorted({name for own in genres.values() for name in own})
    place = {name: number for number, name in enumerate(names)}
    weights = np.zeros((len(ids), len(names)))
    for row, item in enumerate(ids.tolist()):
        own = genres.get(item, ())
        for name in own:
            weights[row, place[name]] += 1 / len(own)
    return names, weights
