"""Exploration: some places of a list go to movies of which too little is known, with probabilities that are exact.

Of a list, n places may be explored. Each is, with probability e, on its own. The s places that are share a draw of s
movies from a pool of m others, m >= n, none twice. With weights w that sum to 1, of which none is above 1 / n,
systematic sampling (Madow 1949) takes movie i with probability s w_i, and the places get what was taken in a random
order, so that whatever s is

    P(the list's own movie stands at its place) = 1 - e            P(movie i of the pool stands at place p) = e w_i
    P(the list's own movie is in the list)      = 1 - e            P(movie i of the pool is in the list)    = n e w_i

at each place p that may be explored, and 1 for a movie of the list at one that may not. Nothing is estimated. A list
may have several such groups of places, each with a pool of its own, as it has under shares and caps of rules.

`epsilon` gives every movie of the pool the same weight (epsilon-greedy). `thompson` gives movie i the probability that
its score, drawn from Normal(s_i, d / sqrt(1 + n_i)), is the largest of the pool's: probability matching (Thompson 1933,
Chapelle and Li 2011), with a floor. s_i is the model's score, d the scores' standard deviation in the pool, and n_i how
often the movie was seen: its interactions in train, or how often it was shown where no model knows it. numpy and scipy
alone.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import ConfigError

Floats = NDArray[np.float64]
Strategy = Literal["epsilon", "thompson"]
Candidates = Literal["new", "next"]
MOST_IN_POOL = 1000

FLOOR = 0.1
"""Share of the draw that goes to all of the pool alike, so that a movie's weight is at least FLOOR / m: what is never
shown is never judged, and what seldom is weighs too much."""

_BINS = 200
"""Bins of the quadrature, over 6 standard deviations on either side."""


@dataclass(frozen=True)
class ExplorationConfig:
    """Exploration of lists for users, or none while the share is 0.

    Lists are explored that are asked for by user_id alone: without a model, filters, dials, exclusions or a share of
    new movies.
    """

    share: float = 0.0
    """The chance that a place is explored, from 0, none, to 0.5."""
    strategy: str = "thompson"
    """How a place's movie is drawn: `epsilon` (all of the pool alike) or `thompson` (by the chance of being the
    best, which is larger for what is uncertain)."""
    candidates: str = "new"
    """Movies of the pool: `new` (those that no model knows, shown fewer than `impressions` times) or `next` (those that
    come after the list in the model's order)."""
    from_place: int = 8
    """The first place that may be explored, from 1; places before it are always the model's. Of lists of ten the last
    three cost the least for each impression (benchmarks/results/exploration.md)."""
    pool: int = 40
    """Movies of the pool at most, the best for the person."""
    impressions: int = 20
    """How often a new movie is shown before it counts as new no more."""
    salt: str = ""
    """Another salt draws anew for the same requests."""

    def __post_init__(self) -> None:
        if not (isinstance(self.share, int | float) and 0 <= self.share <= 0.5):
            raise ConfigError(f"exploration.share={self.share} must be from 0, which explores nothing, to 0.5")
        for name, kind in (("strategy", Strategy), ("candidates", Candidates)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(
                    f"exploration.{name}={getattr(self, name)} is not known; choose one of {', '.join(get_args(kind))}"
                )
        if self.from_place < 1:
            raise ConfigError(f"exploration.from_place={self.from_place} must be at least 1, the first place")
        if not 1 <= self.pool <= MOST_IN_POOL:
            raise ConfigError(f"exploration.pool={self.pool} must be from 1 to {MOST_IN_POOL}")
        if self.impressions < 1:
            raise ConfigError(f"exploration.impressions={self.impressions} must be at least 1")

    @property
    def on(self) -> bool:
        """True if any place may be explored."""
        return self.share > 0

    def random(self, user_id: PublicId, request_id: str) -> np.random.Generator:
        """The chance of one request: the same for a request that is sent again with its id."""
        key = hashlib.sha256(self.salt.encode()).digest()
        seed = hashlib.blake2b(json.dumps([user_id, request_id]).encode(), key=key, digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(seed)))

    def of_list(self, length: int, available: int, pinned: Sequence[int] = ()) -> "ListExploration":
        """The exploration of a list, before anybody knows its pool.

        length: of the list. available: movies that there are for the pool. pinned: places, from 0, that must stay as
        they are. Of more places than the pool has movies the last may be explored.
        """
        able = [place for place in range(self.from_place - 1, length) if place not in pinned]
        return ListExploration(length, tuple(able[max(0, len(able) - min(available, self.pool)) :]), float(self.share))

    def weights(self, scores: Floats, seen: Floats, places: int) -> Floats:
        """w, float64 [m]: the weight with which each movie of the pool is drawn, given how many places to explore.

        scores, seen: float64 [m], m >= places, the model's scores, and how often each was seen.
        """
        chances = np.full(len(scores), 1 / len(scores))
        if self.strategy == "thompson":
            best = chances_to_be_best(scores, deviations(scores, seen))
            chances = FLOOR * chances + (1 - FLOOR) * best
        return capped(chances, 1 / places)


@dataclass(frozen=True)
class ListExploration:
    """The places of a list that may be explored, and the probability of exploring each.

    length: of the list. places: those that may be explored, from 0, in order. share: e.
    """

    length: int
    places: tuple[int, ...]
    share: float

    @property
    def kept(self) -> Floats:
        """The probabilities that the list's own movies stand at their places, and in the list: float64 [length]."""
        kept = np.ones(self.length)
        kept[list(self.places)] = 1 - self.share
        return kept

    def at_place(self, weights: Floats) -> Floats:
        """The probability of each movie of the pool at any one place that may be explored: float64 [m]."""
        return self.share * weights

    def in_list(self, weights: Floats) -> Floats:
        """The probability of each movie of the pool to be in the list: float64 [m]."""
        return len(self.places) * self.share * weights

    def explored(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Places that are explored this time, int64 [s]."""
        return np.array(self.places, dtype=np.int64)[random.random(len(self.places)) < self.share]


def draw(places: NDArray[np.int64], weights: Floats, random: np.random.Generator) -> dict[int, int]:
    """The movie of the pool for each explored place. places: int64 [s]. weights: float64 [m], none above 1 / s."""
    taken = systematic_sample(weights, len(places), random.random())
    return dict(zip(random.permutation(places).tolist(), taken.tolist(), strict=True))


def systematic_sample(weights: Floats, n: int, start: float) -> NDArray[np.int64]:
    """n of m by their weights, none twice: int64 [n], each with probability n w exactly over a uniform start.

    weights: float64 [m], sum 1, none above 1 / n. start: from 0 to below 1.
    """
    ends = np.cumsum(weights)
    ends *= n / ends[-1]
    ends[-1] = n
    marks = np.arange(n) + start
    return np.searchsorted(ends, marks, side="right").astype(np.int64)


def capped(weights: Floats, most: float) -> Floats:
    """Weights of sum 1 of which none is above `most`: what is cut off goes to the others, by their weights.

    weights: float64 [m], not negative, m most >= 1. Those of weight 0 get a share where the others are full.
    """
    weights = weights / weights.sum()
    full = np.zeros(len(weights), dtype=np.bool_)
    while True:
        over = ~full & (weights > most)
        if not over.any():
            return np.asarray(weights)
        full |= over
        left = max(1 - most * int(full.sum()), 0.0)
        rest = weights[~full]
        total = float(rest.sum())
        weights = weights.copy()
        weights[full] = most
        weights[~full] = rest * (left / total) if total > 0 else left / max(len(rest), 1)


def deviations(scores: Floats, seen: Floats) -> Floats:
    """Standard deviations of the movies' scores: d / sqrt(1 + n_i), float64 [m]."""
    return np.asarray(float(scores.std()) / np.sqrt(1 + seen))


def chances_to_be_best(means: Floats, sds: Floats) -> Floats:
    """The probabilities that each of m independent normal values is the largest: float64 [m], sum 1.

    By quadrature over equal bins: in each, the value's own probability times that all others lie below the bin's
    middle. The result is what is drawn by, so that the propensities are exact however fine the bins are.
    """
    from scipy.special import log_ndtr, ndtr

    low, high = float((means - 6 * sds).max()), float((means + 6 * sds).max())
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        best = means == means.max()
        return np.asarray(best / best.sum())
    sds = np.maximum(sds, 1e-9 * float(sds.max()))
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    below = log_ndtr((middles - means[:, None]) / sds[:, None])
    own = np.diff(ndtr((edges - means[:, None]) / sds[:, None]), axis=1)
    own[:, 0] += ndtr((low - means) / sds)
    chances = (own * np.exp(below.sum(axis=0) - below)).sum(axis=1)
    total = float(chances.sum())
    return np.asarray(chances / total) if math.isfinite(total) and total > 0 else np.full(len(means), 1 / len(means))
