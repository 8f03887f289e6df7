"""Likes and dislikes: the rating from which on an item is liked, and the held-out dislikes.

Held-out dislikes are what users rated low in the periods of validation and of test. They are no interactions: nothing
is trained, stopped or chosen by them, and the parts are the same with and without. Metrics alone look at them, for
whether a list holds what its user is going to dislike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.data.config import USERS, DataConfig
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import Ratings
from movierec_engine.reporting.numbers import percent, rating

_NEVER = np.iinfo(np.int64).max
RARE = 0.1
"""Least share of the ratings in the upper half of what is a scale."""
_LEAST_SCALE = 4
"""Positive values from which on a lone negative one is no end of their scale, as it is of -1, 0 and 1."""


def liked_from(ratings: NDArray[np.floating[Any]], threshold: float) -> float:
    """The least rating that counts as a like; lower ratings are dislikes.

    It is the threshold where some ratings are below it, else the middle between the lowest and the highest rating: 2.75
    of .5 to 5, so that 3 is the least like. Ratings that are all equal are likes, and so are counts, of which the large
    ones are rare: where less than a tenth of the values reach the middle, the lowest one is a like. What stands for no
    rating (`no_rating`) is not looked at.

    ratings: [n], at least one.
    """
    ratings = rated(ratings)
    low, high = float(ratings.min()), float(ratings.max())
    if threshold > low:
        return threshold
    return (low + high) / 2 if tell_a_scale(ratings) else low


def tell_a_scale(ratings: NDArray[np.floating[Any]]) -> bool:
    """True for values that are ratings of a scale; False for likes, which are all equal, and for counts.

    ratings: [n], at least one. What stands for no rating is not looked at.
    """
    ratings = rated(ratings)
    low, high = float(ratings.min()), float(ratings.max())
    return low < high and bool((ratings >= (low + high) / 2).mean() >= RARE)


def no_rating(ratings: NDArray[np.floating[Any]]) -> float | None:
    """The negative number that stands for no rating, such as -1 beside 1 to 10; None where there is none.

    It is the only negative value, -1 or a whole number farther from 0 than all others, beside at least four positive
    ones: of -10 to 10 and of -1, 0 and 1 negative values are ratings.

    ratings: [n].
    """
    negative = ratings[ratings < 0]
    if not len(negative) or negative.min() != negative.max():
        return None
    value = float(negative[0])
    is_apart = value == -1 or (value.is_integer() and -value > ratings.max())
    return value if is_apart and len(np.unique(ratings[ratings > 0])) >= _LEAST_SCALE else None


def rated(ratings: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The ratings without the number that stands for none."""
    none = no_rating(ratings)
    return ratings if none is None else ratings[ratings != none]


def negative_ratings(values: NDArray[np.floating[Any]], threshold: float) -> str:
    """A sentence of what negative ratings below the threshold are taken for; "" where there are none.

    values: [n], at least one.
    """
    low = values[(values < 0) & (values < threshold)]
    if not len(low):
        return ""
    share = percent(len(low) / len(values))
    if no_rating(values) is not None:
        return (
            f"{share} are {rating(low[0])}, which is taken for no rating: neither an interaction nor a dislike; "
            'data.columns.rating="" makes every row a like'
        )
    return f"{share} are negative: dislikes, which are no interactions"


def low_ratings(values: NDArray[np.floating[Any]], threshold: float) -> str:
    """A sentence of the low ratings that count as interactions for want of a threshold, else "".

    values: [n], at least one. Of 0 and 1 it is the zeros, of a scale what is below the likes; counts have none.
    """
    least_like = 1.0 if are_zeros_and_ones(values) else liked_from(values, threshold)
    low = values[(values < least_like) & (values >= threshold)]
    if not len(low):
        return ""
    value = float(values[values >= least_like].min())
    which = f"{rating(low[0])}" if low.min() == low.max() else f"below {rating(value)}"
    return (
        f"{percent(len(low) / len(values))} are {which}, which count as interactions like the others; "
        f"data.rating_threshold={rating(value)} leaves them out"
    )


def are_zeros_and_ones(values: NDArray[np.floating[Any]]) -> bool:
    """True if there are exactly these two values, as where people say yes or no."""
    return float(values.min()) == 0 and float(values.max()) == 1 and bool(((values == 0) | (values == 1)).all())


def held_out_dislikes(
    ratings: Ratings,
    parts: Sequence[Interactions],
    strategy: str,
    boundaries: Mapping[str, int],
    config: DataConfig,
) -> dict[str, Interactions]:
    """The ratings below `data.rating_threshold`, by users and of items of the split, in `validation` and in `test`.

    parts: train, validation and test; strategy, boundaries: as in `Split`. Where parts are cut at a moment, so are
    dislikes; where each user's newest interactions are held out, so is what the user disliked from the oldest of those
    on; in a random split, and of users who are held out as a whole, each dislike is drawn by the ratios, with a
    generator of its own. None where the parts hold low ratings themselves.
    """
    train, *held = parts
    low = _below(ratings, train, config.rating_threshold)
    if any((part.rating < config.rating_threshold).any() for part in parts):
        low = low.select(np.zeros(len(low), dtype=np.bool_))
    time: NDArray[np.int64 | np.float64] = low.timestamp
    if strategy == USERS:
        drawn = np.random.default_rng([config.split_seed, 1]).random(len(low)) >= config.fold_in_ratio
        return {
            name: low.select(drawn & np.isin(low.user, part.user))
            for name, part in zip(("validation", "test"), held, strict=True)
        }
    if strategy == "random":
        time = np.random.default_rng([config.split_seed, 1]).random(len(low))
        since = [np.full(len(low), config.train_ratio), np.full(len(low), config.train_ratio + config.val_ratio)]
    elif boundaries:
        since = [np.full(len(low), boundaries[name]) for name in ("validation_from", "test_from")]
    else:
        since = [_oldest(part)[low.user] for part in held]
    until = boundaries.get("test_until", _NEVER)
    return {
        "validation": low.select((time >= since[0]) & (time < since[1])),
        "test": low.select((time >= since[1]) & (time < until)),
    }


def _below(ratings: Ratings, train: Interactions, threshold: float) -> Interactions:
    """The ratings below a threshold, of users and items that train has; without what stands for no rating."""
    values = ratings.table["rating"]
    below = pc.less(values, pa.scalar(threshold, values.type))
    if (none := no_rating(values.to_numpy())) is not None:
        below = pc.and_(below, pc.not_equal(values, pa.scalar(none, values.type)))
    table = ratings.table.filter(below)
    known = [of.index(table[name]) >= 0 for of, name in ((train.users, "user_id"), (train.items, "movie_id"))]
    return Interactions.from_table(table.filter(pa.array(known[0] & known[1])), train.users, train.items)


def _oldest(part: Interactions) -> NDArray[np.int64]:
    """int64 [n_users], the time of each user's oldest interaction in a part; never for a user without any."""
    oldest = np.full(part.n_users, _NEVER)
    np.minimum.at(oldest, part.user, part.timestamp)
    return oldest
