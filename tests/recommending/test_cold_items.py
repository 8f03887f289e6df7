"""Where new movies stand, what they score, and how they enter a list."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.recommending.cold_items import (
    ARRAYS_FILE,
    MOVIES_FILE,
    NEAREST,
    NEIGHBOURS,
    YEARS,
    ColdItems,
    Content,
    Likeness,
    mix,
    neighbours_of,
    new_places,
)
from worlds import interactions_of

ITEMS = IdMap(np.array([10, 20, 30, 40]))
"""A drama and a western of 1990, a comedy of 2000, and a drama of 1990 that nobody has."""

NEW = {
    5: ("Drama of 1990", 1990, ["Drama"]),
    15: ("Comedy of unknown year", None, ["Comedy"]),
    25: ("Of 1995 alone", 1995, []),
    35: ("Nothing known", None, []),
    45: ("Of a genre that no item has", None, ["Noir"]),
    55: ("Drama and western of 1990", 1990, ["Western", "Drama"]),
}
KNOWN = {
    10: ("A", 1990, ["Drama"]),
    20: ("B", 1990, ["Western"]),
    30: ("C", 2000, ["Comedy"]),
    40: ("D", 1990, ["Drama"]),
}
LN5, LN2_5 = np.log(5 / 1), np.log(5 / 2)
"""Weights of a genre that one and that two of the four items are of."""


def table_of(movies: dict[int, tuple[str, int | None, list[str]]]) -> Movies:
    rows = [
        {"movie_id": movie_id, "title": title, "year": year, "genres": genres}
        for movie_id, (title, year, genres) in sorted(movies.items())
    ]
    return Movies(pa.Table.from_pylist(rows, schema=MOVIES_SCHEMA))


def catalogue_of(movies: Movies) -> Catalogue:
    """Items 10, 20 and 30 have three users, two and one; 40 has none."""
    pairs = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [0, 2]])
    return Catalogue.of(interactions_of(pairs, IdMap(np.arange(3)), ITEMS), movies)


@pytest.fixture
def new() -> ColdItems:
    movies = table_of(KNOWN | NEW)
    return ColdItems.of(catalogue_of(movies.of(ITEMS)), ITEMS, movies)


def test_movies_that_are_no_items_are_placed_or_counted(new: ColdItems) -> None:
    assert new.movies["movie_id"].to_pylist() == [5, 15, 25, 55]
    assert new.unplaceable == 2, "nothing is known of one, and the genre of the other says nothing"
    assert len(new) == 4
    assert new.ids.index([25, 35]).tolist() == [2, -1]


def test_an_item_that_nobody_has_is_nobodys_neighbour(new: ColdItems) -> None:
    for row in range(len(new)):
        assert 3 not in new.similar_to(row)[0]


def test_weights_are_the_likeness_worked_out_by_hand(new: ColdItems) -> None:
    items, weights = new.similar_to(0)
    assert items.tolist() == [0], "a drama is like the drama alone"
    assert weights.tolist() == [1]
    items, weights = new.similar_to(2)  # only its year is known: 5, 5 and 5 years from the three
    assert sorted(items.tolist()) == [0, 1, 2]
    assert weights == pytest.approx([1 / 3] * 3, abs=1e-6)
    items, weights = new.similar_to(3)  # the rarer western counts for more than the drama
    assert items.tolist() == [1, 0]
    assert weights == pytest.approx([LN5 / (LN5 + LN2_5), LN2_5 / (LN5 + LN2_5)], abs=1e-6)


def test_years_apart_count_by_the_kernel() -> None:
    items = Content(np.ones((3, 1), dtype=np.float32), np.array([2000, 1990, 0], dtype=np.int32))
    one = Content(np.ones((1, 1), dtype=np.float32), np.array([1998], dtype=np.int32))
    assert Likeness.to(items).of(one)[0] == pytest.approx([np.exp(-2 / YEARS), np.exp(-8 / YEARS), 0])


def test_of_a_movie_without_a_year_the_genres_alone_count(new: ColdItems) -> None:
    items, weights = new.similar_to(1)
    assert (items.tolist(), weights.tolist()) == ([2], [1])


def test_a_score_is_the_weighted_mean_of_the_neighbours_scores(new: ColdItems) -> None:
    scores = np.array([4, 1, -2, 100], dtype=np.float32)
    expected = [4, -2, 1, (LN5 * 1 + LN2_5 * 4) / (LN5 + LN2_5)]
    assert new.scores(scores) == pytest.approx(np.array(expected), abs=1e-5)
    both = new.scores(np.stack([scores, -scores]))
    assert both.dtype == np.float32
    assert both == pytest.approx(np.array([expected, [-value for value in expected]]), abs=1e-5)


def test_a_neighbour_that_is_never_recommended_is_left_out_of_the_mean(new: ColdItems) -> None:
    scores = np.array([-np.inf, 1, 3, 0], dtype=np.float32)
    assert new.scores(scores).tolist() == [-np.inf, 3, 2, 1]
    assert new.best(scores, 10).tolist() == [1, 2, 3], "what has no other neighbour is not recommended either"


def test_the_best_come_first_and_of_equal_ones_the_larger_id(new: ColdItems) -> None:
    assert new.best(np.array([4, 1, 9, 0], dtype=np.float32), 2).tolist() == [1, 2]
    assert new.best(np.ones(4, dtype=np.float32), 3).tolist() == [3, 2, 1]
    assert new.best(np.ones(4, dtype=np.float32), 0).tolist() == []


def test_the_cold_items_most_like_an_item_are_found_from_it_too(new: ColdItems) -> None:
    rows, nearness = new.like(3)  # nobody has it, and it has a place among new movies all the same
    assert rows.tolist() == [0, 3, 2]
    cosine = LN2_5 / np.hypot(LN5, LN2_5)
    assert nearness == pytest.approx([1, cosine, 6 / 16 * np.exp(-5 / YEARS)], abs=1e-6), (
        "6 of 16 pairs share their genre"
    )
    rows, nearness = new.like(2)
    assert rows.tolist() == [1, 2]
    of_pairs = (10 + 6 * np.exp(-10 / YEARS)) / 16
    assert nearness == pytest.approx([of_pairs, 6 / 16 * np.exp(-5 / YEARS)], abs=1e-6), "of one no year is known"


def test_which_of_equally_like_items_are_neighbours_does_not_follow_their_popularity() -> None:
    content = Content(np.ones((40, 1), dtype=np.float32), np.full(40, 2000, dtype=np.int32))
    found, _ = neighbours_of(content.take(np.array([0])), Likeness.to(content), np.arange(1, 41), 20)
    assert 5 < (found[0] >= 20).sum() < 15, "half of them are of the more popular half"
    assert (NEIGHBOURS, YEARS, NEAREST) == (50, 5.0, 20), "as validation chose them"


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_neighbours_are_the_k_most_alike_of_the_items_that_somebody_has(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items, movies = (
        Content(rng.integers(0, 2, (n, 3)).astype(np.float32), rng.choice([0, 1990, 1991, 2005], n).astype(np.int32))
        for n in (9, 5)
    )
    popularity = rng.integers(0, 3, 9)
    likeness = Likeness.to(items)
    found, weights = neighbours_of(movies, likeness, popularity, k)
    alike = likeness.of(movies) * (popularity > 0)
    for row in range(5):
        kept = found[row] >= 0
        expected = np.sort(alike[row][alike[row] > 0])[::-1][:k]
        assert alike[row][found[row][kept]] == pytest.approx(expected)
        assert (weights[row][~kept] == 0).all()
        if kept.any():
            assert weights[row].sum() == pytest.approx(1, abs=1e-5)
            assert len(set(found[row][kept])) == kept.sum()


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_of_equally_like_items_the_first_drawn_are_neighbours_whatever_their_contents(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = Content(np.ones((80, 1), dtype=np.float32), rng.choice([1989, 1991, 2000], 80).astype(np.int32))
    movies = Content(np.ones((4, 1), dtype=np.float32), np.array([1990, 1991, 1990, 0], dtype=np.int32))
    likeness, drawn = Likeness.to(items), np.random.default_rng(0).permutation(80)
    found, _ = neighbours_of(movies, likeness, np.ones(80, dtype=np.int64), k)
    order = np.argsort(-likeness.of(movies)[:, drawn], axis=1, kind="stable")[:, :k]
    assert found.tolist() == drawn[order].tolist()


def test_movies_of_equal_contents_are_compared_once() -> None:
    """20,000 new ones are placed in a few MiB: compared one by one, 256 of the items take 39 MiB an array."""
    ids = np.arange(22_000)
    rows = [{"movie_id": n, "title": "", "year": 1950 + n % 70, "genres": ["Drama", "Noir"][: n % 3]} for n in ids]
    movies = Movies(pa.Table.from_pylist(rows, schema=MOVIES_SCHEMA))
    items = IdMap(ids[::11])
    pairs = np.column_stack([np.zeros(2_000, dtype=np.int64), np.arange(2_000)])
    catalogue = Catalogue.of(interactions_of(pairs, IdMap(np.arange(1)), items), movies.of(items))
    tracemalloc.start()
    placed = ColdItems.of(catalogue, items, movies)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(placed) == 20_000
    assert peak < 40 * 2**20


def test_what_is_saved_is_loaded(new: ColdItems, tmp_path: Path) -> None:
    new.save(tmp_path)
    again = ColdItems.load(tmp_path)
    scores = np.array([4, 1, -2, 100], dtype=np.float32)
    assert again.scores(scores).tolist() == new.scores(scores).tolist()
    assert again.movies == new.movies
    assert again.unplaceable == 2
    assert again.like(3)[0].tolist() == new.like(3)[0].tolist()


@pytest.mark.parametrize("name", [MOVIES_FILE, ARRAYS_FILE])
def test_a_damaged_or_missing_file_is_one_sentence(new: ColdItems, tmp_path: Path, name: str) -> None:
    new.save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:50])
    with pytest.raises(StoreError, match="place them again"):
        ColdItems.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StoreError, match="place them again"):
        ColdItems.load(tmp_path)


def test_a_data_set_without_cold_items_has_none_to_place(tmp_path: Path) -> None:
    movies = table_of(KNOWN)
    none = ColdItems.of(catalogue_of(movies), ITEMS, movies)
    none.save(tmp_path)
    none = ColdItems.load(tmp_path)
    assert (len(none), none.unplaceable) == (0, 0)
    assert none.scores(np.ones(4, dtype=np.float32)).shape == (0,)
    assert none.best(np.ones(4, dtype=np.float32), 3).tolist() == []
    assert none.like(0)[0].tolist() == []


def test_a_share_of_0_is_the_models_own_list_and_of_1_has_cold_items_alone() -> None:
    assert mix("abcdef", "ABC", 0, 4) == list("abcd")
    assert mix("abcdef", "ABCDEF", 1, 4) == list("ABCD")


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.1, "abcdefghiA"), (0.2, "abcdAefghB"), (0.3, "abcAdeBfgC"), (0.5, "aAbBcCdDeE"), (0.05, "abcdefghiA")],
)
def test_cold_items_stand_evenly_between_the_models_items(share: float, expected: str) -> None:
    assert "".join(mix("abcdefghij", "ABCDEFGHIJ", share, 10)) == expected


def test_a_list_has_as_many_as_there_are() -> None:
    assert mix("abcdef", "A", 0.5, 4) == list("abcA"), "the model's items take the places that are left"
    assert mix("ab", "ABCD", 0.5, 6) == list("aAbBC"), "new movies get no more than their share"
    assert mix("", "", 0.5, 6) == []


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1), st.integers(0, 30))
def test_a_mixed_list_keeps_both_orders_and_the_share(n_items: int, n_new: int, share: float, k: int) -> None:
    items, new = list(range(n_items)), list(range(1000, 1000 + n_new))
    mixed = mix(items, new, share, k)
    of_new = [movie for movie in mixed if movie >= 1000]
    of_items = [movie for movie in mixed if movie < 1000]
    assert len(of_new) == min(int(share * k + 0.5), n_new)
    assert len(of_items) == min(k - len(of_new), n_items)
    assert of_new == new[: len(of_new)]
    assert of_items == items[: len(of_items)]
    for length in range(len(mixed) + 1):  # never more than their share of the beginning of the list
        assert sum(movie >= 1000 for movie in mixed[:length]) == length * len(of_new) // max(len(mixed), 1)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="from 0, none, to 1"):
        new_places(10, 10, share, 10)
