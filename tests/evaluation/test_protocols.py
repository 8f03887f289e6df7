from dataclasses import replace

import numpy as np
import pytest

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.fingerprint import fingerprint
from movierec_engine.evaluation.protocols import Protocol, described
from movierec_engine.models import Popularity
from worlds import interactions_of

USERS, ITEMS = IdMap(np.arange(40)), IdMap(np.arange(30))


def world() -> Split:
    """Everybody has items 0 to 2 in train, one of 3 to 12 in validation and another in test; 13 to 29 nobody has."""
    train = [(user, item) for user in range(40) for item in range(3)]
    parts = [train, [(u, 3 + u % 10) for u in range(40)], [(u, 3 + (u + 1) % 10) for u in range(40)]]
    return Split(*(interactions_of(np.array(part), USERS, ITEMS) for part in parts), strategy="random")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("full", "full"),
        ("given", "sampled_given"),
        ("uniform:100", "sampled_uniform_100_seed_0"),
        ("popularity:50:7", "sampled_popularity_50_seed_7"),
    ],
)
def test_a_protocol_is_named_and_found_again_by_its_name(text: str, name: str) -> None:
    assert Protocol.parse(text).name == name
    assert Protocol.named(name) == Protocol.parse(text)
    assert described(name).startswith("full" if text == "full" else "sampled")


@pytest.mark.parametrize(
    "text", ["", "uniform", "uniform:0", "uniform:-1", "uniform:1e3", "Full", "uniform:10:1:1", "💯"]
)
def test_anything_else_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ConfigError, match="choose full, given, uniform:N"):
        Protocol.parse(text)


def test_sampled_candidates_are_neither_seen_nor_relevant_and_as_many_as_asked() -> None:
    heldout = world().test_heldout()
    sampled = Protocol.parse("uniform:7:3").of(heldout)
    assert sampled.candidates is not None
    assert np.diff(sampled.candidates.indptr).tolist() == [7] * 40
    taken = (heldout.seen + heldout.interactions.matrix()).toarray() > 0
    assert not (sampled.candidates.toarray() * taken).any()
    again = Protocol.parse("uniform:7:3").of(heldout).candidates
    assert again is not None and (again != sampled.candidates).nnz == 0
    other = Protocol.parse("uniform:7:4").of(heldout).candidates
    assert other is not None and (other != sampled.candidates).nnz > 0


def test_more_negatives_than_there_are_is_full_ranking() -> None:
    split = world()
    model = Popularity()
    model.fit(Dataset(split.train))
    full = Evaluator([5]).evaluate(model, split.test_heldout())
    all_of_them = Evaluator([5]).evaluate(model, Protocol.parse("uniform:999").of(split.test_heldout()))
    assert all_of_them.metrics == full.metrics
    assert all_of_them.rankings.rank.tolist() == full.rankings.rank.tolist()


def test_popular_negatives_are_items_that_somebody_has() -> None:
    rng = np.random.default_rng(0)
    split = world()
    some = interactions_of(np.array([(u, rng.integers(13, 20)) for u in range(40)]), USERS, ITEMS)
    split = replace(split, train=some)
    candidates = Protocol.parse("popularity:5").of(split.test_heldout()).candidates
    assert candidates is not None
    assert set(candidates.indices) <= set(some.item)


def test_every_protocol_has_a_fingerprint_of_its_own_and_full_is_the_default() -> None:
    split = world()
    names = ["full", "sampled_uniform_100_seed_0", "sampled_uniform_100_seed_1", "sampled_popularity_100_seed_0"]
    assert len({fingerprint(split, name) for name in names}) == 4
    assert fingerprint(split) == fingerprint(split, "full")
    given = replace(split, negatives=split.validation)
    assert fingerprint(given) == fingerprint(given, "sampled_given") != fingerprint(given, "full")
    assert fingerprint(given, "full") == fingerprint(split)


def test_given_candidates_need_to_be_given_and_can_be_set_aside() -> None:
    split = world()
    with pytest.raises(ConfigError, match="negatives_file"):
        Protocol.parse("given").of(split.test_heldout())
    given = replace(split, negatives=split.validation).test_heldout()
    assert Protocol.parse("given").of(given) is given
    assert Protocol.parse("full").of(given).candidates is None
