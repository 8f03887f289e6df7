"""The liked movies that similar ones are shown to: "because you liked ..."."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECENT = 30
"""Number of the newest likes that are considered."""


def seeds(
    liked: Sequence[tuple[int, float | None]], similar: Callable[[int], NDArray[np.integer[Any]]], most: int
) -> list[int]:
    """Items to show similar ones to: of the newest likes the best rated, no two of which are like each other.

    liked: items with their ratings, the newest last; None where there is no rating. similar: gives the items that are
    most similar to one.
    """
    newest = liked[-RECENT:][::-1]
    rated = [rating for _, rating in newest if rating is not None]
    usual = sum(rated) / len(rated) if rated else 0.0
    chosen: list[int] = []
    covered: set[int] = set()
    for item, _ in sorted(newest, key=lambda one: -(usual if one[1] is None else one[1])):
        if item in covered:
            continue
        alike = similar(item)
        if not len(alike):
            continue
        chosen.append(item)
        covered.update([item, *alike[:RECENT].tolist()])
        if len(chosen) == most:
            break
    return chosen
