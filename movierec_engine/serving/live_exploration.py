"""Exploration of live lists: the pool of a person, the places that are explored, and their propensities, exactly."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback import FeedbackError
from movierec_engine.feedback.events import MAX_LIST
from movierec_engine.recommending.cold_items import ColdItems
from movierec_engine.recommending.exploration import ExplorationConfig, ListExploration, draw
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex

log = logging.getLogger(__name__)

COUNT_SECONDS = 10.0
"""How old the counts of what was shown may be."""


class Propensities(NamedTuple):
    """For each place of a list, the probability of its movie there and anywhere in the list; empty if not explored."""

    at_place: tuple[float, ...] = ()
    in_list: tuple[float, ...] = ()


class Impressions:
    """How many lists have shown each movie, at a moment. lists: by public id."""

    def __init__(self, lists: Mapping[PublicId, int]) -> None:
        self._lists = lists
        self._of_new: WeakKeyDictionary[ColdItems, NDArray[np.float64]] = WeakKeyDictionary()

    def of_new(self, new: ColdItems) -> NDArray[np.float64]:
        """How many lists have shown each new movie of a catalogue, float64 [n_new]; shared, not to be changed."""
        known = self._of_new.get(new)
        if known is None:
            shown = [self._lists.get(movie, 0) for movie in new.ids.ids.tolist()]
            known = self._of_new[new] = np.array(shown, dtype=np.float64)
        return known


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates for exploring a person's list, best first.

    movies: int64 [m], places of the catalogue. scores: float64 [m]. seen: float64 [m], how often each was
    seen.
    """

    movies: NDArray[np.int64]
    scores: NDArray[np.float64]
    seen: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> "Pool":
        return Pool(self.movies[rows], self.scores[rows], self.seen[rows])


PooledPlaces = tuple[ListExploration, Callable[[], Pool]]
"""Places of a list that may be explored, and what makes the pool that they share: as many movies as was said."""


class LiveExploration:
    """config: what is explored, by `serving.exploration`."""

    def __init__(self, config: ExplorationConfig, live: LiveFeedback) -> None:
        self.config, self._live = config, live
        self._counted: dict[str, tuple[float, Impressions]] = {}
        self._complained = ""

    def explores(self, served: LoadedIndex) -> bool:
        """True if lists of a version are explored now; with new movies that is not before they are placed."""
        return self.config.on and not (self.config.candidates == "new" and served.catalogue.awaits_places)

    def impressions(self, data_set: str) -> Impressions:
        """How many lists have shown each movie, at most a few seconds old; the last known while the log is away."""
        until, known = self._counted.get(data_set, (0.0, Impressions({})))
        if time.monotonic() >= until:
            self._counted[data_set] = (time.monotonic() + COUNT_SECONDS, known)  # others go on with what is known
            try:
                known = Impressions(self._live.log(data_set).impressions())
            except FeedbackError as error:
                log.error("new movies are explored by older counts of what was shown: %s", error)
            self._counted[data_set] = (time.monotonic() + COUNT_SECONDS, known)
        return known

    def complain(self, error: Exception) -> None:
        """Log, once, why lists are not explored."""
        if str(error) != self._complained:
            self._complained = str(error)
            log.error("lists are not explored: %s", error)


def explore(
    config: ExplorationConfig, length: int, parts: Sequence[PooledPlaces], random: np.random.Generator
) -> tuple[dict[int, tuple[int, float]], Propensities]:
    """The places that are explored, each with the movie that it gets and its score, and all propensities.

    length: of the list. parts: of which no two share a place or a movie. A pool is not asked for where no place of its
    is explored.
    """
    at_place = kept(length, parts).tolist()
    in_list = [*at_place]
    drawn: dict[int, tuple[int, float]] = {}
    for exploration, pool in parts:
        places = exploration.explored(random)
        if not len(places):
            continue
        made = pool()
        weights = config.weights(made.scores, made.seen, len(exploration.places))
        chances = exploration.at_place(weights), exploration.in_list(weights)
        for place, row in draw(places, weights, random).items():
            drawn[place] = int(made.movies[row]), float(made.scores[row])
            at_place[place], in_list[place] = float(chances[0][row]), float(chances[1][row])
    return drawn, Propensities(tuple(at_place[:MAX_LIST]), tuple(in_list[:MAX_LIST]))


def kept(length: int, parts: Sequence[PooledPlaces]) -> NDArray[np.float64]:
    """The probabilities that a list's own movies stand at their places, and in the list: float64 [length]."""
    return np.asarray(np.minimum.reduce([np.ones(length), *(exploration.kept for exploration, _ in parts)]))
