"""A newcomer gets fold-in once enough is known, else popularity, and nothing that is not allowed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.models import EASE
from movierec_engine.newcomers import recommend
from worlds import interactions_of

ITEMS = 12


def camps() -> EASE:
    """Twelve users in two camps: each has all items of the camp but one."""
    pairs = [(user, item) for user in range(12) for item in range(ITEMS) if (user + item) % 2 == 0 and user != item]
    model = EASE()
    model.fit(interactions_of(np.array(pairs), IdMap(np.arange(12)), IdMap(np.arange(ITEMS))))
    return model


MODEL = camps()


def history_of(*items: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(items), dtype=np.float32), items, [0, len(items)]), (1, ITEMS))


def without(items: set[int]) -> np.ndarray:
    return ~np.isin(np.arange(ITEMS), list(items))


@settings(max_examples=60)
@given(
    history=st.sets(st.integers(0, ITEMS - 1)),
    k=st.integers(1, ITEMS + 2),
    enough=st.none() | st.integers(0, ITEMS),
)
def test_the_source_follows_from_the_length_and_nothing_else_than_is_allowed_is_recommended(
    history: set[int], k: int, enough: int | None
) -> None:
    row = history_of(*sorted(history))

    items, scores, source = recommend(MODEL.newcomers(), MODEL.popularity, row, k, enough, without(history))

    personal = enough is not None and len(history) >= enough and len(history) > 0
    assert source == ("fold-in" if personal else "popularity")
    expected = MODEL.fold_in(row)[0] if personal else MODEL.popularity
    assert scores.tolist() == expected[items].tolist()
    assert history.isdisjoint(items.tolist())
    assert len(set(items.tolist())) == len(items) == min(k, ITEMS - len(history))
    left_out = set(range(ITEMS)) - history - set(items.tolist())
    assert all(expected[other] <= scores[-1] for other in left_out)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_fold_in_finds_the_camp_and_popularity_does_not() -> None:
    items, _, _ = recommend(MODEL.newcomers(), MODEL.popularity, history_of(3), 5, 1, without({3}))
    assert set(items.tolist()) == {1, 5, 7, 9, 11}
    items, _, _ = recommend(MODEL.newcomers(), MODEL.popularity, history_of(3), 5, 2, without({3}))
    assert items.tolist() == [0, 1, 2, 4, 5]


def test_recommending_leaves_the_model_as_it_was() -> None:
    before = MODEL.popularity.copy()
    recommend(MODEL.newcomers(), MODEL.popularity, history_of(0, 1), 3, None, without({0, 1}))
    assert (MODEL.popularity == before).all()
