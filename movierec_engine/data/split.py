"""Train, validation and test: three disjoint parts of the interactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import DataConfig
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, load_id_maps, save_id_maps
from movierec_engine.data.likes import held_out_dislikes, liked_from
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.errors import ConfigError, EmptyDataError

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = ("train", "validation", "test")
"""The part with number p is PARTS[p]."""

_AHEAD = "train of one user holds interactions later than another user's test"
LEAKY = {"user_time": _AHEAD, "leave_one_out": _AHEAD}
"""Why a strategy that goes by time still looks ahead, for reports: `user_time (leaky)`. `random` does not go by time at
all; `future_share` measures it for any split."""


SPLIT_VERSION = 2
"""Raised when the same settings divide the same interactions otherwise than before, so that no older split is used."""


def split_label(strategy: str) -> str:
    """A strategy as reports call it: `user_time (leaky)`."""
    return f"{strategy} (leaky)" if strategy in LEAKY else strategy


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts over the same vocabularies, pairwise disjoint as (user, item) pairs.

    strategy: `random`, `global_time`, `leave_one_out`, `user_time`, `given` for a presplit data set, or
        `rolling_origin` for a backtest window (`data/backtest_windows.py`).
    boundaries: for global_time and rolling_origin, the first second of validation and of test, and for rolling_origin
        the first second after test; else empty.
    negatives: interactions that stand for the given candidates of a presplit data set, or None.
    liked_from: the rating from which on an item counts as liked, see `data/likes.py`.
    dislikes: what users rated below the threshold in the periods of `validation` and `test`, see `data/likes.py`;
        None where it is not known.
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    strategy: str
    boundaries: dict[str, int] = field(default_factory=dict)
    negatives: Interactions | None = None
    liked_from: float = 0.0
    dislikes: dict[str, Interactions] | None = None

    def parts(self) -> tuple[Interactions, Interactions, Interactions]:
        return self.train, self.validation, self.test

    def everything(self) -> Interactions:
        """The interactions of all three parts, train first."""
        parts = self.parts()
        return replace(
            self.train,
            user=np.concatenate([part.user for part in parts]),
            item=np.concatenate([part.item for part in parts]),
            rating=np.concatenate([part.rating for part in parts]),
            timestamp=np.concatenate([part.timestamp for part in parts]),
        )

    def train_and_validation(self) -> sparse.csr_matrix:
        """Train and validation items of each user, CSR [n_users, n_items]: the mask of the test."""
        return (self.train.matrix() + self.validation.matrix()).tocsr()

    def disliked(self, part: str) -> sparse.csr_matrix | None:
        """The held-out items of `validation` or `test` that their users rated below `liked_from`, dislikes included.

        CSR [n_users, n_items]; None where dislikes are not known.
        """
        if self.dislikes is None:
            return None
        own = self.parts()[PARTS.index(part)]
        return (own.select(own.rating < self.liked_from).matrix() + self.dislikes[part].matrix()).tocsr()

    def validation_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Validation, ranked among what is not in train; without dislikes, so that nothing is chosen by them.

        movies: titles of the items, for what depends on genres and years.
        """
        catalogue = Catalogue.of(self.train, movies)
        return HeldOut(self.validation, catalogue.train, "train", catalogue)

    def test_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Test, ranked among everything not in train or validation; against the given negatives where there are any.

        movies: as for validation.
        """
        catalogue = Catalogue.of(self.train, movies)
        disliked = self.disliked("test")
        if self.negatives is None:
            return HeldOut(self.test, self.train_and_validation(), "train+validation", catalogue, disliked=disliked)
        given = self.negatives.matrix()
        return HeldOut(
            self.test, self.train_and_validation(), "train+validation", catalogue, given, "sampled_given", disliked
        )

    def save(self, folder: Path) -> None:
        _write_parts(dict(zip(PARTS, self.parts(), strict=True)), folder / "split.parquet")
        save_id_maps(folder, self.train.users, self.train.items)
        if self.negatives is not None:
            pq.write_table(self.negatives.to_table(), folder / "negatives.parquet", compression="zstd")
        if self.dislikes is not None:
            _write_parts(self.dislikes, folder / "dislikes.parquet")

    @classmethod
    def load(cls, folder: Path, strategy: str, boundaries: dict[str, int], liked_from: float = 0.0) -> "Split":
        users, items = load_id_maps(folder)
        negatives, dislikes = folder / "negatives.parquet", folder / "dislikes.parquet"
        return cls(
            **_read_parts(folder / "split.parquet", PARTS, users, items),
            strategy=strategy,
            boundaries=boundaries,
            negatives=Interactions.from_table(pq.read_table(negatives), users, items) if negatives.exists() else None,
            liked_from=liked_from,
            dislikes=_read_parts(dislikes, PARTS[1:], users, items) if dislikes.exists() else None,
        )


def with_dislikes(parts: Split, ratings: Ratings, config: DataConfig) -> Split:
    """The same split with what the ratings behind it say of likes and dislikes."""
    return replace(
        parts,
        liked_from=liked_from(ratings.table["rating"].to_numpy(), config.rating_threshold),
        dislikes=held_out_dislikes(ratings, parts.parts(), parts.strategy, parts.boundaries, config),
    )


def split(interactions: Interactions, config: DataConfig, ratings: Ratings) -> Split:
    """Divide interactions by `config.split`; the parts of a presplit data set are taken as they are.

    Raises EmptyDataError when train or test would be empty, ConfigError when the strategy goes by time and there are
    no times to go by.
    """
    boundaries: dict[str, int] = {}
    negatives = None
    strategy = config.split
    if not ratings.presplit and strategy != "random":
        _require_times(interactions, config)
    if ratings.presplit:
        strategy = "given"
        part = _given_parts(ratings)
        negatives = _given_negatives(ratings, interactions)
    elif config.split == "random":
        part = random_parts(interactions, config.train_ratio, config.val_ratio, config.split_seed)
    elif config.split == "global_time":
        part, boundaries = global_time_parts(interactions, config.train_ratio, config.val_ratio)
    elif config.split == "user_time":
        part = user_time_parts(interactions, config.train_ratio, config.val_ratio, config.split_seed)
    else:
        part = leave_one_out_parts(interactions, config.split_seed)
    for number in (TRAIN, TEST):
        if not (part == number).any():
            raise EmptyDataError(
                f"{config.name}: the {strategy} split of {len(interactions)} interactions leaves {PARTS[number]} "
                "empty; use more data, lower the filters or choose another data.split"
            )
    train, validation, test = (interactions.select(part == number) for number in range(3))
    return with_dislikes(Split(train, validation, test, strategy, boundaries, negatives), ratings, config)


def _write_parts(parts: Mapping[str, Interactions], path: Path) -> None:
    tables = [
        part.to_table().append_column("part", pa.array([name] * len(part), pa.string())) for name, part in parts.items()
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def _read_parts(path: Path, names: Sequence[str], users: IdMap, items: IdMap) -> dict[str, Interactions]:
    table = pq.read_table(path)
    part = table["part"].combine_chunks().dictionary_encode()
    codes = np.array([names.index(name) for name in part.dictionary.to_pylist()], dtype=np.int64)
    everything = Interactions.from_table(table, users, items)
    own = codes[part.indices.to_numpy()]
    return {name: everything.select(own == number) for number, name in enumerate(names)}


def future_share(split: Split) -> float:
    """Share of the test interactions that happened before the newest train interaction, strictly.

    0 for global_time, near 1 for random, and 0 where the timestamps are all equal, as they are where a file has none.
    """
    if not len(split.train) or not len(split.test):
        return 0.0
    return float((split.test.timestamp < split.train.timestamp.max()).mean())


def tied_share(split: Split) -> float:
    """Share of the test interactions that have the same time as one of their user's in train or validation.

    Which of those is test was decided by `data.split_seed`, not by time. 0 for strategies that do not order each
    user's interactions by time, and for global_time, which cuts between seconds.
    """
    if split.strategy not in LEAKY or not len(split.test):
        return 0.0
    newest = np.full(split.test.n_users, np.iinfo(np.int64).min)
    for part in (split.train, split.validation):
        np.maximum.at(newest, part.user, part.timestamp)
    return float((split.test.timestamp == newest[split.test.user]).mean())


def subsample(train: Interactions, share: float, seed: int) -> Interactions:
    """A random share of the train interactions, for quick tries; all of them when the share is 1."""
    if share == 1:
        return train
    size = max(1, round(share * len(train)))
    return train.select(np.sort(np.random.default_rng(seed).choice(len(train), size, replace=False)))


def random_parts(interactions: Interactions, train_ratio: float, val_ratio: float, seed: int) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's interactions, shuffled, cut at the two ratios (`_cut_each_user`)."""
    shuffle = np.random.default_rng(seed).permutation(len(interactions))
    order = shuffle[np.argsort(interactions.user[shuffle], kind="stable")]
    return _cut_each_user(interactions.user, order, train_ratio, val_ratio)


