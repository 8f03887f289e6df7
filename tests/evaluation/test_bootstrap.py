import numpy as np
import pytest

from movierec_engine.evaluation import bootstrap
from movierec_engine.evaluation.bootstrap import bootstrap_intervals


def test_the_interval_of_a_mean_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(0.3, 0.2, size=(2000, 1))
    low, high = bootstrap_intervals(values, resamples=4000)[0]
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert abs(low - (values.mean() - half)) < 0.1 * half
    assert abs(high - (values.mean() + half)) < 0.1 * half


def test_a_constant_has_an_interval_of_no_width() -> None:
    assert bootstrap_intervals(np.full((50, 2), 0.25)).tolist() == [[0.25, 0.25]] * 2


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    rng = np.random.default_rng(1)
    samples = rng.exponential(1.0, size=(200, 300))  # 300 columns are 300 experiments
    bounds = bootstrap_intervals(samples, resamples=500)
    share = ((bounds[:, 0] <= 1) & (bounds[:, 1] >= 1)).mean()
    assert 0.9 <= share <= 0.99


def test_resampling_agrees_with_the_interval_of_many_users(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).exponential(1.0, size=(bootstrap.LARGE, 1))
    of_many = bootstrap_intervals(values)[0]
    monkeypatch.setattr(bootstrap, "LARGE", len(values) + 1)
    resampled = bootstrap_intervals(values, resamples=400)[0]
    assert np.abs(of_many - resampled).max() < 0.1 * np.ptp(of_many)


@pytest.mark.parametrize(
    ("hits", "few", "many"), [(1, 0, 3), (2, 0, 5), (5, 1, 10), (30, 20, 41), (80, 63, 98), (250, 219, 281)]
)
def test_of_many_users_rare_hits_have_the_interval_of_their_poisson_number(hits: int, few: int, many: int) -> None:
    values = np.zeros((25_000, 3))
    values[:hits, 0] = values[hits:, 1] = 1.0
    values[:, 2] = 0.3
    (low, high), (low_of_misses, high_of_misses), constant = bootstrap_intervals(values)
    assert (low * 25_000, high * 25_000) == pytest.approx((few, many), abs=1 if hits > 5 else 1e-6)
    assert (low_of_misses, high_of_misses) == pytest.approx((1 - high, 1 - low), abs=1e-4 if hits > 5 else 1e-12)
    assert constant == pytest.approx([0.3, 0.3])
    assert 0 <= low < high <= 1 and 0 <= low_of_misses < high_of_misses <= 1
