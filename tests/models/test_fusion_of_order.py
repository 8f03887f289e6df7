"""Models of sets and of order in one ensemble, on a world where the next item follows from the last."""

from functools import cache

import numpy as np
import pytest

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models import ALS, EASE, ItemCF, Markov, Popularity, Recommender
from movierec_engine.models.classic.neighbourhood import ItemCFConfig
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.ensemble.member_selection import compatible

N_USERS, N_ITEMS, LENGTH = 90, 30, 8


@cache
def world() -> Dataset:
    """Everybody goes on to the next item, round the end, but for one step in five; the last one is asked for."""
    rng = np.random.default_rng(5)
    steps = np.where(rng.random((N_USERS, LENGTH)) < 0.2, rng.integers(2, 5, (N_USERS, LENGTH)), 1)
    item = (rng.integers(N_ITEMS, size=(N_USERS, 1)) + np.cumsum(steps, axis=1)) % N_ITEMS
    whole = Interactions(
        user=np.repeat(np.arange(N_USERS, dtype=np.int32), LENGTH),
        item=item.ravel().astype(np.int32),
        rating=rng.integers(1, 6, N_USERS * LENGTH).astype(np.float32),
        timestamp=np.tile(np.arange(LENGTH), N_USERS),
        users=IdMap(np.arange(N_USERS)),
        items=IdMap(np.arange(N_ITEMS)),
    )
    train, following = (whole.select(whole.timestamp < LENGTH - 1), whole.select(whole.timestamp == LENGTH - 1))
    validation = HeldOut(following, train.matrix(), "train", Catalogue.of(train), fold_in=train)
    return Dataset(train, validation)


@cache
def fitted(kind: type[Recommender]) -> Recommender:
    """ItemCF learns from the values of ratings here."""
    model = ItemCF(ItemCFConfig(feedback="explicit")) if kind is ItemCF else kind()
    return model.fit(world())


def hits(model: Recommender) -> float:
    """How often the next item comes first, by fold-in."""
    validation = world().validation
    scores = model.fold_in(validation.histories(model.history_values))
    scores[validation.seen.toarray() > 0] = -np.inf
    return float((scores.argmax(axis=1)[validation.interactions.user] == validation.interactions.item).mean())


def ensemble(*kinds: type[Recommender], **settings: object) -> HybridEnsemble:
    members = {kind.name: fitted(kind) for kind in kinds}
    return HybridEnsemble(**{"models": tuple(members), **settings}).start_from(members).fit(world())


def test_the_member_that_knows_the_order_gets_the_weight_where_the_next_item_is_asked_for() -> None:
    fused = ensemble(EASE, Markov, Popularity)
    assert fused.history_values == "places"
    assert hits(fused) >= hits(fitted(Markov)) - 0.05 > hits(fitted(EASE)) + 0.2
    shares = dict(zip(fused.feature_names, fused.weights.mean(axis=0), strict=True))
    assert shares["markov"] > 0.5


def test_what_validation_says_of_it_is_by_weights_of_other_people() -> None:
    fused = ensemble(EASE, Markov)
    fused.fold_weights[:] = np.array([1.0, 0.0], dtype=np.float32)  # as if the others had seen nothing in the order
    assert hits(fused.as_validated()) == pytest.approx(hits(fitted(EASE)))
    assert hits(fused) > hits(fused.as_validated())


def test_members_are_chosen_among_those_by_order_or_those_by_ratings() -> None:
    assert (fitted(ItemCF).history_values, fitted(Markov).history_values) == ("ratings", "places")
    members = [fitted(kind) for kind in (EASE, ItemCF, Markov, Popularity)]
    names = [[member.name for member in together] for together in compatible(members)]
    assert names == [["ease", "item_cf", "popularity"], ["ease", "markov", "popularity"]]
    fused = ensemble(EASE, ItemCF, Markov, Popularity, ALS, models=())
    assert "markov" in [member.name for member in fused.members]
    assert "item_cf" in fused.left_out


def test_ratings_and_order_together_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="item_cf learned from the values of ratings and markov from the order"):
        ensemble(ItemCF, Markov)
    with pytest.raises(ConfigError, match="leave one of the two out"):
        ensemble(Markov, ItemCF, models=())
