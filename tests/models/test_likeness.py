"""Likeness: what items share beyond popularity, and their genres."""

import numpy as np
import pytest
from families import MAKERS, N_ITEMS, model_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from movierec_engine.models import likeness
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.likeness import GENRE_WEIGHT, CentredCosines, most_alike, nearly_most_alike

SMALL = hnp.arrays(np.float32, (9, 4), elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]))
COUNTS = hnp.arrays(np.float32, 9, elements=st.integers(0, 5).map(float))


@given(SMALL, COUNTS)
def test_similarity_is_the_cosine_without_the_mean_interaction(vectors: np.ndarray, counts: np.ndarray) -> None:
    centred = vectors.astype(np.float64) - counts @ vectors.astype(np.float64) / max(counts.sum(), 1)
    lengths = np.linalg.norm(centred, axis=1)
    known = vectors.any(axis=1) & (lengths > 1e-2)
    expected = np.where(known[:, None] & known, centred @ centred.T, 0) / np.outer(
        np.maximum(lengths, 1e-2), np.maximum(lengths, 1e-2)
    )
    items = np.array([8, 2, 5])
    for form in (vectors, sparse.csr_matrix(vectors)):
        assert np.allclose(CentredCosines(form, counts)(items), expected[items], atol=1e-3)


def test_an_item_of_which_nothing_is_known_is_like_nothing() -> None:
    vectors = np.array([[1, 0], [0, 0], [0, 1], [0, 0]], dtype=np.float32)
    counts = np.array([3, 0, 1, 0], dtype=np.float32)
    assert (CentredCosines(vectors, counts)(np.array([1, 3])) == 0).all()


def test_what_all_items_share_does_not_make_them_alike() -> None:
    everybody, camps = 10.0, np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    vectors = np.column_stack([everybody * np.array([9, 1, 9, 1]), camps]).astype(np.float32)
    assert (vectors @ vectors.T)[0].argsort()[-2] == 2, "the inner product finds the popular item of the other camp"
    level = np.column_stack([np.full(4, everybody), camps]).astype(np.float32)
    found = CentredCosines(level, np.ones(4, dtype=np.float32))(np.arange(4))
    assert np.allclose(found, np.where((camps @ camps.T) > 0, 1, -1), atol=1e-4)


@given(hnp.arrays(np.float32, (7, 7), elements=st.sampled_from([-0.5, 0.0, 0.25, 1.0])), st.integers(0, 6))
def test_the_best_k_are_those_of_a_whole_stable_sort(similarities: np.ndarray, k: int) -> None:
    """In blocks of two items, asked for in any order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likeness, "_BLOCK", 2)
        items = np.array([5, 0, 6, 3, 1])
        found, values = most_alike(lambda rows: similarities[rows].copy(), None, items, k)
    for place, item in enumerate(items):
        others = sorted((other for other in range(7) if other != item), key=lambda other: -similarities[item, other])
        assert found[place].tolist() == others[:k]
        assert values[place].tolist() == similarities[item, others[:k]].tolist()


def test_the_search_of_a_large_catalogue_finds_nearly_all_of_the_most_alike() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3_000, 8)).astype(np.float32)
    genres = (rng.random((3_000, 5)) < 0.3).astype(np.float32)
    similarity = CentredCosines(vectors, np.ones(3_000, dtype=np.float32))
    unit = similarity.unit()
    assert unit is not None
    found, values = nearly_most_alike(unit, genres, 20)
    exact, best = most_alike(similarity, genres, np.arange(3_000), 20)
    shares = [np.isin(own, near).mean() for own, near in zip(exact, found, strict=True)]
    assert np.mean(shares) > 0.95
    assert not (found == np.arange(3_000)[:, None]).any()
    assert (values[:, 0] <= best[:, 0] + 1e-5).all()
    assert values[:, 0] == pytest.approx(best[:, 0], abs=0.1)


def test_shared_genres_count_beside_the_similarity() -> None:
    genres = np.array([[1, 1], [1, 1], [1, 0], [0, 0]], dtype=np.float32)
    similarities = np.array([[1, 0.1, 0.2, 0.3]], dtype=np.float32)
    found, values = most_alike(lambda rows: similarities[rows].copy(), genres, np.array([0]), 3)
    w = GENRE_WEIGHT
    assert found.tolist() == [[1, 2, 3]]
    assert values[0] == pytest.approx([(0.1 + w) / (1 + w), (0.2 + w / 2**0.5) / (1 + w), 0.3 / (1 + w)])


@pytest.mark.parametrize("name", MAKERS)
def test_every_model_is_compared_from_minus_one_to_one_both_ways(name: str) -> None:
    found = model_of(name).similarity()(np.arange(N_ITEMS))
    assert np.allclose(found, found.T, atol=1e-5)
    assert found.min() >= -1
    assert found.max() <= 1


def test_items_are_like_in_an_ensemble_what_they_are_in_its_members_on_average() -> None:
    model = model_of("hybrid of ranks")
    assert isinstance(model, HybridEnsemble)
    each = [member.similarity()(np.arange(5)) for member in model.members]
    assert np.allclose(model.similarity()(np.arange(5)), np.mean(each, axis=0), atol=1e-6)
