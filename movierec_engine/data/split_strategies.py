"""Which part each interaction belongs to, by the strategies of `data.split`."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.config import NEXT_ITEM, NEXT_ITEM_AFTER, USERS, DataConfig
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import EmptyDataError

TRAIN, VALIDATION, TEST, FOLDED_IN, LEFT_OUT = range(5)
PARTS = ("train", "validation", "test")
"""The part with number p is PARTS[p]."""
FOLD_IN = "fold_in"
"""The part with number FOLDED_IN: what models are told of at test and never trained on. Of `users` it is the histories
of the held-out users, of `next_item_after` what happened between its moments beside validation's items."""
LATER = "later"
"""The part with number LEFT_OUT: what happened after a user's test item, which `next_item_after` alone has."""
ALL_PARTS = (*PARTS, FOLD_IN, LATER)
"""The part with number p is ALL_PARTS[p]."""


@dataclass(frozen=True)
class Strategy:
    """A strategy of `data.split`.

    parts: the part numbers of interactions, int8 [n], and the boundaries, empty where it has none.
    needs_times: whether it goes by time.
    more_parts: the parts that it has beside PARTS.
    """

    parts: Callable[[Interactions, DataConfig], tuple[NDArray[np.int8], dict[str, int]]]
    needs_times: bool = True
    more_parts: tuple[str, ...] = ()


STRATEGIES = {
    "random": Strategy(
        lambda rows, config: (random_parts(rows, config.train_ratio, config.val_ratio, config.split_seed), {}),
        needs_times=False,
    ),
    "global_time": Strategy(lambda rows, config: global_time_parts(rows, config.train_ratio, config.val_ratio)),
    "user_time": Strategy(
        lambda rows, config: (user_time_parts(rows, config.train_ratio, config.val_ratio, config.split_seed), {})
    ),
    "leave_one_out": Strategy(lambda rows, config: (leave_one_out_parts(rows, config.split_seed), {})),
    NEXT_ITEM: Strategy(lambda rows, config: (next_item_parts(rows), {})),
    NEXT_ITEM_AFTER: Strategy(
        lambda rows, config: next_item_after_parts(rows, config.train_ratio, config.val_ratio),
        more_parts=(FOLD_IN, LATER),
    ),
    USERS: Strategy(
        lambda rows, config: (
            held_out_user_parts(rows, config.train_ratio, config.val_ratio, config.fold_in_ratio, config.split_seed),
            {},
        ),
        needs_times=False,
        more_parts=(FOLD_IN,),
    ),
}
"""The strategies of `data.split`, by name."""


def parts_of(strategy: str) -> tuple[str, ...]:
    """The names of a split's parts; of given parts and of backtest windows, which no strategy makes, PARTS."""
    return (*PARTS, *STRATEGIES[strategy].more_parts) if strategy in STRATEGIES else PARTS


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
    boundaries = _moments(interactions, train_ratio, val_ratio)
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    part[interactions.timestamp >= boundaries["validation_from"]] = VALIDATION
    part[interactions.timestamp >= boundaries["test_from"]] = TEST
    return part, boundaries


