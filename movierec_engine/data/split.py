"""Train, validation and test: disjoint parts of the interactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import NEXT, NEXT_ITEM, NEXT_ITEM_AFTER, USERS, DataConfig
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, load_id_maps, save_id_maps
from movierec_engine.data.likes import held_out_dislikes, liked_from
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.data.split_strategies import (
    ALL_PARTS,
    FOLD_IN,
    LATER,
    PARTS,
    STRATEGIES,
    TEST,
    TRAIN,
    VALIDATION,
    parts_of,
    random_parts,
)
from movierec_engine.errors import ConfigError, EmptyDataError

_AHEAD = "train of one user holds interactions later than another user's test"
LEAKY = {"user_time": _AHEAD, "leave_one_out": _AHEAD, NEXT_ITEM: _AHEAD}
"""Why a strategy that goes by time still looks ahead, for reports: `user_time (leaky)`. `random` does not go by time at
all; `future_share` measures it for any split."""


_LABELS = {
    USERS: "users (people never seen)",
    **{name: f"{name} (leaky)" for name in LEAKY},
    NEXT_ITEM_AFTER: "next_item_after (one moment for all)",
}

SPLIT_VERSION = 2
"""Raised when the same settings divide the same interactions otherwise than before, so that no older split is used."""


def split_label(strategy: str) -> str:
    """A strategy as reports call it: `user_time (leaky)`, `users (people never seen)`."""
    return _LABELS.get(strategy, strategy)


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts over the same vocabularies, pairwise disjoint as (user, item) pairs.

    strategy: one of `data.split`, `given` for a presplit data set, or `rolling_origin` for a backtest window
        (`data/backtest_windows.py`).
    boundaries: for global_time, next_item_after and rolling_origin, the first second of validation and of test, and for
        rolling_origin the first second after test; else empty.
    negatives: interactions that stand for the given candidates of a presplit data set, or None.
    liked_from: the rating from which on an item counts as liked, see `data/likes.py`.
    dislikes: what users rated below the threshold in the periods of `validation` and `test`, see `data/likes.py`;
        None where it is not known.
    fold_in: what is known at test and never trained on: of strategy `users` the histories of the held-out users, none
        of whom is in train; of `next_item_after` what happened between its moments; else None.
    later: of `next_item_after`, what happened after the test items, which nothing is measured by; else None.
    """

    train: Interactions
    validation: Interactions
    test: Interactions
    strategy: str
    boundaries: dict[str, int] = field(default_factory=dict)
    negatives: Interactions | None = None
    liked_from: float = 0.0
    dislikes: dict[str, Interactions] | None = None
    fold_in: Interactions | None = None
    later: Interactions | None = None

    @property
    def holds_out_users(self) -> bool:
        """True if no model trained on it has seen the users of validation and test."""
        return self.strategy == USERS

    @property
    def asks_for_next(self) -> bool:
        """True if validation and test ask for the next item of a history, which is folded in."""
        return self.strategy in NEXT

    def parts(self) -> tuple[Interactions, Interactions, Interactions]:
        return self.train, self.validation, self.test

    def named(self) -> dict[str, Interactions]:
        """All interactions by part: train, validation, test, and where there are any, fold_in and later."""
        named = {**dict(zip(PARTS, self.parts(), strict=True)), FOLD_IN: self.fold_in, LATER: self.later}
        return {name: part for name, part in named.items() if part is not None}

    def everything(self) -> Interactions:
        """The interactions of all parts, train first."""
        return _together(*self.named().values())

    def before_test(self) -> Interactions:
        """The interactions of each user known before test: train, validation and the fold-in part.

        Of users who are held out as a whole, their histories: what validation asks for is not known.
        """
        known = self.train if self.holds_out_users else _together(self.train, self.validation)
        return known if self.fold_in is None else _together(known, self.fold_in)

    def known_before_test(self) -> sparse.csr_matrix:
        """`before_test` as CSR [n_users, n_items]: the mask of the test."""
        return self.before_test().matrix()

    def disliked(self, part: str) -> sparse.csr_matrix | None:
        """The held-out items of `validation` or `test` that their users rated below `liked_from`, dislikes included.

        CSR [n_users, n_items]; None where dislikes are not known.
        """
        if self.dislikes is None:
            return None
        own = self.parts()[PARTS.index(part)]
        return (own.select(own.rating < self.liked_from).matrix() + self.dislikes[part].matrix()).tocsr()

    def validation_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Validation, ranked among the items that are not in train; without dislikes, so nothing is chosen by them.

        movies: titles of the items, for what depends on genres and years.
        """
        catalogue = Catalogue.of(self.train, movies)
        if self.holds_out_users or self.asks_for_next:
            return self._folded_in(self.validation, self.train if self.asks_for_next else self.before_test(), catalogue)
        return HeldOut(self.validation, catalogue.train, "train", catalogue)

    def test_heldout(self, movies: Movies | None = None) -> HeldOut:
        """Test, ranked among everything not in train or validation; against the given negatives where there are any.

        movies: as for validation.
        """
        catalogue, disliked = Catalogue.of(self.train, movies), self.disliked("test")
        if self.holds_out_users or self.asks_for_next:
            return self._folded_in(self.test, self.before_test(), catalogue, disliked)
        seen, mask = self.known_before_test(), "train+validation"
        if self.negatives is None:
            return HeldOut(self.test, seen, mask, catalogue, disliked=disliked)
        return HeldOut(self.test, seen, mask, catalogue, self.negatives.matrix(), "sampled_given", disliked)

    def _folded_in(
        self,
        part: Interactions,
        known: Interactions,
        catalogue: Catalogue,
        disliked: sparse.csr_matrix | None = None,
    ) -> HeldOut:
        """Validation or test of users whose histories are folded in; known: these, and perhaps those of others."""
        histories = known.select(np.isin(known.user, part.user))
        mask = "everything before the next item" if self.asks_for_next else "the folded-in history"
        return HeldOut(
            part,
            histories.matrix(),
            mask,
            catalogue,
            disliked=disliked,
            fold_in=histories,
            new_people=self.holds_out_users,
        )

    def save(self, folder: Path) -> None:
        _write_parts(self.named(), folder / "split.parquet")
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
            **_read_parts(folder / "split.parquet", parts_of(strategy), users, items),
            strategy=strategy,
            boundaries=boundaries,
            negatives=Interactions.from_table(pq.read_table(negatives), users, items) if negatives.exists() else None,
            liked_from=liked_from,
            dislikes=_read_parts(dislikes, PARTS[1:], users, items) if dislikes.exists() else None,
        )


def with_dislikes(parts: Split, ratings: Ratings, config: DataConfig) -> Split:
    """The same split with the likes and dislikes from the ratings behind it."""
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
    negatives = None
    if ratings.presplit:
        strategy, boundaries = "given", dict[str, int]()
        part = _given_parts(ratings, interactions, config)
        negatives = _given_negatives(ratings, interactions)
    else:
        strategy = config.split
        if STRATEGIES[strategy].needs_times:
            _require_times(interactions, config)
        part, boundaries = STRATEGIES[strategy].parts(interactions, config)
    for number in (TRAIN, TEST):
        if not (part == number).any():
            raise EmptyDataError(
                f"{config.name}: the {strategy} split of {len(interactions)} interactions leaves {PARTS[number]} "
                "empty; use more data, lower the filters or choose another data.split"
            )
    named: dict[str, Any] = {name: interactions.select(part == ALL_PARTS.index(name)) for name in parts_of(strategy)}
    made = Split(**named, strategy=strategy, boundaries=boundaries, negatives=negatives)
    return with_dislikes(made, ratings, config)


def _together(*parts: Interactions) -> Interactions:
    """The interactions of several parts over the same vocabularies, in this order."""
    return replace(
        parts[0],
        user=np.concatenate([part.user for part in parts]),
        item=np.concatenate([part.item for part in parts]),
        rating=np.concatenate([part.rating for part in parts]),
        timestamp=np.concatenate([part.timestamp for part in parts]),
    )


def user_counts(split: Split) -> dict[str, int]:
    """Users by part where whole users are held out, else nothing.

    `left_out_users` are held out but in neither validation nor test: fewer than two of their items are in train.
    """
    if not split.holds_out_users or split.fold_in is None:
        return {}
    train, validation, test, histories = (np.unique(part.user) for part in (*split.parts(), split.fold_in))
    left_out = np.setdiff1d(histories, np.concatenate([validation, test]))
    counts = {"train": train, "validation": validation, "test": test, "left_out": left_out}
    return {f"{name}_users": len(users) for name, users in counts.items()}


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

    Which of those is test was decided by a random number, not by time: by `data.split_seed`, or of next_item by that of
    `Interactions.by_time`. 0 for strategies that do not order each user's interactions by time, and for those that cut
    all between seconds.
    """
    if split.strategy not in LEAKY or not len(split.test):
        return 0.0
    newest = np.full(split.test.n_users, np.iinfo(np.int64).min)
    for part in (split.train, split.validation):
        np.maximum.at(newest, part.user, part.timestamp)
    return float((split.test.timestamp == newest[split.test.user]).mean())