def user_time_parts(interactions: Interactions, train_ratio: float, val_ratio: float, seed: int) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's interactions in order of time, cut at the two ratios (`_cut_each_user`).

    A user's newest are test, those before them validation; of equal times a random one is the newer. Within a user
    nothing in train is later than test, across users it is: see LEAKY.
    """
    return _cut_each_user(interactions.user, _newest_first(interactions, seed), train_ratio, val_ratio)


def global_time_parts(
    interactions: Interactions, train_ratio: float, val_ratio: float
) -> tuple[NDArray[np.int8], dict[str, int]]:
    """Part numbers int8 [n] and the boundaries: one moment for all users, so that nothing in train is later than test.

    Validation starts at the `train_ratio` quantile of the timestamps, test at `train_ratio + val_ratio`; interactions
    at exactly a boundary's second belong to the later part.
    """
    ordered = np.sort(interactions.timestamp)
    n = len(ordered)
    train, validation = _exact(train_ratio), _exact(val_ratio)
    validation_from = int(ordered[min(int(n * train), n - 1)])
    test_from = int(ordered[min(int(n * (train + validation)), n - 1)])
    part = np.full(n, TRAIN, dtype=np.int8)
    part[interactions.timestamp >= validation_from] = VALIDATION
    part[interactions.timestamp >= test_from] = TEST
    return part, {"validation_from": validation_from, "test_from": test_from}


def leave_one_out_parts(interactions: Interactions, seed: int) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's newest interaction is test, the one before it validation.

    Of equal times a random one is the newer. A user with two interactions has no validation, a user with one stays in
    train.
    """
    position, count = _position_within_user(interactions.user, _newest_first(interactions, seed))
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    part[(position == 0) & (count >= 2)] = TEST
    part[(position == 1) & (count >= 3)] = VALIDATION
    return part


