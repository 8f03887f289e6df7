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
        "release.tolerance=-0.1",
        "release.min_recall=1.5",
        "release.keep_releases=0",
    ],
)
def test_wrong_settings_are_refused_by_name(override: str) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        load_settings(["model=popularity", "device=cpu", override])


def test_the_settings_of_the_group_have_the_defaults_of_the_dataclass() -> None:
    assert load_settings(["model=popularity", "device=cpu"]).release == ReleaseConfig()


def test_settings_of_a_model_from_before_the_group_get_its_defaults() -> None:
    resolved = load_settings(["model=popularity", "device=cpu"]).resolved()
    del resolved["release"]
    assert typed_settings(OmegaConf.create(resolved), []).release == ReleaseConfig()
