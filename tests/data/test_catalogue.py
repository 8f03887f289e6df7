"""What is known of items and of users' activity: counted by hand, and embeddings against a dense decomposition."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from movierec_engine.data.catalogue import EMBEDDING_DIM, Catalogue, activity_tier, popularity_tier
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from worlds import interactions_of

PAIRS = np.array([(0, 2), (0, 0), (1, 2), (2, 2), (2, 0), (2, 1)])
"""Of four users and five items: item 2 has 3, item 0 has 2 and item 1 has 1; user 3 and items 3 and 4 have none."""
TRAIN = interactions_of(PAIRS, IdMap(np.arange(4)), IdMap(np.array([10, 20, 30, 40, 50])))


def catalogue(counts: list[int]) -> Catalogue:
    """Items with so many interactions each."""
    users = max(counts)
    matrix = np.array([[float(user < count) for count in counts] for user in range(users)], dtype=np.float32)
    return Catalogue(sparse.csr_matrix(matrix), np.zeros((len(counts), 0), np.float32), (), np.zeros(len(counts), int))


def test_popularity_and_activity_count_train_interactions_of_all_items_and_users() -> None:
    found = Catalogue.of(TRAIN)
    assert (found.n_users, found.n_items) == (4, 5)
    assert found.popularity.tolist() == [2, 1, 3, 0, 0]
    assert found.activity.tolist() == [2, 1, 3, 0]
    assert found.popularity_rank.tolist() == [1, 2, 0, 3, 4], "equal ones by index"
    assert catalogue([1] * 40).popularity_rank.tolist() == list(range(40))
    assert (found.genres.shape, found.genre_names, found.year.tolist()) == ((5, 0), (), [0] * 5)


def test_genres_and_years_are_those_of_the_catalogues_movies_alone() -> None:
    rows = [
        {"movie_id": 20, "title": "b", "year": 1999, "genres": ["War", "Drama"]},
        {"movie_id": 25, "title": "not rated", "year": 1800, "genres": ["Western"]},
        {"movie_id": 40, "title": "d", "year": None, "genres": []},
        {"movie_id": 50, "title": "e", "year": 2001, "genres": ["Drama"]},
    ]
    found = Catalogue.of(TRAIN, Movies(pa.Table.from_pylist(rows, schema=MOVIES_SCHEMA)))
    assert found.genre_names == ("Drama", "War")
    assert found.genres.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [1, 0]]
    assert found.year.tolist() == [0, 1999, 0, 0, 2001]


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (60, 45)])
def test_embeddings_are_the_largest_singular_vectors_times_their_values(shape: tuple[int, int]) -> None:
    """Up to the sign of each dimension, so the items' inner products are compared."""
    rng = np.random.default_rng(1)
    pairs = np.argwhere(rng.random(shape) < 0.5)
    pairs = pairs[pairs[:, 1] != 1]
    train = interactions_of(pairs, IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])))
    found = Catalogue.of(train).embeddings
    d = min(EMBEDDING_DIM, min(shape) - 1)
    assert found.shape == (shape[1], d)
    _, values, vectors = np.linalg.svd(train.matrix().toarray(), full_matrices=False)
    expected = vectors[:d].T * values[:d]
    assert np.allclose(found @ found.T, expected @ expected.T, atol=1e-3)
    assert not found[1].any(), "an item without interactions is 0"


def test_a_single_user_or_item_has_no_embeddings() -> None:
    for shape in ((1, 3), (3, 1)):
        train = interactions_of(np.array([(0, 0)]), IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])))
        assert Catalogue.of(train).embeddings.tolist() == [[0.0]] * shape[1]


def test_an_item_is_of_the_tier_in_which_the_interactions_before_it_end() -> None:
    """Of 20: before them 0, 10, 15, 16, 19 and 20, that is 0, .5, .75, .8, .95 and 1."""
    assert popularity_tier(catalogue([10, 5, 1, 3, 1, 0])).tolist() == [0, 1, 2, 1, 2, 2]
    assert popularity_tier(catalogue([0, 7])).tolist() == [2, 0], "the most popular is always head"
    assert popularity_tier(catalogue([4, 3, 2, 1])).tolist() == [0, 0, 1, 2], "before them 0, .4, .7 and .9"


def test_users_are_of_the_tier_that_begins_at_or_below_their_activity() -> None:
    activity = np.array([[0, 4, 5], [19, 20, 99], [100, 5000, 1]])
    assert activity_tier(activity).tolist() == [[0, 0, 1], [1, 2, 2], [3, 3, 0]]
