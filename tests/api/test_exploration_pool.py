"""The pool of an explored list: nothing that the rules leave out, and no place that they pinned."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from movierec_engine.feedback import UserState
from movierec_engine.pipeline.export import index_to_export
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.serving.exploration_pool import exploration_of
from movierec_engine.serving.list_making import list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import Impressions
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person, of_user
from movierec_engine.store import Artifact, ArtifactStore

OPTIONS = ListOptions(2)
PublishLine = Callable[..., dict[str, Artifact]]


@pytest.fixture
def served(store: ArtifactStore, publish_line: PublishLine) -> LoadedIndex:
    publish_line("ease")
    return index_to_export(store, "camps")


@pytest.fixture
def person(served: LoadedIndex) -> Person:
    return of_user(served, 7, UserState())  # has rated 10; likes 20, 30, 40, 50 in this order


def rules(served: LoadedIndex, *left_out: int) -> ActiveRules:
    allowed = np.array([movie["movie_id"] not in left_out for movie in served.catalogue.movies])
    return ActiveRules("v", served.catalogue.n_items, allowed, ("r",), None, (), (), ())


def pool_of(served: LoadedIndex, person: Person, candidates: str, active: ActiveRules | None) -> list[object]:
    config = ExplorationConfig(share=0.5, from_place=1, candidates=candidates)
    made = list_for(served, person, OPTIONS, rules=active)
    ((exploration, pool),) = exploration_of(served, person, OPTIONS, made, config, Impressions({}), active)
    found = [served.catalogue.movies[place]["movie_id"] for place in pool().movies.tolist()]
    assert len(exploration.places) == min(2, len(found))
    return found


def test_what_the_rules_leave_out_is_in_no_pool(served: LoadedIndex, person: Person) -> None:
    assert pool_of(served, person, "next", None) == [40, 2**63 - 1]
    assert pool_of(served, person, "next", rules(served, 40)) == [2**63 - 1]
    assert pool_of(served, person, "next", rules(served, 20)) == [2**63 - 1], "30 and 40 are the list then"
    assert pool_of(served, person, "new", None) == [60]
    assert pool_of(served, person, "new", rules(served, 60)) == []


@pytest.mark.parametrize("candidates", ["next", "new"])
def test_a_pinned_place_is_not_explored(served: LoadedIndex, person: Person, candidates: str) -> None:
    config = ExplorationConfig(share=0.5, from_place=1, candidates=candidates)
    made = replace(list_for(served, person, OPTIONS), pinned=(1,))
    ((exploration, _),) = exploration_of(served, person, OPTIONS, made, config, Impressions({}))
    assert exploration.places == (0,)
    assert exploration.kept.tolist() == [0.5, 1]


def test_what_was_shown_often_enough_is_new_no_more(served: LoadedIndex, person: Person) -> None:
    config, made = ExplorationConfig(share=0.5, from_place=1, impressions=3), list_for(served, person, OPTIONS)
    for lists, places in ((2, (1,)), (3, ())):
        ((exploration, pool),) = exploration_of(served, person, OPTIONS, made, config, Impressions({60: lists}))
        assert exploration.places == places
        assert len(pool().movies) == len(places)
