"""Backtest windows with a rolling origin: train up to a moment, test on what follows, move on and train again.

Tashman 2000, "Out-of-sample tests of forecasting accuracy: an analysis and review".
"""

from itertools import pairwise

import numpy as np

from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.errors import ConfigError, EmptyDataError


def rolling_origin(interactions: Interactions, windows: int, first_train_share: float, val_ratio: float) -> list[Split]:
    """One Split a window, oldest first; each trains on everything before its test, and tests on that window alone.

    The oldest `first_train_share` of the interactions precede the first window, and the rest is cut into `windows` of
    equally many. Cuts fall between seconds: the interactions of one second belong together to the later window. Of
    what precedes a window, the newest `val_ratio` are its validation, cut in the same way. Interactions after the
    window are in none of its parts. boundaries: the first second of validation, of test, and after test.

    The vocabularies stay those of `interactions`, whose k-core was computed over all times. So the windows can be
    compared, but a user or item that comes later is in the vocabulary without train interactions, and who has
    enough interactions to be in it at all was decided by the future too.

    Raises ConfigError for settings out of range, EmptyDataError when train or test of a window would be empty.
    """
    if windows < 1 or not 0 < first_train_share < 1 or not 0 < val_ratio < 1:
        raise ConfigError(
            f"cannot cut {windows} backtest windows with first_train_share={first_train_share} and "
            f"val_ratio={val_ratio}; choose at least one window and shares between 0 and 1"
        )
    n = len(interactions)
    if not n:
        raise EmptyDataError("there are no interactions to cut backtest windows from; lower the filters of the data")
    ordered = np.sort(interactions.timestamp)
    cuts = np.rint(np.linspace(n * first_train_share, n, windows + 1)).astype(np.int64)
    seconds = np.append(ordered, ordered[-1] + 1)[cuts].tolist()
    return [
        _window(interactions, f"backtest window {number} of {windows}", start, until, val_ratio)
        for number, (start, until) in enumerate(pairwise(seconds), start=1)
    ]


def _window(interactions: Interactions, name: str, test_from: int, test_until: int, val_ratio: float) -> Split:
    time = interactions.timestamp
    past = np.sort(time[time < test_from])
    newest = round(len(past) * val_ratio)
    validation_from = int(past[-newest]) if newest else test_from
    train, validation, test = (
        interactions.select((time >= since) & (time < until))
        for since, until in (
            (np.iinfo(np.int64).min, validation_from),
            (validation_from, test_from),
            (test_from, test_until),
        )
    )
    for part, label in ((train, "train"), (test, "test")):
        if not len(part):
            raise EmptyDataError(
                f"{name} has no {label} interactions, because too many of the {len(interactions)} share their second "
                "or the shares are too extreme; choose fewer windows or other shares, or use data with finer timestamps"
            )
    boundaries = {"validation_from": validation_from, "test_from": test_from, "test_until": test_until}
    return Split(train, validation, test, "rolling_origin", boundaries)
