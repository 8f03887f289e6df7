"""The lists that a target would have shown, made anew for each list of the log."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback import FeedbackLog
from movierec_engine.pipeline.logged_lists import LoggedLists
from movierec_engine.pipeline.target_rules import TargetRules
from movierec_engine.recommending.cold_items import ColdItems
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.serving.exploration_pool import exploration_of
from movierec_engine.serving.list_making import MadeList, list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import Impressions, kept
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import of_user

Chances = dict[PublicId, float]
"""Movie -> its probability to be in a list."""


class TargetLists:
    """The lists that a model would have shown, with its probabilities.

    under_rules: how many of the lists asked for so far rules held for. unmet: how many of those do not meet one.
    """

    def __init__(
        self,
        served: LoadedIndex,
        log: FeedbackLog,
        logged: LoggedLists,
        exploration: ExplorationConfig,
        rules: TargetRules | None,
    ) -> None:
        self._rules = [None if rules is None else rules.of(one) for one in logged.lists]
        if rules is not None:
            rules.require_any(self._rules)
        self.under_rules = sum(one is not None for one in self._rules)
        self.unmet = 0
        self._served, self._logged, self._config = served, logged, exploration
        self._erased = frozenset(log.erased_since(served.lineage.newest_erasure))
        self._erasure = log.newest_erasure()
        self._known: dict[tuple[PublicId, int], tuple[int, ActiveRules | None, MadeList]] = {}
        self._shows = _ShownSoFar(served.catalogue.new) if exploration.on else None

    def chances(self, number: int) -> tuple[Chances, Callable[[int, PublicId], float]]:
        """Each movie's probability to be in the target's list, and a function of a place and a movie for there."""
        one, rules = self._logged.lists[number], self._rules[number]
        said, state = self._logged.state_at(one.user_id, one.at_ms, self._erasure if one.user_id in self._erased else 0)
        length, movies = len(one.movie_ids), self._served.catalogue.movies
        person, options = of_user(self._served, one.user_id, state), ListOptions(length)
        before = self._known.get((one.user_id, length))
        if before is None or before[0] != said or before[1] is not rules:
            made = list_for(self._served, person, options, rules=rules)
            before = self._known[one.user_id, length] = said, rules, made
        made = before[2]
        self.unmet += bool(made.unmet)
        own = [movies[item]["movie_id"] for item in made.items]
        if self._shows is None:
            return dict.fromkeys(own, 1.0), lambda place, movie: float(place < len(own) and own[place] == movie)
        parts = exploration_of(self._served, person, options, made, self._config, self._shows, rules)
        stays = kept(len(own), parts).tolist()
        chances = dict(zip(own, stays, strict=True))
        pooled: dict[int, Chances] = {}
        for exploration, pool in parts:
            if exploration.places:
                others = pool()
                weights = self._config.weights(others.scores, others.seen, len(exploration.places))
                ids = [movies[place]["movie_id"] for place in others.movies.tolist()]
                chances |= dict(zip(ids, exploration.in_list(weights).tolist(), strict=True))
                at_each = dict(zip(ids, exploration.at_place(weights).tolist(), strict=True))
                pooled |= dict.fromkeys(exploration.places, at_each)
        self._shows.add(one.movie_ids)

        def at_place(place: int, movie: PublicId) -> float:
            if place < len(own) and own[place] == movie:
                return float(stays[place])
            return pooled.get(place, {}).get(movie, 0.0)

        return chances, at_place


class _ShownSoFar(Impressions):
    """How many lists had shown each new movie, as the log is gone through."""

    def __init__(self, new: ColdItems) -> None:
        super().__init__({})
        self._new, self._lists_of_new = new, np.zeros(len(new))

    def of_new(self, new: ColdItems) -> NDArray[np.float64]:
        return self._lists_of_new

    def add(self, movie_ids: Sequence[PublicId]) -> None:
        self._lists_of_new[self._new.rows(movie_ids)] += 1
