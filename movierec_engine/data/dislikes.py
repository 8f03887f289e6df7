"""Held-out dislikes: what users rated low in the periods of validation and of test.

They are no interactions: nothing is trained, stopped or chosen by them, and the parts are the same with and without.
Metrics alone look at them, for whether a list holds what its user is going to dislike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.data.config import DataConfig
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import Ratings

_NEVER = np.iinfo(np.int64).max


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
    on; in a random split each dislike is drawn by the ratios, with a generator of its own. None where the parts hold
    low ratings themselves.
    """
    train, *held = parts
    low = _below(ratings, train, config.rating_threshold)
    if any((part.rating < config.rating_threshold).any() for part in parts):
        low = low.select(np.zeros(len(low), dtype=np.bool_))
    time: NDArray[np.int64 | np.float64] = low.timestamp
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
    """The ratings below a threshold, of users and items that train has."""
    table = ratings.table.filter(pc.less(ratings.table["rating"], threshold))
    known = [
        of.index(table[name].to_numpy()) >= 0 for of, name in ((train.users, "user_id"), (train.items, "movie_id"))
    ]
    return Interactions.from_table(table.filter(pa.array(known[0] & known[1])), train.users, train.items)


def _oldest(part: Interactions) -> NDArray[np.int64]:
    """int64 [n_users], the time of each user's oldest interaction in a part; never for a user without any."""
    oldest = np.full(part.n_users, _NEVER)
    np.minimum.at(oldest, part.user, part.timestamp)
    return oldest
