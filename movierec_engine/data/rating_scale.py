"""The scale of a data set's ratings: what people may give, and what it is called in a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.likes import rated, tell_a_scale
from movierec_engine.reporting.numbers import rating as written

_STEPS = (1.0, 0.5)
_MOST_OFFERED, _SOME = 20, 10


@dataclass(frozen=True)
class RatingScale:
    """A scale of ratings from the lowest to the highest, in steps; a step of 0 allows any number between them.

    Where the lowest is the highest there are no ratings to give but a like, which is that number.
    """

    lowest: float
    highest: float
    step: float

    @classmethod
    def of(cls, ratings: NDArray[np.floating[Any]], liked_from: float, ends: tuple[float, float]) -> "RatingScale":
        """The scale of ratings [n], at least one.

        liked_from: the least rating of a like, which is the like where there are no ratings.
        ends: `data.rating_min` and `data.rating_max`; both 0 where the ratings tell their scale.
        """
        if not any(ends):
            if not tell_a_scale(ratings):
                return cls(liked_from, liked_from, 0.0)
            ends = _ends(rated(ratings))
        steps = (step for step in _STEPS if _are_multiples(np.array(ends), step) and _are_multiples(ratings, step))
        return cls(*ends, next(steps, 0.0))

    @property
    def likes_only(self) -> bool:
        """True if the scale has one value, which means a like."""
        return self.lowest == self.highest

    def offered(self) -> list[float]:
        """Ratings to choose from, the highest first: all where they are few, else some at even distances."""
        if self.likes_only:
            return [self.highest]
        n = round((self.highest - self.lowest) / self.step) + 1 if self.step else math.inf
        values = np.linspace(self.highest, self.lowest, int(n) if n <= _MOST_OFFERED else _SOME)
        return [float(value) for value in (np.round(values / self.step) * self.step if self.step else values)]

    def __contains__(self, rating: float) -> bool:
        return self.lowest <= rating <= self.highest and (not self.step or (rating / self.step).is_integer())

    def __str__(self) -> str:
        """The allowed ratings, in words, for error messages."""
        if self.likes_only:
            return f"{written(self.lowest)}, which is a like: the data have no ratings"
        steps = f" in steps of {written(self.step)}" if self.step else ""
        return f"a rating from {written(self.lowest)} to {written(self.highest)}{steps}"


MOVIELENS: Final = RatingScale(0.5, 5.0, 0.5)
MOVIELENS_LIKED_FROM: Final = 4.0


def least_like(index_facts: Mapping[str, Any]) -> float:
    """The least rating of a like, by the facts of an index; MovieLens' where there is no index or it does not say.

    index_facts: of the index's manifest.
    """
    return float(index_facts.get("liked_from", MOVIELENS_LIKED_FROM))


def _ends(ratings: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The smallest and the largest rating, as short as they are written: .1 of the float32 nearest to it."""
    return float(written(ratings.min())), float(written(ratings.max()))


def _are_multiples(numbers: NDArray[np.floating[Any]], step: float) -> bool:
    return bool((np.mod(numbers, step) == 0).all())