def leave_one_out_parts(interactions: Interactions, seed: int) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's newest interaction is test, the one before it validation.

    Of equal times a random one is the newer. A user with two interactions has no validation, a user with one stays in
    train.
    """
    position, count = _position_within_user(interactions.user, _newest_first(interactions, seed))
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    part[(position == 0) & (count >= 2)[interactions.user]] = TEST
    part[(position == 1) & (count >= 3)[interactions.user]] = VALIDATION
    return part


def next_item_parts(interactions: Interactions) -> NDArray[np.int8]:
    """Part numbers int8 [n]: each user's newest interaction is test, the one before it validation.

    The order is `Interactions.by_time`. A user with two interactions has no validation, a user with one stays in train.
    """
    position, counts = _position_within_user(interactions.user, interactions.by_time())
    count = counts[interactions.user]
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    part[(position == count - 1) & (count >= 2)] = TEST
    part[(position == count - 2) & (count >= 3)] = VALIDATION
    return part


def next_item_after_parts(
    interactions: Interactions, train_ratio: float, val_ratio: float
) -> tuple[NDArray[np.int8], dict[str, int]]:
    """Part numbers int8 [n] and the boundaries: the first interaction of each user after one moment for all is test.

    The moments are those of `global_time_parts`. What is before the first is train. Of a user's interactions between
    them the first is validation, where there is one before, and all others FOLDED_IN, known at test. Of those after the
    second the first is test, where there is one before, and all others LEFT_OUT. The order is `Interactions.by_time`.

    Global time with the first item as target (Gusak et al. 2025, "Time to Split: Exploring Data Splitting Strategies
    for Offline Evaluation of Sequential Recommenders"). Raises EmptyDataError when no user is on both sides of the
    second moment.
    """
    boundaries = _moments(interactions, train_ratio, val_ratio)
    time, user = interactions.timestamp, interactions.user
    position, _ = _position_within_user(user, interactions.by_time())
    part = np.full(len(interactions), TRAIN, dtype=np.int8)
    for since, target, others in (("validation_from", VALIDATION, FOLDED_IN), ("test_from", TEST, LEFT_OUT)):
        after = time >= boundaries[since]
        before = np.bincount(user[~after], minlength=interactions.n_users)[user]
        part[after] = others
        part[after & (before > 0) & (position == before)] = target
    if not (part == TEST).any():
        raise EmptyDataError(
            "no user has an interaction both before and after the moment at which test begins; lower data.train_ratio, "
            "use data whose users come back, or choose another data.split"
        )
    return part, boundaries


def held_out_user_parts(
    interactions: Interactions, train_ratio: float, val_ratio: float, fold_in_ratio: float, seed: int
) -> NDArray[np.int8]:
    """Part numbers int8 [n] with whole users held out, for strong generalization (Liang et al. 2018).

    Users with at least two interactions are shuffled and cut at the two ratios: train, validation and test users; of
    each kind there is at least one. Everything of a train user is train. Of a held-out user's interactions with items
    that train has, `fold_in_ratio` (rounded, drawn at random) is the history, FOLDED_IN, and the rest
    is to be found: VALIDATION or TEST, at least one interaction of each. Items that train has not are FOLDED_IN, and so
    is everything of a held-out user who is left with fewer than two. Users with one interaction stay in train.

    Raises EmptyDataError when there are too few users.
    """
    rng = np.random.default_rng(seed)
    count = np.bincount(interactions.user, minlength=interactions.n_users)
    able = rng.permutation(np.flatnonzero(count >= 2))
    validation = _exact(val_ratio)
    n_test, n_validation = (
        max(1, int(_rounded(np.array([len(able)]), share)[0])) if share else 0
        for share in (1 - _exact(train_ratio) - validation, validation)
    )
    if n_test + n_validation >= len(able):
        raise EmptyDataError(
            f"{len(able)} users have two interactions or more, too few to hold {n_validation} out for validation and "
            f"{n_test} for test and to train on others; use data of more users, raise data.train_ratio, or choose "
            "another data.split"
        )
    of_user = np.full(interactions.n_users, TRAIN, dtype=np.int8)
    of_user[able[:n_test]] = TEST
    of_user[able[n_test : n_test + n_validation]] = VALIDATION
    part = of_user[interactions.user]
    trained = np.bincount(interactions.item[part == TRAIN], minlength=interactions.n_items) > 0
    held = part != TRAIN
    rows = np.flatnonzero(held & trained[interactions.item])
    place = places_in_random_order(interactions.user[rows], rng)
    known = np.bincount(interactions.user[rows], minlength=interactions.n_users)
    found = np.clip(_rounded(known, 1 - _exact(fold_in_ratio)), 1, np.maximum(known - 1, 0))
    to_find = np.zeros(len(part), dtype=np.bool_)
    to_find[rows] = place < found[interactions.user[rows]]
    part[held & ~to_find] = FOLDED_IN
    return part


def places_in_random_order(row: NDArray[np.integer[Any]], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64 [n]: the place of each entry among those of its row in a random order, from 0; row: int [n]."""
    return _position_within_user(row, np.lexsort((rng.random(len(row)), row)))[0]


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
    position, count = _position_within_user(user, order)  # count and what follows of it are of users, far fewer
    enough = count >= 3
    validation = _exact(val_ratio)
    test = 1 - _exact(train_ratio) - validation
    n_test = np.where(enough, np.maximum(1, _rounded(count, test)), 0)
    n_test = np.minimum(n_test, np.maximum(count - 2, 0))
    n_validation = np.where(enough & (validation > 0), np.maximum(1, _rounded(count, validation)), 0)
    n_validation = np.minimum(n_validation, np.maximum(count - n_test - 1, 0))
    part = np.full(len(user), TRAIN, dtype=np.int8)
    part[position < (n_test + n_validation)[user]] = VALIDATION
    part[position < n_test[user]] = TEST
    return part


def _moments(interactions: Interactions, train_ratio: float, val_ratio: float) -> dict[str, int]:
    """The first second of validation and of test: the quantiles of the timestamps at the ratios."""
    ordered = np.sort(interactions.timestamp)
    n, train = len(ordered), _exact(train_ratio)
    ends = {"validation_from": train, "test_from": train + _exact(val_ratio)}
    return {name: int(ordered[min(int(n * share), n - 1)]) for name, share in ends.items()}


def _exact(ratio: float) -> Fraction:
    """The decimal fraction that a ratio is written as: 1 - .8 - .1 is .1 in these, and less in floats."""
    return Fraction(str(ratio)).limit_denominator(10**9)


def _rounded(count: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """count * share, rounded to the nearest whole number and halves to the even one, without error: int64 [n]."""
    whole, rest = np.divmod(count * share.numerator, share.denominator)
    up = (2 * rest > share.denominator) | ((2 * rest == share.denominator) & (whole % 2 == 1))
    return np.asarray(whole + up)


def _position_within_user(
    user: NDArray[np.integer[Any]], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64 [n], each row's place among its user's rows in `order` (sorted by user), and each user's number of rows."""
    count = np.bincount(user)
    start = np.cumsum(count) - count
    position = np.empty(len(user), dtype=np.int64)
    position[order] = np.arange(len(user))
    position -= start[user]
    return position, count