def unknown_to_train(split: Split, part: Interactions) -> tuple[int, int]:
    """How many interactions of a held-out part are of users without train, and how many of items without train."""
    users = np.bincount(split.train.user, minlength=part.n_users) == 0
    items = np.bincount(split.train.item, minlength=part.n_items) == 0
    return int(users[part.user].sum()), int(items[part.item].sum())


def subsample(train: Interactions, share: float, seed: int) -> Interactions:
    """A random share of the train interactions, for quick tries; all of them when the share is 1."""
    if share == 1:
        return train
    size = max(1, round(share * len(train)))
    return train.select(np.sort(np.random.default_rng(seed).choice(len(train), size, replace=False)))


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


def _given_parts(ratings: Ratings, interactions: Interactions, config: DataConfig) -> NDArray[np.int8]:
    """Part numbers int8 [n], as given; without validation a share of each user's train, drawn at random, is validation.

    The share is `data.val_ratio`; users with fewer than three interactions in train keep them.
    """
    of_rows = ratings.table["part"].combine_chunks().dictionary_encode()
    codes = np.array([PARTS.index(name) for name in of_rows.dictionary.to_pylist()], dtype=np.int8)
    part: NDArray[np.int8] = codes[of_rows.indices.to_numpy()]
    if config.val_ratio and not (part == VALIDATION).any():
        train = np.flatnonzero(part == TRAIN)
        drawn = random_parts(interactions.select(train), 1 - config.val_ratio, 0.0, config.split_seed) == TEST
        part[train[drawn]] = VALIDATION
    return part


def _given_negatives(ratings: Ratings, interactions: Interactions) -> Interactions | None:
    if ratings.negatives is None:
        return None
    zeros = pa.array(np.zeros(len(ratings.negatives)))
    table = ratings.negatives.append_column("rating", zeros).append_column("timestamp", zeros)
    return Interactions.from_table(table, interactions.users, interactions.items)
