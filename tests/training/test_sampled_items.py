import numpy as np
import pytest

from movierec_engine.training.sampled_items import ItemSampler, inclusion_probabilities

RNG = np.random.default_rng(3)
POPULARITY = (200 / np.arange(1, 41)).astype(int)
OWN = np.array([5, 5, 30])


@pytest.mark.parametrize("count", [1, 5, 20, 39])
def test_inclusion_probabilities_sum_to_the_count_and_are_proportional_below_one(count: int) -> None:
    weights = RNG.pareto(1.0, 40) + 0.01
    inclusion = inclusion_probabilities(weights, count)
    assert inclusion.sum() == pytest.approx(count)
    assert inclusion.max() <= 1
    below = inclusion < 1
    scale = inclusion[below] / weights[below]
    assert scale == pytest.approx(np.full(below.sum(), scale[0]))
    assert (weights[~below] * scale[0] >= 1).all()


def test_a_count_of_the_catalogue_takes_all_of_it() -> None:
    for count in (40, 41):
        items, log_inclusion = ItemSampler(POPULARITY, count, np.random.default_rng(0)).sample(OWN)
        assert items.tolist() == list(range(40))
        assert not log_inclusion.any()


def test_items_without_an_interaction_are_drawn_too_and_popular_ones_by_the_root_of_their_count() -> None:
    popularity = np.array([99, 24, 3, *[0] * 97])
    items, log_inclusion = ItemSampler(popularity, 4, np.random.default_rng(0)).sample(np.arange(0))
    chances = {item: float(np.exp(value)) for item, value in zip(items, log_inclusion, strict=True)}
    expected = inclusion_probabilities(np.sqrt(popularity + 1.0), 4)
    assert chances == pytest.approx({item: expected[item] for item in items})
    assert len(items) == 4
    draws = [ItemSampler(popularity, 4, np.random.default_rng(seed)).sample(np.arange(0))[0] for seed in range(400)]
    assert np.mean([99 in one for one in draws]) == pytest.approx(expected[99], abs=0.03)
    assert max(one.max() for one in draws) == 99
    assert len({tuple(one) for one in draws}) > 20, "each seed draws others"


def test_the_weighted_sum_over_the_sample_is_on_average_that_over_the_catalogue() -> None:
    """Of any positive numbers; the batch's own items weigh 1."""
    values = RNG.exponential(size=40)
    sampler = ItemSampler(POPULARITY, 8, np.random.default_rng(0))
    sums = []
    for _ in range(4000):
        items, log_inclusion = sampler.sample(OWN)
        assert {5, 30} <= set(items)
        assert len(set(items)) == len(items) <= 8 + 2
        assert not log_inclusion[np.isin(items, OWN)].any()
        sums.append((values[items] * np.exp(-log_inclusion)).sum())
    error = np.std(sums) / np.sqrt(len(sums))
    assert error < 0.02 * values.sum()
    assert np.mean(sums) == pytest.approx(values.sum(), abs=3 * error)
