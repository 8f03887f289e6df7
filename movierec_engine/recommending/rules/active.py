"""Rules that hold at one moment in one region, as arrays over a catalogue's items."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.item_columns import Mask

DEPTH = 500
"""The person's best candidates that boosts reorder, and among which caps and shares choose, at least."""


@dataclass(frozen=True)
class UnmetRule:
    """A rule that a list does not meet, and why."""

    rule: str
    why: str


@dataclass(frozen=True, eq=False)
class UnmetOfLists:
    """A rule that some lists of a block do not meet. lists: bool [n], which. why: of one of them, by number."""

    rule: str
    lists: Mask
    why: Callable[[int], str]


@dataclass(frozen=True)
class PlacedPin:
    """place: from 0."""

    rule: str
    item: int
    place: int


@dataclass(frozen=True, eq=False)
class ActiveShare:
    """matches: bool [n_movies], by place in the catalogue, also of those no model knows."""

    rule: str
    matches: Mask
    at_least: float
    at_most: float


@dataclass(frozen=True, eq=False)
class ActiveCap:
    """starts: int64 [n_movies + 1]; codes: int64, the values of movie i are codes[starts[i]:starts[i + 1]]."""

    rule: str
    starts: NDArray[np.int64]
    codes: NDArray[np.int64]
    at_most: int
    said: str
    """Name of what is capped, in words."""


@dataclass(frozen=True, eq=False)
class ActiveRules:
    """Rules of a document that hold, compiled. Nobody changes the arrays; it is hashed by identity.

    allowed: bool [n_movies], by place in the catalogue, also of those no model knows; None where nothing is left out.
    keeping: names of the rules that leave movies out.
    factors: float64 [n_items], what boosts multiply to; None where nothing is boosted.
    pins: by place, at most one each. limits: shares and caps, those of higher priority first.
    unmet: the rules that no list can meet, such as those of a column that is not there.
    """

    version: str
    n_items: int
    allowed: Mask | None
    keeping: tuple[str, ...]
    factors: NDArray[np.float64] | None
    pins: tuple[PlacedPin, ...]
    limits: tuple[ActiveShare | ActiveCap, ...]
    unmet: tuple[UnmetRule, ...]

    def candidates(self, k: int) -> int:
        """How many of the person's best candidates a list of k is arranged from."""
        if self.factors is not None or self.limits:
            return max(DEPTH, k)
        return k + len(self.pins)

    @cached_property
    def without_places(self) -> "ActiveRules":
        """The same without pins, shares and caps, which say what may stand where."""
        return replace(self, pins=(), limits=())

    def also(self, allowed: Mask | None) -> Mask | None:
        """The movies allowed both by these rules and by a request. allowed: bool [n_movies], None where all are."""
        if self.allowed is None or allowed is None:
            return allowed if self.allowed is None else self.allowed
        return self.allowed & allowed
