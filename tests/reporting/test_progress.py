import logging
import time

import pytest

from movierec_engine.reporting import progress
from movierec_engine.reporting.progress import advance, step


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, with little patience."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(logging.getLogger("movierec_engine"), "propagate", True)
    caplog.set_level(logging.INFO, logger="movierec_engine")
    return caplog


def wait_for(text: str, said: pytest.LogCaptureFixture) -> None:
    until = time.monotonic() + 30
    while text not in said.text:
        assert time.monotonic() < until, said.text
        time.sleep(0.01)


def test_a_long_step_says_where_it_is_again_and_again(said: pytest.LogCaptureFixture) -> None:
    with step("evaluating"):
        wait_for("evaluating, ", said)
        advance(1200, 6040, "users")
        wait_for("evaluating: 1,200 of 6,040 users, ", said)
        advance(2400, 6040, "users")
        wait_for("evaluating: 2,400 of 6,040 users, ", said)


def test_a_step_within_another_takes_its_place_and_gives_it_back(said: pytest.LogCaptureFixture) -> None:
    @step("fitting")
    def fit() -> None:
        advance(1, 2, "sweeps")
        wait_for("fitting: 1 of 2 sweeps, ", said)

    with step("training"):
        fit()
        advance(3, 4, "members")
        wait_for("training: 3 of 4 members, ", said)


def test_a_short_step_and_a_place_without_a_step_say_nothing(
    said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 60.0)
    with step("splitting"):
        advance(1, 2, "parts")
    advance(1, 2, "parts")
    assert said.text == ""
