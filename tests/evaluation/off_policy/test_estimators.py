"""Off-policy estimators against sums by hand, against the truth of worlds, and their intervals."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from movierec_engine.errors import DataError
from movierec_engine.evaluation.off_policy import WeighedLists, estimate, ratio_interval


def lists(
    weight: list[float], reward: list[float], user: list[int], of_list: list[int], **more: list[float]
) -> WeighedLists:
    n = len(user)
    return WeighedLists(
        np.array(of_list),
        np.array(user),
        np.array(weight),
        np.array(reward),
        np.array(more.get("predicted", [0.0] * len(weight))),
        np.array(more.get("expected", [0.0] * n)),
        np.array(more.get("places", [2.0] * n)),
    )


def test_the_estimators_are_their_formulas() -> None:
    found = estimate(
        lists(
            weight=[2, 0, 1, 0.5],
            reward=[1, 1, 0, 1],
            user=[0, 1],
            of_list=[0, 0, 1, 1],
            predicted=[0.5, 0.5, 0.25, 0.25],
            expected=[1.0, 0.5],
        )
    )
    assert found.logged.value == 3 / 2
    assert found.ips.value == (2 + 0.5) / 2
    assert found.snips.value == pytest.approx(2 * 2.5 / 3.5)
    assert found.dr.value == ((1 + 2 * 0.5) + (0.5 - 0.25 + 0.5 * 0.75)) / 2
    assert found.ips_gain.value == pytest.approx(found.ips.value - 1.5)
    assert found.snips_gain.value == pytest.approx(found.snips.value - 1.5)
    assert found.dr_gain.value == pytest.approx(found.dr.value - 1.5)
    assert found.covered.value == 3.5 / 4
    assert (found.lists, found.users, found.largest_weight) == (2, 2, 2)
    assert found.effective_places == pytest.approx(3.5**2 / (4 + 1 + 0.25))


def test_weights_of_nought_alone_tell_nothing_and_raise_nothing() -> None:
    found = estimate(lists([0, 0, 0, 0], [1, 0, 0, 0], [0, 1], [0, 0, 1, 1]))
    assert (found.ips.value, found.covered.value, found.effective_places) == (0, 0, 0)
    assert np.isnan([found.snips.value, found.snips_gain.low]).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -1.0])
def test_a_weight_that_is_none_is_refused(broken: float) -> None:
    with pytest.raises(DataError, match="weight"):
        lists([broken], [1], [0], [0])


def test_without_a_list_there_is_nothing_to_estimate() -> None:
    with pytest.raises(DataError, match="no logged list"):
        lists([], [], [], [])


def test_clipping_cuts_what_is_larger() -> None:
    clipped = lists([2, 0, 1, 9], [1, 1, 0, 1], [0, 1], [0, 0, 1, 1]).clipped(1.5)
    assert clipped.weight.tolist() == [1.5, 0, 1, 1.5]


def test_an_interval_of_many_even_terms_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(2, 1, 20_000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = ratio_interval(values, np.ones(len(values)), (values.min(), values.max()))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 20)


def test_of_shares_an_interval_is_the_likelihood_ratios() -> None:
    """Of zeros and ones, the empirical likelihood is the binomial's; one of each more is what stands at either end."""
    hits, n = 12, 400
    values = np.repeat([1.0, 0.0], [hits, n - hits])
    low, high = ratio_interval(values, np.ones(n), (0.0, 1.0))

    def ratio(p: float, k: int) -> float:
        share = k / (n + 1)
        return k * np.log(share / p) + (n + 1 - k) * np.log((1 - share) / (1 - p)) - 3.84 / 2

    assert low == pytest.approx(brentq(ratio, 1e-6, hits / (n + 1), args=(hits,)), rel=0.03)
    assert high == pytest.approx(brentq(ratio, (hits + 1) / (n + 1), 0.5, args=(hits + 1,)), rel=0.03)


def test_an_interval_without_a_hit_is_no_point_and_lists_of_one_user_tell_less_than_of_many() -> None:
    low, high = ratio_interval(np.zeros(100), np.ones(100), (0.0, 5.0))
    assert low == 0 and 0.05 < high < 1
    rng = np.random.default_rng(1)
    taste = rng.normal(size=50).repeat(20)
    values = taste + rng.normal(scale=0.1, size=1000)
    one_each = ratio_interval(values, np.ones(1000), (-3, 3))
    by_user = ratio_interval(values.reshape(50, 20).sum(axis=1), np.full(50, 20.0), (-3, 3))
    assert by_user[1] - by_user[0] > 3 * (one_each[1] - one_each[0])


def test_fewer_than_two_users_have_no_interval() -> None:
    assert np.isnan(ratio_interval(np.ones(1), np.ones(1), (0, 1))).all()


def test_estimates_of_obps_own_data_are_obps() -> None:
    """benchmarks/off_policy_coverage.py runs obp itself; its numbers and the counts that they follow from are kept."""
    sample = json.loads((Path(__file__).parent / "open_bandit_sample.json").read_text(encoding="utf-8"))
    shown, clicked, other = (
        np.array(sample[name]) for name in ("shown_at_random", "clicked_at_random", "shown_by_thompson")
    )
    n, target = int(shown.sum()), other / other.sum(axis=1, keepdims=True)
    rate = (clicked + 10 * clicked.sum() / n) / (shown + 10)
    reward = np.concatenate(
        [np.repeat([1.0, 0.0], [hits, lists - hits]) for hits, lists in zip(clicked.flat, shown.flat, strict=True)]
    )
    place = np.repeat(np.arange(3).repeat(80), shown.ravel())
    found = estimate(
        WeighedLists(
            np.arange(n),
            np.arange(n),
            np.repeat(target.ravel() * 80, shown.ravel()),
            reward,
            np.repeat(rate.ravel(), shown.ravel()),
            (target * rate).sum(axis=1)[place],
            np.ones(n),
        )
    )
    for name, value in sample["obp"].items():
        assert getattr(found, name).value == pytest.approx(value, rel=1e-12)
    assert found.ips.low < 0.0042 < found.ips.high, "Thompson sampling's own rate of clicks in its sample"
