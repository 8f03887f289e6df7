"""A page has no movie twice, its rows stay full, and they stand in the order of the person's taste."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.recommending.rows.composition import MovieRow, compose


def row(name: str, items: list[int], least: int = 1) -> MovieRow:
    return MovieRow(name, name, "", np.array(items, dtype=np.int64), least)


@given(
    st.lists(st.lists(st.integers(0, 39), unique=True, max_size=40), max_size=8),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_no_movie_stands_twice_and_a_row_is_full_while_it_has_candidates(
    lists: list[list[int]], k: int, most: int, seed: int
) -> None:
    relevance = np.random.default_rng(seed).random(40)
    placed = compose([row(f"kind{n % 3}:{n}", items) for n, items in enumerate(lists)], relevance, k, most)
    shown = [item for one in placed for item in one.items.tolist()]
    assert len(shown) == len(set(shown)) and len(placed) <= most
    used: set[int] = set()
    for one in placed:
        left = [item for item in one.row.items.tolist() if item not in used]
        assert one.items.tolist() == left[:k] and left
        used.update(one.items.tolist())


def test_rows_stand_by_the_mean_relevance_of_what_they_show_and_a_kind_comes_again_later() -> None:
    relevance = np.array([1.0, 1.0, 0.9, 0.9, 0.8, 0.8, 0.1, 0.1])
    rows = [row("genre:a", [0, 1]), row("genre:b", [2, 3]), row("gems", [4, 5]), row("popular", [6, 7])]
    names = [one.row.name for one in compose(rows, relevance, 2, 4)]
    assert names == ["genre:a", "gems", "genre:b", "popular"], ".9 times .8 is below .8"
    assert [one.row.name for one in compose(rows, relevance, 2, 4, first="popular")][:2] == ["popular", "genre:a"]


def test_a_row_of_too_few_is_left_out_unless_so_few_were_asked_for() -> None:
    rows = [row("a", [0, 1, 2], least=4), row("b", [3, 4, 5, 6, 7], least=4)]
    relevance = np.ones(8)
    assert [one.row.name for one in compose(rows, relevance, 10, 4)] == ["b"]
    assert [one.row.name for one in compose(rows, relevance, 3, 4)] == ["a", "b"]
