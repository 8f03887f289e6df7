"""The pool that a person's list is explored with: new movies, or those that come next in the model's order."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from movierec_engine.api.list_making import MadeList, list_for
from movierec_engine.api.live_exploration import Impressions, Pool
from movierec_engine.api.loaded_index import LoadedIndex
from movierec_engine.api.person import Person
from movierec_engine.api.requests import PersonalRequest
from movierec_engine.recommending.exploration import ExplorationConfig, ListExploration
from movierec_engine.recommending.fold_in import highest
from movierec_engine.recommending.rules.active import ActiveRules


def exploration_of(
    served: LoadedIndex,
    person: Person,
    request: PersonalRequest,
    made: MadeList,
    config: ExplorationConfig,
    shows: Impressions,
    rules: ActiveRules | None = None,
) -> tuple[ListExploration, Callable[[], Pool]]:
    """What of a person's plain list may be explored, and its pool, which is made when it is needed.

    made: the list by the request, under the rules. shows: how many lists have shown each movie. Nothing comes into a
    pool that the rules do not allow, and no place is explored that they pinned.
    """
    length = len(made.items)
    if config.candidates == "new":
        rows = _able_rows(served, person, config, shows, rules)
        return config.of_list(length, len(rows), made.pinned), lambda: _of_new(served, person, config, rows, shows)

    def of_next() -> Pool:
        return _of_next(served, person, request, made, config, rules)

    if rules is not None:  # how many they leave is known by asking them
        pool = of_next()
        return config.of_list(length, len(pool.movies), made.pinned), lambda: pool
    left = len(served.index.items) - len(np.unique(person.masked_items(frozenset())))
    return config.of_list(length, max(0, left - length), made.pinned), of_next


def _able_rows(
    served: LoadedIndex, person: Person, config: ExplorationConfig, shows: Impressions, rules: ActiveRules | None
) -> NDArray[np.int64]:
    """Rows of the new movies that were shown too seldom yet, are not masked and are allowed, int64 [<= n_new]."""
    new = served.catalogue.new
    able = shows.of_new(new) < config.impressions
    able[new.rows(person.masked)] = False
    if (allowed := rules.also(None) if rules else None) is not None:
        able &= allowed[served.catalogue.places_of_new]
    return np.flatnonzero(able)


def _of_new(
    served: LoadedIndex,
    person: Person,
    config: ExplorationConfig,
    rows: NDArray[np.int64],
    shows: Impressions,
) -> Pool:
    scores = served.catalogue.new.scores(person.scores()[0])[rows]
    finite = np.isfinite(scores)
    scores[~finite] = scores[finite].min(initial=0.0)  # so that the pool has as many as was said
    best = highest(scores, config.pool)
    chosen = rows[best]
    places = [served.catalogue.places_of_new[row] for row in chosen.tolist()]
    return Pool(
        np.array(places, dtype=np.int64), scores[best].astype(np.float64), shows.of_new(served.catalogue.new)[chosen]
    )


def _of_next(
    served: LoadedIndex,
    person: Person,
    request: PersonalRequest,
    made: MadeList,
    config: ExplorationConfig,
    rules: ActiveRules | None,
) -> Pool:
    longer = request.model_copy(update={"top_k": len(made.items) + config.pool})
    more = list_for(served, person, longer, None, rules)
    items, scores = np.array(more.items, dtype=np.int64), np.array(more.scores, dtype=np.float64)
    other = np.flatnonzero(~np.isin(items, made.items))[: config.pool]
    return Pool(items[other], scores[other], served.index.popularity[items[other]].astype(np.float64))