def _require_times(interactions: Interactions, config: DataConfig) -> None:
    """Raises ConfigError when every time is the same, or every time of each user for strategies that go by users."""
    by_user = config.split in LEAKY
    group = interactions.user if by_user else np.zeros(len(interactions), dtype=np.int32)
    order = np.lexsort((interactions.timestamp, group))
    pairs = np.diff(group[order]) == 0
    if pairs.any() and not np.diff(interactions.timestamp[order])[pairs].any():
        whose = "each user's ratings" if by_user else "the ratings"
        raise ConfigError(
            f"{config.name}: data.split={config.split} goes by time, but {whose} are all of one time; "
            "set data.columns.timestamp to the column of times, or data.split=random"
        )


def _newest_first(interactions: Interactions, seed: int) -> NDArray[np.int64]:
    """int64 [n]: the rows by user, each user's newest first, those of equal times in random order."""
    shuffle = np.random.default_rng(seed).permutation(len(interactions))
    order = np.lexsort((shuffle, -interactions.timestamp, interactions.user))
    return np.asarray(order, dtype=np.int64)


def _cut_each_user(
    user: NDArray[np.int32], order: NDArray[np.int64], train_ratio: float, val_ratio: float
) -> NDArray[np.int8]:
    """Part numbers int8 [n]: of each user's rows in `order` (sorted by user) the first are test, the next validation.

    Test, then validation, get their rounded shares, and at least one interaction each from users with three or more;
    train keeps at least one, and users with fewer than three stay whole in train.
    """
    position, count = _position_within_user(user, order)
    enough = count >= 3
    validation = _exact(val_ratio)
    test = 1 - _exact(train_ratio) - validation
    n_test = np.where(enough, np.maximum(1, _rounded(count, test)), 0)
    n_test = np.minimum(n_test, np.maximum(count - 2, 0))
    n_validation = np.where(enough & (validation > 0), np.maximum(1, _rounded(count, validation)), 0)
    n_validation = np.minimum(n_validation, np.maximum(count - n_test - 1, 0))
    part = np.full(len(user), TRAIN, dtype=np.int8)
    part[position < n_test + n_validation] = VALIDATION
    part[position < n_test] = TEST
    return part


def _exact(ratio: float) -> Fraction:
    """The decimal fraction that a ratio is written as: 1 - .8 - .1 is .1 in these, and less in floats."""
    return Fraction(str(ratio)).limit_denominator(10**9)


def _rounded(count: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """count * share, rounded to the nearest whole number and halves to the even one, without error: int64 [n]."""
    whole, rest = np.divmod(count * share.numerator, share.denominator)
    up = (2 * rest > share.denominator) | ((2 * rest == share.denominator) & (whole % 2 == 1))
    return np.asarray(whole + up)


def _position_within_user(
    user: NDArray[np.int32], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row its place among its user's rows in `order` (sorted by user), and how many rows its user has."""
    count = np.bincount(user)
    start = np.cumsum(count) - count
    position = np.empty(len(user), dtype=np.int64)
    position[order] = np.arange(len(user)) - start[user[order]]
    return position, count[user]


def _given_parts(ratings: Ratings) -> NDArray[np.int8]:
    part = ratings.table["part"].combine_chunks().dictionary_encode()
    codes = np.array([PARTS.index(name) for name in part.dictionary.to_pylist()], dtype=np.int8)
    return np.asarray(codes[part.indices.to_numpy()])


def _given_negatives(ratings: Ratings, interactions: Interactions) -> Interactions | None:
    if ratings.negatives is None:
        return None
    zeros = pa.array(np.zeros(len(ratings.negatives)))
    table = ratings.negatives.append_column("rating", zeros).append_column("timestamp", zeros)
    return Interactions.from_table(table, interactions.users, interactions.items)
