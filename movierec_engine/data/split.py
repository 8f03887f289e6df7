"""Train, validation and test: three disjoint parts of the interactions."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import DataConfig
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions, load_id_maps
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.errors import EmptyDataError

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = ("train", "validation", "test")
"""The part with number p is PARTS[p]."""

_AHEAD = "train of one user holds interactions later than another user's test"
LEAKY = {"user_time": _AHEAD, "leave_one_out": _AHEAD}
"""Why a strategy that goes by time still looks ahead, for reports: `user_time (leaky)`. `random` does not go by time at
all; `future_share` measures it for any split."""


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
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    strategy: str
    boundaries: dict[str, int] = field(default_factory=dict)
    negatives: Interactions | None = None

    def parts(self) -> tuple[Interactions, Interactions, Interactions]:
        return self.train, self.validation, self.test

    def known(self) -> sparse.csr_matrix:
        """Train and validation items of each user, CSR [n_users, n_items]: the mask of the test, and of serving."""
        return (self.train.matrix() + self.validation.matrix()).tocsr()

    def validation_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Validation, ranked among everything that is not in train.

        movies: titles of the items, for what depends on genres and years.
        """
        catalogue = Catalogue.of(self.train, movies)
        return HeldOut(self.validation, catalogue.train, "train", catalogue)

    def test_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Test, ranked among everything not in train or validation; against the given negatives where there are any.

        movies: as for validation.
        """
        catalogue = Catalogue.of(self.train, movies)
        if self.negatives is None:
            return HeldOut(self.test, self.known(), "train+validation", catalogue)
        given = self.negatives.matrix()
        return HeldOut(self.test, self.known(), "train+validation", catalogue, given, "sampled_given")

    def save(self, folder: Path) -> None:
        tables = [
            part.to_table().append_column("part", pa.array([name] * len(part), pa.string()))
            for name, part in zip(PARTS, self.parts(), strict=True)
        ]
        pq.write_table(pa.concat_tables(tables), folder / "split.parquet", compression="zstd")
        np.savez(folder / "id_maps.npz", users=self.train.users.ids, items=self.train.items.ids)
        if self.negatives is not None:
            pq.write_table(self.negatives.to_table(), folder / "negatives.parquet", compression="zstd")

    @classmethod
    def load(cls, folder: Path, strategy: str, boundaries: dict[str, int]) -> "Split":
        users, items = load_id_maps(folder)
        table = pq.read_table(folder / "split.parquet")
        part = table["part"].combine_chunks().dictionary_encode()
        codes = np.array([PARTS.index(name) for name in part.dictionary.to_pylist()])[part.indices.to_numpy()]
        everything = Interactions.from_table(table, users, items)
        negatives = folder / "negatives.parquet"
        train, validation, test = (everything.select(codes == number) for number in range(3))
        return cls(
            train,
            validation,
            test,
            strategy=strategy,
            boundaries=boundaries,
            negatives=Interactions.from_table(pq.read_table(negatives), users, items) if negatives.exists() else None,
        )


def split(interactions: Interactions, config: DataConfig, ratings: Ratings) -> Split:
    """Divide interactions by `config.split`; the parts of a presplit data set are taken as they are.

    Raises EmptyDataError when train or test would be empty.
    """
    boundaries: dict[str, int] = {}
    negatives = None
    strategy = config.split
    if ratings.presplit:
        strategy = "given"
        part = _given_parts(ratings)
        negatives = _given_negatives(ratings, interactions)
    elif config.split == "random":
        part = random_parts(interactions, config.train_ratio, config.val_ratio, config.split_seed)
    elif config.split == "global_time":
        part, boundaries = global_time_parts(interactions, config.train_ratio, config.val_ratio)
    elif config.split == "user_time":
        part = user_time_parts(interactions, config.train_ratio, config.val_ratio)
    else:
        part = leave_one_out_parts(interactions)
    for number in (TRAIN, TEST):
        if not (part == number).any():
            raise EmptyDataError(
                f"{config.name}: the {strategy} split of {len(interactions)} interactions leaves {PARTS[number]} "
                "empty; use more data, lower the filters or choose another data.split"
            )
    train, validation, test = (interactions.select(part == number) for number in range(3))
    return Split(train, validation, test, strategy, boundaries, negatives)


def future_share(split: Split) -> float:
    """Share of the test interactions that happened before the newest train interaction, strictly.

    0 for global_time, near 1 for random, and 0 where the timestamps are all equal, as they are where a file has none.
    """
    if not len(split.train) or not len(split.test):
        return 0.0
    return float((split.test.timestamp < split.train.timestamp.max()).mean())


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


def user_time_parts(interactions: Interactions, train_ratio: float, val_ratio: float) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's interactions in order of time, cut at the two ratios (`_cut_each_user`).

    A user's newest are test, those before them validation; ties in time are broken by the larger item index. Within a
    user nothing in train is later than test, across users it is: see LEAKY.
    """
    return _cut_each_user(interactions.user, _newest_first(interactions), train_ratio, val_ratio)


def global_time_parts(
    interactions: Interactions, train_ratio: float, val_ratio: float
) -> tuple[NDArray[np.int8], dict[str, int]]:
    """Part numbers int8 [n] and the boundaries: one moment for all users, so that nothing in train is later than test.

    Validation starts at the `train_ratio` quantile of the timestamps, test at `train_ratio + val_ratio`; interactions
    at exactly a boundary's second belong to the later part.
    """
    ordered = np.sort(interactions.timestamp)
    n = len(ordered)
    validation_from = int(ordered[min(int(n * train_ratio), n - 1)])
    test_from = int(ordered[min(int(n * (train_ratio + val_ratio)), n - 1)])
    part = np.full(n, TRAIN, dtype=np.int8)
    part[interactions.timestamp >= validation_from] = VALIDATION
    part[interactions.timestamp >= test_from] = TEST
    return part, {"validation_from": validation_from, "test_from": test_from}


def leave_one_out_parts(interactions: Interactions) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's newest interaction is test, the one before it validation.

    Ties in time are broken by the larger item index. A user with two interactions has no validation, a user with one
    stays in train.
    """
    position, count = _position_within_user(interactions.user, _newest_first(interactions))
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    part[(position == 0) & (count >= 2)] = TEST
    part[(position == 1) & (count >= 3)] = VALIDATION
    return part


def _newest_first(interactions: Interactions) -> NDArray[np.int64]:
    """int64 [n]: the rows by user, each user's newest first, of equal times the larger item index first."""
    order = np.lexsort((-interactions.item, -interactions.timestamp, interactions.user))
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
    n_test = np.where(enough, np.maximum(1, np.rint(count * (1 - train_ratio - val_ratio))), 0)
    n_test = np.minimum(n_test, np.maximum(count - 2, 0))
    n_validation = np.where(enough & (val_ratio > 0), np.maximum(1, np.rint(count * val_ratio)), 0)
    n_validation = np.minimum(n_validation, np.maximum(count - n_test - 1, 0))
    part = np.full(len(user), TRAIN, dtype=np.int8)
    part[position < n_test + n_validation] = VALIDATION
    part[position < n_test] = TEST
    return part


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
