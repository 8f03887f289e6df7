"""The pool that a person's list is explored with: new movies, or those that come next in the model's order.

Rules hold in whatever is drawn. Nothing comes into a pool that they do not allow or that they pin elsewhere, and no
place is explored that they pinned. Under shares and caps each place has a pool of its own, of movies that keep them
there whatever stands at the other places (`recommending/rules/replacements.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from movierec_engine.models.top_k import highest
from movierec_engine.recommending.exploration import ExplorationConfig, ListExploration
from movierec_engine.recommending.rules.active import DEPTH, ActiveRules
from movierec_engine.recommending.rules.replacements import replacements
from movierec_engine.serving.list_making import MadeList, list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import Impressions, Pool, PooledPlaces
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person


def exploration_of(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    made: MadeList,
    config: ExplorationConfig,
    shows: Impressions,
    rules: ActiveRules | None = None,
    beside: Sequence[int] = (),
) -> Sequence[PooledPlaces]:
    """The places of a person's plain list that may be explored, by the pool they draw from, which is made on demand.

    made: the list by the options, under the rules. shows: how many lists have shown each movie. beside: movies, by
    place in the catalogue, that stand beside the list and may not come into it.
    """
    length = len(made.items)
    if config.candidates == "new":
        rows = _able_rows(served, person, config, shows, rules)
        if rules is not None and rules.limits:
            return _within_limits(config, made, _of_new(served, person, rows, shows, DEPTH), rules)
        exploration = config.of_list(length, len(rows), made.pinned)
        return [(exploration, lambda: _of_new(served, person, rows, shows, config.pool))]
    if rules is None:
        left = len(served.index.items) - len(np.unique(person.masked_items(frozenset())))
        exploration = config.of_list(length, max(0, left - length - len(beside)), made.pinned)
        return [(exploration, lambda: _of_next(served, person, options, made, config.pool, beside))]
    pool = _of_next(served, person, options, made, DEPTH if rules.limits else config.pool, beside, rules)
    if rules.limits:
        return _within_limits(config, made, pool, rules)
    return [(config.of_list(length, len(pool.movies), made.pinned), lambda: pool)]


def _within_limits(config: ExplorationConfig, made: MadeList, pool: Pool, rules: ActiveRules) -> Sequence[PooledPlaces]:
    """Each place with those of a pool that keep all shares and caps there."""
    shown = np.array(made.items, dtype=np.int64)
    places = config.of_list(len(shown), len(pool.movies), made.pinned).places
    fitting = replacements(rules.limits, shown, places, pool.movies, config.pool)
    return [
        (ListExploration(len(shown), (place,), float(config.share)), partial(pool.take, rows))
        for place, rows in fitting.items()
    ]


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


def _of_new(served: LoadedIndex, person: Person, rows: NDArray[np.int64], shows: Impressions, most: int) -> Pool:
    scores = served.catalogue.new.scores(person.scores()[0])[rows]
    finite = np.isfinite(scores)
    scores[~finite] = scores[finite].min(initial=0.0)  # so that the pool has as many as was said
    best = highest(scores, most)
    chosen = rows[best]
    places = [served.catalogue.places_of_new[row] for row in chosen.tolist()]
    return Pool(
        np.array(places, dtype=np.int64), scores[best].astype(np.float64), shows.of_new(served.catalogue.new)[chosen]
    )


def _of_next(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    made: MadeList,
    most: int,
    beside: Sequence[int],
    rules: ActiveRules | None = None,
) -> Pool:
    never = [*beside, *(pin.item for pin in rules.pins)] if rules else [*beside]
    longer = replace(options, top_k=len(made.items) + len(never) + most)
    more = list_for(served, person, longer, None, rules.without_places if rules else None)
    items, scores = np.array(more.items, dtype=np.int64), np.array(more.scores, dtype=np.float64)
    other = np.flatnonzero(~np.isin(items, [*made.items, *never]))[:most]
    return Pool(items[other], scores[other], served.index.popularity[items[other]].astype(np.float64))
