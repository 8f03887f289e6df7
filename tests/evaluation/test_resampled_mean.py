"""The bootstrap of a mean against resamples that are drawn, and where few differ against closed forms."""

import math

import numpy as np
import pytest

from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.evaluation.gate import weigh
from movierec_engine.evaluation.resampled_mean import resampled_mean, users_who_count

RESAMPLES = 20_000


def differences_of(kind: str, k: int) -> np.ndarray:
    """The differences of k users."""
    rng = np.random.default_rng(k)
    return {
        "one-sided": np.full(k, -0.63),
        "two-valued": np.where(np.arange(k) < (k + 2) // 3, -1.0, 1.0),
        "steps": rng.choice([-0.5, 0.37, 0.63, -0.13], k),
        "continuous": rng.normal(0.2, 1, k),
        "one outlier": np.append(rng.normal(0, 0.02, k - 1), 3.0),
        "halves": np.resize([0.5, 1.0, -0.5], k),
    }[kind]


KINDS = ("one-sided", "two-valued", "steps", "continuous", "one outlier", "halves")


@pytest.mark.parametrize(
    ("n", "k"),
    [(n, k) for n in (30, 100, 670, 5_000, 100_000) for k in (1, 2, 3, 5, 8, 13, 25, 60, 200) if k <= n],
)
def test_however_few_users_differ_it_is_what_drawing_comes_to(n: int, k: int) -> None:
    shares = np.append(np.full(k, 1 / n), 1 - k / n)
    times = np.random.default_rng(n + k).multinomial(n, shares, RESAMPLES)[:, :k]
    for kind in KINDS:
        difference = differences_of(kind, k)
        means = np.round(times @ difference, 9) / n
        share_of_0 = 1 if n < 100 else 0.5  # that counts, on both sides
        p_value = 2 * min(((means * sign < 0) + share_of_0 * (means == 0)).mean() for sign in (1, -1))
        compared = compare_paired(np.append(difference, np.zeros(n - k)), np.zeros(n))
        assert compared.p_bootstrap == pytest.approx(min(1, p_value), abs=0.03), kind
        for end, share in ((compared.low, 0.025), (compared.high, 0.975)):
            rounding = 1e-9 / n
            assert (means < end - rounding).mean() - 0.012 <= share <= (means <= end + rounding).mean() + 0.012, kind


@pytest.mark.parametrize("users", [1, 2, 3, 4, 12, 25])
def test_users_who_all_lose_are_significant_by_the_chance_that_none_of_them_is_drawn(users: int) -> None:
    values = np.zeros(670)
    values[:users] = -0.63
    expected = (1 - users / 670) ** 670 / 2
    assert resampled_mean(values, 0.95)[2] == pytest.approx(1 - expected, abs=0.01)
    p = compare_paired(values, np.zeros(670)).p_bootstrap
    assert p == pytest.approx(2 * expected, rel=0.2) if users < 5 else 0 < p < 1e-4


def test_one_user_who_loses_stops_no_release() -> None:
    values = np.zeros(670)
    values[0] = -0.63
    weighed = weigh(values, np.zeros(670), tolerance=0.01)
    assert weighed.passed
    assert (weighed.comparison.low, weighed.comparison.high) == (pytest.approx(-3 * 0.63 / 670), 0)


@pytest.mark.parametrize("n", [100, 670, 5_000])
def test_swapping_mirrors_what_is_drawn_and_computed(n: int) -> None:
    rng = np.random.default_rng(n)
    for values in (np.append(rng.normal(0, 0.1, n - 1), 9), np.append(np.zeros(n - 2), [1, 0.5]), rng.normal(0, 1, n)):
        low, high, below = resampled_mean(values, 0.95)
        assert resampled_mean(-values, 0.95) == pytest.approx((-high, -low, 1 - below), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("value", "below"), [(0.0, 0.5), (-0.63, 1.0), (0.1, 0.0)])
def test_equal_users_have_one_mean(value: float, below: float) -> None:
    assert resampled_mean(np.full(670, value), 0.95) == (value, value, below)


def test_users_count_by_what_they_add_to_the_variance() -> None:
    values = np.zeros((100_000, 3))
    values[:7, 0] = 0.4
    values[:, 1] = np.random.default_rng(0).normal(0, 1, 100_000)
    assert users_who_count(values) == pytest.approx([7, 100_000 / 3, 0], rel=0.02)
    assert math.isclose(float(users_who_count(values[:, 0])), 7, rel_tol=0.01)
