"""A home page as it is shown: its first row, the person's own list, explored as /api/recommend's is; all of it noted.

The other rows stay, and say truly why their movies are there; what stands in them is in no pool, so that no movie comes
twice and the probability of each of their places is 1.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from movierec_engine.api.answers import Home, HomeMovie
from movierec_engine.api.incoming import REQUEST_ID, incoming
from movierec_engine.api.requests import HomeRequest
from movierec_engine.errors import StoreError
from movierec_engine.feedback.events import MAX_LIST
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.serving.exploration_pool import exploration_of
from movierec_engine.serving.list_making import list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import LiveExploration, Propensities, explore
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person


def explored_row(
    served: LoadedIndex,
    person: Person,
    request: HomeRequest,
    page: Home,
    exploration: LiveExploration,
    rules: ActiveRules | None,
) -> tuple[list[HomeMovie], Propensities]:
    """The movies of a page's first row, and the propensities of all places of the page; none where it is not explored.

    page: of a user, without a model, filters or exclusions in the request.
    """
    assert request.user_id is not None
    first, *others = page["rows"]
    options, config = ListOptions(request.top_k), exploration.config
    made = list_for(served, person, options, None, rules)
    if [served.catalogue.movies[item]["movie_id"] for item in made.items] != [
        one["movie_id"] for one in first["movies"]
    ]:
        return first["movies"], Propensities()  # rules or feedback have changed at this moment
    beside = served.catalogue.places(one["movie_id"] for row in others for one in row["movies"])
    try:
        shows = exploration.impressions(served.lineage.data_set)
        parts = exploration_of(served, person, options, made, config, shows, rules, beside.tolist())
        chance = config.random(request.user_id, incoming()[REQUEST_ID])
        drawn, of_row = explore(config, len(made.items), parts, chance)
    except StoreError as error:  # no page fails because new movies have no places
        exploration.complain(error)
        return first["movies"], Propensities()
    movies: list[HomeMovie] = [*first["movies"]]
    for place, (movie, _) in drawn.items():
        movies[place] = cast(HomeMovie, {**served.catalogue.movies[movie], "explored": True})
        if movie >= served.catalogue.n_items:
            movies[place]["new"] = True
    rest = (1.0,) * min(len(beside), MAX_LIST - len(of_row.at_place))
    return movies, Propensities(of_row.at_place + rest, of_row.in_list + rest)


def places_of(served: LoadedIndex, rows: Sequence[Sequence[HomeMovie]]) -> NDArray[np.int64]:
    """The places of all movies of some rows in the catalogue, ascending."""
    return np.sort(served.catalogue.places(one["movie_id"] for movies in rows for one in movies))
