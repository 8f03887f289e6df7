from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.retrieval.faiss_index import RetrievalIndex, build_faiss
from worlds import MOVIES, small_index

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(500, 16)).astype(np.float32)


@pytest.mark.parametrize("factory", ["", "Flatt", "IVF9999,Flat"])
def test_a_factory_that_faiss_cannot_build_is_a_config_error(factory: str) -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.factory"):
        build_faiss(VECTORS, factory)


def test_a_saved_index_answers_equally(tmp_path: Path) -> None:
    index = small_index()
    index.save(tmp_path)
    loaded = RetrievalIndex.load(tmp_path)
    for user in range(3):
        items, scores, source = loaded.recommend(user, 3)
        expected_items, expected_scores, expected_source = index.recommend(user, 3)
        assert np.array_equal(items, expected_items)
        assert np.array_equal(scores, expected_scores)
        assert source == expected_source
    assert loaded.items.ids.tolist() == MOVIES
    assert loaded.movies.equals(index.movies)
    assert loaded.facts == index.facts


def test_seen_items_are_never_recommended_and_do_not_shorten_the_list() -> None:
    items, _, _ = small_index().recommend(0, 4)
    assert items.tolist() == [4, 2, 1, 0], "item 3 is seen"


def test_equal_scores_go_by_item_index() -> None:
    index = small_index()
    tied = replace(index, popularity=np.ones(5, dtype=np.float32))
    assert tied.most_popular(3)[0].tolist() == [0, 1, 2]


def test_titles_in_another_order_than_the_items_are_refused() -> None:
    index = small_index()
    with pytest.raises(StoreError, match="not in the order"):
        replace(index, movies=index.movies.take([1, 0, 2, 3, 4]))
    with pytest.raises(StoreError, match="movies has 4 rows for 5 items"):
        replace(index, movies=index.movies.slice(0, 4))


def test_queries_of_other_dimensions_or_users_are_refused() -> None:
    index = small_index()
    with pytest.raises(StoreError, match="queries do not fit"):
        replace(index, queries=index.queries[:, :1])
    with pytest.raises(StoreError, match="queries do not fit"):
        replace(index, personal=index.personal[:2])
