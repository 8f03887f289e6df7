"""At least as good: cases in which the answer can be told without a test, and those in which the tests differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from release_world import GOOD, NOISE

from movierec_engine.config import load_settings, typed_settings
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.gate import ReleaseConfig, weigh


def test_an_equal_model_is_at_least_as_good() -> None:
    weighed = weigh(GOOD, GOOD)
    assert weighed.passed
    assert weighed.comparison.ties == len(GOOD)


def test_a_lower_mean_is_not_good_enough_however_little_it_is() -> None:
    weighed = weigh(GOOD - 1e-6, GOOD)
    assert not weighed.passed
    assert "is lower" in weighed.sentence


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_who_loses_nowhere_is_at_least_as_good(values: list[float], gains: list[float]) -> None:
    other = np.array(values)
    assert weigh(other + np.array(gains[: len(values)]), other).passed


def test_a_mean_that_few_users_carry_while_the_others_lose_is_not_good_enough() -> None:
    gain = np.full(100, -0.05)
    gain[:10] = 0.9
    other = np.full(100, 0.1)
    weighed = weigh(other + gain, other)
    assert weighed.comparison.difference == pytest.approx(0.045)
    assert not weighed.passed
    assert "lower for most users" in weighed.sentence


def test_a_mean_that_some_users_spoil_while_most_gain_is_not_good_enough_within_the_tolerance_either() -> None:
    gain = np.full(100, 0.01)
    gain[:28] = -0.05
    other = np.full(100, 0.1)
    weighed = weigh(other + gain, other, tolerance=0.01)
    assert weighed.comparison.difference == pytest.approx(-0.0068)
    assert weighed.comparison.rank_biserial > 0
    assert not weighed.passed
    assert "is significantly lower by the bootstrap of the mean" in weighed.sentence


def test_a_tolerance_lets_noise_pass_and_not_what_every_user_loses() -> None:
    assert not weigh(GOOD + NOISE - 1e-4, GOOD).passed
    assert weigh(GOOD + NOISE - 1e-4, GOOD, tolerance=0.001).passed
    lost = weigh(GOOD - 5e-4, GOOD, tolerance=0.001)
    assert not lost.passed
    assert "significantly lower" in lost.sentence


@pytest.mark.parametrize(
    "override",
    [
        "release.metric=gini@10",
        "release.above=[popularty]",
        "release.tolerance=-1e-9",
        "release.min_recall=1.5",
        "release.min_recall=-0.01",
        "release.min_agreement=1.01",
        "release.max_refit_cost=0.99",
        "release.max_refit_cost=nan",
        "release.keep_releases=0",
    ],
)
def test_wrong_settings_are_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        load_settings(["model=popularity", "device=cpu", override])


def test_the_ends_of_each_range_are_taken() -> None:
    for end in (0.0, 1.0):
        assert ReleaseConfig(min_recall=end, min_agreement=end).min_recall == end
    assert ReleaseConfig(max_refit_cost=1.0, keep_releases=1, tolerance=0.0, above=()).keep_releases == 1


def test_where_less_is_better_the_lower_mean_passes_and_a_higher_one_is_named() -> None:
    assert weigh(GOOD - 0.01, GOOD, less_is_better=True).passed
    weighed = weigh(GOOD + 0.01, GOOD, less_is_better=True)
    assert not weighed.passed
    assert weighed.sentence.startswith("is higher ("), "and shows the means as they are"
    assert weighed.comparison.mean_a > weighed.comparison.mean_b
    assert weighed.comparison.difference == pytest.approx(-0.01)


def test_a_loss_of_just_the_tolerance_is_within_it() -> None:
    """0.5 against 0.75 and the other way round, so that no test finds one of the two worse."""
    other = np.array([0.5, 0.75, 0.5, 0.75])
    challenger = np.array([0.75, 0.5, 0.5, 0.5])  # a quarter up and two quarters down: 1/16 lower
    assert weigh(challenger, other, tolerance=0.0625).passed
    assert not weigh(challenger, other, tolerance=0.0624).passed
    assert weigh(challenger, other, tolerance=0.0625).plain()["passed"] is True


def test_the_settings_of_the_group_have_the_defaults_of_the_dataclass() -> None:
    assert load_settings(["model=popularity", "device=cpu"]).release == ReleaseConfig()


def test_settings_of_a_model_from_before_the_group_get_its_defaults() -> None:
    resolved = load_settings(["model=popularity", "device=cpu"]).resolved()
    del resolved["release"]
    assert typed_settings(OmegaConf.create(resolved), []).release == ReleaseConfig()
